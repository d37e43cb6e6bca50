//! The near cache in front of a store: two clients of the same data, each with values near.
//!
//! A push takes its time, so a change by another client is waited for; one by the client itself is not.

use std::convert::Infallible;
use std::time::Duration;

use super::super::fixture::{LONG, SHORT, path, until};
use super::super::{Able, Harness};
use crate::cache::RegionCache;
use crate::error::ErrorKind;
use crate::handle::RegionHandle;
use crate::policy::{NearCache, Policy};
use crate::region::{LoadOptions, Loaded, Region, RegionExt};
use crate::store::{Store, Verb};
use crate::testing::Faulty;

/// The bytes of each near cache.
const BYTES: u64 = 1 << 20;

/// The number of times that two clients take turns.
const ROUNDS: u32 = 20;

fn near(store: impl Store) -> RegionCache {
    let cache = RegionCache::builder(store).root("r").near(BYTES).build();
    cache.unwrap_or_else(|error| panic!("{error}"))
}

fn region(cache: &RegionCache, relative: &str) -> RegionHandle {
    cache.region(relative).unwrap_or_else(|error| panic!("{error}"))
}

async fn get(region: &RegionHandle) -> Option<u32> {
    region.get::<u32>("k").await.unwrap().map(|value| *value)
}

async fn assert_comes(region: &RegionHandle, value: Option<u32>, what: &str) {
    let came = until(async || get(region).await == value).await;
    assert!(came, "{what}: {value:?} has not been seen");
}

/// Stores `value`, and reads it so often that it is near if this store has it near at all.
async fn hold(region: &RegionHandle, value: u32) {
    region.set("k", &value).await.unwrap();
    for _ in 0..3 {
        assert_eq!(get(region).await, Some(value), "an own write is seen at once");
        assert!(region.contains("k").await.unwrap());
    }
}

/// What another client writes, removes, invalidates, touches or expires is seen.
pub async fn changes_by_others_are_seen_near<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let (here, there) = (near(harness.client(&store).await), near(store));
    let (mine, theirs) = (region(&here, "a.b"), region(&there, "a.b"));
    hold(&mine, 1).await;
    theirs.set("k", &2u32).await.unwrap();
    assert_comes(&mine, Some(2), "a set").await;
    theirs.set("k", &3u32).await.unwrap();
    assert_comes(&mine, Some(3), "another set").await;
    theirs.remove("k").await.unwrap();
    assert_comes(&mine, None, "a removal").await;
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
        hold(&mine, 4).await;
        theirs.end(verb).await.unwrap();
        assert_comes(&mine, None, &format!("{verb:?}")).await;
    }
    for verb in [Verb::Invalidate, Verb::Expire, Verb::InvalidateAndTouch] {
        hold(&mine, 5).await;
        region(&there, "a").end(verb).await.unwrap();
        assert_comes(&mine, None, &format!("{verb:?} of the parent")).await;
    }
    for verb in [Verb::Touch, Verb::InvalidateAndTouch] {
        hold(&mine, 6).await;
        region(&there, "a.b.c").end(verb).await.unwrap();
        assert_comes(&mine, None, &format!("{verb:?} of a child")).await;
    }
}

/// Has the absence of `k` remembered, and read so often that it is near if this store has it near at all.
async fn hold_absence(region: &RegionHandle) {
    region.remove("k").await.unwrap();
    for is_first in [true, false, false, false] {
        let loaded = load_absence(region, LONG).await;
        assert_eq!(loaded, (None, is_first), "an own fill is seen at once");
        assert!(!region.contains("k").await.unwrap());
    }
}

/// The value of `k` by a load that finds none, and if that has run.
async fn load_absence(region: &RegionHandle, ttl: Duration) -> (Option<u32>, bool) {
    let (ran, mut has_run) = tokio::sync::oneshot::channel();
    let load = move |_| async move {
        let _ = ran.send(());
        Ok::<_, Infallible>(Loaded::<u32>::absent().ttl(ttl))
    };
    let value = region.get_or_compute_with("k", LoadOptions::new(), load).await.unwrap();
    (value.map(|value| *value), has_run.try_recv().is_ok())
}

