//! Many slots on few nodes: they share connections, and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use region_core::Verb;
use region_redis::RedisStore;
use servers::{Cluster, Flavor, TestServer};

use crate::kit::{
    Load, RECOVERY, bounded, builder, connect, end, get, path, set, slot_of, until, until_ok,
};

servers::on_both! {
    many_slots_share_connections
    a_killed_node_is_reached_again_once_for_all_its_slots
    one_slot_moves_and_the_others_stay
    slots_that_nobody_uses_are_closed
    a_hung_node_is_asked_once_for_all_its_slots
}

/// The number of roots, in nearly as many slots.
const ROOTS: usize = 1000;

/// The number of hash slots.
const SLOTS: u16 = 16384;

/// The most connections to a node: the main one, one for large entries, four for waits.
const MOST: usize = 6;

fn root(at: usize) -> String {
    format!("many{at}")
}

async fn write_all(store: &RedisStore, value: &str) {
    write_some(store, 0..ROOTS, value).await;
}

async fn write_some(store: &RedisStore, roots: Range<usize>, value: &str) {
    for start in roots.step_by(100) {
        let write = |at| until_ok(move || async move { set(store, &root(at), "k", value).await });
        join_all((start..start + 100).map(write)).await;
    }
}

/// Reads all values. Those are missing that were taken back as the server may have lost them: at most `missing`.
async fn check_all(store: &RedisStore, value: &str, missing: usize) {
    let mut missed = 0;
    for at in 0..ROOTS {
        match until_ok(async || bounded(get(store, &root(at), "k")).await).await {
            Some(found) => assert_eq!(found, value, "{}", root(at)),
            None => missed += 1,
        }
    }
    assert!(missed <= missing, "{missed} are missing");
}

/// The numbers of the store's connections to a node.
fn clients(node: &TestServer) -> BTreeSet<u64> {
    let list = node.command(&["CLIENT", "LIST"]).text();
    let lines = list.lines().filter(|line| line.contains(" name=region-cache "));
    let number = |line: &str| line.strip_prefix("id=")?.split(' ').next()?.parse().ok();
    lines.map(|line| number(line).unwrap()).collect()
}

async fn many_slots_share_connections(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    write_all(&store, "1").await;
    let before: Vec<_> = cluster.nodes[..3].iter().map(clients).collect();
    // Ordered calls of many slots, large ones and waits among them.
    let large = "large".repeat(20_000);
    let busy = |at: usize| {
        let (store, large) = (&store, &large);
        async move {
            let region = root(at);
            until_ok(|| set(store, &region, "l", large)).await;
            assert_eq!(until_ok(|| get(store, &region, "l")).await.as_ref(), Some(large));
            let within = Duration::from_secs(10);
            let region = path(&region);
            let wait = || store.end_and_wait(&region, Verb::Invalidate, 1, within);
            assert_eq!(until_ok(wait).await, 1);
        }
    };
    join_all((0..60).map(busy)).await;
    for (node, before) in cluster.nodes.iter().zip(before) {
        assert_eq!(before.len(), 1, "one connection for hundreds of slots");
        let now = clients(node);
        assert!(now.len() <= MOST && before.is_subset(&now), "{before:?} {now:?}");
    }
    let stats = store.stats();
    assert!(stats.nodes.iter().all(|node| node.connects == 1), "{stats:?}");
    for at in 0..60 {
        assert_eq!(get(&store, &root(at), "k").await.unwrap(), None, "{}", root(at));
        set(&store, &root(at), "k", "1").await.unwrap();
    }
    check_all(&store, "1", 0).await;
    // With the store its connections end, and the counts of all slots go.
    drop(store);
    until("the connections to end", || {
        cluster.nodes.iter().all(|node| clients(node).is_empty() && counts(node).is_empty())
    })
    .await;
}

/// The counts of writes that a node has, each with its tag.
fn counts(node: &TestServer) -> HashMap<String, String> {
    let keys = node.command(&["KEYS", "rc1:w{*"]);
    let keys = keys.list().iter().map(servers::Reply::text);
    let tagged = keys.filter_map(|key| {
        let (tag, id) = key.split_once('}')?;
        (!id.is_empty()).then(|| (tag.to_owned(), key.clone()))
    });
    tagged.collect()
}

async fn a_killed_node_is_reached_again_once_for_all_its_slots(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        // Else no node serves anything until the replica has taken over.
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = connect(&cluster).await;
    write_all(&store, "1").await;
    let elsewhere = (0..)
        .map(root)
        .find(|root| cluster.primary_of(slot_of(&cluster, root)).port() == cluster.nodes[1].port());
    let load = Load::start(&store, &elsewhere.unwrap(), 2);
    let others: Vec<_> = cluster.nodes[1..3].iter().map(clients).collect();
    let port = cluster.nodes[0].port();
    cluster.at_mut(port).kill();
    let promoted = tokio::task::block_in_place(|| cluster.wait_for_other_primary(0, port));
    check_all(&store, "1", ROOTS / 2).await;
    let node = cluster.at(promoted);
    let now = clients(node);
    assert!(!now.is_empty() && now.len() <= MOST, "{now:?}");
    for (node, before) in cluster.nodes[1..3].iter().zip(others) {
        assert!(before.is_subset(&clients(node)), "the other nodes' connections stay");
    }
    let stats = store.stats();
    let is_once = stats.nodes.iter().all(|node| node.is_up && node.connects == 1);
    assert!(is_once && stats.nodes.len() == 3, "{stats:?}");
    write_all(&store, "2").await;
    check_all(&store, "2", 0).await;
    load.more(50).await;
    load.stop().await;
}

