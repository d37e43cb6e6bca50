//! Nodes that cut everybody off, or let nobody in.

use std::time::{Duration, Instant};

use region_core::{ErrorKind, Policy, RegionCache};
use servers::{Cluster, Flavor};

use crate::kit::{Load, RECOVERY, bounded, builder, connect, get, roots, set, until, until_ok};
use crate::storm::{clients, write_and_read_while};

servers::on_both! {
    clients_are_cut_off_again_and_again
    a_node_takes_no_more_clients
    a_user_gets_another_password
}

/// Each loss of a connection is an end of trust, a new preparation, and nothing else.
async fn clients_are_cut_off_again_and_again(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let roots = roots(&cluster);
    let cache = RegionCache::builder(store.clone()).root(&roots[0]).policy(Policy::new());
    let cache = cache.near(1 << 20).build().unwrap();
    let region = cache.region("near").unwrap();
    let loads = [Load::start(&store, &roots[0], 3), Load::start(&store, &roots[1], 1)];
    for load in &loads {
        load.more(20).await;
    }
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before: (Vec<_>, _) = (cluster.nodes.iter().map(clients).collect(), tasks());
    write_and_read_while(&region, || {
        for node in &cluster.nodes {
            node.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    })
    .await;
    for load in &loads {
        load.more(50).await;
    }
    let after = || -> (Vec<_>, _) { (cluster.nodes.iter().map(clients).collect(), tasks()) };
    // Each slot in use may have opened a further connection meanwhile.
    let is_as_before = |now: &(Vec<usize>, usize)| {
        let mut nodes = now.0.iter().zip(&before.0);
        nodes.all(|(now, before)| *now <= before * 2 + 2) && now.1 <= before.1 + 12
    };
    until("connections and tasks to end", || is_as_before(&after())).await;
    for load in loads {
        load.stop().await;
    }
    drop((region, cache, store));
    until("all connections to end", || cluster.nodes.iter().all(|node| clients(node) == 0)).await;
}

async fn a_node_takes_no_more_clients(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let roots = roots(&cluster);
    let store = connect(&cluster).await;
    for root in &roots {
        until_ok(async || set(&store, root, "k", "1").await).await;
    }
    let node = &cluster.nodes[0];
    let list = node.command(&["CLIENT", "LIST"]).text();
    // A question of the test itself takes one, and each other node two.
    let most = list.lines().count() + 1 + 2 * (cluster.nodes.len() - 1);
    assert_eq!(node.command(&["CONFIG", "SET", "maxclients", &most.to_string()]).text(), "OK");
    // Its own connections stay, and those that it lacks are to other nodes.
    let mut others = Vec::new();
    let refusal = loop {
        let other = connect(&cluster).await;
        until_ok(async || bounded(set(&other, &roots[1], "k", "2")).await).await;
        let refused = bounded(set(&other, &roots[0], "k", "2")).await;
        others.push(other);
        if let Err(error) = refused {
            break error;
        }
        assert!(others.len() <= most, "nobody is refused");
    };
    assert!(refusal.kind() == ErrorKind::Unavailable && refusal.can_retry(), "{refusal}");
    assert!(refusal.to_string().contains("max number of clients"), "{refusal}");
    let refused = others.pop().unwrap();
    for _ in 0..20 {
        bounded(set(&store, &roots[0], "k", "3")).await.unwrap();
        bounded(get(&refused, &roots[0], "k")).await.unwrap_err();
        let found = until_ok(async || bounded(get(&refused, &roots[1], "k")).await).await;
        assert_eq!(found.as_deref(), Some("2"));
    }
    drop(others);
    drop(store);
    until_ok(async || bounded(set(&refused, &roots[0], "k", "4")).await).await;
    assert_eq!(get(&refused, &roots[0], "k").await.unwrap().as_deref(), Some("4"));
}

/// Connections that are open stay, and none can be opened any more.
async fn a_user_gets_another_password(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let set_user = |password: &str| {
        for node in &cluster.nodes {
            let user = format!("ACL SETUSER app on resetpass >{password} ~* &* +@all");
            assert_eq!(node.command(&user.split(' ').collect::<Vec<_>>()).text(), "OK");
        }
    };
    set_user("first");
    let url = cluster.url().replace("://", "://app:first@");
    let store = builder(&url).connect().await.unwrap();
    let [root, elsewhere, third] = roots(&cluster);
    for root in [&root, &elsewhere] {
        until_ok(async || set(&store, root, "k", "1").await).await;
    }
    set_user("second");
    for root in [&root, &elsewhere] {
        bounded(set(&store, root, "k", "2")).await.unwrap();
    }
    let error = bounded(set(&store, &third, "k", "1")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Denied && error.is_outage(), "{error}");
    assert!(!format!("{error:?}").contains("first"), "{error:?}");
    cluster.nodes[0].command(&["CLIENT", "KILL", "TYPE", "normal"]);
    let deadline = Instant::now() + RECOVERY;
    loop {
        match bounded(get(&store, &root, "k")).await {
            Err(error) if error.kind() == ErrorKind::Denied => break,
            read => assert!(Instant::now() < deadline, "{read:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until_ok(async || bounded(set(&store, &elsewhere, "k", "3")).await).await;
    set_user("first");
    for root in [&root, &third] {
        until_ok(async || bounded(set(&store, root, "k", "4")).await).await;
        assert_eq!(get(&store, root, "k").await.unwrap().as_deref(), Some("4"));
    }
}
