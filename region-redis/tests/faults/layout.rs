//! Cases about the keys on the server: as LAYOUT.md describes them, and when others have written there.

use std::time::Duration;

use bytes::Bytes;
use region_core::{
    ChangedKey, EndTerms, LeaseTerms, LeaseToken, Lifetime, Op, Put, ReadTerms, RegionTtl, Store,
    Trust, Verb, When, Write, Written,
};
use region_redis::RedisStore;
use servers::{Flavor, Reply, TestServer};

use crate::kit::{builder, connect, get, keys, path, set};

servers::on_both! {
    keys_are_those_of_the_layout
    values_are_those_of_the_layout
    keys_of_other_types_are_misses_and_repaired
    odd_values_are_misses
    lifetimes_are_bounded_on_the_server
    a_region_ttl_that_is_restarted_prolongs_all_keys
    a_put_after_an_expiration_is_one_trip
    answers_show_the_change_ring
    expirations_are_summed_up
    dead_entries_do_not_heap_up
    many_keys_fit_in_one_call
}

async fn put(store: &RedisStore, key: &str, fresh: Option<u64>, stale: u64, region_ttl: RegionTtl) {
    let fresh_for = fresh
        .map_or(Lifetime::Unlimited, |millis| Lifetime::of(Duration::from_millis(millis)).unwrap());
    let bytes = Bytes::from_static(b"value");
    let stale_for = Duration::from_millis(stale);
    let ops = [Op::Put(Put::new(key, bytes).fresh_for(fresh_for).stale_for(stale_for))];
    store.write(&path("r.a"), Write::new(&ops).region_ttl(region_ttl)).await.unwrap();
}

fn bytes(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Bytes(bytes) => bytes.clone(),
        other => panic!("no bytes: {other:?}"),
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The hash of a key as a change holds it.
fn key_hash(key: &str) -> [u8; 4] {
    region_core::ChangedKey::of(key).to_bits().to_be_bytes()
}

async fn keys_are_those_of_the_layout(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "shop.org:42.a%2Eb", "k", "v").await.unwrap();
    assert_eq!(
        keys(&server),
        [
            "rc1:c{shop}",
            "rc1:c{shop}.org:42",
            "rc1:d{shop}.org:42.a%2Eb",
            "rc1:i{shop}",
            "rc1:i{shop}.org:42",
            "rc1:i{shop}.org:42.a%2Eb",
        ]
    );
}

async fn values_are_those_of_the_layout(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    put(&store, "plain", None, 0, RegionTtl::Leave).await;
    put(&store, "limited", Some(60_000), 0, RegionTtl::Leave).await;
    put(&store, "kept", Some(60_000), 30_000, RegionTtl::Leave).await;
    let root = bytes(&server.command(&["GET", "rc1:i{r}"]));
    let leaf = bytes(&server.command(&["GET", "rc1:i{r}.a"]));
    assert_eq!((root.len(), leaf.len()), (18, 18));
    assert_eq!((&root[8..12], &leaf[8..12]), (&[0; 4][..], &root[..4]));
    assert_eq!(root[12..], [0; 6], "an unlimited entry: the ids never expire");
    let trees = [&root[..8], &leaf[..8]].concat();
    let stamp = || bytes(&server.command(&["HGET", "rc1:d{r}.a", ""]));
    let first = stamp();
    assert_eq!((&first[..16], first[16], first.len()), (&trees[..], 4, 17 + 3 * 8));
    assert_eq!(first[21..25], [0; 4], "new entries: a change of all");
    assert_eq!(first[29..33], key_hash("limited"));
    assert_eq!(first[37..41], key_hash("kept"));
    let children = server.command(&["ZRANGE", "rc1:c{r}", "0", "-1", "WITHSCORES"]);
    let children: Vec<_> = children.list().iter().map(bytes).collect();
    let list_stamp = [b".", &root[..8]].concat();
    assert_eq!(children, [list_stamp, b"-inf".to_vec(), b"a".to_vec(), b"inf".to_vec()]);

    let entry = |key: &str| bytes(&server.command(&["HGET", "rc1:d{r}.a", key]));
    assert_eq!(entry("plain"), b"\x10value");
    let time = server.command(&["TIME"]);
    let millis = time.list()[0].text().parse::<u64>().unwrap() * 1000;
    let limited = entry("limited");
    assert_eq!((limited[0], &limited[7..]), (0x11, &b"value"[..]));
    assert!((millis + 50_000..millis + 70_000).contains(&number(&limited[1..7])));
    let kept = entry("kept");
    assert_eq!((kept[0], &kept[20..]), (0x13, &b"value"[..]));
    assert_eq!(number(&kept[1..7]), number(&kept[7..14]) / 1000 + 60_000);
    assert_eq!(number(&kept[14..20]), 30_000);

    store.end(&path("r"), Verb::Expire.into()).await.unwrap();
    let expired = bytes(&server.command(&["GET", "rc1:i{r}"]));
    assert_eq!(expired.len(), 40);
    assert_eq!(expired[..18], root[..]);
    assert_eq!(expired[26..33], expired[33..40], "one time");
    put(&store, "marked", None, 0, RegionTtl::Leave).await;
    let marked = entry("marked");
    assert_eq!((marked[0], &marked[9..]), (0x14, &b"value"[..]));

    put(&store, "k", None, 0, RegionTtl::Start(Duration::from_secs(60))).await;
    let last = stamp();
    assert_eq!((last[16], last.len()), (4 + 2, 17 + 5 * 8 + 6));
    assert_eq!(last[53..57], [0; 4], "what was there ends sooner: a change of all");
    let left = server.command(&["PTTL", "rc1:d{r}.a"]).text().parse::<u64>().unwrap();
    assert!((50_000..=60_000).contains(&left), "{left}");
}

