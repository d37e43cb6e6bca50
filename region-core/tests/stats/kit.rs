//! A cache over a store that can fail, and what a call has counted.

use std::future::Future;

use region_core::testing::Faulty;
use region_core::{Policy, RegionCache, Stats, Store, TokioClock};
use region_memory::MemoryStore;

/// A store whose time is tokio's.
pub(crate) fn memory() -> MemoryStore {
    MemoryStore::builder().clock(TokioClock::new()).build()
}

pub(crate) fn cache(store: impl Store, policy: Policy) -> RegionCache {
    RegionCache::builder(store).root("r").policy(policy).build().unwrap()
}

pub(crate) fn faulty() -> Faulty<MemoryStore> {
    Faulty::new(memory())
}

/// The keys that reads have counted, each once.
pub(crate) fn reads(stats: &Stats) -> u64 {
    stats.hits + stats.absent_hits + stats.misses
}

/// The counters that `call` has raised, by the counters of `cache` before and after it.
pub(crate) async fn counted<T>(
    cache: &RegionCache,
    call: impl Future<Output = T>,
) -> Vec<(&'static str, u64)> {
    let before = named(&cache.stats());
    call.await;
    let after = named(&cache.stats());
    let raised =
        before.iter().zip(after).map(|((name, before), (_, after))| (*name, after - before));
    raised.filter(|(_, raised)| *raised > 0).collect()
}

/// What a read may count.
fn named(stats: &Stats) -> Vec<(&'static str, u64)> {
    vec![
        ("near hit", stats.near_hits),
        ("store hit", stats.store_hits),
        ("near absence", stats.near_absences),
        ("unverified", stats.near_unverified_hits),
        ("absent hit", stats.absent_hits),
        ("stale hit", stats.stale_hits),
        ("absent", stats.absent_misses),
        ("expired", stats.expired_misses),
        ("fenced", stats.fenced_misses),
        ("bad bytes", stats.bad_bytes_misses),
        ("other type", stats.other_type_misses),
        ("dependency", stats.dependency_misses),
        ("unavailable", stats.unavailable_misses),
        ("doubt", stats.near_doubts),
        ("retrusted", stats.near_retrusted),
        ("verification", stats.near_verifications),
        ("load", stats.loads),
        ("joined", stats.joined_loads),
        ("lease wait", stats.lease_waits),
    ]
}
