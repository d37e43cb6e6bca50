//! The share of reads that the near cache serves, where misses are filled as they go.

use std::convert::Infallible;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_core::{Region, RegionCache, RegionExt};

use super::kit::memory;

const KEYS: usize = 10_000;
const REQUESTS: usize = 60_000;
const VALUE: usize = 200;

/// The bytes that an entry is counted with.
#[derive(Clone, Copy)]
struct EqualWeight(u64);

impl Weighter<String, ()> for EqualWeight {
    fn weight(&self, _: &String, _: &()) -> u64 {
        self.0
    }
}

/// The bytes that the near cache counts each entry with.
async fn weight() -> EqualWeight {
    let cache = RegionCache::builder(memory()).near(1 << 20).build().unwrap();
    cache.root().set("00000", &"v".repeat(VALUE)).await.unwrap();
    EqualWeight(cache.near_use().bytes)
}

/// The keys that are asked for: the `n`th most popular with a probability in proportion to `n` to the power
/// of `-exponent`.
fn requests(exponent: f64) -> Vec<String> {
    let mut sum = 0.0;
    let upto = (1..=KEYS).map(|rank| {
        sum += (rank as f64).powf(-exponent);
        sum
    });
    let upto: Vec<_> = upto.collect();
    let mut random = SmallRng::seed_from_u64(7);
    let mut rank = || {
        let at = random.random::<f64>() * sum;
        upto.partition_point(|upto| *upto < at)
    };
    (0..REQUESTS).map(|_| format!("{:05}", rank())).collect()
}

fn bare_hits(requests: &[String], bytes: u64, weight: EqualWeight) -> usize {
    let cache = Cache::with_weighter((bytes / 512) as usize, bytes, weight);
    let hits = requests.iter().filter(|key| {
        let is_hit = cache.get(*key).is_some();
        if !is_hit {
            cache.insert((*key).clone(), ());
        }
        is_hit
    });
    hits.count()
}

async fn near_hits(requests: &[String], bytes: u64) -> usize {
    let cache = RegionCache::builder(memory()).near(bytes).build().unwrap();
    let region = cache.root();
    for key in requests {
        let load = || async { Ok::<_, Infallible>("v".repeat(VALUE)) };
        region.get_or_compute(key, load).await.unwrap();
    }
    usize::try_from(cache.stats().near_hits).unwrap()
}

/// Bug: each fill is a change of its region, and only the last 512 were known. Effect: what was read longer
/// ago was read from the store once more, up to 20 % of all reads. Fix: the last change of each key is known.
#[tokio::test(start_paused = true)]
async fn a_near_cache_that_is_filled_as_it_goes_has_the_hits_of_a_bare_cache() {
    let weight = weight().await;
    for (exponent, share) in [(0.8, 10), (1.0, 10), (1.0, 100)] {
        let requests = requests(exponent);
        let bytes = KEYS as u64 * weight.0 / share;
        let (bare, near) = (bare_hits(&requests, bytes, weight), near_hits(&requests, bytes).await);
        let (bare, near) = (bare * 1_000 / REQUESTS, near * 1_000 / REQUESTS);
        assert!(near + 10 >= bare, "{exponent}, 1/{share}: {near} of 1000 are hits, bare {bare}");
    }
}