/// The record that there is no value ends with what another client does to its key, or to its region.
pub async fn an_absence_near_ends_with_changes_by_others<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let (here, there) = (near(harness.client(&store).await), near(harness.client(&store).await));
    let (mine, theirs) = (region(&here, "a.b"), region(&there, "a.b"));
    hold_absence(&mine).await;
    theirs.set("k", &1u32).await.unwrap();
    assert_comes(&mine, Some(1), "a set").await;
    assert_eq!(load_absence(&mine, LONG).await, (Some(1), false));
    for (ended, verb) in [
        ("a.b", Verb::Invalidate),
        ("a.b", Verb::Touch),
        ("a.b", Verb::Expire),
        ("a", Verb::Invalidate),
        ("a", Verb::Expire),
        ("a.b.c", Verb::Touch),
        ("a.b.c", Verb::InvalidateAndTouch),
    ] {
        hold_absence(&mine).await;
        region(&there, ended).end(verb).await.unwrap();
        let loads = until(async || load_absence(&mine, LONG).await.1).await;
        assert!(loads, "{verb:?} of {ended} has not been seen");
    }
    hold_absence(&mine).await;
    if harness.cut_pushes(&store).await == Able::Yes {
        region(&near(harness.client(&store).await), "a.b").set("k", &2u32).await.unwrap();
        assert_comes(&mine, Some(2), "a set after the cut").await;
    }
    hold_absence(&mine).await;
    if harness.lose_all(&store).await == Able::Yes {
        let loads = until(async || load_absence(&mine, LONG).await.1).await;
        assert!(loads, "the loss of all has not been seen");
    }
}

/// The record that there is no value ends with its ttl.
pub async fn an_absence_near_ends_with_its_ttl<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let cache = near(harness.client(&store).await);
    let mine = region(&cache, "a");
    assert_eq!(load_absence(&mine, SHORT).await, (None, true));
    load_absence(&mine, SHORT).await;
    harness.advance(&store, SHORT).await;
    assert!(until(async || load_absence(&mine, SHORT).await.1).await);
}

/// What a client changes itself ends the record that there is no value at once.
pub async fn an_absence_near_ends_with_own_changes<H: Harness>(harness: &H) {
    let cache = near(harness.store().await);
    let mine = region(&cache, "a.b");
    hold_absence(&mine).await;
    mine.set("k", &1u32).await.unwrap();
    assert_eq!(load_absence(&mine, LONG).await, (Some(1), false));
    hold_absence(&mine).await;
    assert!(mine.set_if_absent("k", &2u32).await.unwrap());
    assert_eq!(load_absence(&mine, LONG).await, (Some(2), false));
    for (ended, verb) in [
        ("a.b", Verb::Invalidate),
        ("a.b", Verb::Touch),
        ("a.b", Verb::Expire),
        ("a", Verb::Invalidate),
        ("a.b.c", Verb::InvalidateAndTouch),
    ] {
        hold_absence(&mine).await;
        region(&cache, ended).end(verb).await.unwrap();
        let loaded = load_absence(&mine, LONG).await;
        assert_eq!(loaded, (None, true), "{verb:?} of {ended}");
    }
    hold_absence(&mine).await;
    assert_eq!(get(&mine).await, None);
}

/// What a client changes itself it sees at once, whatever it holds near.
pub async fn own_changes_are_seen_near<H: Harness>(harness: &H) {
    let cache = near(harness.store().await);
    let mine = region(&cache, "a.b");
    let plain = Policy::new().near(NearCache::Off);
    for (ended, verbs) in [
        ("a.b", &[Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch][..]),
        ("a", &[Verb::Invalidate, Verb::Expire, Verb::InvalidateAndTouch]),
        ("a.b.c", &[Verb::Touch, Verb::InvalidateAndTouch]),
    ] {
        for verb in verbs {
            hold(&mine, 1).await;
            let ended = region(&cache, ended).with_policy(plain.clone()).unwrap();
            ended.end(*verb).await.unwrap();
            assert!(!mine.contains("k").await.unwrap(), "{verb:?} of {}", ended.path());
            assert_eq!(get(&mine).await, None, "{verb:?} of {}", ended.path());
        }
    }
    hold(&mine, 2).await;
    mine.with_policy(plain).unwrap().set("k", &3u32).await.unwrap();
    assert_eq!(get(&mine).await, Some(3));
    mine.remove("k").await.unwrap();
    assert_eq!(get(&mine).await, None);
}

/// An own change does not silence the push of another's that follows.
pub async fn an_own_change_and_then_anothers_is_seen_near<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let (here, there) = (near(harness.client(&store).await), near(store));
    let (mine, theirs) = (region(&here, "a"), region(&there, "a"));
    for round in 0..ROUNDS {
        hold(&mine, 2 * round).await;
        theirs.set("k", &(2 * round + 1)).await.unwrap();
        assert_comes(&mine, Some(2 * round + 1), "the write of another").await;
    }
    for _ in 0..ROUNDS {
        hold(&mine, 1).await;
        mine.invalidate().await.unwrap();
        theirs.set("k", &2u32).await.unwrap();
        assert_comes(&mine, Some(2), "the write after an invalidation").await;
    }
}

/// Trust ends with the connection that pushes come over.
pub async fn a_change_while_pushes_are_cut_is_seen_near<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let here = near(harness.client(&store).await);
    let mine = region(&here, "a");
    for round in 0..3 {
        hold(&mine, 10 * round).await;
        if harness.cut_pushes(&store).await == Able::No {
            return;
        }
        region(&near(harness.client(&store).await), "a").set("k", &(10 * round + 1)).await.unwrap();
        assert_comes(&mine, Some(10 * round + 1), "a change after the cut").await;
    }
}

