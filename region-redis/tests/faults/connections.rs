//! Cases about the ways to reach a server.

use std::time::{Duration, Instant};

use region_core::ErrorKind;
use servers::{Flavor, TestServer};

use crate::kit::{LIMIT, builder, connect, get, set, until_ok};

servers::on_both! {
    unix_sockets_databases_users_and_names
    databases_are_apart
    large_entries_have_a_connection_of_their_own
    calls_beyond_the_limit_wait_within_theirs
    connections_end_with_the_store
}

async fn unix_sockets_databases_users_and_names(flavor: Flavor) {
    let server = TestServer::start(flavor);
    server.command(&["ACL", "SETUSER", "app", "on", ">se/cret", "~rc1:*", "+@all"]);
    let socket = server.socket();
    let url = format!("unix://{}?db=3&user=app&pass=se/cret", socket.display());
    let store = builder(&url).client_name("shop-7").connect().await.unwrap();
    set(&store, "r", "k", "1").await.unwrap();
    assert_eq!(get(&store, "r", "k").await.unwrap().as_deref(), Some("1"));
    let clients = server.command(&["CLIENT", "LIST"]).text();
    let client = clients.lines().find(|line| line.contains("name=shop-7")).unwrap();
    assert!(client.contains(" db=3 ") && client.contains(" user=app "), "{client}");
    let url = format!("redis://app:se%2Fcret@127.0.0.1:{}/3", server.port());
    assert_eq!(get(&connect(&url).await, "r", "k").await.unwrap().as_deref(), Some("1"));
}

async fn databases_are_apart(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let one = connect(&format!("{}/1", server.url())).await;
    let two = connect(&format!("{}/2", server.url())).await;
    set(&one, "r", "k", "1").await.unwrap();
    assert_eq!(get(&two, "r", "k").await.unwrap(), None);
}

async fn large_entries_have_a_connection_of_their_own(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let patience = Duration::from_secs(10);
    let builder = builder(&server.url()).call_timeout(patience);
    let store = builder.watch(Duration::from_secs(1), patience).connect().await.unwrap();
    let connections = || {
        let clients = server.command(&["CLIENT", "LIST"]).text();
        clients.lines().filter(|line| line.contains("lib-name=region-cache")).count()
    };
    let has_names = server.command(&["CLIENT", "LIST"]).text().contains("lib-name=");
    set(&store, "r", "small", "1").await.unwrap();
    let large = "x".repeat(8 * 1024 * 1024);
    set(&store, "r", "large", &large).await.unwrap();
    if has_names {
        assert_eq!(connections(), 2);
    }
    let slow = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                assert!(get(&store, "r", "large").await.unwrap().is_some());
            }
        })
    };
    let mut taken = Vec::new();
    while !slow.is_finished() {
        let start = Instant::now();
        get(&store, "r", "small").await.unwrap();
        taken.push(start.elapsed());
    }
    slow.await.unwrap();
    taken.sort();
    let median = taken[taken.len() / 2];
    assert!(median < Duration::from_millis(20), "small reads beside large ones: {median:?}");
    let too_large =
        crate::kit::builder(&server.url()).max_entry_bytes(1000).connect().await.unwrap();
    let error = set(&too_large, "r", "k", &"x".repeat(1001)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

async fn calls_beyond_the_limit_wait_within_theirs(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = builder(&server.url()).max_in_flight(2).connect().await.unwrap();
    let gets = (0..100).map(|_| get(&store, "r", "k"));
    assert!(futures_util::future::join_all(gets).await.iter().all(Result::is_ok));
    server.pause();
    let start = Instant::now();
    let gets = (0..10).map(|_| get(&store, "r", "k"));
    let all = futures_util::future::join_all(gets).await;
    assert!(all.iter().all(Result::is_err));
    assert!(start.elapsed() < LIMIT * 3, "{:?}", start.elapsed());
    server.resume();
    until_ok(|| get(&store, "r", "k")).await;
}

async fn connections_end_with_the_store(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    let clients = || server.command(&["CLIENT", "LIST"]).text().lines().count();
    assert_eq!(clients(), 2, "the store's and the one that asks");
    let clone = store.clone();
    drop(store);
    get(&clone, "r", "k").await.unwrap();
    drop(clone);
    crate::kit::until("the connection to end", || clients() == 1).await;
}
