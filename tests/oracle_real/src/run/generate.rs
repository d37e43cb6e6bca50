//! Draws the settings of a world.

use rand::RngExt;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::setup::{CacheSetup, Lifetimes};

fn one_of(rng: &mut SmallRng, values: &[u64]) -> u64 {
    *values.choose(rng).unwrap_or(&0)
}

/// Each value of `values` as often, and zero else: once in `of` times.
fn sometimes(rng: &mut SmallRng, of: u32, values: &[u64]) -> u64 {
    if rng.random_ratio(1, of) { one_of(rng, values) } else { 0 }
}

pub(super) fn lifetimes(rng: &mut SmallRng) -> Lifetimes {
    let keep_region_ttl = rng.random();
    let region_ttl = sometimes(rng, 4, &[200, 1500]);
    let is_bound = keep_region_ttl && region_ttl > 0;
    Lifetimes {
        ttl: if is_bound { 0 } else { sometimes(rng, 2, &[40, 400, 2000]) },
        ttl_jitter: u32::try_from(sometimes(rng, 3, &[30])).unwrap_or(0),
        stale_for: sometimes(rng, 2, &[100, 1000]),
        absent_ttl: sometimes(rng, 2, &[50, 500]),
        region_ttl,
        keep_region_ttl,
        load_retry_after: sometimes(rng, 2, &[20, 300]),
    }
}

/// The caches of a process. One of a run's processes verifies each of its reads, so that the servers' own order is
/// seen too.
pub(super) fn caches(rng: &mut SmallRng, slot: usize) -> Vec<CacheSetup> {
    let window = |rng: &mut SmallRng| sometimes(rng, 4, &[100, 500]);
    let cache = |number: usize| CacheSetup {
        near: (slot, number) != (0, 0) && rng.random_ratio(4, 5),
        replica: (slot, number) != (0, 0) && rng.random_ratio(1, 3),
        near_unverified_for: window(rng),
        near_outage_for: window(rng),
        soft_timeout: sometimes(rng, 3, &[5, 50]),
        early_refresh_at: u32::try_from(sometimes(rng, 3, &[50, 80])).unwrap_or(0),
        early_refresh_beta: u32::try_from(sometimes(rng, 4, &[100, 500])).unwrap_or(0),
        refreshes_stale: rng.random(),
        outage_is_error: rng.random_ratio(1, 3),
    };
    (0..2).map(cache).collect()
}
