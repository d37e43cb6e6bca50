//! Cases about reads.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, SHORT, lifetime, path, put, text};
use crate::path::{MAX_DEPTH, MAX_KEY_BYTES, RegionPath};
use crate::store::{
    LeaseTerms, LeaseToken, Leftover, Op, PageTerms, Put, ReadFrom, ReadTerms, Store, TakeLease,
    Verb,
};

const MEBIBYTE: usize = 1 << 20;

/// A store may name entries that are not valid any more, and never for another reason than their own.
pub async fn leftovers_have_their_reason<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let short = || Op::Put(put("short", "1").fresh_for(lifetime(SHORT)));
    let lasting = || Op::Put(put("lasting", "1"));
    let told = async || {
        let keys = ["short", "never", "removed", "lasting"];
        let read = f.read("r.a.b", &keys).await;
        let valid: Vec<_> = read.entries.iter().map(Option::is_some).collect();
        let told = read.leftovers.iter().map(|(at, leftover)| (keys[*at], *leftover));
        (valid, told.collect::<Vec<_>>())
    };
    let is_part = |told: &[_], of: &[_]| told.iter().all(|leftover| of.contains(leftover));
    assert_eq!(told().await, (vec![false; 4], vec![]), "there was nothing yet");
    f.apply("r.a.b", &[short(), Op::Put(put("removed", "1")), lasting()]).await;
    f.apply("r.a.b", &[Op::Remove { key: "removed" }]).await;
    f.advance(SHORT).await;
    let (valid, expired) = told().await;
    assert_eq!(valid, [false, false, false, true]);
    assert!(is_part(&expired, &[("short", Leftover::Expired)]), "{expired:?}");

    let ended = [("short", Leftover::Fenced), ("lasting", Leftover::Fenced)];
    for (region, verb) in
        [("r.a", Verb::Expire), ("r.a", Verb::Invalidate), ("r", Verb::Invalidate)]
    {
        f.apply("r.a.b", &[short(), lasting()]).await;
        f.end(region, verb).await;
        let (valid, fenced) = told().await;
        assert_eq!(valid, [false; 4], "{verb:?}");
        assert!(is_part(&fenced, &ended), "{verb:?}: {fenced:?}");
    }
    for verb in [Verb::Invalidate, Verb::Touch] {
        f.apply("r.a.b", &[short(), lasting()]).await;
        f.end("r.a.b", verb).await;
        let (valid, fenced) = told().await;
        assert_eq!(valid, [false; 4], "{verb:?}");
        assert!(is_part(&fenced, &ended), "{verb:?}: {fenced:?}");
    }
}

/// A region that is missing has no lineage and no entries, whatever is asked of it.
pub async fn missing_regions_are_empty<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let read = f.read("r.a.b", &["x", "y"]).await;
    assert!(read.lineage.is_none());
    assert_eq!(read.entries, [None, None]);
    assert_eq!(f.read("r", &[]).await.entries, []);
    assert_eq!(f.store.len(&path("r.a")).await.unwrap(), 0);
    assert!(f.store.scan(&path("r.a"), PageTerms::new(10)).await.unwrap().items.is_empty());
    assert!(f.store.children(&path("r"), PageTerms::new(10)).await.unwrap().items.is_empty());
}

/// Reading, from wherever, creates nothing.
pub async fn reading_creates_nothing<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    for from in [ReadFrom::Primary, ReadFrom::Replica] {
        f.store.read(&path("r.a"), &["x"], ReadTerms::new(from)).await.unwrap();
    }
    assert!(f.read("r.a", &["x"]).await.lineage.is_none());
    assert!(f.read("r", &[]).await.lineage.is_none());
}

/// A value is read, by every client, until it is replaced or removed.
pub async fn what_is_put_is_read<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "k", "one").await;
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("one"));
    let replica =
        f.store.read(&path("r.a"), &["k"], ReadTerms::new(ReadFrom::Replica)).await.unwrap();
    assert_eq!(replica.entries[0].as_ref().map(text).as_deref(), Some("one"), "own write");
    f.set("r.a", "k", "two").await;
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("two"));
    f.apply("r.a", &[Op::Remove { key: "k" }]).await;
    assert_eq!(f.get("r.a", "k").await, None);
}

