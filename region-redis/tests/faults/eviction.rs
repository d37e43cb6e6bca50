//! Servers that evict what they please.

use std::sync::atomic::Ordering;
use std::time::Duration;

use region_core::{Store, Verb};
use servers::{Flavor, TestServer};

use crate::kit::{Load, connect, get, path, set};

crate::on_both! {
    evictions_are_misses_under_every_policy
    any_lost_key_is_a_miss
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
        server.command(&["CONFIG", "SET", "maxmemory", "4mb"]);
        let load = Load::start(&store, 8);
        let value = "x".repeat(10_000);
        for n in 0..600 {
            // A server that is full may refuse; it must not lie.
            let region = format!("fill.part:{}", n % 50);
            let _ = set(&store, &region, &n.to_string(), &value).await;
            if n % 10 == 0 {
                store.end(&path(&region), Verb::Invalidate).await.unwrap();
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
        store.end(&path("r.a"), Verb::Invalidate).await.unwrap();
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
