mod call;
mod log;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Method;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::path::{RegionPath, Segment};
use crate::store::{
    Begun, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms, Read,
    ReadTerms, ScanItem, Store, StoreHealth, Write, Written,
};

pub use call::{Call, OpKind, Outcome, RecordedOp, Request};
pub use log::MAX_CALLS;

use log::Log;

/// A store that remembers every call made to it.
///
/// Clones share the store and the recording. Of more than [`MAX_CALLS`] calls the oldest are
/// forgotten; [`count`](Self::count) counts them still.
///
/// ```
/// use region_core::testing::{Method, Outcome, Recorder};
/// use region_core::{ReadTerms, RegionPath, Store};
///
/// # async fn example(store: impl Store) -> region_core::Result<()> {
/// let store = Recorder::new(store);
/// let shop = RegionPath::root("shop")?;
/// store.read(&shop, &["a", "b"], ReadTerms::default()).await?;
///
/// let calls = store.calls();
/// assert_eq!(calls[0].method(), Method::Read);
/// assert_eq!(calls[0].keys(), ["a", "b"]);
/// assert_eq!(calls[0].outcome, Outcome::Done);
/// store.clear();
/// assert_eq!(store.count(Method::Read), 0);
/// # Ok(())
/// # }
/// ```
pub struct Recorder<S> {
    inner: Arc<S>,
    log: Arc<Log>,
}

impl<S> Recorder<S> {
    /// Wraps `store`, with nothing recorded.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { inner: Arc::new(store), log: Arc::default() }
    }

    /// The store underneath; what is asked of it directly is not recorded.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The calls since the beginning or the last [`clear`](Self::clear), in the order in which they
    /// began.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.log.calls()
    }

    /// Returns the number of calls of `method` that began since the beginning or the last [`clear`](Self::clear).
    #[must_use]
    pub fn count(&self, method: Method) -> u64 {
        self.log.count(Some(method))
    }

    /// Returns the number of calls of any method that began since the beginning or the last [`clear`](Self::clear).
    #[must_use]
    pub fn total(&self) -> u64 {
        self.log.count(None)
    }

    /// Forgets all calls, those that run included.
    pub fn clear(&self) {
        self.log.clear();
    }

    async fn run<T, F>(
        &self,
        region: Option<&RegionPath>,
        request: Request,
        call: impl FnOnce() -> F,
        outcome: impl FnOnce(&T) -> Outcome,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let running = self.log.begin(region, request);
        let result = call().await;
        running.end(match &result {
            Ok(done) => outcome(done),
            Err(error) => Outcome::Failed(error.kind()),
        });
        result
    }
}

fn done<T>(_: &T) -> Outcome {
    Outcome::Done
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

impl<S> Clone for Recorder<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), log: Arc::clone(&self.log) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for Recorder<S> {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        let ReadTerms { from, trust, lineage, started } = terms;
        let request = Request::Read {
            keys: owned(keys),
            terms: ReadTerms { from, trust, lineage: None, started },
            lineage: lineage.cloned(),
        };
        self.run(Some(region), request, || self.inner.read(region, keys, terms), done).await
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let request = Request::Begin { keys: owned(keys), terms };
        self.run(Some(region), request, || self.inner.begin(region, keys, terms), done).await
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let request = Request::Write {
            ops: write.ops.iter().map(RecordedOp::of).collect(),
            guard: write.guard.map(|guard| guard.token),
        };
        let outcome =
            |written: &Written| if written.is_fenced() { Outcome::Fenced } else { Outcome::Done };
        self.run(Some(region), request, || self.inner.write(region, write), outcome).await
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let request = Request::End { verb: terms.verb };
        self.run(Some(region), request, || self.inner.end(region, terms), done).await
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        let request = Request::Release { keys: owned(keys), token };
        let running = self.log.begin(Some(region), request);
        self.inner.release(region, keys, token);
        running.end(Outcome::Done);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        let request = Request::Scan { limit: terms.limit, show: terms.show };
        self.run(Some(region), request, || self.inner.scan(region, terms), done).await
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        let request = Request::Children { limit: terms.limit };
        self.run(Some(region), request, || self.inner.children(region, terms), done).await
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.run(Some(region), Request::Len, || self.inner.len(region), done).await
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        self.log.begin(None, Request::Listen).end(Outcome::Done);
        self.inner.listen(listener)
    }

    fn limit(&self) -> Option<Duration> {
        self.inner.limit()
    }

    fn health(&self) -> StoreHealth {
        self.inner.health()
    }

    async fn now(&self) -> Result<Timestamp> {
        self.run(None, Request::Now, || self.inner.now(), done).await
    }
}
