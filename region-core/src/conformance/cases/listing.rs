//! Cases about listings.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, lifetime, path, put};
use crate::store::{Cursor, Op, PageTerms, Put, ScanItem, Show, Store, Verb};

const MANY: usize = 300;

/// No listing of the suite needs more pages than this.
const MOST_PAGES: usize = 10 * MANY;

async fn keys<H: Harness>(f: &Fixture<'_, H>, region: &str, limit: usize) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let page = f.store.scan(&path(region), PageTerms::new(limit).cursor(cursor)).await.unwrap();
        keys.extend(page.items.into_iter().map(|item| item.key));
        cursor = page.next;
        if cursor.is_none() {
            return keys;
        }
    }
    panic!("the listing does not end");
}

async fn children<H: Harness>(f: &Fixture<'_, H>, region: &str, limit: usize) -> Vec<String> {
    let mut children = BTreeSet::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let page =
            f.store.children(&path(region), PageTerms::new(limit).cursor(cursor)).await.unwrap();
        children.extend(page.items.iter().map(ToString::to_string));
        cursor = page.next;
        if cursor.is_none() {
            return children.into_iter().collect();
        }
    }
    panic!("the listing does not end");
}

/// However small or large the pages, all entries are listed, with their bytes.
pub async fn scanning_pages_through_all<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let names: BTreeSet<String> = (0..MANY).map(|key| format!("k{key}")).collect();
    let ops: Vec<_> = names.iter().map(|key| Op::Put(put(key, key))).collect();
    f.apply("r.a", &ops).await;
    f.set("r.a.below", "not listed", "x").await;
    for limit in [0, 1, 2, 7, MANY, 10 * MANY, usize::MAX] {
        assert_eq!(keys(&f, "r.a", limit).await, names, "limit {limit}");
    }
    let page = f.store.scan(&path("r.a"), PageTerms::new(10).show(Show::Entries)).await.unwrap();
    let shows_its_key = |bytes: &bytes::Bytes, key: &str| *bytes == key.as_bytes();
    let is_whole =
        |item: &ScanItem| item.bytes.as_ref().is_some_and(|bytes| shows_its_key(bytes, &item.key));
    assert!(page.items.iter().all(is_whole));
    let page = f.store.scan(&path("r.a"), PageTerms::new(10)).await.unwrap();
    assert!(page.items.iter().all(|item| item.bytes.is_none()), "nobody asked for the bytes");
    f.end("r", Verb::Invalidate).await;
    assert!(keys(&f, "r.a", 10).await.is_empty());
}

/// Keys that stay are listed, although others come and go between the pages.
pub async fn scanning_survives_changes<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let stay: Vec<_> = (0..MANY).map(|key| format!("stay{key}")).collect();
    let go: Vec<_> = (0..MANY).map(|key| format!("go{key}")).collect();
    for (stay, go) in stay.iter().zip(&go) {
        f.apply("r", &[Op::Put(put(stay, "x")), Op::Put(put(go, "x"))]).await;
    }
    let mut listed = BTreeSet::new();
    let mut cursor = None;
    let mut go = go.iter();
    for page in 0..MOST_PAGES {
        let found = f.store.scan(&path("r"), PageTerms::new(10).cursor(cursor)).await.unwrap();
        listed.extend(found.items.into_iter().map(|item| item.key));
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
        let new = format!("new{page}");
        let mut ops = vec![Op::Put(put(&new, "x"))];
        ops.extend(go.by_ref().take(7).map(|key| Op::Remove { key }));
        f.apply("r", &ops).await;
    }
    assert!(cursor.is_none(), "the listing does not end");
    for key in &stay {
        assert!(listed.contains(key), "{key} was there all the time");
    }
}

/// The children of a region are those that were put to, themselves or below; with their ids.
pub async fn children_are_those_put_to<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.org:1", "k", "x").await;
    f.set("r.org:2.project:7.task:3", "k", "x").await;
    f.set("r.a%2Eb", "k", "x").await;
    f.lease("r.only-begun", "k").await;
    for limit in [0, 1, 10] {
        let listed = children(&f, "r", limit).await;
        assert_eq!(listed, ["a%2Eb", "org:1", "org:2"], "limit {limit}");
    }
    assert_eq!(children(&f, "r.org:2", 10).await, ["project:7"]);
    assert_eq!(children(&f, "r.org:1", 10).await, [""; 0]);
    let fence = f.lease("r.filled", "k").await;
    assert!(f.fill("r.filled", "k", "v", &fence).await);
    assert!(children(&f, "r", 10).await.contains(&"filled".to_owned()));
}

/// After an invalidation a region has the children that were put to since.
pub async fn children_end_with_their_parent<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    for ended in ["r", "r.a"] {
        f.set("r.a.one", "k", "x").await;
        f.set("r.a.two", "k", "x").await;
        f.end(ended, Verb::Invalidate).await;
        assert_eq!(children(&f, "r.a", 10).await, [""; 0], "{ended}");
        f.set("r.a.two", "k", "x").await;
        assert_eq!(children(&f, "r.a", 10).await, ["two"], "{ended}");
        assert_eq!(children(&f, "r", 10).await, ["a"], "{ended}");
    }
    f.end("r.a", Verb::Touch).await;
    assert_eq!(children(&f, "r.a", 10).await, ["two"], "children outlive a touch");
}

/// The fresh entries are counted, each once.
pub async fn counting_counts_the_fresh<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let over = Put { fresh_for: lifetime(Duration::from_millis(1)), ..put("over", "x") };
    let stale = Put { fresh_for: lifetime(Duration::from_millis(1)), ..put("stale", "x") };
    let ops = [
        Op::Put(put("a", "x")),
        Op::Put(put("a", "y")),
        Op::Put(put("b", "x")),
        Op::Put(over),
        Op::Put(Put { stale_for: LONG, ..stale }),
    ];
    f.apply("r", &ops).await;
    f.advance(Duration::from_millis(2)).await;
    assert_eq!(f.store.len(&path("r")).await.unwrap(), 2);
    f.end("r", Verb::Touch).await;
    assert_eq!(f.store.len(&path("r")).await.unwrap(), 0);
}

/// A cursor of another listing, or of none, is an error or a place to go on from; never a panic.
pub async fn odd_cursors_do_no_harm<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "k", "x").await;
    let odd =
        [&b""[..], b"x", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"9999999999999999999999", &[0; 300]];
    for bytes in odd {
        for region in ["r", "r.a", "missing"] {
            let region = path(region);
            let cursor = Some(Cursor::from_bytes(bytes));
            let _ = f.store.scan(&region, PageTerms::new(10).cursor(cursor.clone())).await;
            let _ = f.store.children(&region, PageTerms::new(10).cursor(cursor)).await;
        }
    }
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("x"));
}
