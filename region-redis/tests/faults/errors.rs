//! Cases about refusals by a server, and the errors that users get.

use std::convert::Infallible;
use std::time::Duration;

use region_core::{Error, ErrorKind, Region, RegionCache, RegionExt, Verb};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::kit::{builder, connect, end, get, set, until, until_ok};

servers::on_both! {
    wrong_passwords_are_denied
    missing_permissions_are_denied
    a_full_server_refuses_writes_and_takes_invalidations
    a_server_that_cannot_save_refuses_writes
    a_busy_server_is_unavailable
    too_many_clients_are_refused
    a_rotated_password_is_an_outage_that_heals
    a_password_that_nobody_asked_for_is_an_error
}

fn assert_error(error: &Error, kind: ErrorKind, can_retry: bool, says: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.can_retry(), can_retry, "{error}");
    let text = error.to_string();
    assert!(text.contains("redis://") && text.contains(says), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

async fn wrong_passwords_are_denied(flavor: Flavor) {
    let server = TestServer::start_with(flavor, &["--requirepass", "right"]);
    let port = server.port();
    for url in [
        format!("redis://:secret@127.0.0.1:{port}"),
        format!("redis://user:secret@127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}"),
    ] {
        let error = builder(&url).connect().await.unwrap_err();
        assert_error(&error, ErrorKind::Denied, false, "");
    }
    let right = connect(&format!("redis://:right@127.0.0.1:{port}")).await;
    set(&right, "r", "k", "1").await.unwrap();
}

/// Bug: a refusal of this client was an error of each read, whatever the policy said.
/// Effect: a service went down with its cache when a password was rotated.
/// Fix: reads treat it as an outage; it is logged and shown, and the store tries on.
async fn a_rotated_password_is_an_outage_that_heals(flavor: Flavor) {
    let server = TestServer::start_with(flavor, &["--requirepass", "right"]);
    let port = server.port();
    let url = format!("redis://:right@127.0.0.1:{port}");
    let store = connect(&url).await;
    let cache = RegionCache::builder(store.clone()).root("r").build().unwrap();
    let region = cache.region("a").unwrap();
    region.set("k", &1_u32).await.unwrap();
    servers::ask_as(port, "right", &[b"CONFIG", b"SET", b"requirepass", b"new"]).unwrap();
    servers::ask_as(port, "new", &[b"CLIENT", b"KILL", b"TYPE", b"normal"]).unwrap();
    until("the refusal to show", || {
        let last = store.stats().primary.last_error;
        last.is_some_and(|last| last.kind == ErrorKind::Denied)
    })
    .await;
    let error = get(&store, "r.a", "text").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Denied && error.is_outage(), "{error}");
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
    let loaded = region.get_or_compute("k", || async { Ok::<_, Infallible>(2_u32) }).await.unwrap();
    assert_eq!(*loaded, 2);
    assert_eq!(region.set("k", &3_u32).await.unwrap_err().kind(), ErrorKind::Denied);
    servers::ask_as(port, "new", &[b"CONFIG", b"SET", b"requirepass", b"right"]).unwrap();
    until_ok(|| get(&store, "r.a", "text")).await;
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
}

/// Bug: a server without a password takes any, and nobody was told.
/// Effect: a server that had lost its configuration was used as if it were protected.
/// Fix: it is an error that says so.
async fn a_password_that_nobody_asked_for_is_an_error(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let urls =
        ["", "default"].map(|user| format!("redis://{user}:secret@127.0.0.1:{}", server.port()));
    for url in &urls {
        let error = builder(url).connect().await.unwrap_err();
        assert_error(&error, ErrorKind::Denied, false, "a password is set for");
    }
    server.command(&["CONFIG", "SET", "requirepass", "secret"]);
    for url in &urls {
        connect(url).await;
    }
}

