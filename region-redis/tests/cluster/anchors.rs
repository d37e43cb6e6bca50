//! Trees whose regions lie in several slots: anchors below the root.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use region_core::{
    ErrorKind, LeaseTerms, LeaseToken, Lifetime, Op, PageTerms, Put, ReadFrom, ReadTerms, Region,
    RegionExt, Store, Verb, Write,
};
use region_redis::{OnInvalidationFailure, RedisStore, RedisStoreBuilder};
use servers::{Cluster, Flavor, Reply, TestServer};

use crate::kit::{
    Load, RECOVERY, bounded, builder, end, get, get_from, path, roots, set, slot_of, until,
    until_ok,
};
use crate::near::{cache, hold, until_seen, until_set};

servers::on_both! {
    one_tree_is_spread_over_nodes
    an_invalidation_above_is_one_write_and_frees_all
    an_anchor_that_has_ended_leaves_its_parents_list
    an_anchor_that_is_filled_again_stays_listed
    an_expiration_above_gives_the_whole_window
    a_queued_invalidation_above_hides_what_is_below
    a_killed_primary_of_the_root_undoes_no_invalidation
    a_killed_primary_below_undoes_no_invalidation
    slots_are_moved_under_load
    a_hung_node_concerns_no_other_anchor
    near_values_hang_on_what_is_above
    a_process_with_another_anchor_is_told
}

/// The number of anchors below a root.
const ANCHORS: usize = 12;

fn url(cluster: &Cluster) -> String {
    format!("{}?anchor=2", cluster.url())
}

async fn connect(cluster: &Cluster) -> RedisStore {
    builder(&url(cluster)).connect().await.unwrap()
}

fn leaf(root: &str, at: usize) -> String {
    format!("{root}.org:{at}.project:7")
}

/// An anchor below the root that lies on this node.
fn anchor_on(cluster: &Cluster, root: &str, node: &TestServer) -> String {
    let is_there =
        |anchor: &String| cluster.primary_of(slot_of(cluster, anchor)).port() == node.port();
    (0..).map(|at| format!("{root}.on:{at}")).find(is_there).unwrap()
}

/// The names of all keys of the primaries that match.
fn keys(cluster: &Cluster, pattern: &str) -> Vec<String> {
    let primaries = &cluster.nodes[..3];
    let of = |node: &TestServer| -> Vec<_> {
        node.command(&["KEYS", pattern]).list().iter().map(Reply::text).collect()
    };
    primaries.iter().flat_map(of).collect()
}

async fn one_tree_is_spread_over_nodes(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let (one, other) = (connect(&cluster).await, connect(&cluster).await);
    set(&one, "shop", "k", "root").await.unwrap();
    for at in 0..ANCHORS {
        set(&one, &leaf("shop", at), "k", "1").await.unwrap();
        assert_eq!(get(&other, &leaf("shop", at), "k").await.unwrap().as_deref(), Some("1"));
        assert_eq!(other.len(&path(&leaf("shop", at))).await.unwrap(), 1);
        let anchor = path(&format!("shop.org:{at}"));
        assert_eq!(other.children(&anchor, PageTerms::new(9)).await.unwrap().items.len(), 1);
    }
    let listed = other.children(&path("shop"), PageTerms::new(100)).await.unwrap().items;
    assert_eq!(listed.len(), ANCHORS, "{listed:?}");
    let nodes: HashSet<_> = one.stats().nodes.iter().map(|node| node.server.clone()).collect();
    assert_eq!(nodes.len(), 3);
    assert_eq!(keys(&cluster, "rc1:d{shop.org:3}.project:7").len(), 1);
    // A touch reaches the root, and nothing beside its path.
    end(&other, &leaf("shop", 0), Verb::Touch).await.unwrap();
    assert_eq!(get(&one, "shop", "k").await.unwrap(), None);
    assert_eq!(get(&one, &leaf("shop", 0), "k").await.unwrap(), None);
    assert_eq!(get(&one, &leaf("shop", 1), "k").await.unwrap().as_deref(), Some("1"));
}