async fn one_slot_moves_and_the_others_stay(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    write_all(&store, "1").await;
    let slot = slot_of(&cluster, &root(0));
    let from = cluster.primary_of(slot);
    let to = cluster.nodes[..3].iter().find(|node| node.port() != from.port()).unwrap();
    let all_counts = || -> HashMap<_, _> { cluster.nodes[..3].iter().flat_map(counts).collect() };
    let (before, sockets) = (all_counts(), cluster.nodes[..3].iter().map(clients));
    let sockets: Vec<_> = sockets.collect();
    tokio::task::block_in_place(|| cluster.move_slot(slot, to));
    // The store that has put it cannot know that all of its puts have moved: it takes the late ones back.
    let moved = until_ok(async || bounded(get(&store, &root(0), "k")).await).await;
    assert!(moved.is_none_or(|value| value == "1"));
    until_ok(async || bounded(set(&store, &root(0), "k", "1")).await).await;
    check_all(&store, "1", 0).await;
    let now = all_counts();
    let anew = now.iter().filter(|(tag, count)| before.get(*tag) != Some(*count)).count();
    assert_eq!((anew, now.len()), (1, before.len()), "only one slot is prepared anew");
    for (node, before) in cluster.nodes.iter().zip(sockets) {
        assert!(before.is_subset(&clients(node)), "no connection is given up");
    }
    end(&store, &root(0), Verb::Invalidate).await.unwrap();
    assert_eq!(get(&store, &root(0), "k").await.unwrap(), None);
}

/// The number of roots of which some are closed.
const TOO_MANY: usize = 1100;

async fn slots_that_nobody_uses_are_closed(flavor: Flavor) {
    const MOST_IDLE: usize = 1024;
    let cluster = Cluster::start(flavor);
    let store =
        until_ok(|| builder(&cluster.url()).max_lag(Duration::from_secs(2)).connect()).await;
    let open = || -> usize { cluster.nodes[..3].iter().map(|node| counts(node).len()).sum() };
    write_some(&store, 0..TOO_MANY, "1").await;
    // Roots share slots now and then.
    let before = open();
    assert!(before > MOST_IDLE, "{before} slots");
    until("slots to be closed", || open() <= MOST_IDLE).await;
    write_some(&store, 0..TOO_MANY, "2").await;
    assert_eq!(open(), before);
    for at in 0..TOO_MANY {
        assert_eq!(get(&store, &root(at), "k").await.unwrap().as_deref(), Some("2"));
    }
    let stats = store.stats();
    assert_eq!(stats.primary.connects, 3, "{stats:?}");
}

async fn a_hung_node_is_asked_once_for_all_its_slots(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-node-timeout", "60000"]);
    }
    let store = connect(&cluster).await;
    write_all(&store, "1").await;
    let hung = &cluster.nodes[0];
    let slots: Vec<_> = (0..ROOTS).map(|at| (at, slot_of(&cluster, &root(at)))).collect();
    let (from, to) = (0, SLOTS.div_ceil(3) - 1);
    let on_it = slots.iter().filter(|(_, slot)| (from..=to).contains(slot)).map(|(at, _)| *at);
    let on_it: Vec<_> = on_it.collect();
    let opened = || -> u64 {
        let stats = hung.command(&["INFO", "stats"]).text();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.and_then(|number| number.trim().parse().ok()).unwrap()
    };
    let opened_before = opened();
    hung.pause();
    let call_all = || async {
        let calls = on_it.iter().map(|at| async { bounded(get(&store, &root(*at), "k")).await });
        assert!(join_all(calls).await.iter().all(Result::is_err), "it hangs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let deadline = Instant::now() + RECOVERY;
    while store.stats().primary.is_up {
        call_all().await;
        assert!(Instant::now() < deadline, "nobody notices");
    }
    // Long enough that each slot could have tried to connect several times.
    let (noticed, start) = (store.stats().primary.timeouts, Instant::now());
    while start.elapsed() < Duration::from_secs(3) {
        call_all().await;
    }
    assert_eq!(store.stats().primary.timeouts, noticed, "calls fail at once");
    hung.resume();
    check_all(&store, "1", ROOTS / 2).await;
    // Those who look for another primary are among them.
    let opened = opened() - opened_before;
    assert!(opened < on_it.len() as u64 / 4, "{opened} connections for {} slots", on_it.len());
}
