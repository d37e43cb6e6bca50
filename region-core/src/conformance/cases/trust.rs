//! Cases about trust: answers and pushes for callers that keep what they read.
//!
//! A store may leave lineage, changes and source out of its answers, and may never push: what it
//! does not give is passed over.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::fixture::{Fixture, LONG, SHORT, path, put, until};
use super::super::heard::{Heard, PUSH_LIMIT};
use super::super::{Able, Harness};
use crate::store::{
    ChangeRing, ChangedKey, EndTerms, Event, LeaseTerms, LeaseToken, MAX_CHANGES, Op, Read,
    ReadFrom, ReadTerms, RegionTtl, Store, TakeLease, Trust, Verb, Write, Written,
};

/// The number of rounds in which two clients race each other.
const ROUNDS: u64 = 300;

const KEPT: ReadTerms<'_> = ReadTerms::new(ReadFrom::Primary).trust(Trust::Kept);

async fn read<H: Harness>(f: &Fixture<'_, H>, region: &str) -> Read {
    f.store.read(&path(region), &["a", "b"], KEPT).await.unwrap()
}

async fn ring<H: Harness>(f: &Fixture<'_, H>, region: &str) -> Option<ChangeRing> {
    read(f, region).await.changes
}

/// The ring of a region that holds something; `None` if the store keeps none.
async fn kept_ring<H: Harness>(f: &Fixture<'_, H>, region: &str) -> Option<ChangeRing> {
    f.set(region, "begins", "x").await;
    ring(f, region).await
}

/// The keys of the changes after those of `before`; panics if a change of before is not in `after`.
fn added(before: &ChangeRing, after: &ChangeRing) -> Vec<ChangedKey> {
    let known = |id| before.changes().iter().any(|change| change.id == id);
    let keys: Vec<_> = after.changes().iter().skip_while(|change| known(change.id)).collect();
    assert!(after.changes().iter().any(|change| change.id == before.last()), "it is in the ring");
    keys.into_iter().map(|change| change.key).collect()
}

/// A write of one key adds one change, of that key; a change of one key leaves the others unchanged.
pub async fn one_key_is_one_change<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let Some(mut before) = kept_ring(&f, "r.a").await else { return };
    f.set("r.a", "b", "x").await;
    for op in [Op::Put(put("a", "1")), Op::Take { key: "a" }, Op::Put(put("a", "2"))] {
        before = ring(&f, "r.a").await.unwrap_or(before);
        f.apply("r.a", std::slice::from_ref(&op)).await;
        let after = ring(&f, "r.a").await.unwrap();
        assert_eq!(added(&before, &after), [ChangedKey::of("a")], "{op:?}");
        assert!(after.unchanged_since(before.last(), "b"));
        assert!(!after.unchanged_since(before.last(), "a"));
    }
    let fence = f.lease("r.a", "filled").await;
    let before = ring(&f, "r.a").await.unwrap();
    assert!(f.fill("r.a", "filled", "v", &fence).await);
    let after = ring(&f, "r.a").await.unwrap();
    assert_eq!(added(&before, &after), [ChangedKey::of("filled")], "a fill");
}

/// A write of more keys is one change, of all of them.
pub async fn many_keys_are_a_change_of_all<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let Some(before) = kept_ring(&f, "r.a").await else { return };
    f.apply("r.a", &[Op::Put(put("a", "1")), Op::Put(put("b", "1"))]).await;
    let after = ring(&f, "r.a").await.unwrap();
    assert_eq!(added(&before, &after), [ChangedKey::All]);
    f.apply("r.a", &[Op::Remove { key: "a" }, Op::Remove { key: "b" }]).await;
    assert_eq!(added(&after, &ring(&f, "r.a").await.unwrap()), [ChangedKey::All]);
}

/// The ring holds the last changes; one that has left it is not known any more.
pub async fn old_changes_leave_the_ring<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let Some(first) = kept_ring(&f, "r.a").await else { return };
    for change in 1..=MAX_CHANGES {
        let ring = ring(&f, "r.a").await.unwrap();
        assert!(ring.changes().len() <= MAX_CHANGES);
        assert!(ring.unchanged_since(first.last(), "other"), "{change} of {MAX_CHANGES}");
        f.set("r.a", "a", "x").await;
    }
    let last = ring(&f, "r.a").await.unwrap();
    assert!(!last.unchanged_since(first.last(), "other"), "it has left the ring");
}

