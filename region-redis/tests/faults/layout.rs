//! What lies on the server: as LAYOUT.md says it, and when others have written there.

use std::time::Duration;

use bytes::Bytes;
use region_core::{Lifetime, Op, Put, RegionTtl, Store, Verb, When, Write};
use region_redis::RedisStore;
use servers::{Flavor, Reply, TestServer};

use crate::kit::{connect, get, path, set};

crate::on_both! {
    keys_are_those_of_the_layout
    values_are_those_of_the_layout
    keys_of_other_types_are_misses_and_repaired
    odd_values_are_misses
    lifetimes_are_bounded_on_the_server
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

async fn keys_are_those_of_the_layout(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "shop.org:42.a%2Eb", "k", "v").await.unwrap();
    let mut keys: Vec<_> = server.command(&["KEYS", "*"]).list().iter().map(Reply::text).collect();
    keys.retain(|name| !name.starts_with("rc1:w{"));
    keys.sort();
    assert_eq!(
        keys,
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
    assert_eq!((root.len(), leaf.len()), (26, 26));
    assert_eq!((&root[16..20], &leaf[16..20]), (&[0; 4][..], &root[..4]));
    assert_eq!(root[20..], [0; 6], "an unlimited entry: the ids never expire");
    let life = [&root[..8], &leaf[..8]].concat();
    assert_eq!(bytes(&server.command(&["HGET", "rc1:d{r}.a", ""])), life);
    let children = server.command(&["HGETALL", "rc1:c{r}"]);
    let children: Vec<_> = children.list().iter().map(bytes).collect();
    assert_eq!(children, [b"".to_vec(), root[..8].to_vec(), b"a".to_vec(), b"".to_vec()]);

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
    assert_eq!(expired.len(), 48);
    assert_eq!(expired[..26], root[..]);
    assert_eq!(expired[34..41], expired[41..48], "one moment");
    put(&store, "marked", None, 0, RegionTtl::Leave).await;
    let marked = entry("marked");
    assert_eq!((marked[0], &marked[9..]), (0x14, &b"value"[..]));

    put(&store, "k", None, 0, RegionTtl::Start(Duration::from_secs(60))).await;
    let stamp = bytes(&server.command(&["HGET", "rc1:d{r}.a", ""]));
    assert_eq!((&stamp[..16], stamp[16], stamp.len()), (&life[..], 2, 23));
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

/// What has an end leaves the server by itself, and ids live as long as what hangs on them.
async fn lifetimes_are_bounded_on_the_server(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let left = |name: &str| server.command(&["PTTL", name]).text().parse::<i64>().unwrap();
    put(&store, "k", Some(100_000), 100_000, RegionTtl::Leave).await;
    for name in ["rc1:i{r}", "rc1:i{r}.a", "rc1:c{r}"] {
        assert!((390_000..=400_000).contains(&left(name)), "{name}: {}", left(name));
    }
    assert!((240_000..=250_000).contains(&left("rc1:d{r}.a")), "{}", left("rc1:d{r}.a"));
    let ids = bytes(&server.command(&["GET", "rc1:i{r}"]));
    put(&store, "k", Some(100_000), 0, RegionTtl::Leave).await;
    assert_eq!(bytes(&server.command(&["GET", "rc1:i{r}"])), ids, "not refreshed by each put");
    put(&store, "k", None, 0, RegionTtl::Leave).await;
    for name in ["rc1:i{r}", "rc1:i{r}.a", "rc1:c{r}", "rc1:d{r}.a"] {
        assert_eq!(left(name), -1, "{name}");
    }
    store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
    assert_eq!(left("rc1:i{r}"), -1, "an invalidation keeps the lifetime of the ids");
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
    assert_eq!(bytes(&server.command(&["GET", "rc1:i{r}"])).len(), 34 + 4 * 14);
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
