//! Records that there is no value, served without trust for as long as the policy allows.

use std::convert::Infallible;
use std::time::Duration;

use region_core::{ErrorKind, Loaded, OnOutage, Policy, Region, RegionExt};

use super::absence::{SECOND, assert_answered, difference, forget, load};
use super::kit::{Process, Pushes, memory};

/// The bound in these tests.
const BOUND: Duration = Duration::from_secs(20);

/// Over a store that never pushes.
#[tokio::test(start_paused = true)]
async fn an_absence_is_served_unverified_within_the_bound() {
    let store = memory();
    let policy = Policy::new().near_unverified_for(BOUND);
    let here = Process::new(&store, Pushes::Never, policy);
    let there = Process::new(&store, Pushes::OfOthers, Policy::new());
    let (mine, theirs) = (here.region("a"), there.region("a"));
    forget(&mine).await;
    tokio::time::advance(BOUND).await;
    assert_answered(&here, &mine, 1).await;
    theirs.set("k", &1u32).await.unwrap();
    assert_answered(&here, &mine, 1).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, Some(1)).await;
}

/// While the store does not serve.
#[tokio::test(start_paused = true)]
async fn an_absence_is_served_in_an_outage_within_the_bound() {
    for on_outage in [OnOutage::Miss, OnOutage::Error] {
        let policy = Policy::new().near_outage_for(BOUND).on_outage(on_outage);
        let here = Process::new(&memory(), Pushes::OfOthers, policy);
        let mine = here.region("a");
        forget(&mine).await;
        let outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
        here.cut_pushes();
        let stats = || here.cache.stats();
        let before = stats();
        assert_eq!(load(&mine, Loaded::new(9)).await, (None, false));
        assert_eq!(mine.get::<u32>("k").await.unwrap(), None);
        assert_eq!(mine.get_many::<u32>(&["k"]).await.unwrap(), [None]);
        assert_eq!(difference(&stats(), &before), [3, 1, 2, 3, 3]);
        // It is no value, and the store cannot tell if there is one.
        let load_value = || async { Ok::<_, Infallible>(5u32) };
        match (on_outage, mine.get_or_compute("k", load_value).await) {
            (OnOutage::Miss, value) => assert_eq!(*value.unwrap(), 5),
            (OnOutage::Error, value) => {
                assert_eq!(value.unwrap_err().kind(), ErrorKind::Unavailable);
            }
        }
        tokio::time::advance(BOUND + SECOND).await;
        let read = mine.get::<u32>("k").await;
        assert_eq!(read.is_err(), on_outage == OnOutage::Error);
        outage.lift();
        assert_eq!(load(&mine, Loaded::new(9)).await, (None, false));
    }
}
