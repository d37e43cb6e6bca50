//! Several clients, pushes, losses and replicas.

use std::time::Duration;

use futures_util::StreamExt;

use super::super::fixture::{Fixture, SHORT, path, put};
use super::super::{Able, Harness};
use crate::path::RegionPath;
use crate::store::{Event, EventStream, Op, ReadFrom, Store, Verb};

/// How long a push may take.
const PUSH_LIMIT: Duration = Duration::from_secs(5);

/// What one client does, another sees.
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

/// Whether `event` ends trust in what was read in `region`.
fn covers(event: &Event, region: &RegionPath) -> bool {
    match event {
        Event::Lineage(changed) => region.is_within(changed),
        Event::Entries(changed) => region == changed,
        Event::All => true,
    }
}

/// Whether a push for `region` comes in time.
async fn is_pushed_within(limit: Duration, events: &mut EventStream, region: &str) -> bool {
    let region = path(region);
    let pushed = async {
        while let Some(event) = events.next().await {
            if covers(&event, &region) {
                return true;
            }
        }
        false
    };
    matches!(tokio::time::timeout(limit, pushed).await, Ok(true))
}

async fn assert_pushed(events: &mut EventStream, region: &str, what: &str) {
    assert!(
        is_pushed_within(PUSH_LIMIT, events, region).await,
        "no push for {region} after {what}"
    );
}

/// Where there are pushes, each change of what a client has read is pushed to it.
pub async fn pushes_cover_every_change<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let reader = f.client().await;
    let Some(mut events) = reader.store.events() else {
        assert!(f.store.events().is_none(), "all clients have pushes, or none");
        return;
    };
    reader.read("r.a", &["k"]).await;
    f.set("r.a", "k", "1").await;
    assert_pushed(&mut events, "r.a", "birth").await;
    reader.read("r.a", &["k"]).await;
    f.set("r.a", "k", "2").await;
    assert_pushed(&mut events, "r.a", "a put").await;
    reader.read("r.a", &["k"]).await;
    f.apply("r.a", &[Op::Remove { key: "k" }]).await;
    assert_pushed(&mut events, "r.a", "a removal").await;
    let fence = f.lease("r.a", "k").await;
    reader.read("r.a", &["k"]).await;
    assert!(f.fill("r.a", "k", "3", &fence).await);
    assert_pushed(&mut events, "r.a", "a fill").await;
    for (ended, verb) in [
        ("r.a", Verb::Invalidate),
        ("r", Verb::Invalidate),
        ("r.a", Verb::Expire),
        ("r", Verb::Expire),
        ("r.a", Verb::Touch),
        ("r.a.below", Verb::Touch),
    ] {
        f.set("r.a", "k", "x").await;
        let reader = f.client().await;
        let mut events = reader.store.events().unwrap_or_else(|| panic!("as before"));
        reader.read("r.a", &["k"]).await;
        f.end(ended, verb).await;
        assert_pushed(&mut events, "r.a", &format!("{verb:?} of {ended}")).await;
    }
}

/// A reader's own changes end its trust too, or leave it told of what others do later.
pub async fn own_changes_do_not_silence_pushes<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let other = f.client().await;
    let Some(mut events) = f.store.events() else { return };
    f.set("r.a", "k", "1").await;
    for round in ["once", "again"] {
        assert_eq!(f.get("r.a", "k").await.as_deref(), Some("1"), "{round}");
        f.set("r.a", "k", "mine").await;
        let own = is_pushed_within(SHORT, &mut events, "r.a").await;
        other.set("r.a", "k", "theirs").await;
        let others = own || is_pushed_within(SHORT, &mut events, "r.a").await;
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
    assert_ne!(f.read("r.a", &[]).await.lineage, before, "born anew");
}

/// A region that lost its ids alone is born with others: its entries, and those below, stay dead.
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
        assert_eq!(f.get("r.a.b", "k").await, None, "{lost}, after it was born again");
        assert!(!f.fill("r.a.b", "loading", "old", &fence).await, "{lost}");
    }
}

/// What a client did itself it sees in replica reads too, however far the replica lags.
pub async fn own_changes_are_seen_in_replicas<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.apply("r.a", &[Op::Put(put("k", "old")), Op::Put(put("gone", "old"))]).await;
    if f.harness.hold_replica(&f.store).await == Able::No {
        return;
    }
    let replica = |key: &'static str| {
        let f = &f;
        async move {
            let read = f.store.read(&path("r.a"), &[key], ReadFrom::Replica).await.unwrap();
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
