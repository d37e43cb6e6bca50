//! Nodes that the URL names, and that are of no use.

use region_core::{ErrorKind, PageTerms, ReadFrom, Store, Verb};
use servers::{Cluster, Flavor, Reply, TestServer};

use crate::kit::{bounded, builder, end, get, get_from, path, put, roots, until, until_ok};
use crate::permissions;

servers::on_both! {
    some_nodes_are_of_no_use
    no_node_answers
    the_least_permissions_are_enough
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
        put(&store, &root, "k", "1").await;
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

/// The command of `LAYOUT.md` that makes a user, with what it says of clusters.
fn least_permissions() -> Vec<&'static str> {
    let (user, rest) = permissions::user("app");
    let rest = &rest[rest.find("On a cluster it needs").unwrap()..];
    let line = rest.lines().next().unwrap();
    let further = line.split(['`', ' ']).filter(|word| word.starts_with('+'));
    user.split_whitespace().chain(further).collect()
}

async fn the_least_permissions_are_enough(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        assert_eq!(node.command(&least_permissions()).text(), "OK");
    }
    let url = format!("{}?replicas=read", cluster.url()).replace("://", "://app:password@");
    let store = builder(&url).connect().await.unwrap();
    for at in 0..300 {
        // So many that the nodes are asked for lists of their slots.
        until_ok(async || get(&store, &format!("further{at}"), "k").await).await;
    }
    for root in roots(&cluster) {
        let region = format!("{root}.a");
        put(&store, &region, "k", "1").await;
        assert_eq!(get(&store, &region, "k").await.unwrap().as_deref(), Some("1"));
        let children = store.children(&path(&root), PageTerms::default()).await.unwrap();
        assert_eq!(children.items.len(), 1);
    }
    until("the replicas to follow", || {
        let replicas = store.stats().replicas;
        replicas.len() == 3 && replicas.iter().all(|replica| replica.is_up && replica.is_recent)
    })
    .await;
    for root in roots(&cluster) {
        let found = get_from(&store, &format!("{root}.a"), "k", ReadFrom::Replica).await.unwrap();
        assert_eq!(found.as_deref(), Some("1"));
        end(&store, &root, Verb::Invalidate).await.unwrap();
    }
    until_ok(async || store.reclaim().await).await;
    for node in &cluster.nodes {
        let refused = node.command(&["ACL", "LOG"]);
        let object = |entry: &Reply| {
            let fields = entry.list();
            let at = fields.iter().position(|field| field.text() == "object");
            at.and_then(|at| fields.get(at + 1)).map(Reply::text)
        };
        let refused: Vec<_> = refused.list().iter().filter_map(object).collect();
        // The client library tells of itself, to servers that know how to be told.
        assert!(refused.iter().all(|what| what == "client|setinfo"), "{refused:?}");
    }
}