/// Entries that begin anew have one change, of all, with a new id: whatever dropped those before.
pub async fn entries_that_begin_anew_are_a_change_of_all<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let Some(mut before) = kept_ring(&f, "r.a").await else { return };
    for verb in [Verb::Touch, Verb::Invalidate, Verb::InvalidateAndTouch] {
        f.end("r.a", verb).await;
        assert!(ring(&f, "r.a").await.is_none(), "nothing is left after {verb:?}");
        f.set("r.a", "a", "x").await;
        let after = ring(&f, "r.a").await.unwrap();
        let keys: Vec<_> = after.changes().iter().map(|change| change.key).collect();
        assert_eq!(keys, [ChangedKey::All], "{verb:?}");
        assert!(!after.unchanged_since(before.last(), "begins"), "{verb:?}");
        before = after;
    }
    f.write("r.a", &[], None, RegionTtl::Restart(SHORT)).await;
    f.advance(SHORT).await;
    f.set("r.a", "a", "x").await;
    let after = ring(&f, "r.a").await.unwrap();
    assert!(!after.unchanged_since(before.last(), "begins"), "the region's TTL was over");
}

/// A region's TTL that ends sooner than before, or at all, is a change of all entries.
pub async fn a_shorter_region_ttl_is_a_change_of_all<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let Some(before) = kept_ring(&f, "r.a").await else { return };
    f.write("r.a", &[Op::Put(put("a", "1"))], None, RegionTtl::Start(LONG)).await;
    let started = ring(&f, "r.a").await.unwrap();
    assert!(!started.unchanged_since(before.last(), "begins"), "it ends now");
    f.set("r.a", "a", "2").await;
    let after = ring(&f, "r.a").await.unwrap();
    assert!(after.unchanged_since(started.last(), "begins"));
    f.write("r.a", &[], None, RegionTtl::Restart(LONG / 2)).await;
    let shorter = ring(&f, "r.a").await.unwrap();
    assert!(!shorter.unchanged_since(after.last(), "begins"), "it ends sooner");
}

/// Two histories of which the same can be said have no change in common: after a failover to an older copy
/// the changes of before are not taken for those of after.
pub async fn histories_that_are_alike_have_different_changes<H: Harness>(harness: &H) {
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let f = Fixture::new(harness).await;
        for region in ["r.a", "r.b"] {
            if kept_ring(&f, region).await.is_none() {
                return;
            }
            f.set(region, "a", "x").await;
            f.set(region, "a", "x").await;
            for change in ring(&f, region).await.unwrap().changes() {
                assert!(seen.insert(change.id.to_bits()), "{change:?} is in two histories");
            }
        }
    }
}

/// The lineage and changes in an answer equal those of the next read.
pub async fn answers_agree_with_a_following_read<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let region = path("r.a");
    let ops = [Op::Put(put("a", "1"))];
    for region_ttl in [RegionTtl::Leave, RegionTtl::Start(LONG)] {
        let write = Write::new(&ops).region_ttl(region_ttl).trust(Trust::Kept);
        let Written::Applied(applied) = f.store.write(&region, write).await.unwrap() else {
            panic!("fenced without a guard");
        };
        let read = read(&f, "r.a").await;
        assert!(applied.lineage.is_none() || applied.lineage == read.lineage, "write");
        assert!(applied.changes.is_none() || applied.changes == read.changes, "write");
    }
    let terms = LeaseTerms::new(LeaseToken::random(), LONG).take(TakeLease::Always);
    let begun = f.store.begin(&region, &["a"], terms.trust(Trust::Kept)).await.unwrap();
    let after = read(&f, "r.a").await;
    assert_eq!(Some(begun.lineage), after.lineage, "begin");
    assert!(begun.changes.is_none() || begun.changes == after.changes, "begin");
    for verb in [Verb::Expire, Verb::Touch, Verb::Invalidate, Verb::InvalidateAndTouch] {
        f.set("r.a", "a", "x").await;
        let terms = EndTerms::new(verb).trust(Trust::Kept);
        let ended = f.store.end(&region, terms).await.unwrap();
        let after = read(&f, "r.a").await;
        assert!(ended.lineage.is_none() || ended.lineage == after.lineage, "{verb:?}");
        assert!(ended.changes.is_none() || ended.changes == after.changes, "{verb:?}");
    }
}

