//! The condition that a store tells of itself.

use super::super::fixture::{Fixture, path, until};
use super::super::heard::Heard;
use super::super::{Able, Harness};
use crate::store::Store;

/// A store whose servers serve has no problem to tell, for each of its clients; of one that was made just now it may
/// take a moment until that is known.
pub async fn a_store_that_serves_tells_no_problem<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let other = f.client().await;
    let _listens = Heard::of(&other.store);
    f.set("r.a", "k", "1").await;
    for client in [&f, &other] {
        assert_eq!(client.get("r.a", "k").await.as_deref(), Some("1"));
        let is_well = until(async || client.store.health().problems().is_empty()).await;
        assert!(is_well, "it serves: {:?}", client.store.health());
    }
}

/// Whoever asks for the condition need not be in a runtime, and is answered at once.
pub async fn health_needs_no_runtime<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    std::thread::scope(|scope| {
        let outside = scope.spawn(|| f.store.health());
        assert!(outside.join().is_ok(), "it panics outside a runtime");
    });
}

/// A problem is no longer told once its cause is gone.
pub async fn a_cut_connection_is_no_lasting_problem<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let _listens = Heard::of(&f.store);
    f.set("r.a", "k", "1").await;
    if harness.cut_pushes(&f.store).await == Able::No {
        return;
    }
    let is_well = until(async || {
        let read = f.store.len(&path("r.a")).await;
        read.is_ok() && f.store.health().problems().is_empty()
    });
    assert!(is_well.await, "the connection is back: {:?}", f.store.health());
}
