//! Nodes that the URL names, and that are of no use.

use region_core::ErrorKind;
use servers::{Cluster, Flavor, TestServer};

use crate::kit::{bounded, builder, get, roots, set};

servers::on_both! {
    some_nodes_are_of_no_use
    no_node_answers
}

fn url(servers: &[&TestServer]) -> String {
    let hosts: Vec<_> =
        servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    format!("redis-cluster://{}", hosts.join(","))
}

async fn some_nodes_are_of_no_use(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let alone = TestServer::start(flavor);
    let (mut dead, hung) = (TestServer::start(flavor), TestServer::start(flavor));
    // A node that has left the cluster, and claims all slots.
    let left = Cluster::lone_node(flavor);
    left.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let url = url(&[&alone, &dead, &hung, &left, &cluster.nodes[4]]);
    dead.kill();
    hung.pause();
    let store = builder(&url).connect().await.unwrap();
    for root in roots(&cluster) {
        set(&store, &root, "k", "1").await.unwrap();
        assert_eq!(get(&store, &root, "k").await.unwrap().as_deref(), Some("1"));
    }
    let nodes = store.stats().nodes;
    let is_member = |node: &TestServer| nodes.iter().any(|stats| stats.server == node.url());
    assert!(cluster.nodes[..3].iter().all(is_member), "{nodes:?}");
    hung.resume();
}

async fn no_node_answers(flavor: Flavor) {
    let (mut dead, hung) = (TestServer::start(flavor), TestServer::start(flavor));
    let url = url(&[&dead, &hung]);
    dead.kill();
    hung.pause();
    let error = bounded(builder(&url).connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let store = builder(&url).build().unwrap();
    for _ in 0..3 {
        let error = bounded(get(&store, "r", "k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    hung.resume();
}
