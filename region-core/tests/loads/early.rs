//! Refreshes before the end of a value, and the jitter of ttls.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use region_core::testing::{Faulty, Method};
use region_core::{Policy, Region, RegionCache, RegionExt, RegionHandle, Store};
use tokio::time::{advance, sleep};

use super::kit::{Source, faulty, memory, process, region_with, settle, within};

const TTL: Duration = Duration::from_secs(100);
const LOAD: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::from_millis(1);

fn by_share() -> Policy {
    Policy::new().ttl(TTL).early_refresh_at(80)
}

fn cache(store: impl Store, policy: Policy, seed: u64) -> (RegionCache, RegionHandle) {
    let cache = RegionCache::builder(store).root("r").policy(policy).seed(seed).build().unwrap();
    let region = cache.region("a").unwrap();
    (cache, region)
}

async fn get(region: &RegionHandle, source: &Source) -> usize {
    let source = source.clone();
    *region.get_or_compute("k", move || source.load(LOAD)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_value_is_refreshed_once_after_its_share_of_the_ttl() {
    let (cache, region) = cache(memory(), by_share(), 7);
    let source = Source::default();
    assert_eq!(get(&region, &source).await, 1);
    advance(TTL * 79 / 100).await;
    assert_eq!((get(&region, &source).await, source.begun()), (1, 1), "never before the share");
    advance(TTL * 2 / 100).await;
    for _ in 0..100 {
        assert_eq!(within(NOW, get(&region, &source)).await, 1);
        sleep(NOW).await;
    }
    settle(&source).await;
    assert_eq!((get(&region, &source).await, source.begun()), (2, 2));
    let stats = cache.stats();
    assert_eq!((stats.early_refreshes, stats.background_loads, stats.stale_hits), (1, 1, 0));
    advance(TTL * 79 / 100).await;
    assert_eq!((get(&region, &source).await, source.begun()), (2, 2), "it has its whole ttl again");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_refreshed_without_a_read_or_without_a_limit_of_time() {
    let source = Source::default();
    let region = region_with(memory(), by_share());
    assert_eq!(get(&region, &source).await, 1);
    advance(TTL * 99 / 100).await;
    settle(&source).await;
    assert_eq!(source.begun(), 1);
    let unlimited = Policy::new().early_refresh_at(1).early_refresh_beta(10_000);
    let (source, region) = (Source::default(), region_with(memory(), unlimited));
    for _ in 0..10 {
        assert_eq!(get(&region, &source).await, 1);
        advance(100 * TTL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_processes_one_refreshes() {
    let store = faulty();
    let regions: Vec<_> = (0..4).map(|seed| process(seed, store.clone(), by_share())).collect();
    let source = Source::default();
    assert_eq!(get(&regions[0], &source).await, 1);
    advance(TTL * 85 / 100).await;
    let before = store.count(Method::Begin);
    for _ in 0..20 {
        for region in &regions {
            assert_eq!(within(NOW, get(region, &source)).await, 1);
        }
        sleep(NOW).await;
    }
    settle(&source).await;
    assert_eq!((get(&regions[3], &source).await, source.begun()), (2, 2));
    let asked = store.count(Method::Begin) - before;
    assert!(asked <= 4 + 3, "{asked}: one for each process, and to extend the lease");
}

/// Promise 1 for an early refresh.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_is_fenced() {
    let (cache, region) = cache(memory(), by_share(), 7);
    let source = Source::default();
    assert_eq!(get(&region, &source).await, 1);
    advance(TTL * 85 / 100).await;
    assert_eq!(get(&region, &source).await, 1);
    sleep(LOAD / 2).await;
    region.invalidate().await.unwrap();
    settle(&source).await;
    assert_eq!(region.get::<usize>("k").await.unwrap(), None);
    assert_eq!(cache.stats().fenced_fills, 1);
}

/// A refresh that fails leaves the value and is not tried again for a while.
#[tokio::test(start_paused = true)]
async fn a_failed_early_refresh_leaves_the_value() {
    let (cache, region) = cache(memory(), by_share().load_retry_after(LOAD * 5), 7);
    let source = Source::default();
    assert_eq!(get(&region, &source).await, 1);
    advance(TTL * 85 / 100).await;
    for _ in 0..10 {
        let load = || async { Err::<usize, _>(io::Error::other("the source is down")) };
        assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 1);
        sleep(NOW).await;
    }
    assert_eq!(cache.stats().load_failures, 1);
    advance(LOAD * 5).await;
    get(&region, &source).await;
    settle(&source).await;
    assert_eq!(get(&region, &source).await, 2);
}

/// Bug to keep out: where the region's own TTL ends the entry, a refresh does not prolong its life, so
/// that each read would begin another.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_region_ttl_brings_no_row_of_refreshes() {
    let policy = by_share().region_ttl(TTL).on_update(region_core::OnUpdate::Keep);
    let region = region_with(memory(), policy);
    let source = Source::default();
    get(&region, &source).await;
    advance(TTL * 82 / 100).await;
    for _ in 0..10 {
        get(&region, &source).await;
        settle(&source).await;
    }
    assert_eq!(source.begun(), 2);
}

/// The number of seconds before its end at which XFetch refreshes a value that is read each second.
async fn lead(beta: u32, seed: u64) -> Option<u64> {
    let policy = Policy::new().ttl(TTL).early_refresh_beta(beta);
    let (_, region) = cache(memory(), policy, seed);
    let source = Source::default();
    get(&region, &source).await;
    for second in 1..TTL.as_secs() {
        advance(Duration::from_secs(1)).await;
        get(&region, &source).await;
        sleep(Duration::ZERO).await;
        tokio::task::yield_now().await;
        if source.begun() > 1 {
            return Some(TTL.as_secs() - second);
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn xfetch_refreshes_the_earlier_the_greater_its_weight() {
    const SEEDS: u64 = 100;
    let mut before = 0;
    for beta in [0, 100, 400, 1600] {
        let mut leads = Vec::new();
        for seed in 0..SEEDS {
            let at = lead(beta, seed).await;
            assert_eq!(at, lead(beta, seed).await, "equal seeds, equal refreshes");
            leads.extend(at);
        }
        let total = leads.iter().sum::<u64>();
        if beta == 0 {
            assert!(leads.is_empty(), "a weight of zero refreshes nothing: {leads:?}");
            continue;
        }
        let distinct: BTreeSet<_> = leads.iter().collect();
        assert!(leads.len() as u64 > SEEDS / 3 && distinct.len() > 1, "{beta}: {leads:?}");
        assert!(total > before, "{beta}: {leads:?}");
        before = total;
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_ends_entries_one_by_one_and_none_after_its_ttl() {
    let region = region_with(memory(), Policy::new().ttl(TTL).ttl_jitter(50));
    let names: Vec<_> = (0..100).map(|number| format!("k{number}")).collect();
    let values: Vec<_> = names.iter().map(|name| (name.as_str(), &7_u8)).collect();
    region.set_many(&values).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..10 {
        left.push(region.len().await.unwrap());
        advance(TTL / 10).await;
    }
    assert_eq!(left[..5], [100; 5], "none before half of its ttl");
    assert!(left[5..].windows(2).all(|pair| pair[1] < pair[0]), "{left:?}");
    assert_eq!(region.len().await.unwrap(), 0, "none after its ttl");
}

#[tokio::test(start_paused = true)]
async fn an_entrys_own_ttl_has_no_jitter() {
    let region = region_with(memory(), Policy::new().ttl(TTL).ttl_jitter(100));
    let options = region_core::SetOptions::new().ttl(TTL);
    region.set_with("k", &7_u8, options).await.unwrap();
    advance(TTL - NOW).await;
    assert!(region.contains("k").await.unwrap());
}

/// What another process has refreshed between the read and the question is not refreshed again.
#[tokio::test(start_paused = true)]
async fn a_value_that_was_refreshed_meanwhile_is_not_refreshed_again() {
    let shared = memory();
    let slow = Faulty::new(shared.clone());
    slow.on(Method::Begin).delay_before(3 * LOAD);
    let (first, second) = (process(1, shared, by_share()), process(2, slow, by_share()));
    let source = Source::default();
    assert_eq!(get(&first, &source).await, 1);
    advance(TTL * 85 / 100).await;
    assert_eq!((get(&first, &source).await, get(&second, &source).await), (1, 1));
    sleep(6 * LOAD).await;
    assert_eq!((get(&second, &source).await, source.begun()), (2, 2));
}
