//! Keys that somebody deletes or puts back by hand.

use std::time::Instant;

use region_cache::{Policy, Region, RegionCache, RegionExt, RegionHandle, Verb};
use servers::{Flavor, Reply, TestServer};

use crate::kit::{PATIENCE, connect, far, near, until_near, value};

const CHANGES: usize = 7;

/// The keys of the regions in use, with what they hold.
fn dump(server: &TestServer) -> Vec<(String, Vec<u8>)> {
    let names = server.command(&["KEYS", "rc1:[idlc]*"]);
    let dumped = names.list().iter().map(Reply::text).filter_map(|name| {
        match server.command(&["DUMP", &name]) {
            Reply::Bytes(bytes) => Some((name, bytes)),
            _ => None,
        }
    });
    let mut dumped: Vec<_> = dumped.collect();
    dumped.sort();
    dumped
}

async fn change(region: &RegionHandle, how: usize) {
    match how {
        0 => region.set("k", &2_u64).await.unwrap(),
        1 => region.set_many(&[("k", &2_u64), ("l", &2)]).await.unwrap(),
        2 => drop(region.remove("k").await.unwrap()),
        3 => region.set("l", &2_u64).await.unwrap(),
        4 => region.end(Verb::Invalidate).await.unwrap(),
        5 => region.end(Verb::Expire).await.unwrap(),
        _ => region.end(Verb::Touch).await.unwrap(),
    }
}

/// Waits until what is near is what the store has, and trusted again if there is a value.
async fn until_same(what: &str, cache: &RegionCache, near: &RegionHandle, far: &RegionHandle) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let hits = cache.stats().near_hits;
        let (mine, theirs) = (value(near, "k").await, value(far, "k").await);
        let is_near = cache.stats().near_hits > hits;
        if mine == theirs && (is_near || theirs.is_none()) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {mine:?} near, {theirs:?} in the store");
    }
}

/// Whichever key is deleted, or put back as it was before a change, by whomever that was made: what is
/// near follows the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_deleted_and_put_back_by_hand_are_seen() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let cache = near(connect(&server.url()).await, Policy::new());
        let other = far(connect(&server.url()).await);
        let (mine, theirs) = (cache.region("a.b").unwrap(), other.region("a.b").unwrap());
        for how in 0..CHANGES {
            for by in [&mine, &theirs] {
                let mut at = 0;
                loop {
                    theirs.set_many(&[("k", &1_u64), ("l", &1)]).await.unwrap();
                    until_near(&cache, &mine).await;
                    let before = dump(&server);
                    let Some((name, bytes)) = before.get(at) else { break };
                    at += 1;
                    let what = format!("{} {how} {name}", server.url());
                    change(by, how).await;
                    until_same(&what, &cache, &mine, &theirs).await;
                    server.bytes(&[b"RESTORE", name.as_bytes(), b"0", bytes, b"REPLACE"]);
                    until_same(&format!("{what} put back"), &cache, &mine, &theirs).await;
                    server.command(&["DEL", name]);
                    until_same(&format!("{what} deleted"), &cache, &mine, &theirs).await;
                }
                assert!(at > 3, "{at} keys");
            }
        }
    }
}
