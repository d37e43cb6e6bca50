//! Values that are served while the store does not serve, for as long as the policy allows.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{
    ErrorKind, NearCache, OnOutage, Policy, Region, RegionExt, RegionHandle, SetOptions, Verb,
};
use tokio::time::Instant;

use super::kit::{Process, Pushes, keys, memory, verification};

const SECOND: Duration = Duration::from_secs(1);

/// The bound in these tests.
const BOUND: Duration = Duration::from_secs(60);

/// The limit on a call of the store that does not answer.
const LIMIT: Duration = Duration::from_millis(250);

fn policy() -> Policy {
    Policy::new().near_outage_for(BOUND)
}

/// A process with values `k` and `l` near, which are 1, and one that changes them.
async fn pair(pushes: Pushes, policy: Policy) -> (Process, Process, RegionHandle) {
    let store = memory();
    let here = Process::new(&store, pushes, policy);
    let there = Process::new(&store, Pushes::OfOthers, Policy::new());
    let (mine, theirs) = (here.region("a"), there.region("a"));
    for key in ["k", "l"] {
        theirs.set(key, &1u32).await.unwrap();
    }
    assert_eq!(mine.get_many::<u32>(&["k", "l"]).await.unwrap().len(), 2);
    (here, there, mine)
}

/// Reads `k` while the store is down, and asserts that it is served unverified if there is a value.
async fn assert_in_outage(here: &Process, region: &RegionHandle, value: Option<u32>) {
    let before = here.cache.stats();
    let found = region.get::<u32>("k").await.unwrap();
    assert_eq!(found.as_deref().copied(), value);
    let after = here.cache.stats();
    let (hit, miss) = (u64::from(value.is_some()), u64::from(value.is_none()));
    assert_eq!(after.near_unverified_hits, before.near_unverified_hits + hit);
    assert_eq!((after.near_hits, after.hits), (before.near_hits + hit, before.hits + hit));
    assert_eq!(after.misses, before.misses + miss);
    assert_eq!(after.store_failures, before.store_failures + miss);
}

/// Within the bound the value is served, with either kind of `on_outage`; beyond it is what that says.
#[tokio::test(start_paused = true)]
async fn within_the_bound_values_are_served() {
    for (pushes, on_outage) in [
        (Pushes::Never, OnOutage::Miss),
        (Pushes::OfOthers, OnOutage::Miss),
        (Pushes::OfOthers, OnOutage::Error),
    ] {
        let (here, there, mine) = pair(pushes, policy().on_outage(on_outage)).await;
        let outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
        here.cut_pushes();
        for _ in 0..3 {
            assert_in_outage(&here, &mine, Some(1)).await;
        }
        tokio::time::advance(BOUND).await;
        assert_in_outage(&here, &mine, Some(1)).await;
        tokio::time::advance(SECOND).await;
        match on_outage {
            OnOutage::Miss => assert_in_outage(&here, &mine, None).await,
            OnOutage::Error => {
                let error = mine.get::<u32>("k").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable);
            }
        }
        // On the way back everything is verified first.
        there.region("a").set("k", &2u32).await.unwrap();
        outage.lift();
        assert_eq!(here.get(&mine).await, (Some(2), vec![verification(), keys(&["k"])]));
    }
}

/// The bound counts for outages alone: while the store serves, what is in doubt is verified.
#[tokio::test(start_paused = true)]
async fn while_the_store_serves_values_are_verified() {
    let (here, there, mine) = pair(Pushes::Never, policy()).await;
    assert_eq!(here.get(&mine).await, (Some(1), vec![verification()]));
    let outage = here.faulty.on_any().fail(ErrorKind::Timeout);
    assert_in_outage(&here, &mine, Some(1)).await;
    there.region("a").set("l", &2u32).await.unwrap();
    outage.lift();
    assert_eq!(here.get(&mine).await, (Some(1), vec![verification()]));
    assert_eq!(mine.get::<u32>("l").await.unwrap().as_deref(), Some(&2));
    here.assert_value(&mine, Some(1)).await;
}

/// Without the setting, and for what nobody may serve, an outage is what it was.
#[tokio::test(start_paused = true)]
async fn without_a_bound_an_outage_is_a_miss() {
    let (here, _, mine) = pair(Pushes::OfOthers, Policy::new()).await;
    let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
    here.assert_near(&mine, 1).await;
    here.cut_pushes();
    assert_in_outage(&here, &mine, None).await;
}

/// An own change in the outage: its key is not served any more, the others are.
#[tokio::test(start_paused = true)]
async fn own_writes_in_an_outage_cover_their_keys() {
    for (pushes, kind) in
        [(Pushes::Never, ErrorKind::Unavailable), (Pushes::OfOthers, ErrorKind::Timeout)]
    {
        for plain in [false, true] {
            let (here, _, mine) = pair(pushes, policy()).await;
            // Trusted for long, and then own writes: the bound counts from the first of them.
            tokio::time::advance(BOUND / 2).await;
            let _outage = here.faulty.on_any().fail(kind);
            if pushes == Pushes::OfOthers {
                tokio::time::advance(BOUND).await;
            }
            here.cut_pushes();
            let near = if plain { NearCache::Off } else { NearCache::On };
            let writer = mine.with_policy(Policy::new().near(near)).unwrap();
            writer.set("l", &2u32).await.unwrap_err();
            assert_in_outage(&here, &mine, Some(1)).await;
            assert_eq!(mine.get::<u32>("l").await.unwrap(), None);
            writer.remove("k").await.unwrap_err();
            assert_in_outage(&here, &mine, None).await;
        }
    }
}