/// Somebody else's keys under our names: each is a miss, and then is ours again.
async fn keys_of_other_types_are_misses_and_repaired(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let names = ["rc1:i{r}", "rc1:i{r}.a", "rc1:d{r}.a", "rc1:l{r}.a", "rc1:c{r}", "rc1:g{r}"];
    let odd = [
        &["SET", "", "x"][..],
        &["LPUSH", "", "x"],
        &["SADD", "", "x"],
        &["HSET", "", "x", "y"],
        &["ZADD", "", "1", "x"],
    ];
    for name in names {
        for other in odd {
            server.command(&["FLUSHALL"]);
            set(&store, "r.a", "k", "1").await.unwrap();
            server.command(&["DEL", name]);
            let mut other = other.to_vec();
            other[1] = name;
            server.command(&other);
            let context = format!("{name}: {}", other[0]);
            let found = get(&store, "r.a", "k").await.unwrap();
            assert!(found.is_none() || !name.starts_with("rc1:i") && !name.starts_with("rc1:d"));
            let token = region_core::LeaseToken::from_bits(1);
            let terms = region_core::LeaseTerms::new(token, Duration::from_secs(9))
                .take(region_core::TakeLease::Always);
            store.begin(&path("r.a"), &["k"], terms).await.expect(&context);
            set(&store, "r.a", "k", "2").await.expect(&context);
            assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("2"), "{context}");
            store.children(&path("r"), region_core::PageTerms::new(10)).await.expect(&context);
            assert_eq!(store.len(&path("r.a")).await.unwrap(), 1, "{context}");
            for verb in [Verb::Expire, Verb::Touch, Verb::Invalidate] {
                store.end(&path("r"), verb.into()).await.expect(&context);
                assert_eq!(get(&store, "r.a", "k").await.unwrap(), None, "{context}");
            }
            store.reclaim().await.expect(&context);
        }
    }
}

