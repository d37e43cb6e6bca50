//! Another server is promoted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use region_core::{ErrorKind, Verb};
use region_redis::{OnInvalidationFailure, RedisStore};
use servers::{Flavor, Proxy};

use super::kit::{connect, failed_over, moved, of, start};
use crate::kit::{Load, bounded, end, get, remove, set, synced, until, until_ok};

servers::on_both! {
    a_primary_is_killed_under_load
    acknowledged_invalidations_survive_two_failovers
    a_hung_primary_comes_back
    the_sentinels_tell_before_the_silence_does
    a_long_outage_is_bounded
}

/// Both replicas have missed the invalidations, so whichever is promoted brings the old values back.
async fn a_primary_is_killed_under_load(flavor: Flavor) {
    let mut servers = start(flavor);
    let (store, other) = (connect(&servers).await, connect(&servers).await);
    let gone = ["r.gone.below", "r.stale", "r.touched", "r.removed", "r.set"];
    for region in gone.into_iter().chain(["r.kept"]) {
        set(&other, region, "k", "old").await.unwrap();
    }
    let [primary, replicas @ ..] = &servers.servers[..] else { panic!("no servers") };
    let port = primary.port();
    let mut ways = Vec::new();
    for replica in replicas {
        let way = Proxy::start(port).await;
        tokio::task::block_in_place(|| replica.follow(way.port()));
        synced(primary, replica).await;
        ways.push(way);
    }
    // It would take back what it has put, which may be lost.
    drop(other);
    let load = Load::start(&store, 4);
    ways.iter().for_each(Proxy::silence);
    end(&store, "r.gone", Verb::Invalidate).await.unwrap();
    end(&store, "r.stale", Verb::Expire).await.unwrap();
    end(&store, "r.touched.below", Verb::Touch).await.unwrap();
    remove(&store, "r.removed", "k").await.unwrap();
    set(&store, "r.set", "k", "new").await.unwrap();
    servers.servers[0].kill();
    let promoted = failed_over(&servers, port);
    for region in gone {
        assert_eq!(until_ok(|| get(&store, region, "k")).await, None, "{region}");
    }
    moved(&store, promoted).await;
    assert_eq!(until_ok(|| get(&store, "r.kept", "k")).await.as_deref(), Some("old"));
    // Another process, which knows nothing of them, sees them too.
    let other = connect(&servers).await;
    for region in gone {
        assert_eq!(until_ok(|| get(&other, region, "k")).await, None, "{region}");
    }
    load.stop().await;
}

/// The replicas lag, so a failover undoes what was done last.
async fn acknowledged_invalidations_survive_two_failovers(flavor: Flavor) {
    const TASKS: usize = 24;
    const LAG: Duration = Duration::from_millis(300);
    let mut servers = start(flavor);
    let store = connect(&servers).await;
    let mut port = servers.servers[0].port();
    let mut ways = Vec::new();
    for replica in &servers.servers[1..] {
        let way = Proxy::start(port).await;
        tokio::task::block_in_place(|| replica.follow(way.port()));
        way.delay_answers(LAG);
        ways.push(way);
    }
    let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, is_over, done) = (store.clone(), Arc::clone(&is_over), Arc::clone(&done));
            tokio::spawn(change_and_invalidate(store, task, LAG, is_over, done))
        })
        .collect();
    for _ in 0..2 {
        let before = done.load(Ordering::SeqCst);
        until("invalidations", || done.load(Ordering::SeqCst) > before + 20).await;
        let at = servers.servers.iter().position(|server| server.port() == port).unwrap();
        ways.iter().for_each(Proxy::silence);
        servers.servers[at].kill();
        port = failed_over(&servers, port);
        moved(&store, port).await;
    }
    let before = done.load(Ordering::SeqCst);
    until("invalidations", || done.load(Ordering::SeqCst) > before + 20).await;
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
}

/// Sets a value in a region of its own, and invalidates it so late that replicas which lag by `lag` may have the one
/// without the other. Then it must not see the value again, for longer than they lag; over and over.
async fn change_and_invalidate(
    store: RedisStore,
    task: usize,
    lag: Duration,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    const READS: u32 = 10;
    let (outer, inner) = (format!("part:{task}"), format!("part:{task}.below"));
    for at in 1_u64.. {
        let _ = bounded(set(&store, &inner, "k", &at.to_string())).await;
        tokio::time::sleep(lag / 2).await;
        let mut seen = 0;
        if bounded(end(&store, &outer, Verb::Invalidate)).await.is_ok() {
            done.fetch_add(1, Ordering::SeqCst);
            while seen < READS && !is_over.load(Ordering::SeqCst) {
                if let Ok(found) = bounded(get(&store, &inner, "k")).await {
                    assert_eq!(found, None, "set number {at} was invalidated");
                    seen += 1;
                }
                tokio::time::sleep(lag / READS * 2).await;
            }
        }
        if is_over.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// It takes itself for a primary until the sentinels have told it otherwise.
async fn a_hung_primary_comes_back(flavor: Flavor) {
    let servers = start(flavor);
    let store = connect(&servers).await;
    let old = &servers.servers[0];
    set(&store, "r", "k", "1").await.unwrap();
    old.pause();
    let promoted = failed_over(&servers, old.port());
    until_ok(|| set(&store, "r", "k", "2")).await;
    moved(&store, promoted).await;
    let other = connect(&servers).await;
    old.resume();
    // Its clients are cut off when it becomes one.
    let is_replica = || {
        let role = servers::ask(old.port(), &[b"ROLE"]);
        role.is_ok_and(|role| role.list()[0].text() == "slave")
    };
    while !is_replica() {
        for store in [&store, &other] {
            // A call may find its connection just lost, and never an older value.
            if let Ok(found) = bounded(get(store, "r", "k")).await {
                assert_eq!(found.as_deref(), Some("2"));
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    set(&store, "r", "k", "3").await.unwrap();
    assert_eq!(until_ok(|| get(&other, "r", "k")).await.as_deref(), Some("3"));
}

async fn the_sentinels_tell_before_the_silence_does(flavor: Flavor) {
    let servers = start(flavor);
    let long = Duration::from_secs(600);
    let store = of(&servers).watch(Duration::from_millis(100), long).connect().await.unwrap();
    let old = &servers.servers[0];
    set(&store, "r", "k", "1").await.unwrap();
    old.pause();
    let promoted = failed_over(&servers, old.port());
    moved(&store, promoted).await;
    old.resume();
    assert_eq!(store.primary().unwrap().to_string(), servers.at(promoted).url());
}

async fn a_long_outage_is_bounded(flavor: Flavor) {
    let mut servers = start(flavor);
    let store = of(&servers).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = store.connect().await.unwrap();
    set(&store, "r", "k", "old").await.unwrap();
    for replica in &servers.servers[1..] {
        synced(&servers.servers[0], replica).await;
    }
    let load = Load::start(&store, 4);
    // None is left to be promoted.
    servers.servers.iter_mut().rev().for_each(servers::TestServer::kill);
    until("the store to notice", || !store.stats().primary.is_up).await;
    bounded(end(&store, "r", Verb::Invalidate)).await.unwrap();
    for _ in 0..20 {
        let error = bounded(get(&store, "r", "k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::task::block_in_place(|| {
        servers.servers.iter_mut().for_each(servers::TestServer::restart);
    });
    assert_eq!(until_ok(|| get(&store, "r", "k")).await, None);
    until_ok(|| set(&store, "r", "k", "new")).await;
    assert!(!store.stats().has_queued);
    load.stop().await;
}
