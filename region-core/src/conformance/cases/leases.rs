//! The right to load.

use std::sync::Arc;
use std::time::Duration;

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, SHORT, lifetime, path, put};
use crate::store::{Lease, LeaseTerms, LeaseToken, Op, Put, Store, TakeLease, Verb};

const TAKERS: usize = 32;

/// `begin` creates a region and its ancestors; after that it finds them.
pub async fn begin_creates_once<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let first = f.lease("r.a.b", "k").await;
    let (lineage, _) =
        f.begin("r.a.b", "other", LeaseToken::random(), TakeLease::UnlessFresh).await;
    assert_eq!(first.lineage, lineage);
    assert_eq!(f.read("r.a.b", &[]).await.lineage.as_ref(), Some(&lineage));
    assert!(f.read("r.a", &[]).await.lineage.is_some());
    assert!(f.read("r", &[]).await.lineage.is_some());
}

/// A held lease is not granted to another, who is told the holder; the holder gets it again.
pub async fn one_holder_at_a_time<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let holder = f.lease("r", "k").await;
    for take in [TakeLease::UnlessFresh, TakeLease::Always, TakeLease::Extend] {
        let (_, begun) = f.client().await.begin("r", "k", LeaseToken::random(), take).await;
        match begun.lease {
            Lease::Held { by, left } => {
                assert_eq!(by, holder.token);
                assert!(left <= LONG && left > LONG / 2, "{left:?}");
            }
            other => panic!("{take:?}: {other:?}"),
        }
    }
    let (_, again) = f.begin("r", "k", holder.token, TakeLease::UnlessFresh).await;
    assert_eq!(again.lease, Lease::Granted);
    f.lease("r", "another").await;
    f.lease("r.a", "k").await;
}

/// The lease of a fresh entry is taken only on request; that of a stale one is as of a missing one.
pub async fn fresh_entries_need_no_lease<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let token = LeaseToken::random();
    f.apply("r", &[Op::Put(Put { stale_for: LONG, ..put("k", "v") })]).await;
    let (_, begun) = f.begin("r", "k", token, TakeLease::UnlessFresh).await;
    assert_eq!(begun.lease, Lease::NotTaken);
    assert!(begun.entry.is_some_and(|entry| entry.is_fresh()));
    let (_, begun) = f.begin("r", "k", token, TakeLease::Always).await;
    assert_eq!(begun.lease, Lease::Granted);
    f.end("r", Verb::Expire).await;
    let (_, begun) = f.begin("r", "k", LeaseToken::random(), TakeLease::UnlessFresh).await;
    assert_eq!(begun.lease, Lease::Granted, "expiry voids leases");
    assert!(begun.entry.is_some_and(|entry| !entry.is_fresh()));
}

/// A holder that died is taken over from.
pub async fn a_lease_ends_in_time<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let terms = LeaseTerms::new(LeaseToken::random(), SHORT);
    let (_, begun) = f.begin_with("r", "k", terms).await;
    assert_eq!(begun.lease, Lease::Granted);
    f.advance(SHORT).await;
    f.lease("r", "k").await;
}

/// A holder that lives keeps its lease for as long as it extends it.
pub async fn extending_keeps_a_lease<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let token = LeaseToken::random();
    let terms = |duration, take| LeaseTerms::new(token, duration).take(take);
    f.begin_with("r", "k", terms(SHORT, TakeLease::UnlessFresh)).await;
    let (_, begun) = f.begin_with("r", "k", terms(LONG, TakeLease::Extend)).await;
    assert_eq!(begun.lease, Lease::Granted);
    f.advance(SHORT * 2).await;
    let (_, begun) = f.begin("r", "k", LeaseToken::random(), TakeLease::UnlessFresh).await;
    assert!(matches!(begun.lease, Lease::Held { by, .. } if by == token), "{:?}", begun.lease);
}