async fn odd_values_are_misses(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    for odd in
        ["", "x", "\x10", "\x13short", "\x7f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]
    {
        set(&store, "r", "k", "1").await.unwrap();
        server.command(&["HSET", "rc1:d{r}", "k", odd]);
        let found = get(&store, "r", "k").await.unwrap();
        assert!(found.is_none_or(|found| found.is_empty()), "{odd:?}");
        assert!(store.len(&path("r")).await.unwrap() <= 1);
        assert!(
            store.scan(&path("r"), region_core::PageTerms::new(10)).await.unwrap().items.len() <= 1
        );
    }
    for odd in ["", "x", "0123456789abcdef", "0123456789abcdef0123456789abcdef0123456789"] {
        set(&store, "r", "k", "1").await.unwrap();
        server.command(&["SET", "rc1:i{r}", odd]);
        assert_eq!(get(&store, "r", "k").await.unwrap(), None, "{odd:?}");
        store.end(&path("r"), Verb::Expire.into()).await.unwrap();
        store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
    }
    set(&store, "r", "k", "1").await.unwrap();
    server.command(&["HSET", "rc1:d{r}", "", "another life"]);
    assert_eq!(get(&store, "r", "k").await.unwrap(), None);
}

/// Entries with an end leave the server by themselves, and ids live as long as the entries under them.
async fn lifetimes_are_bounded_on_the_server(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let left = |name: &str| server.command(&["PTTL", name]).text().parse::<i64>().unwrap();
    put(&store, "k", Some(100_000), 100_000, RegionTtl::Leave).await;
    let are_left = |expected: [(&str, i64); 4]| {
        for (name, millis) in expected {
            assert!((millis - 30_000..=millis).contains(&left(name)), "{name}: {}", left(name));
        }
    };
    are_left([
        ("rc1:i{r}", 400_000),
        ("rc1:i{r}.a", 400_000),
        ("rc1:c{r}", 400_000),
        ("rc1:d{r}.a", 250_000),
    ]);
    // Ids that are not new any more get more of a margin, if others are below them.
    put(&store, "k", Some(500_000), 0, RegionTtl::Leave).await;
    are_left([
        ("rc1:i{r}", 4_100_000),
        ("rc1:i{r}.a", 1_000_000),
        ("rc1:c{r}", 1_000_000),
        ("rc1:d{r}.a", 625_000),
    ]);
    let ids = bytes(&server.command(&["GET", "rc1:i{r}"]));
    put(&store, "k", Some(100_000), 0, RegionTtl::Leave).await;
    assert_eq!(bytes(&server.command(&["GET", "rc1:i{r}"])), ids, "not refreshed by each put");
    put(&store, "k", None, 0, RegionTtl::Leave).await;
    for name in ["rc1:i{r}", "rc1:i{r}.a", "rc1:c{r}", "rc1:d{r}.a"] {
        assert_eq!(left(name), -1, "{name}");
    }
}

/// Bug: a region TTL that was started again prolonged `d` but neither `i` nor `c`. Effect: the entries
/// were gone after a minute. Fix: all three live as long as the TTL.
async fn a_region_ttl_that_is_restarted_prolongs_all_keys(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let left = |name: &str| server.command(&["PTTL", name]).text().parse::<i64>().unwrap();
    let ttl = RegionTtl::Start(Duration::from_secs(20));
    put(&store, "k", Some(10_000_000), 0, ttl).await;
    assert!(left("rc1:i{r}.a") < 50_000);
    let hour = Duration::from_secs(3 * 3600);
    let write = Write::new(&[]).region_ttl(RegionTtl::Restart(hour));
    store.write(&path("r.a"), write).await.unwrap();
    for name in ["rc1:d{r}.a", "rc1:i{r}.a", "rc1:i{r}", "rc1:c{r}"] {
        assert!(left(name) >= 10_000_000, "{name}: {}", left(name));
    }
    // Whoever holds an entry knows it to live at least that long.
    let kept = ReadTerms::default().trust(Trust::Kept);
    let changes = async || store.read(&path("r.a"), &["k"], kept).await.unwrap().changes.unwrap();
    let before = changes().await;
    store.write(&path("r.a"), write).await.unwrap();
    assert_eq!(changes().await, before, "later: no change");
    let sooner = write.region_ttl(RegionTtl::Restart(Duration::from_secs(60)));
    store.write(&path("r.a"), sooner).await.unwrap();
    assert!(!changes().await.unchanged_since(before.last(), "k"), "sooner: a change of all");
}

/// Bug: after an expiration anywhere on its path a put was refused by the ordinary script. Effect: each
/// took two trips, for ever. Fix: that script computes the mark.
async fn a_put_after_an_expiration_is_one_trip(flavor: Flavor) {
    let server = TestServer::start(flavor);
    // Scripts are counted: those of the reclaimer are not to be among them.
    let store = builder(&server.url()).without_reclaimer().connect().await.unwrap();
    let scripts = || {
        let info = server.command(&["INFO", "commandstats"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok()).unwrap()
    };
    put(&store, "k", None, 0, RegionTtl::Leave).await;
    for ended in ["r", "r.a"] {
        store.end(&path(ended), Verb::Expire.into()).await.unwrap();
        put(&store, "k", None, 60_000, RegionTtl::Leave).await;
        let before = scripts();
        for _ in 0..10 {
            put(&store, "k", None, 60_000, RegionTtl::Leave).await;
        }
        assert_eq!(scripts() - before, 10, "after the expiration of {ended}");
        assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("value"));
    }
}

/// Every answer that is kept shows the same changes as a read that follows.
async fn answers_show_the_change_ring(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let region = path("r.a");
    let kept = ReadTerms::default().trust(Trust::Kept);
    let seen = async || {
        let read = store.read(&region, &["k"], kept).await.unwrap();
        (read.lineage, read.changes)
    };
    let write = async |ops: &[Op<'_>]| {
        let write = Write::new(ops).trust(Trust::Kept);
        let Written::Applied(applied) = store.write(&region, write).await.unwrap() else {
            panic!("no guard")
        };
        let shown = (applied.lineage, applied.changes);
        assert_eq!(shown, seen().await);
        shown.1
    };
    let first = write(&[Op::Put(Put::new("k", "1"))]).await.unwrap();
    assert_eq!(first.changes().len(), 1);
    assert_eq!(first.changes()[0].key, ChangedKey::All);
    let second = write(&[Op::Put(Put::new("k", "2"))]).await.unwrap();
    assert!(second.unchanged_since(first.last(), "other"));
    assert!(!second.unchanged_since(first.last(), "k"));
    let both = [Op::Put(Put::new("k", "3")), Op::Put(Put::new("other", "3"))];
    let third = write(&both).await.unwrap();
    assert!(!third.unchanged_since(second.last(), "untouched"));
    let fourth = write(&[Op::Remove { key: "k" }]).await.unwrap();
    assert!(fourth.unchanged_since(third.last(), "other"));
    assert!(!fourth.unchanged_since(third.last(), "k"));
    assert_eq!(write(&[Op::Remove { key: "k" }]).await.unwrap(), fourth, "nothing has changed");
    for n in 0..20 {
        let ring = write(&[Op::Put(Put::new("k", n.to_string()))]).await.unwrap();
        assert!(ring.changes().len() <= 8);
    }
    let token = LeaseToken::from_bits(1);
    let terms = LeaseTerms::new(token, Duration::from_secs(60)).trust(Trust::Kept);
    let begun = store.begin(&region, &["k"], terms).await.unwrap();
    assert_eq!((Some(begun.lineage), begun.changes), seen().await);
    let ended = store.end(&region, EndTerms::new(Verb::Touch).trust(Trust::Kept)).await.unwrap();
    assert_eq!((ended.lineage, ended.changes), seen().await);
    assert_eq!(seen().await.1, None, "no entries, no changes");
}

/// However often a region expires, its ids stay small, and no window grows.
async fn expirations_are_summed_up(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    put(&store, "k", None, 60_000, RegionTtl::Leave).await;
    for _ in 0..20 {
        store.end(&path("r.a"), Verb::Expire.into()).await.unwrap();
        store.end(&path("r"), Verb::Expire.into()).await.unwrap();
    }
    assert_eq!(bytes(&server.command(&["GET", "rc1:i{r}"])).len(), 26 + 4 * 14);
    let read = store.read(&path("r.a"), &["k"], region_core::ReadTerms::default()).await.unwrap();
    assert!(!read.entries[0].as_ref().unwrap().is_fresh());
    put(&store, "k", None, 60_000, RegionTtl::Leave).await;
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("value"));
}