/// What lies in other slots is found by their own work lists, though none of it ever ends by itself.
async fn an_invalidation_above_is_one_write_and_frees_all(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    for at in 0..ANCHORS {
        for region in [leaf("shop", at), format!("{}.deep.deeper", leaf("shop", at))] {
            set(&store, &region, "k", "1").await.unwrap();
        }
    }
    let calls = || -> u64 {
        let stats = cluster.nodes[..3].iter().map(|node| node.command(&["INFO", "commandstats"]));
        stats.map(|stats| stats.text().matches("cmdstat_rename:").count() as u64).sum()
    };
    assert_eq!(calls(), 0);
    end(&store, "shop", Verb::Invalidate).await.unwrap();
    for at in 0..ANCHORS {
        assert_eq!(get(&store, &leaf("shop", at), "k").await.unwrap(), None);
    }
    let left = || keys(&cluster, "rc1:[idlcx]{shop*");
    let deadline = Instant::now() + RECOVERY;
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", left());
        until_ok(async || store.reclaim().await).await;
    }
    assert_eq!(keys(&cluster, "rc1:g{shop*"), Vec::<String>::new());
}

/// Bug: nothing told that processes had different anchors.
/// Effect: what one invalidated below the root stayed valid for the other.
/// Fix: a root names the anchors of who created it, and all others get an error.
async fn a_process_with_another_anchor_is_told(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let deep = connect(&cluster).await;
    let plain = builder(&cluster.url()).connect().await.unwrap();
    let (region, lease) =
        (path(&leaf("shop", 1)), LeaseTerms::new(LeaseToken::from_bits(7), RECOVERY));
    for (first, second) in [(&deep, &plain), (&plain, &deep)] {
        set(first, &leaf("shop", 1), "k", "1").await.unwrap();
        let errors = [
            second.read(&region, &["k"], ReadTerms::default()).await.map(drop).unwrap_err(),
            second.begin(&region, &["k"], lease).await.map(drop).unwrap_err(),
            second.children(&region, PageTerms::new(9)).await.map(drop).unwrap_err(),
            second.len(&region).await.map(drop).unwrap_err(),
            end(second, &leaf("shop", 1), Verb::Invalidate).await.map(drop).unwrap_err(),
            end(second, &leaf("shop", 1), Verb::Touch).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
            let text = error.to_string();
            assert!(text.contains("anchor=1") && text.contains("anchor=2"), "{text}");
        }
        // The root lies in one place: so it can be invalidated, and then belongs to whoever comes first.
        assert_eq!(get(first, &leaf("shop", 1), "k").await.unwrap().as_deref(), Some("1"));
        end(second, "shop", Verb::Invalidate).await.unwrap();
        assert_eq!(get(first, &leaf("shop", 1), "k").await.unwrap(), None);
    }
}

async fn children(store: &RedisStore) -> usize {
    store.children(&path("shop"), PageTerms::new(100)).await.unwrap().items.len()
}

async fn an_anchor_that_has_ended_leaves_its_parents_list(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    for at in 0..3 {
        set(&store, &leaf("shop", at), "k", "1").await.unwrap();
    }
    assert_eq!(children(&store).await, 3);
    end(&store, "shop.org:1", Verb::Invalidate).await.unwrap();
    let deadline = Instant::now() + RECOVERY;
    while children(&store).await != 2 {
        assert!(Instant::now() < deadline, "it stays listed");
        until_ok(async || store.reclaim().await).await;
    }
    assert_eq!(get(&store, &leaf("shop", 2), "k").await.unwrap().as_deref(), Some("1"));
}

/// Whoever puts into a new life lists it again, whatever others take off the list of the one before.
async fn an_anchor_that_is_filled_again_stays_listed(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let (one, other) = (connect(&cluster).await, connect(&cluster).await);
    for round in 0..30 {
        set(&one, &leaf("shop", 1), "k", "1").await.unwrap();
        let ended = async {
            end(&other, "shop.org:1", Verb::Invalidate).await.unwrap();
            other.reclaim().await.unwrap();
        };
        let refilled = async {
            for _ in 0..round % 5 {
                get(&one, &leaf("shop", 1), "k").await.unwrap();
            }
            set(&one, &leaf("shop", 1), "k", "2").await.unwrap();
        };
        tokio::join!(ended, refilled);
        set(&one, &leaf("shop", 1), "k", "3").await.unwrap();
        other.reclaim().await.unwrap();
        assert_eq!(children(&one).await, 1, "round {round}");
    }
}

