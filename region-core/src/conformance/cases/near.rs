//! The near cache in front of a store: two clients of the same data, each with values near.
//!
//! A push takes its time, so a change by another client is waited for; one by the client itself is not.

use super::super::fixture::{path, until};
use super::super::{Able, Harness};
use crate::cache::RegionCache;
use crate::handle::RegionHandle;
use crate::path::RegionPath;
use crate::policy::{NearCache, Policy};
use crate::region::{Region, RegionExt};
use crate::store::{Store, Verb};

/// The bytes of each near cache.
pub(super) const BYTES: u64 = 1 << 20;

/// The number of times that two clients take turns.
pub(super) const ROUNDS: u32 = 20;

pub(super) fn near(store: impl Store) -> RegionCache {
    let cache = RegionCache::builder(store).root("r").near(BYTES).build();
    cache.unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn region(cache: &RegionCache, relative: &str) -> RegionHandle {
    cache.region(relative).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) async fn get(region: &RegionHandle) -> Option<u32> {
    region.get::<u32>("k").await.unwrap().map(|value| *value)
}

pub(super) async fn assert_comes(region: &RegionHandle, value: Option<u32>, what: &str) {
    let came = until(async || get(region).await == value).await;
    assert!(came, "{what}: {value:?} has not been seen");
}

/// Stores `value`, and reads it so often that it is near if this store has it near at all.
pub(super) async fn hold(region: &RegionHandle, value: u32) {
    region.set("k", &value).await.unwrap();
    for _ in 0..3 {
        assert_eq!(get(region).await, Some(value), "an own write is seen at once");
        assert!(region.contains("k").await.unwrap());
    }
}

/// The verbs that end the entries of `region`, a grandchild of the root, each with the region that it is applied to.
pub(super) fn covering(region: &RegionPath) -> Vec<(&'static str, Verb)> {
    let verbs = [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch];
    let each = ["a", "a.b", "a.b.c"].into_iter().flat_map(|ended| verbs.map(|verb| (ended, verb)));
    each.filter(|(ended, verb)| verb.covers(&path(&format!("r.{ended}")), region)).collect()
}

/// Writes, removals, invalidations, touches and expiries by another client are seen.
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
    for (ended, verb) in covering(mine.path()) {
        hold(&mine, 4).await;
        region(&there, ended).end(verb).await.unwrap();
        assert_comes(&mine, None, &format!("{verb:?} of {ended}")).await;
    }
}

/// A client sees its own changes at once, whatever it holds near.
pub async fn own_changes_are_seen_near<H: Harness>(harness: &H) {
    let cache = near(harness.store().await);
    let mine = region(&cache, "a.b");
    let plain = Policy::new().near(NearCache::Off);
    for (ended, verb) in covering(mine.path()) {
        hold(&mine, 1).await;
        region(&cache, ended).with_policy(plain.clone()).unwrap().end(verb).await.unwrap();
        assert!(!mine.contains("k").await.unwrap(), "{verb:?} of {ended}");
        assert_eq!(get(&mine).await, None, "{verb:?} of {ended}");
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

/// A value that the store has lost is not served.
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
