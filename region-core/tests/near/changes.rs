//! Changes by another process are seen at once.

use region_core::{Region, RegionCache, RegionExt, Verb};

use super::kit::{keys, memory, two, verification};

/// Every change by another process that covers a value near is seen by the next read.
#[tokio::test]
async fn changes_by_others_are_seen_at_once() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a.b"), there.region("a.b"));
    for round in 0..3u32 {
        for (at, ended) in ["a.b", "a", "a.b.c"].into_iter().enumerate() {
            for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
                let value = round * 100 + at as u32;
                mine.set("k", &value).await.unwrap();
                here.assert_value(&mine, Some(value)).await;
                here.assert_near(&mine, value).await;
                let child = there.region("a.b.c");
                child.set("k", &1u32).await.unwrap();
                here.assert_near(&mine, value).await;
                there.region(ended).end(verb).await.unwrap();
                let reaches = match verb {
                    Verb::Invalidate | Verb::Expire => ended != "a.b.c",
                    Verb::Touch => ended != "a",
                    Verb::InvalidateAndTouch => true,
                };
                let left = (!reaches).then_some(value);
                let (found, _) = here.get(&mine).await;
                assert_eq!(found, left, "{verb:?} of {ended}");
            }
        }
        theirs.set("k", &round).await.unwrap();
        here.assert_value(&mine, Some(round)).await;
        theirs.set("k", &(round + 1)).await.unwrap();
        here.assert_value(&mine, Some(round + 1)).await;
        theirs.remove("k").await.unwrap();
        here.assert_value(&mine, None).await;
    }
}

/// Another key that changes costs one small read, without payload; the value stays.
#[tokio::test]
async fn a_change_of_another_key_costs_one_small_read() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &7u32).await.unwrap();
    here.assert_near(&mine, 7).await;
    there.region("a").set("other", &1u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(7), vec![verification()]));
    here.assert_near(&mine, 7).await;
    assert_eq!(here.cache.stats().near_verifications, 1);
}

/// More changes than the ring holds: the value is read anew.
#[tokio::test]
async fn a_value_whose_last_change_has_left_the_ring_is_read_anew() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &7u32).await.unwrap();
    here.assert_near(&mine, 7).await;
    for change in 0..region_core::MAX_CHANGES as u32 {
        there.region("a").set("other", &change).await.unwrap();
    }
    assert_eq!(here.get(&mine).await, (Some(7), vec![verification(), keys(&["k"])]));
    here.assert_near(&mine, 7).await;
}

/// A change that so many have followed that the ring does not show it any more.
#[tokio::test]
async fn a_change_that_has_left_the_ring_is_seen() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    mine.set("k", &7u32).await.unwrap();
    here.assert_near(&mine, 7).await;
    theirs.set("k", &8u32).await.unwrap();
    for change in 0..region_core::MAX_CHANGES as u32 {
        theirs.set("other", &change).await.unwrap();
    }
    here.assert_value(&mine, Some(8)).await;
}

/// Bug: a value was judged by the last few changes alone, although its region had been verified in between.
/// Effect: in a region with one busy key all other values were read anew again and again. Fix: the changes that
/// verifications have shown one after the other are remembered.
#[tokio::test]
async fn a_value_stays_near_however_often_another_key_changes() {
    let (here, there) = two();
    let mine = here.region("a");
    // About as many changes are remembered as there are values near.
    let others = (0..512).map(|at| format!("other {at}"));
    for key in others.chain(["k", "now and then"].map(str::to_owned)) {
        mine.set(&key, &7u32).await.unwrap();
        assert!(mine.get::<u32>(&key).await.unwrap().is_some());
    }
    for change in 0..400u32 {
        there.region("a").set("busy", &change).await.unwrap();
        assert_eq!(here.get(&mine).await, (Some(7), vec![verification()]), "{change}");
    }
    here.calls.clear();
    assert_eq!(mine.get::<u32>("now and then").await.unwrap().as_deref(), Some(&7));
    assert_eq!(here.calls.total(), 0, "it was not read meanwhile, and has not changed");
    there.region("a").set("now and then", &8u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(7), vec![verification()]));
    assert_eq!(mine.get::<u32>("now and then").await.unwrap().as_deref(), Some(&8));
}

/// Bug: the last 512 changes were remembered, and own writes are changes too. Effect: what was not read during
/// so many fills of other keys was looked up in the store once more. Fix: the last change of each key is known.
#[tokio::test]
async fn a_value_stays_near_over_many_own_writes_of_other_keys() {
    const OTHERS: u32 = 100_000;
    let cache = RegionCache::builder(memory()).near(256 << 20).build().unwrap();
    let region = cache.root();
    region.set("k", &7u32).await.unwrap();
    for other in 0..OTHERS {
        region.set(&format!("other {other}"), &other).await.unwrap();
    }
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&7));
    let stats = cache.stats();
    assert_eq!((stats.near_hits, stats.store_hits, stats.near_evictions), (1, 0, 0));
}

/// Bug: a value that was found valid in a verification was judged from its first change on the next time.
/// Effect: where few changes are remembered, as of a region with few values near, it was read anew although
/// it had been verified after each change. Fix: it is put in its place anew with the last change.
#[tokio::test]
async fn the_only_value_near_stays_however_often_another_key_changes() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &7u32).await.unwrap();
    here.assert_near(&mine, 7).await;
    for change in 0..100u32 {
        there.region("a").set("busy", &change).await.unwrap();
        assert_eq!(here.get(&mine).await, (Some(7), vec![verification()]), "{change}");
    }
}

/// A touch below leaves siblings and what lies below alone: they are not even doubted.
#[tokio::test]
async fn a_touch_concerns_its_own_path_alone() {
    let (here, there) = two();
    let touched = here.region("a.b");
    let spared = [here.region("a.c"), here.region("a.b.d")];
    for region in spared.iter().chain([&touched]) {
        region.set("k", &7u32).await.unwrap();
        here.assert_near(region, 7).await;
    }
    there.region("a.b").touch().await.unwrap();
    for region in &spared {
        here.assert_near(region, 7).await;
    }
    here.assert_value(&touched, None).await;
}

/// Callers that meet doubt at once share one question.
#[tokio::test]
async fn doubt_of_a_region_is_resolved_once_for_all_its_keys() {
    let (here, there) = two();
    let mine = here.region("a");
    let names: Vec<_> = (0..50).map(|key| format!("k{key}")).collect();
    for name in &names {
        mine.set(name, &1u32).await.unwrap();
        assert!(mine.get::<u32>(name).await.unwrap().is_some());
    }
    there.region("a").set("k0", &2u32).await.unwrap();
    here.calls.clear();
    let pause = here.faulty.pause(region_core::testing::Method::Read);
    let reads = names[1..].iter().cloned().map(|name| {
        let mine = mine.clone();
        tokio::spawn(async move { mine.get::<u32>(&name).await.unwrap().map(|value| *value) })
    });
    let reads: Vec<_> = reads.collect();
    pause.reached().await;
    pause.release();
    for read in reads {
        assert_eq!(read.await.unwrap(), Some(1));
    }
    let questions = here.reads().iter().filter(|keys| keys.is_empty()).count();
    assert!(questions <= 2, "{questions} questions");
    assert_eq!(here.reads().len(), questions, "none is read anew");
}