/// By the clocks of two servers the window is about as long as by one, and never longer.
async fn an_expiration_above_gives_the_whole_window(flavor: Flavor) {
    const WINDOW: Duration = Duration::from_secs(3);
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let region = path(&leaf("shop", 1));
    let put = Put::new("k", Bytes::from_static(b"1")).fresh_for(Lifetime::Unlimited);
    let ops = [Op::Put(put.stale_for(WINDOW))];
    store.write(&region, Write::new(&ops)).await.unwrap();
    // Longer ago than the window.
    tokio::time::sleep(WINDOW + Duration::from_millis(200)).await;
    let expired = Instant::now();
    end(&store, "shop", Verb::Expire).await.unwrap();
    let read = async || {
        let read = store.read(&region, &["k"], ReadTerms::default()).await.unwrap();
        read.entries.into_iter().next().flatten()
    };
    let mut last = Duration::ZERO;
    while expired.elapsed() < WINDOW * 2 {
        if let Some(entry) = read().await {
            assert!(!entry.is_fresh());
            last = expired.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // While the clocks are known less well, on a machine that has much else to do, the window seems shorter.
    assert!(last > WINDOW / 3, "stale for {last:?} alone");
    assert!(last < WINDOW + Duration::from_secs(2), "stale for {last:?}");
}

fn queueing(url: &str) -> RedisStoreBuilder {
    builder(url).on_invalidation_failure(OnInvalidationFailure::Queue)
}

async fn a_queued_invalidation_above_hides_what_is_below(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let [root, ..] = roots(&cluster);
    let store = queueing(&url(&cluster)).connect().await.unwrap();
    let region = format!("{}.a", anchor_on(&cluster, &root, &cluster.nodes[1]));
    set(&store, &region, "k", "old").await.unwrap();
    cluster.nodes[0].pause();
    bounded(end(&store, &root, Verb::Invalidate)).await.unwrap();
    assert!(store.stats().has_queued);
    for _ in 0..20 {
        // The node of the region itself answers.
        let found = bounded(get(&store, &region, "k")).await;
        assert!(!matches!(found, Ok(Some(_))), "{found:?}");
    }
    cluster.nodes[0].resume();
    cluster.wait_until_ok();
    assert_eq!(until_ok(async || bounded(get(&store, &region, "k")).await).await, None);
    assert!(!store.stats().has_queued);
}

/// Invalidates without the replica of `node` seeing it, kills the node, and checks that nothing comes back.
async fn kill_after_invalidations(
    cluster: &mut Cluster,
    store: &RedisStore,
    slot: u16,
    port: u16,
    ended: &[String],
    read: &[String],
) {
    let node = cluster.at(port);
    assert_eq!(node.command(&["WAIT", "1", "10000"]).text(), "1");
    node.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    for region in ended {
        end(store, region, Verb::Invalidate).await.unwrap();
    }
    cluster.at_mut(port).kill();
    assert_ne!(cluster.wait_for_other_primary(slot, port), port);
    for region in read {
        let found = until_ok(async || bounded(get(store, region, "k")).await).await;
        assert_eq!(found, None, "{region}");
    }
    cluster.at_mut(port).restart();
    cluster.wait_until_ok();
}

async fn a_killed_primary_of_the_root_undoes_no_invalidation(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, ..] = roots(&cluster);
    let slot = slot_of(&cluster, &root);
    let port = cluster.nodes[0].port();
    let regions: Vec<_> = (0..ANCHORS).map(|at| leaf(&root, at)).collect();
    for region in &regions {
        set(&store, region, "k", "old").await.unwrap();
    }
    let load = Load::start(&store, &root, 4);
    load.more(50).await;
    kill_after_invalidations(&mut cluster, &store, slot, port, &[root], &regions).await;
    load.more(50).await;
    load.stop().await;
}

async fn a_killed_primary_below_undoes_no_invalidation(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, ..] = roots(&cluster);
    let anchor = anchor_on(&cluster, &root, &cluster.nodes[1]);
    let (slot, port) = (slot_of(&cluster, &anchor), cluster.nodes[1].port());
    let regions: Vec<_> = (0..20).map(|at| format!("{anchor}.kept:{at}")).collect();
    for region in &regions {
        set(&store, region, "k", "old").await.unwrap();
    }
    let load = Load::start(&store, &root, 4);
    load.more(50).await;
    kill_after_invalidations(&mut cluster, &store, slot, port, &regions, &regions).await;
    load.more(50).await;
    load.stop().await;
}

