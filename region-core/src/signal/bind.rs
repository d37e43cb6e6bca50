//! Regions that are invalidated by signals.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture};
use tokio::sync::oneshot;

use super::regions::{Pending, Regions};
use super::{Connection, PathBelow, SignalSource};
use crate::cache::RegionCache;
use crate::error::catch_panic;
use crate::handle::RegionHandle;
use crate::path::RegionPath;
use crate::region::{Failures, Region, RegionExt, Retry, Subscription};

/// Binds regions to signals. Every [`Region`] has these methods.
pub trait SignalExt: Region {
    /// Invalidates this region at each value of `signal`, until the [`Subscription`] is dropped. It never ends
    /// by itself.
    ///
    /// The handler only notes that the region is to be invalidated, and a task does it: `send` does not wait for
    /// it. A failed invalidation is tried again until it succeeds, whatever the error, at growing intervals of at
    /// most five seconds. Values that come meanwhile are not queued: one invalidation that begins after them
    /// stands for all. A signal that says that values may have been missed invalidates the region too.
    ///
    /// To know when a region was invalidated, call [`invalidate`](RegionExt::invalidate) in an asynchronous
    /// handler of your own.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt, Signal, SignalExt};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
    /// let prices = cache.region("prices")?;
    /// let imported: Signal<()> = Signal::new("prices imported");
    /// let _subscription = prices.invalidate_on_signal(&imported);
    ///
    /// prices.set("tea", &3u32).await?;
    /// imported.send(()).await;
    /// while prices.contains("tea").await? {
    ///     tokio::task::yield_now().await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    fn invalidate_on_signal<S: SignalSource>(&self, signal: &S) -> Subscription {
        let pending = Arc::new(Pending::new(self.clone()));
        let note = Arc::clone(&pending);
        let connection = signal.connect_each(move |_| note.add(None));
        subscribe(self.clone(), pending, connection)
    }

    /// As [`invalidate_on_signal`](Self::invalidate_on_signal), for the region that `path` names below this one
    /// for a value: a typed path, a path as text, or `None` for a value that concerns no region.
    ///
    /// Regions that are to be invalidated are noted once each, at most [`MAX_PENDING_REGIONS`] of them; beyond
    /// that, this whole region is invalidated instead. So it is for a value whose path is invalid, if `path`
    /// panics, and when values may have been missed. A region that cannot be invalidated keeps no other from it.
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt, Signal, SignalExt};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
    /// let changed: Signal<u64> = Signal::new("project changed");
    /// let _subscription =
    ///     cache.root().invalidate_each_on_signal(&changed, |id| format!("project:{id}"));
    ///
    /// let (seven, eight) = (cache.region("project:7")?, cache.region("project:8")?);
    /// seven.set("title", &"Seven".to_owned()).await?;
    /// eight.set("title", &"Eight".to_owned()).await?;
    /// changed.send(7).await;
    /// while seven.contains("title").await? {
    ///     tokio::task::yield_now().await;
    /// }
    /// assert!(eight.contains("title").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`MAX_PENDING_REGIONS`]: super::MAX_PENDING_REGIONS
    #[track_caller]
    fn invalidate_each_on_signal<S, P>(
        &self,
        signal: &S,
        path: impl Fn(&S::Value) -> P + Send + Sync + 'static,
    ) -> Subscription
    where
        S: SignalSource,
        P: PathBelow,
    {
        let pending = Arc::new(Pending::new(self.clone()));
        let (note, base) = (Arc::clone(&pending), self.clone());
        let connection = signal.connect_each(move |value| {
            let Some(value) = value else { return note.add(None) };
            let opened = catch_panic(|| path(value).open_below(&base));
            match opened.and_then(|opened| opened.map_err(Into::into)) {
                Ok(Some(region)) => note.add(Some(region)),
                Ok(None) => {}
                Err(error) => {
                    let region = base.path();
                    tracing::warn!(%region, %error, "a signal names no region: all of this one is invalidated");
                    note.add(None);
                }
            }
        });
        subscribe(self.clone(), pending, connection)
    }
}

impl<R: Region> SignalExt for R {}

impl RegionCache {
    /// Invalidates the region below the root that `path` names for each value of `signal`: see
    /// [`SignalExt::invalidate_each_on_signal`]. If values may have been missed, that is the root.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt, Signal};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
    /// let changed: Signal<u64> = Signal::new("project changed");
    /// let subscription = cache.invalidate_on_signal(&changed, |id| format!("project:{id}"));
    /// # let seven = cache.region("project:7")?;
    /// # seven.set("title", &"Seven".to_owned()).await?;
    /// changed.send(7).await;
    /// # while seven.contains("title").await? {
    /// #     tokio::task::yield_now().await;
    /// # }
    /// assert_eq!(subscription.failures_in_a_row(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn invalidate_on_signal<S, P>(
        &self,
        signal: &S,
        path: impl Fn(&S::Value) -> P + Send + Sync + 'static,
    ) -> Subscription
    where
        S: SignalSource,
        P: PathBelow,
    {
        let root: RegionHandle = self.root();
        root.invalidate_each_on_signal(signal, path)
    }
}

/// Starts the task that invalidates what is pending.
fn subscribe<R: Region>(base: R, pending: Arc<Pending<R>>, connection: Connection) -> Subscription {
    Subscription::start(move |stopped, failures| async move {
        // Disconnected when the task ends, however it does.
        let _connection = connection;
        run(base, &pending, stopped, failures).await;
    })
}

async fn run<R: Region>(
    base: R,
    pending: &Pending<R>,
    mut stopped: oneshot::Receiver<()>,
    mut failures: Failures,
) {
    let mut failed = Regions::new(base);
    let mut retry = Retry::new();
    let mut pause = pin!(Fuse::terminated());
    loop {
        let regions = tokio::select! {
            biased;
            _ = &mut stopped => return,
            () = &mut pause => failed.take(),
            regions = pending.take() => regions,
        };
        if invalidate(regions, &mut stopped, &mut failures, &mut failed).await.is_stopped() {
            return;
        }
        if failed.is_empty() {
            failures.end();
            retry = Retry::new();
            pause.set(Fuse::terminated());
        } else if pause.is_terminated() {
            pause.set(retry.pause().fuse());
        }
    }
}

/// The reason for which a round of invalidations has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Done,
    Stopped,
}

impl Round {
    fn is_stopped(self) -> bool {
        self == Self::Stopped
    }
}

/// Tries each of `regions` once; those that fail are added to `failed`.
async fn invalidate<R: Region>(
    regions: BTreeMap<RegionPath, R>,
    stopped: &mut oneshot::Receiver<()>,
    failures: &mut Failures,
    failed: &mut Regions<R>,
) -> Round {
    for region in regions.into_values() {
        // An error too: the subscription was dropped.
        if !matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Round::Stopped;
        }
        if let Err(error) = region.invalidate().await {
            failures.add(region.path(), error);
            failed.add(region);
        }
    }
    Round::Done
}
