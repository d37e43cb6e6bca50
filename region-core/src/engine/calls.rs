//! The calls to the store. All calls of a cache go through this module, so that failures are logged in
//! one place.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::near::Covers;
use super::watch::CallWatch;
use super::{Chain, Context, Engine, Started};
use crate::error::{Error, Result};
use crate::path::{RegionPath, Segment};
use crate::store::{
    Begun, ChangedKey, EndTerms, LeaseTerms, LeaseToken, Op, Page, PageTerms, Read, ReadTerms,
    ScanItem, Verb, Write, Written,
};

/// A read under way. Written by hand, for it is a part of every hit in the store.
#[must_use]
pub(super) struct Reading<'a> {
    context: &'a Context,
    started: &'a mut Started,
    answer: BoxFuture<'a, Result<Read>>,
    watch: CallWatch,
}

impl Future for Reading<'_> {
    type Output = Result<Read>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Self { answer, watch, .. } = &mut *self;
        let Poll::Ready(read) = watch.within(|| answer.poll_unpin(cx)) else {
            self.started.note();
            self.context.engine.saw_wait();
            return Poll::Pending;
        };
        self.watch.ended(&self.context.engine, read.is_ok());
        self.context.observe(&read);
        self.context.remember_outage(&read);
        Poll::Ready(read)
    }
}

impl Context {
    /// Begins to read `keys`, as a part of an operation that began at `started`.
    pub(super) fn read<'a>(
        &'a self,
        keys: &'a [&'a str],
        started: &'a mut Started,
    ) -> Result<Reading<'a>> {
        self.refuse_during_outage()?;
        let terms = ReadTerms { started: started.noted(), ..self.read_terms() };
        let answer = self.engine.read_steps(&self.path, keys, terms);
        let watch = CallWatch::start("read", &self.path);
        Ok(Reading { context: self, started, answer, watch })
    }

    /// Does `call`, which reads.
    ///
    /// Inside a load that has just met an outage of this store, the read fails with that outage
    /// and does not ask the store again.
    pub(super) async fn unless_out<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.refuse_during_outage()?;
        let result = call.await;
        self.remember_outage(&result);
        result
    }

    fn refuse_during_outage(&self) -> Result<()> {
        match Chain::recent_outage(&self.engine.store) {
            Some(outage) => Err(outage),
            None => Ok(()),
        }
    }

    fn remember_outage<T>(&self, result: &Result<T>) {
        if let Err(error) = result {
            Chain::remember_outage(&self.engine.store, error);
        }
    }

    pub(crate) async fn begin(&self, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let sent = self.begin_sent();
        let terms = terms.trust(self.trust());
        let call = self.engine.begin_steps(&self.path, keys, terms);
        let begun = self.watched("begin", call).await;
        if let (Ok(begun), Some(sent)) = (&begun, sent) {
            self.learn_begun(keys, begun, &sent);
        }
        begun
    }

    pub(crate) async fn write(&self, write: Write<'_>) -> Result<Written> {
        // A write of no keys restarts the region's TTL, which concerns them all.
        let keys = ChangedKey::of_keys(write.ops.iter().map(Op::key)).unwrap_or(ChangedKey::All);
        let (change, sent) = (self.own_change(Covers::Entries(keys)), self.write_sent());
        let write = write.trust(self.trust());
        let call = self.engine.store.write(&self.path, write);
        let written = self.watched("write", call).await;
        if let (Ok(Written::Applied(applied)), Some(sent)) = (&written, sent) {
            self.learn_write(&change, write, applied, sent);
        }
        self.engine.near.wakes().written(&self.path);
        written
    }

    pub(crate) async fn end(&self, verb: Verb) -> Result<()> {
        let change = self.own_change(Covers::Ended(verb));
        let terms = EndTerms::new(verb).trust(self.trust());
        let ended = self.watched("end", self.engine.store.end(&self.path, terms)).await;
        self.tell_verb(verb, ended.is_ok());
        self.engine.near.wakes().ended(&self.path, verb);
        ended.map(|ended| self.learn_end(&change, &ended))
    }

    pub(crate) async fn scan(&self, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.watched("scan", self.engine.store.scan(&self.path, terms)).await
    }

    pub(crate) async fn children(&self, terms: PageTerms) -> Result<Page<Segment>> {
        self.watched("children", self.engine.store.children(&self.path, terms)).await
    }

    pub(crate) async fn len(&self) -> Result<u64> {
        self.watched("len", self.engine.store.len(&self.path)).await
    }

    /// Releases the leases of `keys` that `token` holds, in the background.
    pub(crate) fn release(&self, keys: &[&str], token: LeaseToken) {
        self.engine.store.release(&self.path, keys, token);
    }

    /// Does `call`, and observes how it ends.
    async fn watched<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let watch = CallWatch::start(operation, &self.path);
        let result = watch.run(call).await;
        watch.ended(&self.engine, result.is_ok());
        self.observe(&result);
        result
    }

    fn observe<T>(&self, result: &Result<T>) {
        self.engine.observe(&self.path, result.as_ref().err());
    }
}

impl Engine {
    /// Reads `keys` of the region at `path`.
    pub(super) async fn read(
        &self,
        path: &RegionPath,
        keys: &[&str],
        terms: ReadTerms<'_>,
    ) -> Result<Read> {
        let watch = CallWatch::start("read", path);
        let read = watch.run(self.read_steps(path, keys, terms)).await;
        watch.ended(self, read.is_ok());
        self.observe(path, read.as_ref().err());
        read
    }

    /// Logs what the failure or success of a call says of the store.
    #[inline]
    fn observe(&self, path: &RegionPath, error: Option<&Error>) {
        match error {
            None => self.failures.succeeded(Instant::now),
            Some(error) if error.is_outage() => self.failures.failed(path, error, Instant::now()),
            Some(_) => {}
        }
    }
}