/// A region that is written to all the time does not keep what is over.
async fn dead_entries_do_not_heap_up(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    put(&store, "kept", None, 0, RegionTtl::Leave).await;
    for n in 0..3000 {
        put(&store, &n.to_string(), Some(1), 0, RegionTtl::Leave).await;
    }
    let len = server.command(&["HLEN", "rc1:d{r}.a"]).text().parse::<u64>().unwrap();
    assert!(len < 1000, "{len} of 3000 entries that were over are still there");
    assert_eq!(get(&store, "r.a", "kept").await.unwrap().as_deref(), Some("value"));
}

async fn many_keys_fit_in_one_call(flavor: Flavor) {
    const MANY: usize = 20_000;
    let server = TestServer::start(flavor);
    let store = crate::kit::builder(&server.url())
        .call_timeout(Duration::from_secs(10))
        .watch(Duration::from_millis(100), Duration::from_secs(10))
        .connect()
        .await
        .unwrap();
    let keys: Vec<_> = (0..MANY).map(|n| n.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let token = region_core::LeaseToken::from_bits(1);
    let duration = Duration::from_secs(60);
    let terms = region_core::LeaseTerms::new(token, duration);
    let begun = store.begin(&path("r"), &keys, terms).await.unwrap();
    let put = |key| {
        let bytes = Bytes::from_static(b"v");
        let fresh_for = Lifetime::Unlimited;
        Op::Put(Put::new(key, bytes).when(When::Absent).fresh_for(fresh_for))
    };
    let ops: Vec<_> = keys.iter().map(|key| put(key)).collect();
    let guard = region_core::Guard::new(&begun.lineage, &keys, token);
    let write = Write::new(&ops).guard(guard);
    let written = store.write(&path("r"), write).await.unwrap();
    assert_eq!(written.outcomes().unwrap().len(), MANY);
    let read = store.read(&path("r"), &keys, region_core::ReadTerms::default()).await.unwrap();
    assert!(read.entries.iter().all(Option::is_some));
    assert_eq!(store.len(&path("r")).await.unwrap(), MANY as u64);
    let ops: Vec<_> = keys.iter().map(|key| Op::Remove { key }).collect();
    let write = Write::new(&ops);
    store.write(&path("r"), write).await.unwrap();
    assert_eq!(server.command(&["EXISTS", "rc1:d{r}"]).text(), "0");
}