/// A load whose lease was voided cannot get it back by extending it: it would be a new lease for an
/// old value.
pub async fn a_lost_lease_is_not_extended<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let fence = f.lease("r", "k").await;
    f.apply("r", &[Op::Remove { key: "k" }]).await;
    let (_, begun) = f.begin("r", "k", fence.token, TakeLease::Extend).await;
    assert_eq!(begun.lease, Lease::NotTaken);
    assert!(!f.fill("r", "k", "old", &fence).await, "filled under a lease that was lost");
    let fence = f.lease("r", "k").await;
    f.end("r", Verb::Invalidate).await;
    let (_, begun) = f.begin("r", "k", fence.token, TakeLease::Extend).await;
    assert_eq!(begun.lease, Lease::NotTaken);
}

/// Putting, removing and taking a key voids its lease and no other.
pub async fn changes_of_the_key_void_its_lease<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let over = Put { fresh_for: lifetime(Duration::from_millis(1)), ..put("k", "v") };
    for op in [Op::Put(over), Op::Remove { key: "k" }, Op::Take { key: "k" }] {
        f.lease("r", "k").await;
        let other = f.lease("r", "other").await;
        f.apply("r", &[op]).await;
        f.advance(Duration::from_millis(2)).await;
        f.lease("r", "k").await;
        assert!(f.fill("r", "other", "v", &other).await);
        f.apply("r", &[Op::Remove { key: "other" }, Op::Remove { key: "k" }]).await;
    }
}

/// A lease given back is free at once, or as soon as the store was told; another's stays.
pub async fn a_released_lease_is_free<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let (first, second) = (f.lease("r.a", "k").await, f.lease("r.a", "other").await);
    let keys = ["k", "other", "never leased"];
    f.store.release(&path("r.a"), &keys, LeaseToken::random());
    f.store.release(&path("r.missing"), &keys, first.token);
    f.released("r.a", &keys, first.token).await;
    let (_, begun) = f.begin("r.a", "other", LeaseToken::random(), TakeLease::UnlessFresh).await;
    assert!(matches!(begun.lease, Lease::Held { by, .. } if by == second.token), "another's lease");
    let next = f.client().await.lease("r.a", "k").await;
    assert!(!f.fill("r.a", "k", "old", &first).await, "it was given back");
    assert!(f.fill("r.a", "k", "new", &next).await);
    assert!(f.fill("r.a", "other", "v", &second).await);
}

/// A lease may be given back from anywhere: where there is no runtime, and where one is going away.
pub async fn a_release_needs_no_runtime<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let fence = f.lease("r.a", "k").await;
    std::thread::scope(|scope| {
        let outside = scope.spawn(|| f.store.release(&path("r.a"), &["k"], fence.token));
        assert!(outside.join().is_ok(), "it panics outside a runtime");
    });
    f.is_free("r.a", "k", fence.token).await;
    f.lease("r.a", "k").await;
}

/// When the lineage changes, leases taken under the old one are void at once.
pub async fn ends_void_leases<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let ends = [
        ("r.a", Verb::Invalidate),
        ("r", Verb::Invalidate),
        ("r.a", Verb::Touch),
        ("r.a.below", Verb::Touch),
        ("r.a", Verb::Expire),
        ("r", Verb::Expire),
        ("r", Verb::InvalidateAndTouch),
        ("r.a.below", Verb::InvalidateAndTouch),
    ];
    for (region, verb) in ends {
        f.lease("r.a", "k").await;
        f.end(region, verb).await;
        // Only if the lease is void can another take it.
        f.lease("r.a", "k").await;
        f.apply("r.a", &[Op::Remove { key: "k" }]).await;
    }
}

/// Of many who ask at once one is granted the lease, and all others are told of that one.
pub async fn one_of_many_is_granted<H: Harness>(harness: &H) {
    let store = Arc::new(harness.store().await);
    let ask = |_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let token = LeaseToken::random();
            let terms = LeaseTerms::new(token, LONG);
            let mut begun = store.begin(&path("r.a"), &["k"], terms).await.unwrap();
            (token, begun.keys.remove(0).lease)
        })
    };
    let asked: Vec<_> = (0..TAKERS).map(ask).collect();
    let mut granted = Vec::new();
    let mut told = Vec::new();
    for answer in asked {
        match answer.await.unwrap() {
            (token, Lease::Granted) => granted.push(token),
            (_, Lease::Held { by, .. }) => told.push(by),
            (_, other) => panic!("{other:?}"),
        }
    }
    assert_eq!(granted.len(), 1);
    assert!(told.iter().all(|by| *by == granted[0]));
}
