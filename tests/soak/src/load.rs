//! The load.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_cache::{LoadOptions, Loaded, Region, RegionCache, RegionExt, RegionHandle, Result};

use crate::Shared;

/// The number of the latest regions that operations choose from.
const RECENT: u64 = 64;

/// One in so many operations goes to a region that there was not before.
const NEW_REGION: u32 = 8;

/// The number of days of [`RECENT`] regions before the present one that are not ended yet: a slow operation
/// may still go to one.
const DAYS_KEPT: u64 = 3;

/// The time between two operations of a worker.
const PAUSE: Duration = Duration::from_millis(2);

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// The most bytes of a value.
const MAX_BYTES: usize = 2000;

/// One of the tasks that use a cache.
pub(crate) struct Worker {
    cache: RegionCache,
    shared: Arc<Shared>,
    rng: SmallRng,
    /// The number of days that it has ended.
    ended: u64,
}

impl Worker {
    pub(crate) fn new(seed: u64, cache: RegionCache, shared: &Arc<Shared>) -> Self {
        Self { cache, shared: Arc::clone(shared), rng: SmallRng::seed_from_u64(seed), ended: 0 }
    }

    pub(crate) async fn run(mut self) {
        while !self.shared.is_over.load(Ordering::Acquire) {
            self.shared.operations.fetch_add(1, Ordering::Relaxed);
            // Connections are cut all the time.
            if self.operation().await.is_err() {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The path of a new region, or of one of late.
    fn path(&mut self) -> String {
        let number = if self.rng.random_ratio(1, NEW_REGION) {
            self.shared.regions.fetch_add(1, Ordering::Relaxed)
        } else {
            let last = self.shared.regions.load(Ordering::Relaxed);
            last.saturating_sub(self.rng.random_range(0..RECENT))
        };
        format!("day:{}.user:{number}.page", number / RECENT)
    }

    /// Ends the days that no operation goes to any more: the ids of regions with others below live for an hour
    /// otherwise.
    async fn end_days(&mut self) {
        let now = self.shared.regions.load(Ordering::Relaxed) / RECENT;
        while self.ended + DAYS_KEPT < now {
            let Ok(day) = self.cache.region(&format!("day:{}", self.ended)) else { return };
            // One that fails is ended later.
            if day.invalidate().await.is_err() {
                return;
            }
            self.ended += 1;
        }
    }

    async fn operation(&mut self) -> Result<()> {
        self.end_days().await;
        let path = self.path();
        let region = self.cache.region(&path)?;
        let key = KEYS[self.rng.random_range(0..KEYS.len())];
        let value = vec![7_u8; self.rng.random_range(0..MAX_BYTES)];
        match self.rng.random_range(0..20) {
            0..=4 => drop(region.get_or_compute(key, || load(value)).await),
            5..=7 => drop(region.get::<Vec<u8>>(key).await?),
            8 => drop(region.get_many::<Vec<u8>>(&KEYS).await?),
            9 | 10 => region.set(key, &value).await?,
            11 => region.set_many(&[(KEYS[0], &value), (KEYS[1], &value)]).await?,
            12 => drop(region.remove(key).await?),
            13 => drop(region.take::<Vec<u8>>(key).await?),
            14 => region.invalidate().await?,
            15 => region.touch().await?,
            16 => self.expire_above(&region).await?,
            17 => self.depend(&region, key, value).await?,
            18 => self.give_up(&region, key, value).await,
            _ => drop(region.contains(key).await?),
        }
        Ok(())
    }

    async fn expire_above(&mut self, region: &RegionHandle) -> Result<()> {
        if self.rng.random_ratio(3, 4) {
            return region.expire().await;
        }
        let day = self.shared.regions.load(Ordering::Relaxed) / RECENT;
        self.cache.region(&format!("day:{day}"))?.invalidate().await
    }

    /// Loads what depends on another region, or that there is nothing.
    async fn depend(&mut self, region: &RegionHandle, key: &str, value: Vec<u8>) -> Result<()> {
        let path = self.path();
        let other = self.cache.region(&path)?;
        let found = (!value.len().is_multiple_of(4)).then_some(value);
        let options = LoadOptions::new().depends_on(&other);
        let load = |_| async move { Ok::<_, io::Error>(Loaded::from(found)) };
        region.get_or_compute_with(key, options, load).await.map(drop)
    }

    /// Drops a call at a random moment.
    async fn give_up(&mut self, region: &RegionHandle, key: &str, value: Vec<u8>) {
        let limit = Duration::from_micros(self.rng.random_range(0..2000));
        let call = async {
            let set = region.set(key, &value).await;
            set.and(region.get_or_compute(key, || load(value)).await.map(drop))
        };
        if !matches!(tokio::time::timeout(limit, call).await, Ok(Ok(()))) {
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn load(value: Vec<u8>) -> io::Result<Vec<u8>> {
    tokio::task::yield_now().await;
    Ok(value)
}
