//! Servers that evict what they please.

use std::sync::atomic::Ordering;
use std::time::Duration;

use region_core::{Op, Put, RegionTtl, Store, Verb, Write};
use servers::{Flavor, TestServer};

use crate::kit::{Load, connect, get, path, remove, set, until, used_memory};

servers::on_both! {
    evictions_are_misses_under_every_policy
    what_is_done_on_a_full_server_is_seen
    any_lost_key_is_a_miss
    a_full_server_refuses_every_put_and_does_not_grow
}

const POLICIES: [&str; 8] = [
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

/// With much less memory than is written, no read finds what has been invalidated or never was.
async fn evictions_are_misses_under_every_policy(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    for policy in POLICIES {
        server.command(&["FLUSHALL"]);
        server.command(&["CONFIG", "SET", "maxmemory-policy", policy]);
        // What an empty server takes differs: Redis 8.2 takes 4 MiB more than 7.0.
        let room = used_memory(&server) + 3 * 1024 * 1024;
        server.command(&["CONFIG", "SET", "maxmemory", &room.to_string()]);
        let load = Load::start(&store, 8);
        let value = "x".repeat(10_000);
        for n in 0..600 {
            // A server that is full may refuse; it must not lie.
            let region = format!("fill.part:{}", n % 50);
            let _ = set(&store, &region, &n.to_string(), &value).await;
            if n % 10 == 0 {
                let ended = store.end(&path(&region), Verb::Invalidate.into()).await;
                assert!(ended.is_ok(), "{policy}: {ended:?}");
                for earlier in (n % 50..=n).step_by(50) {
                    let found = get(&store, &region, &earlier.to_string()).await.unwrap();
                    assert_eq!(found, None, "{policy}");
                }
            }
        }
        assert!(load.done.load(Ordering::SeqCst) > 0, "{policy}");
        load.stop().await;
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    set(&store, "r", "k", "1").await.unwrap();
}

/// Bug: the counts of writes had an expiry, and entries without a TTL have none. Effect: under the policies
/// that evict keys with an expiry alone, a full server lost the counts before each command, so every call
/// failed. Fix: the counts are listed with the time when they are given up for dead.
async fn what_is_done_on_a_full_server_is_seen(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    for policy in ["noeviction", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]
    {
        server.command(&["CONFIG", "SET", "maxmemory-policy", policy]);
        for n in 0..20 {
            set(&store, "r.a", &n.to_string(), &"x".repeat(1000)).await.unwrap();
            set(&store, &format!("r.b:{n}"), "k", "old").await.unwrap();
        }
        server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
        for n in 0..20 {
            let (part, key) = (format!("r.b:{n}"), n.to_string());
            remove(&store, "r.a", &key).await.unwrap();
            assert_eq!(get(&store, "r.a", &key).await.unwrap(), None, "{policy}");
            assert_eq!(get(&store, &part, "k").await.unwrap().as_deref(), Some("old"), "{policy}");
            store.end(&path(&part), Verb::Invalidate.into()).await.unwrap();
            assert_eq!(get(&store, &part, "k").await.unwrap(), None, "{policy}");
        }
        assert!(set(&store, "r.a", "k", "x").await.is_err(), "{policy}: there is no room");
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(store.stats().primary.connects, 1, "{policy}");
    }
}

/// Whichever keys are lost, alone or together, what was invalidated does not come back.
async fn any_lost_key_is_a_miss(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let names = || {
        let keys = server.command(&["KEYS", "rc1:*"]);
        let mut names: Vec<_> = keys.list().iter().map(servers::Reply::text).collect();
        names.sort();
        names
    };
    set(&store, "r.a.b", "k", "old").await.unwrap();
    let len = names().len();
    assert!(len >= 6, "{:?}", names());
    for lost in 1..(1_u32 << len) {
        server.command(&["FLUSHALL"]);
        set(&store, "r.a.b", "k", "old").await.unwrap();
        store.end(&path("r.a"), Verb::Invalidate.into()).await.unwrap();
        for (n, name) in names().iter().enumerate() {
            if lost & (1 << n) != 0 {
                server.command(&["DEL", name]);
            }
        }
        assert_eq!(get(&store, "r.a.b", "k").await.unwrap(), None, "{lost:b}");
        set(&store, "r.a.b", "other", "new").await.unwrap();
        assert_eq!(get(&store, "r.a.b", "k").await.unwrap(), None, "{lost:b}");
        assert_eq!(get(&store, "r.a.b", "other").await.unwrap().as_deref(), Some("new"));
    }
}

/// Bug: a put that goes through the script `write` deleted a lease first, after which the server does
/// not refuse anything for want of memory. Effect: a full server under `noeviction` grew without bound.
/// Fix: the script's first write is its count, which a full server refuses.
async fn a_full_server_refuses_every_put_and_does_not_grow(flavor: Flavor) {
    const ROOM: u64 = 3_000_000;
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let used = || used_memory(&server);
    set(&store, "r.a", "kept", "value").await.unwrap();
    let most = used() + ROOM;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.command(&["CONFIG", "SET", "maxmemory", &most.to_string()]);
    let mut refused = 0;
    for n in 0..1000 {
        let key = n.to_string();
        let ops = [Op::Put(Put::new(&key, vec![0; 10_000]))];
        let ttl = RegionTtl::Restart(Duration::from_secs(3600));
        let written = store.write(&path("r.a"), Write::new(&ops).region_ttl(ttl)).await;
        refused += u32::from(written.is_err());
    }
    assert!(refused > 500, "{refused} of 1000 puts were refused");
    let over = used().saturating_sub(most);
    assert!(over < 500_000, "{over} bytes over the limit");
    // What frees memory is done all the same.
    assert_eq!(get(&store, "r.a", "kept").await.unwrap().as_deref(), Some("value"));
    remove(&store, "r.a", "kept").await.unwrap();
    assert_eq!(get(&store, "r.a", "kept").await.unwrap(), None);
    store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
    until("the server to have room again", || used() < most - ROOM / 2).await;
    set(&store, "r.a", "kept", "value").await.unwrap();
}
