//! Values near that are served for a while although nothing tells that they are the store's.

use super::super::Harness;
use super::super::fixture::{LONG, until};
use super::near::{BYTES, ROUNDS, covering, get, hold, near, region};
use crate::cache::RegionCache;
use crate::error::ErrorKind;
use crate::policy::Policy;
use crate::region::{Region, RegionExt};
use crate::store::Store;
use crate::testing::Faulty;

/// A cache that serves values near for a while although nothing tells that they are the store's.
fn lenient(store: impl Store) -> RegionCache {
    let policy = Policy::new().near_unverified_for(LONG).near_outage_for(LONG);
    let cache = RegionCache::builder(store).root("r").policy(policy).near(BYTES).build();
    cache.unwrap_or_else(|error| panic!("{error}"))
}

/// A client sees its own changes at once, also where it need not verify what it holds near.
pub async fn own_changes_are_seen_unverified<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let here = lenient(harness.client(&store).await);
    let mine = region(&here, "a.b");
    for (ended, verb) in covering(mine.path()) {
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
