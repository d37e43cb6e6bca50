mod pause;
mod pushes;
mod script;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Method;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::path::{RegionPath, Segment};
use crate::store::{
    Begun, EndTerms, Ended, Event, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms,
    Read, ReadTerms, ScanItem, Store, StoreHealth, Write, Written,
};

pub use pause::Pause;
pub use pushes::OnPush;
pub use script::{Fault, On};

use pushes::Pushes;
use script::{Effect, Script};

/// A store that fails as its script says.
///
/// Without a script it passes every call through. A rule of the script says which calls it is about
/// and what happens to them; rules are followed in the order in which they were made, and may add up
/// (a delay, then an error). Clones share the store and the script.
///
/// [`listen`](Store::listen) itself never fails; its pushes do, see [`on_push`](Self::on_push).
/// Nor can [`release`](Store::release) fail; a rule that has it fail keeps it from the store, and
/// the other rules do not concern it.
///
/// ```
/// use region_core::testing::{Faulty, Method};
/// use region_core::{ErrorKind, RegionPath, Store, Verb};
///
/// # async fn example(store: impl Store) -> region_core::Result<()> {
/// let store = Faulty::new(store);
/// let shop = RegionPath::root("shop")?;
///
/// // The first invalidation happens, but its caller is not told.
/// store.on(Method::End).nth(1).lose_reply();
/// let error = store.end(&shop, Verb::Invalidate.into()).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Timeout);
///
/// // Nothing gets through, until this is lifted.
/// let outage = store.on_any().fail(ErrorKind::Unavailable);
/// assert!(store.len(&shop).await.is_err());
/// assert_eq!(outage.hits(), 1);
/// outage.lift();
/// assert!(store.len(&shop).await.is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Faulty<S> {
    inner: Arc<S>,
    script: Arc<Script>,
    pushes: Arc<Pushes>,
    limit: Option<Duration>,
    /// The condition that is told instead of the store's own.
    health: Arc<Mutex<Option<StoreHealth>>>,
}

impl<S> Faulty<S> {
    /// Wraps `store`; passes everything through until told otherwise.
    #[must_use]
    pub fn new(store: S) -> Self {
        let (script, pushes, health) = (Arc::default(), Arc::default(), Arc::default());
        Self { inner: Arc::new(store), script, pushes, limit: None, health }
    }

    /// Sets a limit of time to each call, delays and pauses included, by tokio's clock. It counts from the
    /// start of the operation that the call is a part of, if the call says when that was. A call beyond it
    /// fails with [`ErrorKind::Timeout`].
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The store underneath, which knows nothing of the faults.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Begins a rule for calls of `method`.
    pub fn on(&self, method: Method) -> On<'_> {
        On::new(&self.script, Some(method))
    }

    /// Begins a rule for calls of any method.
    pub fn on_any(&self) -> On<'_> {
        On::new(&self.script, None)
    }

    /// Holds the next call of `method` before it reaches the store.
    ///
    /// Short for `on(method).nth(1).pause()`. See [`Pause`].
    pub fn pause(&self, method: Method) -> Pause {
        self.on(method).nth(1).pause()
    }

    /// Begins a rule for the pushes to all listeners that [`listen`](Store::listen) was given.
    pub fn on_push(&self) -> OnPush<'_> {
        OnPush::new(&self.pushes)
    }

    /// Pushes `event` to every listener, as if it came from the store.
    pub fn push(&self, event: Event) {
        self.pushes.inject(&event);
    }

    /// Tells every listener that the sources of all answers so far are lost, as when connections
    /// break.
    pub fn cut_pushes(&self) {
        self.pushes.cut();
    }

    /// Has [`health`](Store::health) tell this and not the condition of the store, until [`heal`](Self::heal).
    ///
    /// ```
    /// use region_core::testing::Faulty;
    /// use region_core::{Store, StoreHealth, StoreProblem};
    ///
    /// # fn example(store: impl Store) {
    /// let store = Faulty::new(store);
    /// store.set_health(StoreHealth::new([StoreProblem::ReplicaLags]));
    /// assert_eq!(store.health().problems(), [StoreProblem::ReplicaLags]);
    /// # }
    /// ```
    pub fn set_health(&self, health: StoreHealth) {
        *self.health.lock() = Some(health);
    }

    /// Lifts every rule, those for pushes included, lets go of what is paused, and tells the store's own condition
    /// again.
    pub fn heal(&self) {
        self.script.clear();
        self.pushes.clear();
        *self.health.lock() = None;
    }

    async fn run<T, F>(
        &self,
        method: Method,
        region: Option<&RegionPath>,
        started: Option<Instant>,
        call: impl FnOnce() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let running = self.follow_script(method, region, call);
        let Some(limit) = self.limit else { return running.await };
        let deadline = started.unwrap_or_else(Instant::now) + limit;
        timeout_at(deadline, running).await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Timeout, "the call took longer than its limit");
            Err(on(error, method, region))
        })
    }

    async fn follow_script<T, F>(
        &self,
        method: Method,
        region: Option<&RegionPath>,
        call: impl FnOnce() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let effects = self.script.effects(method, region);
        for effect in &effects {
            match effect {
                Effect::Fail(error) => return Err(error.clone()),
                Effect::DelayBefore(delay) => tokio::time::sleep(*delay).await,
                Effect::PauseBefore(gate) => gate.pass().await,
                Effect::LoseReply | Effect::DelayAfter(_) | Effect::PauseAfter(_) => {}
            }
        }
        let result = call().await?;
        for effect in &effects {
            match effect {
                Effect::LoseReply => return Err(lost(method, region)),
                Effect::DelayAfter(delay) => tokio::time::sleep(*delay).await,
                Effect::PauseAfter(gate) => gate.pass().await,
                Effect::Fail(_) | Effect::DelayBefore(_) | Effect::PauseBefore(_) => {}
            }
        }
        Ok(result)
    }
}

