//! A page whose value depends on other regions.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use region_core::{
    LoadOptions, Loaded, NearCache, OnOutage, Policy, Region, RegionCache, RegionHandle, Result,
    Store, Verb,
};

use crate::kit::RECOVERY;

/// What ends a region whose values are gone then, or stale, which is a miss too where no stale values are
/// kept.
pub(crate) const VERBS: [Verb; 4] =
    [Verb::Touch, Verb::Invalidate, Verb::Expire, Verb::InvalidateAndTouch];

pub(crate) fn near() -> Policy {
    Policy::new().near(NearCache::On)
}

/// An outage is an error, so that a miss is what the server says.
pub(crate) fn strict(policy: Policy) -> Policy {
    policy.on_outage(OnOutage::Error)
}

pub(crate) struct Page {
    pub(crate) cache: RegionCache,
    pub(crate) of: RegionHandle,
    pub(crate) on: Vec<RegionHandle>,
    loads: Arc<AtomicU32>,
}

impl Page {
    /// A page in a process of its own, which depends on the region `b`.
    pub(crate) fn new(store: impl Store, policy: Policy) -> Self {
        Self::on(store, policy, &["b"])
    }

    /// A page that depends on six regions.
    pub(crate) fn of_six(store: impl Store) -> Self {
        Self::on(store, Policy::new(), &["b", "c.d", "e:1", "e:2", "e:3", "e:4"])
    }

    fn on(store: impl Store, policy: Policy, on: &[&str]) -> Self {
        let cache = RegionCache::builder(store).root("r").policy(policy).build().unwrap();
        let region = |path: &&str| cache.region(path).unwrap();
        let (of, on) = (region(&"a.page"), on.iter().map(region).collect());
        Self { cache, of, on, loads: Arc::default() }
    }

    /// The same page in another process, whose loads are counted together with those of this one.
    pub(crate) fn beside(&self, store: impl Store, policy: Policy) -> Self {
        Self { loads: Arc::clone(&self.loads), ..Self::new(store, policy) }
    }

    pub(crate) fn options(&self) -> LoadOptions {
        self.on.iter().fold(LoadOptions::new(), LoadOptions::depends_on)
    }

    /// The number of the load that brought the value.
    pub(crate) async fn try_load(&self, options: LoadOptions) -> Result<u32> {
        let loads = Arc::clone(&self.loads);
        let load = move |_| async move {
            Ok::<_, io::Error>(Loaded::new(loads.fetch_add(1, Ordering::SeqCst) + 1))
        };
        Ok(*self.of.get_or_compute_with("k", options, load).await?.unwrap())
    }

    pub(crate) async fn load(&self, options: LoadOptions) -> u32 {
        self.try_load(options).await.unwrap()
    }

    /// Loads until the value is another than `old`, and stored. Meanwhile there may be outages.
    pub(crate) async fn load_anew(&self, old: Option<u32>) -> u32 {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let failures = self.cache.stats().store_failures;
            match self.try_load(self.options()).await {
                Ok(loaded) if Some(loaded) == old => {}
                Ok(loaded) if self.cache.stats().store_failures == failures => return loaded,
                Ok(_) => {}
                Err(error) => assert!(error.is_outage(), "{error}"),
            }
            assert!(Instant::now() < deadline, "the value stays {old:?}, or is not stored");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The number of loads that have begun, in all processes of the page.
    pub(crate) fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    pub(crate) async fn try_get(&self) -> Result<Option<u32>> {
        Ok(self.of.get::<u32>("k").await?.map(|value| *value))
    }

    /// An outage is a miss.
    pub(crate) async fn get(&self) -> Option<u32> {
        self.try_get().await.unwrap()
    }

    pub(crate) async fn end(&self, verb: Verb) -> Result<()> {
        self.on[0].end(verb).await
    }

    /// Loads and reads until the value is held near and trusted.
    pub(crate) async fn hold(&self) -> u32 {
        let loaded = self.load(self.options()).await;
        let deadline = Instant::now() + RECOVERY;
        loop {
            let before = self.cache.stats().near_hits;
            assert_eq!(self.get().await, Some(loaded));
            if self.cache.stats().near_hits > before {
                return loaded;
            }
            assert!(Instant::now() < deadline, "the value is not held near");
        }
    }

    /// Reads until the value is a miss, by what the server says. Until then it is `old`.
    pub(crate) async fn until_missing(&self, old: u32) {
        self.until(None, Some(old)).await;
    }

    /// Reads until the value is `wanted`. Until then it is `before`, or there is an outage.
    pub(crate) async fn until(&self, wanted: Option<u32>, before: Option<u32>) {
        let deadline = Instant::now() + RECOVERY;
        loop {
            match self.try_get().await {
                Ok(value) if value == wanted => return,
                Ok(value) => assert_eq!(value, before),
                Err(error) => assert!(error.is_outage(), "{error}"),
            }
            assert!(Instant::now() < deadline, "the value does not become {wanted:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