/// A call of an operation that began long ago has no time left: it is done or fails at once.
pub async fn time_counts_from_when_the_operation_began<H: Harness>(harness: &H) {
    const AT_ONCE: Duration = Duration::from_secs(2);
    let f = Fixture::new(harness).await;
    f.set("r.a", "k", "v").await;
    let Some(started) = Instant::now().checked_sub(Duration::from_secs(3600)) else { return };
    let begun = Instant::now();
    match f.store.read(&path("r.a"), &["k"], ReadTerms::default().started(started)).await {
        Ok(read) => assert!(read.entries[0].is_some()),
        Err(error) => assert!(error.is_outage(), "{error}"),
    }
    let token = LeaseToken::random();
    let terms = LeaseTerms::new(token, LONG).take(TakeLease::Always).started(started);
    if let Err(error) = f.store.begin(&path("r.a"), &["k"], terms).await {
        assert!(error.is_outage(), "{error}");
    }
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    f.released("r.a", &["k"], token).await;
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("v"));
}

/// Entries come in the order of the keys, also for keys asked for twice.
pub async fn keys_are_answered_in_order<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.apply("r", &[Op::Put(put("a", "1")), Op::Put(put("b", "2"))]).await;
    let read = f.read("r", &["b", "missing", "a", "b"]).await;
    let texts: Vec<_> = read.entries.iter().map(|entry| entry.as_ref().map(text)).collect();
    let expected = [Some("2"), None, Some("1"), Some("2")].map(|text| text.map(str::to_owned));
    assert_eq!(texts, expected);
}

/// The lineage is the same for all, and writes do not change it.
pub async fn lineage_stays_while_nothing_happens<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "k", "1").await;
    let lineage = f.read("r.a", &[]).await.lineage;
    assert!(lineage.is_some(), "a region that was put to exists");
    f.set("r.a", "other", "2").await;
    assert_eq!(f.read("r.a", &["k"]).await.lineage, lineage);
    assert_eq!(f.client().await.read("r.a", &[]).await.lineage, lineage);
    assert_ne!(f.read("r", &[]).await.lineage, lineage);
}

/// No two paths are one region and no two keys one entry, however alike they look.
pub async fn paths_and_keys_are_distinct<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let root = RegionPath::root("r").unwrap();
    let child = |name: &str| root.child(name).unwrap();
    let with_id = |name: &str, id: &str| root.child_with_id(name, id).unwrap();
    let mut deepest = root.clone();
    while deepest.depth() < MAX_DEPTH {
        deepest = deepest.child("d").unwrap();
    }
    let regions = [
        child("a.b"),
        child("a").child("b").unwrap(),
        child("a:b"),
        with_id("a", "b"),
        with_id("a", "b.c"),
        with_id("a", "b").child("c").unwrap(),
        child("{a}"),
        child("a"),
        child("A"),
        child("a "),
        child("nul\0"),
        child("é"),
        child("e\u{301}"),
        child("%2E"),
        deepest,
    ];
    let longest = "k".repeat(MAX_KEY_BYTES);
    let keys = ["k", "K", "k.", "k:", "{k}", "k\0", "\0", " ", "é", "%6B", "d", "i", &longest];
    for (at, region) in regions.iter().enumerate() {
        let values: Vec<_> = (0..keys.len()).map(|key| format!("{at}/{key}")).collect();
        let ops: Vec<_> =
            keys.iter().zip(&values).map(|(key, value)| Op::Put(put(key, value))).collect();
        f.apply(region.as_str(), &ops).await;
    }
    for (at, region) in regions.iter().enumerate() {
        let read = f.read(region.as_str(), &keys).await;
        for (key, entry) in read.entries.iter().enumerate() {
            let found = entry.as_ref().map(text);
            assert_eq!(found, Some(format!("{at}/{key}")), "{region} {:?}", keys[key]);
        }
    }
}

/// Bytes are bytes: none at all, all there are, and many.
pub async fn any_bytes_are_kept<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for bytes in [Vec::new(), all, vec![7; MEBIBYTE]] {
        let put = Put { bytes: Bytes::from(bytes.clone()), ..put("k", "") };
        f.apply("r", &[Op::Put(put)]).await;
        assert_eq!(f.entry("r", "k").await.unwrap().bytes, bytes);
    }
}