/// A `touch` changes no lineage: neither its own nor that of any other region.
pub async fn touch_keeps_every_lineage<H: Harness>(harness: &H) {
    const REGIONS: [&str; 5] = ["r", "r.a", "r.a.b", "r.a.b.c", "r.a.sibling"];
    let f = Fixture::new(harness).await;
    let mut before = Vec::new();
    for region in REGIONS {
        f.set(region, "a", "x").await;
        before.push(read(&f, region).await);
    }
    f.end("r.a.b", Verb::Touch).await;
    for (region, before) in REGIONS.iter().zip(before) {
        let after = read(&f, region).await;
        assert_eq!(after.lineage, before.lineage, "{region}");
        if ["r.a.b.c", "r.a.sibling"].contains(region) {
            assert_eq!(after.changes, before.changes, "{region}");
        }
    }
}

/// After a `touch`, no client that only read sibling or child regions receives a push.
pub async fn touch_pushes_nothing_of_siblings_and_children<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    for region in ["r", "r.a", "r.a.b", "r.a.b.c", "r.a.sibling"] {
        f.set(region, "a", "x").await;
    }
    let (others, touched) = (f.client().await, f.client().await);
    let (Some(heard), Some(sign)) = (Heard::of(&others.store), Heard::of(&touched.store)) else {
        return;
    };
    for region in ["r.a.b.c", "r.a.sibling"] {
        read(&others, region).await;
    }
    read(&touched, "r.a.b").await;
    heard.take();
    f.end("r.a.b", Verb::Touch).await;
    sign.assert_hears_of("r.a.b", "a touch").await;
    // What is pushed for a change made after the touch comes after what is pushed for the touch.
    f.set("r.a.sibling", "a", "y").await;
    let of_siblings = |event: &Event| *event == Event::Entries(path("r.a.sibling"));
    let before = heard.until(PUSH_LIMIT, of_siblings).await.expect("a push for the sibling");
    let concerns_others = |event: &&Event| match event {
        Event::Lineage(region) => {
            path("r.a.b.c").is_within(region) || path("r.a.sibling").is_within(region)
        }
        Event::Entries(region) => *region == path("r.a.b.c"),
        Event::Leases(_) => false,
        Event::All | Event::Lost(_) => true,
    };
    assert_eq!(before.iter().find(concerns_others), None, "a push that concerns what was read");
}

/// Pushes cover the answers of `begin` like those of `read`.
pub async fn begin_is_covered_by_pushes<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    for (what, verb) in [("a put", None), ("an invalidation", Some(Verb::Invalidate))] {
        f.set("r.a", "a", "1").await;
        let loader = f.client().await;
        let Some(heard) = Heard::of(&loader.store) else { return };
        let terms = LeaseTerms::new(LeaseToken::random(), LONG).trust(Trust::Kept);
        let begun = loader.store.begin(&path("r.a"), &["a"], terms).await.unwrap();
        if begun.source.is_none() {
            return;
        }
        heard.take();
        match verb {
            None => f.set("r.a", "a", "2").await,
            Some(verb) => f.end("r", verb).await,
        }
        heard.assert_hears_of("r.a", what).await;
    }
    // One that creates the region writes itself: what it shows is what it has left behind.
    let loader = f.client().await;
    let Some(heard) = Heard::of(&loader.store) else { return };
    for (region, verb) in [("one", Verb::Invalidate), ("other", Verb::Expire)] {
        let terms = LeaseTerms::new(LeaseToken::random(), LONG).take(TakeLease::Always);
        loader.store.begin(&path(region), &["a"], terms.trust(Trust::Kept)).await.unwrap();
        // What is still to come of its own change says nothing of another's.
        heard.hears_of(SHORT, region).await;
        heard.take();
        f.end(region, verb).await;
        heard.assert_hears_of(region, &format!("{verb:?} after it was created")).await;
    }
}