/// What the store has lost is not served.
pub async fn a_loss_is_seen_near<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let here = near(harness.client(&store).await);
    let mine = region(&here, "a.b");
    hold(&mine, 1).await;
    if harness.lose_all(&store).await == Able::Yes {
        assert_comes(&mine, None, "the loss of all").await;
    }
    for lost in ["r.a", "r.a.b"] {
        hold(&mine, 2).await;
        if harness.lose_incarnations(&store, &path(lost)).await == Able::Yes {
            assert_comes(&mine, None, &format!("the loss of {lost}")).await;
        }
    }
}

/// A cache that serves values near for a while although nothing tells that they are the store's.
fn lenient(store: impl Store) -> RegionCache {
    let policy = Policy::new().near_unverified_for(LONG).near_outage_for(LONG);
    let cache = RegionCache::builder(store).root("r").policy(policy).near(BYTES).build();
    cache.unwrap_or_else(|error| panic!("{error}"))
}

/// What a client changes itself it sees at once, also where it need not verify what it holds near.
pub async fn own_changes_are_seen_unverified<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let here = lenient(harness.client(&store).await);
    let mine = region(&here, "a.b");
    for (ended, verb) in [
        ("a.b", Verb::Invalidate),
        ("a.b", Verb::Touch),
        ("a.b", Verb::Expire),
        ("a", Verb::Invalidate),
        ("a", Verb::Expire),
        ("a.b.c", Verb::Touch),
        ("a.b.c", Verb::InvalidateAndTouch),
    ] {
        hold(&mine, 1).await;
        harness.cut_pushes(&store).await;
        assert_eq!(get(&mine).await, Some(1));
        region(&here, ended).end(verb).await.unwrap();
        assert_eq!(get(&mine).await, None, "{verb:?} of {ended}");
    }
    hold(&mine, 2).await;
    harness.cut_pushes(&store).await;
    mine.set("k", &3u32).await.unwrap();
    assert_eq!(get(&mine).await, Some(3));
    mine.remove("k").await.unwrap();
    assert_eq!(get(&mine).await, None);
}

/// A change by another that nobody has told of may stay unseen, until any answer shows it.
pub async fn unverified_values_end_with_the_next_answer<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let here = lenient(harness.client(&store).await);
    let mine = region(&here, "a");
    for round in 0..3 {
        hold(&mine, 10 * round).await;
        harness.cut_pushes(&store).await;
        region(&near(harness.client(&store).await), "a").set("k", &(10 * round + 1)).await.unwrap();
        let seen = get(&mine).await;
        assert!(seen == Some(10 * round) || seen == Some(10 * round + 1), "{seen:?}");
        let comes = until(async || {
            assert_eq!(mine.get::<u32>("absent").await.unwrap(), None);
            get(&mine).await == Some(10 * round + 1)
        });
        assert!(comes.await, "an answer about the region tells of the change");
    }
}

/// Values that are read together are of one moment, verified or not.
pub async fn unverified_values_are_of_one_moment<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let (here, there) = (lenient(harness.client(&store).await), near(store));
    let (mine, theirs) = (region(&here, "a"), region(&there, "a"));
    for round in 0..ROUNDS {
        let mut transaction = theirs.transaction();
        transaction.set("k", round).set("l", round);
        transaction.commit().await.unwrap();
        if round % 2 == 0 {
            get(&mine).await;
        }
        let values = mine.get_many::<u32>(&["k", "l"]).await.unwrap();
        assert_eq!(values[0], values[1], "halves of two writes");
    }
}

/// While the store does not serve, what is near is served, but for what this client may have changed.
pub async fn an_outage_is_bridged_near<H: Harness>(harness: &H) {
    let store = Faulty::new(harness.store().await);
    let cache = lenient(store.clone());
    let (mine, other) = (region(&cache, "a"), region(&cache, "b"));
    hold(&mine, 1).await;
    hold(&other, 1).await;
    // Pushes about what was written come before the first of two answers.
    for region in [&mine, &other, &mine, &other] {
        assert_eq!(region.get::<u32>("absent").await.unwrap(), None);
    }
    let is_held_near = cache.stats().near_hits > 0;
    store.cut_pushes();
    let outage = store.on_any().fail(ErrorKind::Unavailable);
    let served = is_held_near.then_some(1);
    assert_eq!((get(&mine).await, get(&other).await), (served, served));
    other.set("k", &2u32).await.unwrap_err();
    assert_eq!(get(&other).await, None);
    mine.invalidate().await.unwrap_err();
    assert_eq!(get(&mine).await, None);
    outage.lift();
    assert_eq!((get(&mine).await, get(&other).await), (Some(1), Some(1)));
}
