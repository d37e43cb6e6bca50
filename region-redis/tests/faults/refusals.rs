//! Servers that refuse writes.

use region_core::{ErrorKind, Verb};
use region_redis::OnInvalidationFailure;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{bounded, builder, connect, end, get, set, until, until_ok};

servers::on_both! {
    a_full_server_can_be_read_and_invalidated
    a_server_without_enough_replicas_can_be_read
    a_server_that_cannot_save_can_be_read
    a_known_server_that_refuses_writes_is_read_with_what_it_must_show
    nothing_is_read_from_a_server_that_refuses_what_is_queued
}

fn config(server: &TestServer, name: &str, value: &str) {
    assert_eq!(server.command(&["CONFIG", "SET", name, value]).text(), "OK");
}

async fn assert_refused(store: &region_redis::RedisStore, code: &str) {
    let error = bounded(set(store, "r.a", "k", "2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(code), "the server's own refusal: {error}");
}

/// Bug: a connection to a full server could not be prepared. Effect: it could not even be read. Fix: a
/// script that a full server does too begins the count of writes.
async fn a_full_server_can_be_read_and_invalidated(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let writer = connect(&server.url()).await;
    for region in ["r.a", "r.b"] {
        set(&writer, region, "k", "1").await.unwrap();
    }
    config(&server, "maxmemory", "1");
    let store = connect(&server.url()).await;
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("1"));
    assert_refused(&store, "OOM").await;
    end(&store, "r.b", Verb::Invalidate).await.unwrap();
    assert_eq!(get(&writer, "r.b", "k").await.unwrap(), None);
    config(&server, "maxmemory", "0");
    until_ok(|| set(&store, "r.a", "k", "2")).await;
    assert_eq!(get(&writer, "r.a", "k").await.unwrap().as_deref(), Some("2"));
}

async fn is_read_until_writes_are_taken(server: &TestServer, code: &str, allow: impl FnOnce()) {
    let store = connect(&server.url()).await;
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("1"));
    assert_eq!(get(&store, "r.a", "other").await.unwrap(), None);
    assert_refused(&store, code).await;
    let error = bounded(end(&store, "r.b", Verb::Invalidate)).await.unwrap_err();
    assert!(error.to_string().contains(code), "{error}");
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("1"));
    allow();
    until_ok(|| set(&store, "r.a", "k", "2")).await;
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("2"));
    end(&store, "r", Verb::Invalidate).await.unwrap();
    assert_eq!(get(&store, "r.a", "k").await.unwrap(), None);
}

/// Bug: a server that refuses all writes could not be connected to. Effect: no reads either. Fix: the
/// connection is used for reads until the server takes writes again.
async fn a_server_without_enough_replicas_can_be_read(flavor: Flavor) {
    let server = TestServer::start(flavor);
    set(&connect(&server.url()).await, "r.a", "k", "1").await.unwrap();
    config(&server, "min-replicas-to-write", "1");
    let allow = || config(&server, "min-replicas-to-write", "0");
    is_read_until_writes_are_taken(&server, "NOREPLICAS", allow).await;
}

async fn a_server_that_cannot_save_can_be_read(flavor: Flavor) {
    let server = TestServer::start(flavor);
    set(&connect(&server.url()).await, "r.a", "k", "1").await.unwrap();
    // Where the dump is to be written there is a directory.
    std::fs::create_dir(server.folder().join("dump.rdb")).unwrap();
    config(&server, "save", "3600 1");
    server.command(&["BGSAVE"]);
    until("the save to fail", || {
        let info = server.command(&["INFO", "persistence"]).text();
        info.contains("rdb_last_bgsave_status:err")
    })
    .await;
    let allow = || config(&server, "stop-writes-on-bgsave-error", "no");
    is_read_until_writes_are_taken(&server, "MISCONF", allow).await;
}

/// The connection is lost while the server refuses writes: what this process did must still be shown.
async fn a_known_server_that_refuses_writes_is_read_with_what_it_must_show(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    for region in ["r.a", "r.b"] {
        set(&store, region, "k", "1").await.unwrap();
    }
    end(&store, "r.b", Verb::Invalidate).await.unwrap();
    config(&server, "min-replicas-to-write", "1");
    let connects = store.stats().primary.connects;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("the store to connect again", || store.stats().primary.connects > connects).await;
    assert_eq!(until_ok(|| get(&store, "r.a", "k")).await.as_deref(), Some("1"));
    assert_eq!(get(&store, "r.b", "k").await.unwrap(), None);
    assert_refused(&store, "NOREPLICAS").await;
    config(&server, "min-replicas-to-write", "0");
    until_ok(|| set(&store, "r.c", "k", "1")).await;
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("1"));
    assert_eq!(get(&store, "r.b", "k").await.unwrap(), None);
}

async fn nothing_is_read_from_a_server_that_refuses_what_is_queued(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let queue = OnInvalidationFailure::Queue;
    let store = builder(&proxy.url()).on_invalidation_failure(queue).connect().await.unwrap();
    set(&store, "r.a", "k", "old").await.unwrap();
    config(&server, "min-replicas-to-write", "1");
    bounded(end(&store, "r", Verb::Invalidate)).await.unwrap();
    let connects = store.stats().primary.connects;
    until("the store to try again", || store.stats().primary.connects > connects).await;
    let read = bounded(get(&store, "r.a", "k")).await;
    assert!(read.is_err(), "an error, not the old value: {read:?}");
    assert!(store.stats().has_queued);
    config(&server, "min-replicas-to-write", "0");
    assert_eq!(until_ok(|| get(&store, "r.a", "k")).await, None);
}