/// Pushes cover what a write shows whose answer is trusted, as they cover what a read shows.
pub async fn a_trusted_write_is_covered_by_pushes<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let other = f.client().await;
    let Some(heard) = Heard::of(&f.store) else { return };
    f.set("r.a", "a", "1").await;
    read(&f, "r.a").await;
    let ops = [Op::Put(put("a", "2"))];
    for verb in [None, Some(Verb::Touch), Some(Verb::Expire), Some(Verb::Invalidate)] {
        let write = Write::new(&ops).trust(Trust::Kept);
        let Written::Applied(applied) = f.store.write(&path("r.a"), write).await.unwrap() else {
            panic!("fenced without a guard");
        };
        if applied.source.is_none() {
            return;
        }
        // What is still to come of its own change says nothing of another's.
        heard.hears_of(SHORT, "r.a").await;
        heard.take();
        match verb {
            None => other.set("r.a", "a", "3").await,
            Some(verb) => other.end("r.a", verb).await,
        }
        heard.assert_hears_of("r.a", "a change after a write").await;
    }
}

/// A change of the region's TTL alone is pushed.
pub async fn a_region_ttl_alone_is_pushed<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "a", "1").await;
    let reader = f.client().await;
    let Some(heard) = Heard::of(&reader.store) else { return };
    read(&reader, "r.a").await;
    heard.take();
    f.write("r.a", &[], None, RegionTtl::Restart(LONG)).await;
    heard.assert_hears_of("r.a", "a change of the region's TTL").await;
}

/// A reply that shows a change comes after the push that tells of it.
pub async fn pushes_come_before_replies<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let reader = f.client().await;
    let Some(heard) = Heard::of(&reader.store) else { return };
    for verb in [None, Some(Verb::Touch), Some(Verb::Expire), Some(Verb::Invalidate)] {
        f.set("r.a", "a", "before").await;
        if read(&reader, "r.a").await.source.is_none() {
            return;
        }
        heard.take();
        match verb {
            None => f.set("r.a", "a", "after").await,
            Some(verb) => f.end("r.a", verb).await,
        }
        read(&reader, "r.a").await;
        assert!(heard.has_heard_of("r.a"), "the reply came before the push of {verb:?}");
    }
}

/// Nor does a reply that comes in the middle of a change show it before the push.
pub async fn pushes_come_before_replies_under_load<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let (writer, reader) = (harness.client(&f.store).await, f.client().await);
    let Some(heard) = Heard::of(&reader.store) else { return };
    let region = path("r.a");
    let (is_over, writer) = (Arc::new(AtomicBool::new(false)), Arc::new(writer));
    let writing = tokio::spawn({
        let (is_over, writer, region) = (Arc::clone(&is_over), Arc::clone(&writer), region.clone());
        async move {
            for round in 0..ROUNDS {
                let value = round.to_string();
                let ops = [Op::Put(put("a", &value))];
                writer.write(&region, Write::new(&ops)).await.unwrap();
                if round % 3 == 0 {
                    writer.end(&path("r"), Verb::Expire.into()).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
            is_over.store(true, Ordering::SeqCst);
        }
    });
    let mut before = reader.store.read(&region, &["a"], KEPT).await.unwrap();
    while !is_over.load(Ordering::SeqCst) {
        heard.take();
        let covered = reader.store.read(&region, &["a"], KEPT).await.unwrap();
        if covered.source.is_none() {
            break;
        }
        let after = reader.store.read(&region, &["a"], KEPT).await.unwrap();
        let bytes = |read: &Read| read.entries[0].as_ref().map(|entry| entry.bytes.clone());
        let has_changed = covered.lineage != after.lineage || bytes(&covered) != bytes(&after);
        assert!(!has_changed || heard.has_heard_of("r.a"), "{before:?} {covered:?} {after:?}");
        before = after;
    }
    writing.await.unwrap();
}

/// When the connection that would tell is gone, whoever listens is told so, and later answers name
/// another.
pub async fn a_lost_source_is_said<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "a", "1").await;
    let Some(heard) = Heard::of(&f.store) else { return };
    let Some(source) = read(&f, "r.a").await.source else { return };
    if harness.cut_pushes(&f.store).await == Able::No {
        return;
    }
    assert!(heard.hears_the_loss_of(source).await, "nobody said that {source:?} is lost");
    let names_another = until(async || {
        let read = f.store.read(&path("r.a"), &["a"], KEPT).await;
        read.is_ok_and(|read| read.source != Some(source))
    });
    assert!(names_another.await, "a source that was lost is named again");
}
