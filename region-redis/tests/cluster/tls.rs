//! Clusters that are reached over TLS.

use region_core::{ErrorKind, ReadFrom, Verb};
use region_redis::RedisStore;
use servers::{Certificates, Cluster, Endpoint, Flavor};

use crate::kit::{
    Load, bounded, builder, end, get, get_from, roots, set, slot_of, until, until_ok,
};

servers::on_both! {
    nodes_are_reached_by_their_names
    nodes_are_reached_by_their_addresses
}

async fn nodes_are_reached_by_their_names(flavor: Flavor) {
    let certificates = Certificates::new();
    let mut cluster = start(flavor, &certificates, Endpoint::Name);
    let url = format!("{}?ca={}", cluster.tls_url(), ca(&certificates));
    use_cluster(&mut cluster, &url, "localhost").await;
}

/// The certificates do not name the addresses that the nodes tell: a name has to be given.
async fn nodes_are_reached_by_their_addresses(flavor: Flavor) {
    let certificates = Certificates::new();
    let mut cluster = start(flavor, &certificates, Endpoint::Address);
    let url = format!("{}?ca={}", cluster.tls_url(), ca(&certificates));
    let store = until_ok(|| builder(&url).connect()).await;
    let [root, ..] = roots(&cluster);
    let error = bounded(get(&store, &root, "k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    until("the reason to be told", || {
        let error = store.stats().primary.last_error;
        error.is_some_and(|error| error.message.contains("not valid for name"))
    })
    .await;
    use_cluster(&mut cluster, &format!("{url}&server_name=localhost"), "127.0.0.1").await;
}

fn start(flavor: Flavor, certificates: &Certificates, tells: Endpoint) -> Cluster {
    tokio::task::block_in_place(|| Cluster::start_tls(flavor, certificates, tells))
}

fn ca(certificates: &Certificates) -> String {
    certificates.path("ca.pem").display().to_string()
}

async fn use_cluster(cluster: &mut Cluster, url: &str, told: &str) {
    let url = format!("{url}&replicas=read");
    let store = until_ok(|| builder(&url).connect()).await;
    let roots = roots(cluster);
    write_and_read(&store, &roots).await;
    let nodes = store.stats().nodes;
    let named =
        cluster.nodes[..3].iter().map(|node| format!("rediss://{told}:{}", node.tls_port()));
    let mut named: Vec<_> = named.collect();
    named.sort_unstable();
    let known: Vec<_> = nodes.iter().map(|node| node.server.clone()).collect();
    assert_eq!(known, named);
    until("the replicas to follow", || {
        let replicas = store.stats().replicas;
        replicas.len() == 3 && replicas.iter().all(|replica| replica.is_up && replica.is_recent)
    })
    .await;
    for root in &roots {
        let found = get_from(&store, root, "small", ReadFrom::Replica).await.unwrap();
        assert_eq!(found.as_deref(), Some("1"));
    }
    let slot = slot_of(cluster, &roots[0]);
    let load = Load::start(&store, &roots[0], 2);
    load.more(20).await;
    tokio::task::block_in_place(|| cluster.move_slot(slot, &cluster.nodes[1]));
    load.more(20).await;
    let port = cluster.nodes[1].port();
    cluster.at_mut(port).kill();
    let promoted = tokio::task::block_in_place(|| cluster.wait_for_other_primary(slot, port));
    load.more(20).await;
    load.stop().await;
    let promoted = format!("rediss://{told}:{}", cluster.at(promoted).tls_port());
    let nodes = store.stats().nodes;
    assert!(nodes.iter().any(|node| node.server == promoted && node.is_up), "{nodes:?}");
    until("all nodes to be up", || store.stats().primary.is_up).await;
    write_and_read(&store, &roots).await;
}

/// Writes and reads, small and large.
async fn write_and_read(store: &RedisStore, roots: &[String]) {
    let large = "large".repeat(100_000);
    for root in roots {
        for (key, value) in [("small", "1"), ("large", large.as_str())] {
            until_ok(async || bounded(set(store, root, key, value)).await).await;
            let found = until_ok(async || bounded(get(store, root, key)).await).await;
            assert!(found.as_deref() == Some(value), "{root} {key}");
        }
        let inner = format!("{root}.a");
        until_ok(async || bounded(set(store, &inner, "k", "1")).await).await;
        until_ok(async || bounded(end(store, &inner, Verb::Invalidate)).await).await;
        assert_eq!(until_ok(async || get(store, &inner, "k").await).await, None);
    }
}
