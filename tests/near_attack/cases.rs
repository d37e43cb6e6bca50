//! One schedule each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use region_cache::{MemoryStore, Policy, Region, RegionExt, RegionHandle, TokioClock, Verb};
use servers::{Flavor, TestServer};

use crate::kit::{Shared, connect, ms, near, soon, until_near, until_value, value};

#[derive(Clone, Copy, Debug)]
enum Change {
    Set,
    SetMany,
    Remove,
    Take,
    Fill,
    End(Verb),
}

const CHANGES: [Change; 9] = [
    Change::Set,
    Change::SetMany,
    Change::Remove,
    Change::Take,
    Change::Fill,
    Change::End(Verb::Invalidate),
    Change::End(Verb::Touch),
    Change::End(Verb::Expire),
    Change::End(Verb::InvalidateAndTouch),
];

/// Makes a change after which `k` is 2, or nothing. Returns its value.
async fn change(region: &RegionHandle, how: Change) -> Option<u64> {
    match how {
        Change::Set => region.set("k", &2_u64).await.unwrap(),
        Change::SetMany => region.set_many(&[("other", &2_u64), ("k", &2)]).await.unwrap(),
        Change::Remove => assert!(region.remove("k").await.unwrap()),
        Change::Take => drop(region.take::<u64>("k").await.unwrap()),
        Change::Fill => {
            let load = || async { Ok::<_, std::io::Error>(2_u64) };
            region.reload("k", load).await.unwrap();
        }
        Change::End(verb) => region.end(verb).await.unwrap(),
    }
    matches!(how, Change::Set | Change::SetMany | Change::Fill).then_some(2)
}

/// Two caches in one process share a store, and so its connections: what one of them changes, the other
/// must not go on serving. Redis kept the push of an own write back from all who listen, so that the
/// other cache never heard of it; now it does so only while there is one listener.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_another_cache_over_the_same_store_is_seen() {
    for shared in Shared::all().await {
        let (own, other) = (shared.cache(), shared.cache());
        for (round, how) in CHANGES.into_iter().enumerate() {
            let path = format!("r:{round}.leaf");
            let (mine, theirs) = (own.region(&path).unwrap(), other.region(&path).unwrap());
            theirs.set("k", &1_u64).await.unwrap();
            until_near(&own, &mine).await;
            until_near(&other, &theirs).await;
            let expected = change(&theirs, how).await;
            assert_eq!(value(&theirs, "k").await, expected, "{} {how:?}", shared.name());
            until_value(&format!("{} {how:?}", shared.name()), &mine, expected).await;
        }
    }
}

/// Two handles of one cache, one of which keeps nothing near.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_a_handle_without_near_values_is_seen_at_once() {
    for shared in Shared::all().await {
        let cache = shared.cache();
        for (round, how) in CHANGES.into_iter().enumerate() {
            let region = cache.region(&format!("r:{round}.leaf")).unwrap();
            let far = region.with_policy(Policy::new().near(region_cache::NearCache::Off)).unwrap();
            region.set("k", &1_u64).await.unwrap();
            until_near(&cache, &region).await;
            let expected = change(&far, how).await;
            assert_eq!(value(&region, "k").await, expected, "{} {how:?}", shared.name());
        }
    }
}

/// A write under a policy without a region TTL into a region whose TTL runs: the near cache kept the value
/// for its own lifetime, beyond the region's; now no longer than the store says.
#[tokio::test(start_paused = true)]
async fn a_value_near_ends_with_the_ttl_of_its_region() {
    let store = MemoryStore::builder().clock(TokioClock::new()).build();
    let (one, other) = (near(store.client(), Policy::new()), near(store.client(), Policy::new()));
    let region = one.region("r").unwrap();
    let timed = other.region("r").unwrap();
    let timed = timed.with_policy(Policy::new().region_ttl(Duration::from_secs(2))).unwrap();
    timed.set("other", &1_u64).await.unwrap();
    region.set("k", &1_u64).await.unwrap();
    assert_eq!(value(&region, "k").await, Some(1));
    tokio::time::advance(ms(1_900)).await;
    assert_eq!(value(&region, "k").await, Some(1));
    tokio::time::advance(ms(200)).await;
    assert_eq!(value(&region, "k").await, None);
}

/// A reader that asked for a verification and is not polled any more held up all others of its region.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_not_polled_holds_up_no_other() {
    let server = TestServer::start(Flavor::Redis);
    let (one, other) = (connect(&server.url()).await, connect(&server.url()).await);
    let (one, other) = (near(one, Policy::new()), near(other, Policy::new()));
    let (region, theirs) = (one.region("r").unwrap(), other.region("r").unwrap());
    region.set("k", &1_u64).await.unwrap();
    let _unpolled = loop {
        theirs.set("other", &1_u64).await.unwrap();
        let mut read = Box::pin(region.get::<u64>("k"));
        if poll!(&mut read).is_pending() {
            break read;
        }
    };
    assert_eq!(soon(value(&region, "k")).await, Some(1));
}

/// Two keys that always change together: a read of both, one of which is near, saw one half of a change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_of_keys_near_and_far_sees_no_half_of_a_transaction() {
    let server = TestServer::start(Flavor::Redis);
    let (one, other) = (connect(&server.url()).await, connect(&server.url()).await);
    let (one, other) = (near(one, Policy::new()), near(other, Policy::new()));
    let (region, theirs) = (one.region("r").unwrap(), other.region("r").unwrap());
    theirs.set_many(&[("k", &0_u64), ("far", &0)]).await.unwrap();
    for round in 1..200_u64 {
        until_near(&one, &region).await;
        let values = [("k", &round), ("far", &round)];
        let write = theirs.set_many(&values);
        let read = async {
            tokio::task::yield_now().await;
            region.get_many::<u64>(&["k", "far"]).await
        };
        let (written, read) = tokio::join!(write, read);
        written.unwrap();
        let read: Vec<_> = read.unwrap().into_iter().map(|value: Option<Arc<u64>>| value).collect();
        assert_eq!(read[0], read[1], "round {round}");
    }
}
