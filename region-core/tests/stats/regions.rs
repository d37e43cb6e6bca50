//! The regions' statistics and their sum.

use std::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;
use region_core::testing::Method;
use region_core::{ErrorKind, Policy, Region, RegionCache, RegionExt, RegionHandle, Stats};

use super::kit::{cache, faulty, memory, reads};

const REGIONS: [&str; 5] = ["a", "a.b", "c:1", "c:2", "c:3.d"];

#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Close,
    Set(u8),
    Get(u8),
    GetMany(u8, u8),
    GetOther(u8),
    Load(u8),
    Fail,
    Heal,
    Invalidate,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..6u8;
    prop_oneof![
        3 => (0..REGIONS.len()).prop_map(Step::Open),
        1 => Just(Step::Close),
        3 => key().prop_map(Step::Set),
        5 => key().prop_map(Step::Get),
        3 => (key(), key()).prop_map(|(one, other)| Step::GetMany(one, other)),
        1 => key().prop_map(Step::GetOther),
        3 => key().prop_map(Step::Load),
        1 => Just(Step::Fail),
        2 => Just(Step::Heal),
        1 => Just(Step::Invalidate),
    ]
}

/// Does `steps`; the number of keys that reads have asked for.
async fn run(
    cache: &RegionCache,
    store: &region_core::testing::Faulty<region_memory::MemoryStore>,
    steps: Vec<Step>,
) -> u64 {
    let mut asked = 0;
    let mut open: Vec<RegionHandle> = vec![cache.root()];
    for step in steps {
        let region = open.last().cloned().unwrap_or_else(|| cache.root());
        let name = |key: u8| key.to_string();
        match step {
            Step::Open(at) => open.push(cache.region(REGIONS[at]).unwrap()),
            Step::Close => drop(open.pop()),
            Step::Set(key) => drop(region.set(&name(key), &u32::from(key)).await),
            Step::Get(key) => {
                asked += 1;
                region.get::<u32>(&name(key)).await.unwrap();
            }
            Step::GetMany(one, other) => {
                asked += 2;
                region.get_many::<u32>(&[&name(one), &name(other)]).await.unwrap();
            }
            Step::GetOther(key) => {
                asked += 1;
                region.get::<String>(&name(key)).await.unwrap();
            }
            Step::Load(key) => {
                asked += 1;
                let load = || async { Ok::<_, Infallible>(9u32) };
                region.get_or_compute(&name(key), load).await.unwrap();
            }
            Step::Fail => drop(store.on(Method::Read).fail(ErrorKind::Unavailable)),
            Step::Heal => store.heal(),
            Step::Invalidate => drop(region.invalidate().await),
        }
    }
    asked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_regions_add_up_to_the_total(
        steps in vec(step(), 0..80),
        near in any::<bool>(),
        max in 0..4usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = faulty();
            let builder = RegionCache::builder(store.clone()).root("r").max_region_stats(max);
            let builder = if near { builder.near(4096) } else { builder };
            let cache = builder.build().unwrap();
            let asked = run(&cache, &store, steps).await;
            let stats = cache.region_stats();
            let total = cache.stats();
            prop_assert_eq!(stats.total(), total);
            prop_assert!(stats.regions.len() <= max);
            prop_assert_eq!(reads(&total), asked, "each key of each read counts once");
            prop_assert_eq!(total.hits, total.near_hits + total.store_hits);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn each_region_has_its_own_and_all_its_handles_share_them() {
    let cache = cache(memory(), Policy::new());
    let (one, other) = (cache.region("a").unwrap(), cache.region("b").unwrap());
    one.get::<u32>("k").await.unwrap();
    let again = cache.region("a").unwrap().with_policy(Policy::new().version(2)).unwrap();
    again.get::<u32>("k").await.unwrap();
    other.get::<u32>("k").await.unwrap();
    assert_eq!((one.stats().misses, again.stats().misses, other.stats().misses), (2, 2, 1));
    drop((one, again));
    assert_eq!(cache.region("a").unwrap().stats().misses, 2, "while it is among the busiest");
    let stats = cache.region_stats();
    let paths: Vec<_> = stats.regions.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!((paths, stats.other), (vec!["r.a", "r.b"], Stats::default()));
}

#[tokio::test]
async fn the_number_of_regions_does_not_matter() {
    let cache = cache(memory(), Policy::new());
    for n in 0..100_000 {
        let region = cache.region(&format!("tenant:{n}")).unwrap();
        region.get::<u32>("k").await.unwrap();
    }
    let stats = cache.region_stats();
    assert_eq!((stats.regions.len(), stats.total().misses), (100, 100_000));
    assert_eq!(stats.total(), cache.stats());
}
