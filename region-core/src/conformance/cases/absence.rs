//! Records that there is no value, held near.

use std::convert::Infallible;
use std::time::Duration;

use super::super::fixture::{LONG, SHORT, until};
use super::super::{Able, Harness};
use super::near::{assert_comes, covering, get, near, region};
use crate::handle::RegionHandle;
use crate::region::{LoadOptions, Loaded, Region, RegionExt};

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
    for (ended, verb) in covering(mine.path()) {
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

/// A client's own change ends the record that there is no value at once.
pub async fn an_absence_near_ends_with_own_changes<H: Harness>(harness: &H) {
    let cache = near(harness.store().await);
    let mine = region(&cache, "a.b");
    hold_absence(&mine).await;
    mine.set("k", &1u32).await.unwrap();
    assert_eq!(load_absence(&mine, LONG).await, (Some(1), false));
    hold_absence(&mine).await;
    assert!(mine.set_if_absent("k", &2u32).await.unwrap());
    assert_eq!(load_absence(&mine, LONG).await, (Some(2), false));
    for (ended, verb) in covering(mine.path()) {
        hold_absence(&mine).await;
        region(&cache, ended).end(verb).await.unwrap();
        let loaded = load_absence(&mine, LONG).await;
        assert_eq!(loaded, (None, true), "{verb:?} of {ended}");
    }
    hold_absence(&mine).await;
    assert_eq!(get(&mine).await, None);
}
