//! Hit ratios of a bounded near cache, beside bare caches bounded by as many bytes.

use std::convert::Infallible;
use std::sync::Arc;

use quick_cache::sync::Cache as QuickCache;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Zipf};
use region_cache::{MemoryStore, Region, RegionCache, RegionExt};

use crate::peer::Value;
use crate::table::Table;

const KEYS: usize = 100_000;
const REQUESTS: usize = 1_000_000;
const EXPONENTS: [f64; 3] = [0.8, 1.0, 1.2];
const REGION: &str = "org:42.project:7";
const SEED: u64 = 7;

/// One of so many bytes fits.
const SHARES: [u64; 2] = [100, 10];

type Shared = Arc<String>;

/// The bytes that an entry is counted with in each cache, as the near cache counts it: 320 beside the
/// key and the encoded value, which has a length of two bytes.
fn weight(key: &str, value: &Shared) -> u64 {
    (key.len() + value.len() + 2 + 320) as u64
}

#[derive(Clone)]
struct ByWeight;

impl quick_cache::Weighter<String, Shared> for ByWeight {
    fn weight(&self, key: &String, value: &Shared) -> u64 {
        weight(key, value)
    }
}

/// The keys that are asked for, the same for all.
fn requests(exponent: f64) -> Vec<String> {
    let zipf = Zipf::new(KEYS as f64, exponent).expect("valid parameters");
    let mut random = StdRng::seed_from_u64(SEED);
    (0..REQUESTS).map(|_| format!("key-{:06}", zipf.sample(&mut random))).collect()
}

/// The share of requests that are hits, in percent.
fn percent(hits: u64) -> f64 {
    hits as f64 * 100.0 / REQUESTS as f64
}

/// The share of hits of a bare cache that is filled as it goes, in percent.
fn bare(requests: &[String], has: impl Fn(&String) -> bool, fill: impl Fn(&String)) -> f64 {
    let hits = requests.iter().filter(|key| {
        let is_hit = has(key);
        if !is_hit {
            fill(key);
        }
        is_hit
    });
    percent(hits.count() as u64)
}

fn quick(requests: &[String], bytes: u64, value: &Shared) -> f64 {
    const TYPICAL_ENTRY: u64 = 512;
    let estimate = usize::try_from(bytes / TYPICAL_ENTRY).expect("a small number");
    let cache = QuickCache::with_weighter(estimate, bytes, ByWeight);
    let fill = |key: &String| cache.insert(key.clone(), Arc::clone(value));
    bare(requests, |key| cache.get(key).is_some(), fill)
}

fn moka(requests: &[String], bytes: u64, value: &Shared) -> f64 {
    let weigher = |key: &String, value: &Shared| weight(key, value) as u32;
    let cache = moka::sync::Cache::builder().weigher(weigher).max_capacity(bytes).build();
    let fill = |key: &String| cache.insert(key.clone(), Arc::clone(value));
    bare(requests, |key| cache.get(key).is_some(), fill)
}

/// The near cache over a store that has every value, so that a miss near is a read of the store.
async fn near_of_filled(requests: &[String], bytes: u64, value: &Shared) -> f64 {
    let store = MemoryStore::new();
    let writer = RegionCache::builder(store.clone()).build().expect("valid settings");
    let writer = writer.region(REGION).expect("a path");
    for key in 0..=KEYS {
        writer.set(&format!("key-{key:06}"), &**value).await.expect("memory does not fail");
    }
    near(store, requests, bytes, value).await
}

/// The near cache over this store; a value that the store does not have is loaded.
async fn near(store: MemoryStore, requests: &[String], bytes: u64, value: &Shared) -> f64 {
    let cache = RegionCache::builder(store).near(bytes).build().expect("valid settings");
    let region = cache.region(REGION).expect("a path");
    for key in requests {
        let value = Arc::clone(value);
        let load = || async move { Ok::<_, Infallible>(value.to_string()) };
        region.get_or_compute(key, load).await.expect("memory does not fail");
    }
    percent(cache.stats().near_hits)
}

/// A row for each distribution and size.
pub async fn zipf() -> String {
    let columns = ["bare `quick_cache`", "bare `moka`", "near, filled store", "near, empty store"];
    let mut table = Table::new("hits of a Zipf distribution, %", &columns);
    let value = Value::default().shared;
    for exponent in EXPONENTS {
        let requests = requests(exponent);
        for share in SHARES {
            let bytes = KEYS as u64 * weight("key-000000", &value) / share;
            let ratios = [
                quick(&requests, bytes, &value),
                moka(&requests, bytes, &value),
                near_of_filled(&requests, bytes, &value).await,
                near(MemoryStore::new(), &requests, bytes, &value).await,
            ];
            let name = format!("exponent {exponent}, {} % of all bytes", 100 / share);
            table.texts(&name, ratios.map(|ratio| format!("{ratio:.2}")));
        }
    }
    table.finish()
}
