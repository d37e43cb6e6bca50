//! Regions bound to streams of events.

use std::time::Duration;

use region_core::testing::Method;
use region_core::{ErrorKind, Region, RegionExt};

use super::kit::{faulty, region, within};

/// Bug: an error that is not retryable ended the tries after a few seconds.
/// Effect: a permission that was missing for eight seconds lost an invalidation for good.
/// Fix: it is tried until it succeeds, whatever the error, and the subscription tells of it.
#[tokio::test(start_paused = true)]
async fn an_invalidation_by_event_is_tried_until_it_succeeds() {
    for kind in [ErrorKind::Denied, ErrorKind::Unavailable, ErrorKind::Store] {
        let store = faulty();
        let region = region(store.clone());
        region.set("k", &1u32).await.unwrap();
        let outage = store.inner().on(Method::End).fail(kind);
        let (send, events) = tokio::sync::mpsc::channel::<()>(1);
        let events = futures_util::stream::unfold(events, |mut events| async move {
            events.recv().await.map(|event| (event, events))
        });
        let subscription = region.invalidate_on(events);
        assert_eq!(subscription.failures_in_a_row(), 0);
        send.send(()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let failures = subscription.failures_in_a_row();
        assert!((720..1600).contains(&failures), "{failures} tries in an hour");
        assert_eq!(subscription.last_error().unwrap().kind(), kind);
        assert!(!subscription.has_ended());
        outage.lift();
        within(Duration::from_secs(6), async {
            while region.get::<u32>("k").await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(subscription.failures_in_a_row(), 0);
        assert!(subscription.last_error().is_none());
    }
}

/// The tries end with the subscription.
#[tokio::test(start_paused = true)]
async fn a_dropped_subscription_tries_no_more() {
    let store = faulty();
    let region = region(store.clone());
    store.inner().on(Method::End).fail(ErrorKind::Unavailable);
    let events = futures_util::stream::iter([()]);
    let subscription = region.invalidate_on(events);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tries = store.count(Method::End);
    assert!(tries > 5);
    drop(subscription);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(store.count(Method::End) <= tries + 1);
}