/// An invalidation in the outage, failed or queued, covers what it covers.
#[tokio::test(start_paused = true)]
async fn own_verbs_in_an_outage_cover_their_regions() {
    for (ended, verb) in [
        ("a", Verb::Invalidate),
        ("a", Verb::Expire),
        ("a", Verb::Touch),
        ("a.b", Verb::Touch),
        ("a.b", Verb::InvalidateAndTouch),
    ] {
        let (here, _, mine) = pair(Pushes::OfOthers, policy()).await;
        let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
        here.cut_pushes();
        here.region("b").end(Verb::Invalidate).await.unwrap_err();
        here.region("a.b").end(Verb::Invalidate).await.unwrap_err();
        assert_in_outage(&here, &mine, Some(1)).await;
        here.region(ended).end(verb).await.unwrap_err();
        assert_in_outage(&here, &mine, None).await;
    }
}

/// An own write that is under way when the store goes down covers its key, however it ends.
#[tokio::test(start_paused = true)]
async fn an_own_write_under_way_covers_its_key() {
    for aborts in [false, true] {
        let (here, _, mine) = pair(Pushes::OfOthers, policy()).await;
        let (pause, writing) = here.begin_set(&mine, 2).await;
        let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
        here.cut_pushes();
        assert_in_outage(&here, &mine, None).await;
        if aborts {
            writing.abort();
        }
        pause.release();
        let is_acknowledged = writing.await.is_ok_and(|written| written.is_ok());
        assert_eq!(is_acknowledged, !aborts);
        // An acknowledged write has shown its value.
        assert_in_outage(&here, &mine, is_acknowledged.then_some(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_before_the_outage_counts() {
    let (here, there, mine) = pair(Pushes::OfOthers, policy()).await;
    there.region("a").set("k", &2u32).await.unwrap();
    let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
    here.cut_pushes();
    assert_in_outage(&here, &mine, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_ends_with_its_own_lifetime() {
    let (here, _, mine) = pair(Pushes::OfOthers, policy()).await;
    mine.set_with("k", &3u32, SetOptions::new().ttl(2 * SECOND)).await.unwrap();
    let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
    here.cut_pushes();
    tokio::time::advance(SECOND).await;
    assert_in_outage(&here, &mine, Some(3)).await;
    tokio::time::advance(SECOND).await;
    assert_in_outage(&here, &mine, None).await;
}

/// Of many keys those that are held near are served; the others are what `on_outage` says.
#[tokio::test(start_paused = true)]
async fn of_many_keys_those_held_near_are_served() {
    let (here, _, mine) = pair(Pushes::OfOthers, policy()).await;
    let strict = mine.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
    here.cut_pushes();
    for region in [&mine, &strict] {
        let found = region.get_many::<u32>(&["k", "l"]).await.unwrap();
        assert_eq!(found.iter().flatten().count(), 2);
    }
    let found = mine.get_many::<u32>(&["k", "absent", "l"]).await.unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    let error = strict.get_many::<u32>(&["k", "absent", "l"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// A load is not needed for what is held near, and not started to refresh it.
#[tokio::test(start_paused = true)]
async fn a_load_is_not_needed_for_what_is_held_near() {
    for early in [100, 1] {
        let policy = policy().ttl(BOUND).early_refresh_at(early);
        let (here, _, mine) = pair(Pushes::OfOthers, policy).await;
        mine.set("k", &1u32).await.unwrap();
        let _outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
        here.cut_pushes();
        tokio::time::advance(BOUND / 2).await;
        let load = |value| move || async move { Ok::<u32, Infallible>(value) };
        assert_eq!(*mine.get_or_compute("k", load(2)).await.unwrap(), 1);
        let stats = here.cache.stats();
        assert_eq!((stats.loads, stats.early_refreshes, stats.background_loads), (0, 0, 0));
        assert_eq!(*mine.get_or_compute("absent", load(3)).await.unwrap(), 3);
        assert_eq!(here.count(Method::Begin), 0);
        // The loaded value could not be stored, and is not held near either.
        assert_eq!(*mine.get_or_compute("absent", load(4)).await.unwrap(), 4);
    }
}

/// A store that hangs costs its limit, once; callers that come meanwhile wait no longer than that.
#[tokio::test(start_paused = true)]
async fn a_hung_store_costs_its_limit_once() {
    let (here, _, mine) = pair(Pushes::OfOthers, policy()).await;
    here.faulty.on_any().delay_before(LIMIT);
    here.faulty.on_any().fail(ErrorKind::Timeout);
    here.cut_pushes();
    let call = |late: u32| {
        let mine = mine.clone();
        async move {
            tokio::time::sleep(LIMIT / 10 * late).await;
            let start = Instant::now();
            assert_eq!(mine.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
            let taken = start.elapsed();
            assert!(taken <= LIMIT + Duration::from_millis(1), "call {late}: {taken:?}");
        }
    };
    let calls: Vec<_> = (0..10).map(|late| tokio::spawn(call(late))).collect();
    for call in calls {
        call.await.unwrap();
    }
}