async fn missing_permissions_are_denied(flavor: Flavor) {
    let server = TestServer::start(flavor);
    server.command(&["ACL", "SETUSER", "app", "on", ">secret", "~rc1:*", "+@all", "-incr"]);
    server.command(&["ACL", "SETUSER", "reader", "on", ">secret", "~other:*", "+@all"]);
    // Not to be allowed to count writes shows when connecting.
    let url = |user: &str| format!("redis://{user}:secret@127.0.0.1:{}", server.port());
    let error = builder(&url("app")).connect().await.unwrap_err();
    assert_error(&error, ErrorKind::Denied, false, "");
    let error = builder(&url("reader")).connect().await.unwrap_err();
    assert_error(&error, ErrorKind::Denied, false, "");
    // What is not asked for by every call shows with the call.
    server.command(&["ACL", "SETUSER", "app", "+incr", "-hset"]);
    let store = connect(&url("app")).await;
    let error = set(&store, "r", "k", "1").await.unwrap_err();
    assert_error(&error, ErrorKind::Denied, false, "");
    assert_eq!(get(&store, "r", "k").await.unwrap(), None);
}

async fn a_full_server_refuses_writes_and_takes_invalidations(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "r", "k", "old").await.unwrap();
    set(&store, "r", "stale", "old").await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let error = set(&store, "r.new", "k", "1").await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, true, "OOM");
    assert_eq!(get(&store, "r", "k").await.unwrap().as_deref(), Some("old"), "reads go on");
    crate::kit::remove(&store, "r", "stale").await.unwrap();
    assert_eq!(get(&store, "r", "stale").await.unwrap(), None);
    for verb in [Verb::Expire, Verb::Touch, Verb::Invalidate] {
        end(&store, "r", verb).await.unwrap();
        assert_eq!(get(&store, "r", "k").await.unwrap(), None);
    }
    assert!(store.stats().primary.is_up, "a refusal is no outage");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    set(&store, "r", "k", "new").await.unwrap();
}

async fn a_server_that_cannot_save_refuses_writes(flavor: Flavor) {
    let server = TestServer::start_with(flavor, &["--enable-protected-configs", "yes"]);
    let store = connect(&server.url()).await;
    // A dump that would have to replace a folder fails.
    std::fs::create_dir(server.folder().join("dump.folder")).unwrap();
    std::fs::write(server.folder().join("dump.folder/file"), "").unwrap();
    server.command(&["CONFIG", "SET", "dbfilename", "dump.folder"]);
    server.command(&["CONFIG", "SET", "save", "3600 1"]);
    set(&store, "r", "k", "1").await.unwrap();
    server.command(&["BGSAVE"]);
    crate::kit::until("the dump to fail", || {
        server.command(&["INFO", "persistence"]).text().contains("rdb_last_bgsave_status:err")
    })
    .await;
    let error = set(&store, "r", "k", "2").await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, true, "MISCONF");
    assert_eq!(get(&store, "r", "k").await.unwrap().as_deref(), Some("1"), "reads go on");
}

async fn a_busy_server_is_unavailable(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = builder(&server.url())
        .call_timeout(Duration::from_secs(5))
        .watch(Duration::from_secs(5), Duration::from_secs(5))
        .max_lag(Duration::from_secs(10))
        .connect()
        .await
        .unwrap();
    server.command(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    let port = server.port();
    let busy = std::thread::spawn(move || {
        // It ends with an error when the script is killed.
        servers::ask(port, &[b"EVAL", b"while true do end", b"0"])
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = get(&store, "r", "k").await.unwrap_err();
    server.command(&["SCRIPT", "KILL"]);
    busy.join().unwrap().unwrap();
    assert_error(&error, ErrorKind::Unavailable, true, "BUSY");
    assert_eq!(get(&store, "r", "k").await.unwrap(), None);
}

async fn too_many_clients_are_refused(flavor: Flavor) {
    let server = TestServer::start_with(flavor, &["--maxclients", "1"]);
    // Whoever waited for the server to start may still be connected.
    let first = until_ok(|| builder(&server.url()).connect()).await;
    let error = builder(&server.url()).connect().await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, true, "max number of clients");
    set(&first, "r", "k", "1").await.unwrap();
}

#[tokio::test]
async fn refused_and_silent_servers_are_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let error = builder(&url).connect().await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, true, "has not answered within");
    drop(listener);
    let error = builder(&url).connect().await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, true, "cannot be reached");
    let error = RedisStore::connect("unix:///nowhere/socket").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn garbage_is_a_protocol_error() {
    for garbage in ["HTTP/1.1 200 OK\r\n\r\n", "\0\0\0\0\r\n", "*-5\r\n", "$99999999999\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let answering = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(garbage.as_bytes()).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = builder(&url).connect().await.unwrap_err();
        let kinds = [ErrorKind::Protocol, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{garbage:?}: {error:?}");
        answering.abort();
    }
}