async fn slots_are_moved_under_load(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, ..] = roots(&cluster);
    let load = Load::start(&store, &root, 4);
    // The anchor of the load, then what is above it.
    for (tag, to) in [(format!("{root}.load"), 1), (root.clone(), 2), (format!("{root}.load"), 0)] {
        load.more(100).await;
        let slot = slot_of(&cluster, &tag);
        if cluster.primary_of(slot).port() != cluster.nodes[to].port() {
            tokio::task::block_in_place(|| cluster.move_slot(slot, &cluster.nodes[to]));
        }
        load.more(100).await;
    }
    load.stop().await;
    cluster.wait_until_ok();
}

async fn a_hung_node_concerns_no_other_anchor(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = connect(&cluster).await;
    let [root, ..] = roots(&cluster);
    let [mine, hung] =
        [1, 2].map(|at| format!("{}.a", anchor_on(&cluster, &root, &cluster.nodes[at])));
    for region in [&mine, &hung] {
        set(&store, region, "k", "1").await.unwrap();
    }
    cluster.nodes[2].pause();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let (other, found) =
            tokio::join!(bounded(get(&store, &hung, "k")), bounded(get(&store, &mine, "k")));
        assert_eq!(found.unwrap().as_deref(), Some("1"));
        assert!(!matches!(other, Ok(None)), "nothing of it was invalidated");
        set(&store, &mine, "k", "1").await.unwrap();
    }
    cluster.nodes[2].resume();
    cluster.wait_until_ok();
    let found = until_ok(async || get_from(&store, &hung, "k", ReadFrom::Primary).await).await;
    assert!(found.is_none_or(|found| found == "1"));
}

async fn near_values_hang_on_what_is_above(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let [root, ..] = roots(&cluster);
    let anchor = anchor_on(&cluster, &root, &cluster.nodes[1]);
    let relative = format!("{}.a", anchor.split_once('.').unwrap().1);
    // The reclaimer would free what is below, in the slot whose connection is alive: that is pushed too.
    let connect = async || builder(&url(&cluster)).without_reclaimer().connect().await.unwrap();
    let caches = [connect().await, connect().await].map(|store| cache(&store, &root));
    let [mine, others] = caches.each_ref().map(|cache| cache.region(&relative).unwrap());
    let theirs = caches[1].root();
    for (round, verb) in [(0, Verb::Invalidate), (1, Verb::Expire), (2, Verb::Invalidate)] {
        until_set(&others, round).await;
        until_seen(&mine, round).await;
        hold(&caches[0], &mine, round).await;
        // The push of what is above comes from another node.
        theirs.end(verb).await.unwrap();
        until_gone(&mine).await;
    }
    // So does the loss of it: what is changed while no push can come is seen all the same.
    until_set(&others, 7).await;
    until_seen(&mine, 7).await;
    hold(&caches[0], &mine, 7).await;
    cluster.nodes[0].command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("the invalidation to succeed", || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async { theirs.invalidate().await.is_ok() })
        })
    })
    .await;
    until_gone(&mine).await;
}

async fn until_gone(region: &region_core::RegionHandle) {
    let deadline = Instant::now() + RECOVERY;
    while !matches!(bounded(region.get::<u32>("k")).await, Ok(None)) {
        assert!(Instant::now() < deadline, "an old value is still served");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