fn lost(method: Method, region: Option<&RegionPath>) -> Error {
    on(Error::new(ErrorKind::Timeout, "injected fault: the reply was lost"), method, region)
}

fn on(error: Error, method: Method, region: Option<&RegionPath>) -> Error {
    match region {
        Some(region) => error.on(method.name(), region),
        None => error,
    }
}

impl<S> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            script: Arc::clone(&self.script),
            pushes: Arc::clone(&self.pushes),
            limit: self.limit,
            health: Arc::clone(&self.health),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for Faulty<S> {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        let call = || self.inner.read(region, keys, terms);
        let read = self.run(Method::Read, Some(region), terms.started, call).await?;
        self.pushes.note(read.source);
        Ok(read)
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let call = || self.inner.begin(region, keys, terms);
        let begun = self.run(Method::Begin, Some(region), terms.started, call).await?;
        self.pushes.note(begun.source);
        Ok(begun)
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let call = || self.inner.write(region, write);
        let written = self.run(Method::Write, Some(region), write.started, call).await?;
        if let Written::Applied(applied) = &written {
            self.pushes.note(applied.source);
        }
        Ok(written)
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let call = || self.inner.end(region, terms);
        let ended = self.run(Method::End, Some(region), None, call).await?;
        self.pushes.note(ended.source);
        Ok(ended)
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        let effects = self.script.effects(Method::Release, Some(region));
        if !effects.iter().any(|effect| matches!(effect, Effect::Fail(_))) {
            self.inner.release(region, keys, token);
        }
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.run(Method::Scan, Some(region), None, || self.inner.scan(region, terms)).await
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.run(Method::Children, Some(region), None, || self.inner.children(region, terms)).await
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.run(Method::Len, Some(region), None, || self.inner.len(region)).await
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        let disturbed = Pushes::disturb(&self.pushes, listener);
        let inner = self.inner.listen(Arc::clone(&disturbed) as Arc<dyn Listener>)?;
        Some(Pushes::listening(disturbed, inner))
    }

    fn limit(&self) -> Option<Duration> {
        self.limit.or_else(|| self.inner.limit())
    }

    fn health(&self) -> StoreHealth {
        let told = self.health.lock().clone();
        told.unwrap_or_else(|| self.inner.health())
    }

    async fn now(&self) -> Result<Timestamp> {
        self.run(Method::Now, None, None, || self.inner.now()).await
    }
}
