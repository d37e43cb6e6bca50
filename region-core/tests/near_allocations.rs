//! A hit near allocates nothing. In a program of its own: it counts every allocation.

use std::convert::Infallible;
use std::time::Duration;

use allocation_counter::measure;
use futures_util::FutureExt;
use region_core::{LoadOptions, Loaded, Policy, Region, RegionCache, RegionExt};
use region_memory::MemoryStore;

/// The output of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = region_core::Result<T>>) -> T {
    future.now_or_never().unwrap().unwrap()
}

#[test]
fn a_trusted_hit_allocates_nothing() {
    for policy in [Policy::new(), Policy::new().ttl(Duration::from_secs(600))] {
        let cache = RegionCache::builder(MemoryStore::new()).policy(policy).near(1 << 20).build();
        let region = cache.unwrap().region("org:42.project:7.task:3").unwrap();
        now(region.set("k", &"v".repeat(200)));
        for _ in 0..2 {
            assert!(now(region.get::<String>("k")).is_some());
        }
        let load = || async { Ok::<_, Infallible>(String::new()) };
        let allocated = measure(|| {
            assert!(now(region.get::<String>("k")).is_some());
            assert_eq!(now(region.get_or_compute("k", load)).len(), 200);
        });
        assert_eq!(allocated.count_total, 0);
    }
}

/// Nor does one of a value that depends on other regions.
#[test]
fn a_trusted_hit_of_a_value_with_dependencies_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cache = RegionCache::builder(MemoryStore::new()).near(1 << 20).build().unwrap();
    let (region, other) = (cache.region("a").unwrap(), cache.region("b").unwrap());
    let load = |_| async { Ok::<_, Infallible>(Loaded::new("v".repeat(200))) };
    let options = LoadOptions::new().depends_on(&other);
    runtime.block_on(async {
        region.get_or_compute_with("k", options, load).await.unwrap();
        for _ in 0..3 {
            region.get::<String>("k").await.unwrap().unwrap();
        }
    });
    let allocated = measure(|| assert!(now(region.get::<String>("k")).is_some()));
    assert_eq!(allocated.count_total, 0);
}

/// A future is moved to where it is polled, so its size is paid by every hit.
#[test]
fn the_futures_of_reads_are_small() {
    let region = RegionCache::builder(MemoryStore::new()).near(1 << 20).build().unwrap().root();
    let load = || async { Ok::<_, Infallible>(String::new()) };
    let get = size_of_val(&region.get::<String>("k"));
    let get_or_compute = size_of_val(&region.get_or_compute("k", load));
    assert!(get <= 416, "get: {get} bytes");
    assert!(get_or_compute <= 1000, "get_or_compute: {get_or_compute} bytes");
}
