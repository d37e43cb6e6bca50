//! A server that is down, hung or not heard while a dependency ends.

use std::time::Duration;

use region_core::{Policy, Verb};
use region_redis::OnInvalidationFailure;
use servers::{Flavor, Proxy, TestServer};

use super::kit::{Page, VERBS, near, strict};
use crate::kit::{bounded, builder, connect, until, until_ok};

servers::on_both! {
    an_end_that_waits_for_the_server_holds_at_once
    a_cut_connection_ends_trust_in_markers
    a_silent_connection_ends_trust_in_markers
    a_dependency_that_may_have_ended_is_not_served_in_an_outage
}

/// Longer than any of the cases takes.
const BOUND: Duration = Duration::from_secs(600);

/// Promises 4 and 6: the end is queued. It holds from then on, near and after the server is back, where the
/// marker is still there.
async fn an_end_that_waits_for_the_server_holds_at_once(flavor: Flavor) {
    for policy in [Policy::new(), near(), near().near_outage_for(BOUND)] {
        for verb in VERBS {
            let server = TestServer::start(flavor);
            let proxy = Proxy::start(server.port()).await;
            let store = builder(&proxy.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
            let store = store.connect().await.unwrap();
            let page = Page::new(store.clone(), policy.clone());
            let loaded = page.load(page.options()).await;
            assert_eq!(page.get().await, Some(loaded));
            proxy.silence();
            bounded(page.end(verb)).await.unwrap();
            assert!(store.stats().has_queued);
            assert_eq!(bounded(page.get()).await, None, "{verb:?}, while the server is away");
            let other = page.beside(connect(&server.url()).await, Policy::new());
            assert_eq!(other.get().await, Some(loaded), "the server has not heard of it");
            proxy.restore();
            until("the store to come back", || store.stats().primary.is_up).await;
            assert_eq!(page.get().await, None, "{verb:?}");
            assert!(!store.stats().has_queued);
            assert_eq!(other.get().await, None, "{verb:?}");
            assert_eq!(page.load(page.options()).await, loaded + 1);
        }
    }
}

/// Promise 5: who holds the value near, and the marker, is told of nothing while its connection is away.
async fn a_cut_connection_ends_trust_in_markers(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let theirs = Page::new(connect(&server.url()).await, Policy::new());
    let page = theirs.beside(connect(&proxy.url()).await, strict(near()));
    for verb in VERBS {
        let loaded = page.hold().await;
        proxy.cut();
        theirs.end(verb).await.unwrap();
        page.until_missing(loaded).await;
        // Nothing that comes later brings it back.
        assert_eq!(page.get().await, None, "{verb:?}");
        let new = theirs.load(theirs.options()).await;
        assert_eq!(new, loaded + 1);
        assert_eq!(until_ok(|| page.try_load(page.options())).await, new, "{verb:?}");
    }
}

/// The same if nothing passes and nothing says so.
async fn a_silent_connection_ends_trust_in_markers(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let theirs = Page::new(connect(&server.url()).await, Policy::new());
    let store = connect(&proxy.url()).await;
    let page = theirs.beside(store.clone(), strict(near()));
    for verb in [Verb::Touch, Verb::Invalidate] {
        let loaded = page.hold().await;
        proxy.silence();
        theirs.end(verb).await.unwrap();
        until("the store to notice", || !store.stats().primary.is_up).await;
        bounded(page.try_get()).await.unwrap_err();
        proxy.restore();
        page.until_missing(loaded).await;
        assert_eq!(page.get().await, None, "{verb:?}");
    }
}

/// Promise 4: a value near is served unverified within the policy's bound, unless this process may have ended
/// what it depends on.
async fn a_dependency_that_may_have_ended_is_not_served_in_an_outage(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let page = Page::new(store.clone(), near().near_outage_for(BOUND));
    let loaded = page.hold().await;
    page.end(Verb::Touch).await.unwrap();
    let new = page.hold().await;
    assert_eq!(new, loaded + 1);
    server.kill();
    until("the store to notice", || !store.stats().primary.is_up).await;
    assert_eq!(bounded(page.get()).await, Some(new), "within the bound of the policy");
    bounded(page.end(Verb::Touch)).await.unwrap_err();
    assert_eq!(bounded(page.get()).await, None, "this process may have ended it");
    server.restart();
    until("the store to come back", || store.stats().primary.is_up).await;
    page.until_missing(new).await;
}
