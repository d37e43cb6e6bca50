//! The calls to the store. All calls of a cache go through this module, so that failures are logged in
//! one place.

use std::future::Future;

use tokio::time::Instant;

use super::near::Covers;
use super::{Chain, Context, Engine};
use crate::error::Result;
use crate::path::{RegionPath, Segment};
use crate::store::{
    Begun, EndTerms, LeaseTerms, LeaseToken, Page, PageTerms, Read, ReadTerms, ScanItem, Verb,
    Write, Written,
};

impl Context {
    /// Reads `keys` as `terms` say.
    pub(super) async fn read(&self, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        self.unless_out(self.engine.read(&self.path, keys, terms)).await
    }

    /// Does `call`, which reads.
    ///
    /// Inside a load that has just met an outage of this store, the read fails with that outage
    /// and does not ask the store again.
    pub(super) async fn unless_out<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        if let Some(outage) = Chain::recent_outage(&self.engine.store) {
            return Err(outage);
        }
        let result = call.await;
        if let Err(error) = &result {
            Chain::remember_outage(&self.engine.store, error);
        }
        result
    }

    pub(crate) async fn begin(&self, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let sent = self.begin_sent();
        let terms = terms.trust(self.trust());
        let begun = self.observed(self.engine.store.begin(&self.path, keys, terms)).await?;
        if let Some(sent) = sent {
            self.learn_begun(keys, &begun, &sent);
        }
        Ok(begun)
    }

    pub(crate) async fn write(&self, write: Write<'_>) -> Result<Written> {
        let (change, sent) = (self.own_change(Covers::Entries), Instant::now());
        let write = write.trust(self.trust());
        let written = self.observed(self.engine.store.write(&self.path, write)).await?;
        if let Written::Applied(applied) = &written {
            self.learn_write(&change, write, applied, sent);
        }
        Ok(written)
    }

    pub(crate) async fn end(&self, verb: Verb) -> Result<()> {
        let change = self.own_change(Covers::Ended(verb));
        let terms = EndTerms::new(verb).trust(self.trust());
        let ended = self.observed(self.engine.store.end(&self.path, terms)).await?;
        self.learn_end(&change, &ended);
        Ok(())
    }

    pub(crate) async fn scan(&self, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.observed(self.engine.store.scan(&self.path, terms)).await
    }

    pub(crate) async fn children(&self, terms: PageTerms) -> Result<Page<Segment>> {
        self.observed(self.engine.store.children(&self.path, terms)).await
    }

    pub(crate) async fn len(&self) -> Result<u64> {
        self.observed(self.engine.store.len(&self.path)).await
    }

    /// Releases the leases of `keys` that `token` holds, in the background.
    pub(crate) fn release(&self, keys: &[&str], token: LeaseToken) {
        self.engine.store.release(&self.path, keys, token);
    }

    async fn observed<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.engine.observed(&self.path, call).await
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
        self.observed(path, self.store.read(path, keys, terms)).await
    }

    async fn observed<T>(
        &self,
        path: &RegionPath,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = call.await;
        match &result {
            Ok(_) => self.failures.succeeded(Instant::now),
            Err(error) if error.is_outage() => {
                self.failures.failed(path, error, Instant::now());
            }
            Err(_) => {}
        }
        result
    }
}
