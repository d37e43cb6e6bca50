//! A client that reads and changes at random, and compares what it reads with the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_cache::{Region, RegionCache, RegionExt, RegionHandle, Result};

use super::model::{Change, KEYS, Model, Place, REGIONS, Versions};
use crate::kit::{PATIENCE, ms};

/// The least length of a value that goes over a connection of its own.
pub(super) const LARGE: usize = 200;

/// A version, and something that makes some values large.
type Value = (u64, String);

pub(super) struct Client {
    number: usize,
    pub(super) cache: RegionCache,
    pub(super) model: Arc<Model>,
    /// The versions of changes that this client has completed.
    own: Versions,
    /// The number of values that it has read.
    pub(super) hits: AtomicU64,
}

/// The keys that a change covers.
fn covered(region: usize, how: u32, key: usize) -> Vec<Place> {
    let regions: Vec<usize> = match (how, region) {
        (0..=3, _) => return vec![(region, key)],
        // Everything below.
        (5 | 6, 0) => (0..REGIONS.len()).collect(),
        (5 | 6, 1) => vec![1, 2, 3],
        // A touch: everything above.
        (7, 2 | 3) => vec![0, 1, region],
        (7, 1) => vec![0, 1],
        _ => vec![region],
    };
    regions.into_iter().flat_map(|region| (0..KEYS.len()).map(move |key| (region, key))).collect()
}

fn value_of(version: u64, rng: &mut SmallRng) -> Value {
    (version, "x".repeat(if rng.random_ratio(1, 8) { LARGE } else { 0 }))
}

impl Client {
    pub(super) fn new(number: usize, cache: RegionCache, model: &Arc<Model>) -> Arc<Self> {
        let (own, hits) = (Default::default(), AtomicU64::new(0));
        Arc::new(Self { number, cache, model: Arc::clone(model), own, hits })
    }

    fn region(&self, at: usize) -> RegionHandle {
        match REGIONS[at] {
            "" => self.cache.root(),
            path => self.cache.region(path).unwrap(),
        }
    }

    /// The least version that a read that begins now may return.
    fn floor(&self, (region, key): Place) -> u64 {
        self.model.heard((region, key)).max(self.own[region][key].load(SeqCst))
    }

    async fn read(&self, rng: &mut SmallRng) {
        let region = rng.random_range(0..REGIONS.len());
        let handle = self.region(region);
        let floors: Vec<u64> = (0..KEYS.len()).map(|key| self.floor((region, key))).collect();
        let check = |key: usize, found: Option<Arc<Value>>, how: &str| {
            let Some(found) = found else { return };
            self.hits.fetch_add(1, SeqCst);
            let floor = floors[key];
            if found.0 < floor {
                let what = format!("client {}: {how} {}, not {floor}", self.number, found.0);
                self.model.refuse((region, key), &what);
            }
        };
        let key = rng.random_range(0..KEYS.len());
        match rng.random_range(0..4) {
            0 => {
                let model = Arc::clone(&self.model);
                let pad = value_of(0, rng).1;
                let load = move || async move {
                    Ok::<_, std::io::Error>((model.truth((region, key)), pad))
                };
                let found = handle.get_or_compute(KEYS[key], load).await;
                check(key, found.ok(), "get_or_compute");
            }
            1 => {
                let found = handle.get_many::<Value>(&KEYS).await.unwrap_or_default();
                found.into_iter().enumerate().for_each(|(key, it)| check(key, it, "get_many"));
            }
            _ => check(key, handle.get::<Value>(KEYS[key]).await.ok().flatten(), "get"),
        }
    }

    /// Makes a change. What becomes of one that fails nobody knows: it may even be done later. But not after
    /// one that this client has sent since, so it is made again until it is done.
    async fn change(&self, rng: &mut SmallRng) {
        let _changing = self.model.changing.lock().await;
        let (region, key) = (rng.random_range(0..REGIONS.len()), rng.random_range(0..KEYS.len()));
        let how = rng.random_range(0..9);
        let end = Instant::now() + PATIENCE;
        loop {
            let covered = covered(region, how, key);
            let began = Instant::now();
            let versions: Vec<u64> =
                covered.iter().map(|place| self.model.next_version(*place)).collect();
            let changed = self.make(how, region, key, &versions, rng).await;
            let completed = changed.is_ok().then(Instant::now);
            for (place, version) in covered.into_iter().zip(versions) {
                if changed.is_ok() {
                    self.own[place.0][place.1].fetch_max(version, SeqCst);
                }
                let what = format!("{how} by {}, {began:?} to {completed:?}", self.number);
                self.model.note(place, Change { version, what, completed });
            }
            match changed {
                Ok(()) => return,
                Err(error) => assert!(Instant::now() < end, "it cannot be changed: {error}"),
            }
            tokio::time::sleep(ms(5)).await;
        }
    }

    async fn make(
        &self,
        how: u32,
        region: usize,
        key: usize,
        versions: &[u64],
        rng: &mut SmallRng,
    ) -> Result<()> {
        let (handle, name) = (self.region(region), KEYS[key]);
        match how {
            0 | 1 => handle.set(name, &value_of(versions[0], rng)).await,
            2 => handle.remove(name).await.map(drop),
            3 => handle.take::<Value>(name).await.map(drop),
            5 => handle.invalidate().await,
            6 => handle.expire().await,
            7 => handle.touch().await,
            4 => {
                let values = versions.iter().map(|version| value_of(*version, rng));
                let values: Vec<Value> = values.collect();
                let values: Vec<_> = KEYS.iter().copied().zip(&values).collect();
                handle.set_many(&values).await
            }
            _ => handle.remove_many(&KEYS).await.map(drop),
        }
    }

    /// Waits until this client has heard of all changes, once there are no more.
    pub(super) async fn settle(&self) {
        let end = Instant::now() + PATIENCE;
        for place in (0..REGIONS.len()).flat_map(|at| (0..KEYS.len()).map(move |key| (at, key))) {
            let (region, floor) = (self.region(place.0), self.model.completed(place));
            loop {
                let found = region.get::<Value>(KEYS[place.1]).await;
                match found {
                    Ok(found) if found.as_ref().is_none_or(|found| found.0 >= floor) => break,
                    found if Instant::now() > end => {
                        let found = found.map(|found| found.map(|found| found.0));
                        let what =
                            format!("client {}: {found:?} for ever, not {floor}", self.number);
                        self.model.refuse(place, &what);
                    }
                    _ => tokio::time::sleep(ms(5)).await,
                }
            }
        }
    }

    pub(super) async fn run(self: Arc<Self>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        while !self.model.is_over.load(SeqCst) {
            match rng.random_range(0..12) {
                0 => self.change(&mut rng).await,
                1 => {
                    // Dropped half-way.
                    let limit = Duration::from_micros(rng.random_range(0..800));
                    let read = std::pin::pin!(self.read(&mut rng));
                    let _ = tokio::time::timeout(limit, read).await;
                }
                _ => self.read(&mut rng).await,
            }
            tokio::task::yield_now().await;
        }
    }
}
