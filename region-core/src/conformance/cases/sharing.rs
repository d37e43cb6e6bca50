//! Several clients, pushes, losses and replicas.

use super::super::fixture::{Fixture, SHORT, path, put};
use super::super::heard::Heard;
use super::super::{Able, Harness};
use crate::store::{Op, ReadFrom, ReadTerms, Store, Verb};

/// Every client sees the changes of the others.
pub async fn clients_see_each_other<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let other = f.client().await;
    f.set("r.a", "k", "1").await;
    assert_eq!(other.get("r.a", "k").await.as_deref(), Some("1"));
    other.end("r", Verb::Invalidate).await;
    assert_eq!(f.get("r.a", "k").await, None);
    let fence = f.lease("r.a", "k").await;
    other.set("r.a", "k", "2").await;
    assert!(!f.fill("r.a", "k", "3", &fence).await);
}

/// Where there are pushes, each change of what a client has read is pushed to it.
pub async fn pushes_cover_every_change<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let reader = f.client().await;
    let Some(heard) = Heard::of(&reader.store) else {
        assert!(Heard::of(&f.store).is_none(), "all clients have pushes, or none");
        return;
    };
    reader.read("r.a", &["k"]).await;
    f.set("r.a", "k", "1").await;
    heard.assert_hears_of("r.a", "creation").await;
    reader.read("r.a", &["k"]).await;
    f.set("r.a", "k", "2").await;
    heard.assert_hears_of("r.a", "a put").await;
    reader.read("r.a", &["k"]).await;
    f.apply("r.a", &[Op::Remove { key: "k" }]).await;
    heard.assert_hears_of("r.a", "a removal").await;
    let fence = f.lease("r.a", "k").await;
    reader.read("r.a", &["k"]).await;
    assert!(f.fill("r.a", "k", "3", &fence).await);
    heard.assert_hears_of("r.a", "a fill").await;
    for (ended, verb) in [
        ("r.a", Verb::Invalidate),
        ("r", Verb::Invalidate),
        ("r.a", Verb::Expire),
        ("r", Verb::Expire),
        ("r.a", Verb::Touch),
        ("r.a.below", Verb::Touch),
        ("r.a", Verb::InvalidateAndTouch),
        ("r.a.below", Verb::InvalidateAndTouch),
    ] {
        f.set("r.a", "k", "x").await;
        let reader = f.client().await;
        let heard = Heard::of(&reader.store).unwrap_or_else(|| panic!("as before"));
        reader.read("r.a", &["k"]).await;
        f.end(ended, verb).await;
        heard.assert_hears_of("r.a", &format!("{verb:?} of {ended}")).await;
    }
}

/// A reader's own changes end its trust too, or leave it told of what others do later.
pub async fn own_changes_do_not_silence_pushes<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let other = f.client().await;
    let Some(heard) = Heard::of(&f.store) else { return };
    f.set("r.a", "k", "1").await;
    for round in ["once", "again"] {
        assert_eq!(f.get("r.a", "k").await.as_deref(), Some("1"), "{round}");
        f.set("r.a", "k", "mine").await;
        let own = heard.hears_of(SHORT, "r.a").await;
        other.set("r.a", "k", "theirs").await;
        let others = own || heard.hears_of(SHORT, "r.a").await;
        assert!(others, "no push after an own change and another's, {round}");
        f.set("r.a", "k", "1").await;
    }
}

/// A store that lost everything holds nothing, and loads that began before it did are fenced.
pub async fn losing_all_is_a_miss<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "k", "x").await;
    let before = f.read("r.a", &[]).await.lineage;
    let fence = f.lease("r.a", "loading").await;
    if f.harness.lose_all(&f.store).await == Able::No {
        return;
    }
    assert_eq!(f.get("r.a", "k").await, None);
    assert!(!f.fill("r.a", "loading", "old", &fence).await);
    f.set("r.a", "other", "x").await;
    assert_eq!(f.get("r.a", "k").await, None);
    assert_ne!(f.read("r.a", &[]).await.lineage, before, "created anew");
}

/// A region that lost its ids alone is created with others: its entries, and those below, stay dead.
pub async fn losing_incarnations_is_a_miss<H: Harness>(harness: &H) {
    for lost in ["r", "r.a", "r.a.b"] {
        let f = Fixture::new(harness).await;
        f.set("r.a.b", "k", "x").await;
        let fence = f.lease("r.a.b", "loading").await;
        if f.harness.lose_incarnations(&f.store, &path(lost)).await == Able::No {
            return;
        }
        assert_eq!(f.get("r.a.b", "k").await, None, "{lost}");
        f.set("r.a.b.c", "k", "x").await;
        assert_eq!(f.get("r.a.b", "k").await, None, "{lost}, after it was created again");
        assert!(!f.fill("r.a.b", "loading", "old", &fence).await, "{lost}");
    }
}

/// A client sees its own changes in replica reads too, however far the replica lags.
pub async fn own_changes_are_seen_in_replicas<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.apply("r.a", &[Op::Put(put("k", "old")), Op::Put(put("gone", "old"))]).await;
    if f.harness.hold_replica(&f.store).await == Able::No {
        return;
    }
    let replica = |key: &'static str| {
        let f = &f;
        async move {
            let read = f
                .store
                .read(&path("r.a"), &[key], ReadTerms::new(ReadFrom::Replica))
                .await
                .unwrap();
            read.entries[0].as_ref().map(|entry| entry.bytes.clone())
        }
    };
    assert_eq!(replica("k").await.as_deref(), Some(&b"old"[..]));
    f.set("r.a", "k", "new").await;
    assert_eq!(replica("k").await.as_deref(), Some(&b"new"[..]));
    f.apply("r.a", &[Op::Remove { key: "gone" }]).await;
    assert_eq!(replica("gone").await, None);
    for verb in [Verb::Touch, Verb::Expire, Verb::Invalidate] {
        f.set("r.a", "k", "old").await;
        f.end("r.a", verb).await;
        assert_eq!(replica("k").await, None, "{verb:?}");
    }
}
