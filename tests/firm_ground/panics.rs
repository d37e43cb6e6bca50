//! Values that panic when they are written or read.

use std::time::Duration;

use region_cache::{MemoryStore, Region, RegionExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use servers::{Flavor, TestServer};

use crate::kit::{cache, loaded, region, timed};

/// Far less than the lease of a load that failed.
const SOON: Duration = Duration::from_secs(4);

fn memory() -> region_cache::RegionHandle {
    cache(MemoryStore::new()).region("r").unwrap()
}

/// Panics when it is written, or when it is read.
#[derive(Debug, PartialEq)]
struct Panics<const WRITING: bool>(u32);

impl<const WRITING: bool> Serialize for Panics<WRITING> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!WRITING || self.0 < 100, "a value that cannot be written");
        self.0.serialize(serializer)
    }
}

impl<'de, const WRITING: bool> Deserialize<'de> for Panics<WRITING> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u32::deserialize(deserializer)?;
        assert!(WRITING || value < 100, "a value that cannot be read");
        Ok(Self(value))
    }
}

/// Bug: a panic in the type's `Serialize` ended the load's task.
/// Effect: its waiter hung for good, and other processes waited for its lease.
/// Fix: it is an error of encoding, and the lease is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_panics_when_written_is_an_error() {
    let server = TestServer::start(Flavor::Redis);
    let b = region(&server.url(), "r").await;
    for region in [memory(), region(&server.url(), "r").await] {
        let (value, took) = timed(region.get_or_compute("k", || loaded(Panics::<true>(100)))).await;
        assert!(value.is_err() || value.unwrap().0 == 100);
        assert!(took < SOON, "{took:?}");
        let (value, took) = timed(b.get_or_compute("k", || loaded(Panics::<true>(1)))).await;
        assert_eq!(value.unwrap().0, 1);
        assert!(took < SOON, "the other process waited {took:?}");
        let (set, _) = timed(tokio::spawn({
            let region = region.clone();
            async move { region.set("s", &Panics::<true>(100)).await.map_err(|error| error.kind()) }
        }))
        .await;
        assert_eq!(set.unwrap(), Err(region_cache::ErrorKind::Encode));
        b.remove("k").await.unwrap();
    }
}

/// Bug, effect, fix: as above, for `Deserialize`; such bytes are a miss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_panics_when_read_is_a_miss() {
    let server = TestServer::start(Flavor::Redis);
    let b = region(&server.url(), "r").await;
    for region in [memory(), region(&server.url(), "r").await] {
        // Written as it stands, or refused at once: never kept and then a panic.
        if timed(region.set("k", &Panics::<false>(100))).await.0.is_err() {
            continue;
        }
        let got = timed(tokio::spawn({
            let region = region.clone();
            async move { region.get::<Panics<false>>("k").await }
        }));
        assert_eq!(got.await.0.unwrap().unwrap(), None);
        let (value, took) = timed(region.get_or_compute("k", || loaded(Panics::<false>(1)))).await;
        assert_eq!(value.unwrap().0, 1);
        assert!(took < SOON);
        let (value, took) = timed(b.get_or_compute("k", || loaded(Panics::<false>(2)))).await;
        assert!(value.unwrap().0 <= 2);
        assert!(took < SOON);
    }
}
