//! Operators make mistakes, and servers cut everybody off.

use std::time::{Duration, Instant};

use region_core::{ErrorKind, Policy, RegionCache, Verb};
use region_redis::RedisStore;
use servers::{Flavor, Reply, SentinelSet, ask_as};

use super::kit::{connect, failed_over, moved, of, start, with_replicas};
use crate::kit::{Load, RECOVERY, bounded, builder, end, get, set, until, until_ok};
use crate::storm::{clients, write_and_read_while};

servers::on_both! {
    sentinels_forget_the_primary
    sentinels_name_an_address_that_does_not_answer
    a_password_is_rotated_on_all_servers
    clients_are_cut_off_again_and_again
}

/// Sends a command to each sentinel.
fn tell(servers: &SentinelSet, args: &[&str]) {
    for sentinel in servers.sentinels.all() {
        assert_eq!(sentinel.command(args).unwrap().text(), "OK", "{args:?}");
    }
}

/// Makes the sentinels watch the server at an address as the primary.
fn monitor(servers: &SentinelSet, host: &str, port: u16) {
    tell(servers, &["SENTINEL", "MONITOR", "main", host, &port.to_string(), "2"]);
    tell(servers, &["SENTINEL", "SET", "main", "down-after-milliseconds", "1000"]);
}

/// Calls until that fails for this reason; the error and its sources name it.
async fn until_fails(store: &RedisStore, why: &str) {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let read = bounded(get(store, "r", "k")).await;
        if let Err(error) = &read {
            assert!(error.is_outage() && error.can_retry(), "{error}");
            if all_of(error).contains(why) {
                return;
            }
        }
        assert!(Instant::now() < deadline, "{read:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An error with its sources.
fn all_of(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn sentinels_forget_the_primary(flavor: Flavor) {
    let servers = start(flavor);
    let store = connect(&servers).await;
    let port = servers.servers[0].port();
    set(&store, "r", "k", "1").await.unwrap();
    with_replicas(&store, 2).await;
    tell(&servers, &["SENTINEL", "REMOVE", "main"]);
    // Who has a connection goes on, without a failover from now on.
    let looks = Instant::now() + Duration::from_secs(7);
    while Instant::now() < looks {
        assert_eq!(bounded(get(&store, "r", "k")).await.unwrap().as_deref(), Some("1"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.stats().replicas.len(), 2, "nobody has said that they are gone");
    servers.servers[0].command(&["CLIENT", "KILL", "TYPE", "normal"]);
    until_fails(&store, "does not know").await;
    monitor(&servers, "127.0.0.1", port);
    until_ok(|| set(&store, "r", "k", "2")).await;
    with_replicas(&store, 2).await;
}

/// As behind address translation.
async fn sentinels_name_an_address_that_does_not_answer(flavor: Flavor) {
    /// An address for documentation, which nobody has.
    const NOWHERE: &str = "192.0.2.1";
    let servers = start(flavor);
    let port = servers.servers[0].port();
    tell(&servers, &["SENTINEL", "REMOVE", "main"]);
    monitor(&servers, NOWHERE, port);
    let start = Instant::now();
    let error = bounded(of(&servers).connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = all_of(&error);
    assert!(text.contains(&format!("{NOWHERE}:{port}")) && text.contains("sentinel"), "{text}");
    assert!(start.elapsed() < RECOVERY);
    let store = of(&servers).build().unwrap();
    until_fails(&store, NOWHERE).await;
    tell(&servers, &["SENTINEL", "REMOVE", "main"]);
    monitor(&servers, "127.0.0.1", port);
    until_ok(|| set(&store, "r", "k", "1")).await;
    moved(&store, port).await;
}

async fn a_password_is_rotated_on_all_servers(flavor: Flavor) {
    let mut servers = start(flavor);
    let set_password = |server: &servers::TestServer, old: &str, new: &str| {
        let config = |name: &[u8], value: &str| {
            let args = [&b"CONFIG"[..], b"SET", name, value.as_bytes()];
            let reply = if old.is_empty() {
                servers::ask(server.port(), &args)
            } else {
                ask_as(server.port(), old, &args)
            };
            assert_eq!(reply.unwrap(), Reply::Bytes(b"OK".to_vec()));
        };
        config(b"masterauth", new);
        config(b"requirepass", new);
    };
    for server in &servers.servers {
        set_password(server, "", "first");
    }
    tell(&servers, &["SENTINEL", "SET", "main", "auth-pass", "first"]);
    let url = |password: &str| servers.sentinels.url().replace("://", &format!("://:{password}@"));
    let old = builder(&url("first")).connect().await.unwrap();
    with_replicas(&old, 2).await;
    let load = Load::start(&old, 2);
    set(&old, "r", "k", "1").await.unwrap();
    // Connections that are open stay: the new password is for those to come.
    for server in &servers.servers {
        set_password(server, "first", "second");
    }
    tell(&servers, &["SENTINEL", "SET", "main", "auth-pass", "second"]);
    assert_eq!(bounded(get(&old, "r", "k")).await.unwrap().as_deref(), Some("1"));
    // A large value wants a connection of its own, which is refused: it goes over the present one.
    let large = "v".repeat(2 << 20);
    bounded(set(&old, "r", "large", &large)).await.unwrap();
    assert_eq!(bounded(get(&old, "r", "large")).await.unwrap(), Some(large));
    let new = builder(&url("second")).connect().await.unwrap();
    bounded(end(&new, "r", Verb::Invalidate)).await.unwrap();
    assert_eq!(until_ok(|| get(&old, "r", "k")).await, None);
    // A failover ends them.
    let port = servers.servers[0].port();
    servers.servers[0].kill();
    let promoted = failed_over(&servers, port);
    moved(&new, promoted).await;
    until_ok(|| set(&new, "r", "k", "2")).await;
    let deadline = Instant::now() + RECOVERY;
    loop {
        match bounded(get(&old, "r", "k")).await {
            Err(error) if error.kind() == ErrorKind::Denied => break,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    load.stop().await;
}

/// Each loss of a connection is an end of trust, a new preparation, and nothing else.
async fn clients_are_cut_off_again_and_again(flavor: Flavor) {
    let servers = start(flavor);
    let (store, other) = (connect(&servers).await, connect(&servers).await);
    with_replicas(&store, 2).await;
    let cache = RegionCache::builder(store.clone()).root("near").policy(Policy::new());
    let cache = cache.near(1 << 20).build().unwrap();
    let region = cache.region("a").unwrap();
    let load = Load::start(&store, 4);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    write_and_read_while(&region, || {
        for server in &servers.servers {
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
        for sentinel in servers.sentinels.all() {
            sentinel.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
    })
    .await;
    until_ok(|| set(&store, "r", "k", "1")).await;
    with_replicas(&store, 2).await;
    with_replicas(&other, 2).await;
    let done = load.done.load(std::sync::atomic::Ordering::SeqCst);
    until("the load to go on", || load.done.load(std::sync::atomic::Ordering::SeqCst) > done + 100)
        .await;
    // A store has a main connection, and two further ones at most.
    for server in &servers.servers {
        until("connections to be closed", || clients(server) <= 2 * 3).await;
    }
    until("tasks to end", || tasks() <= before + 4 * 3).await;
    load.stop().await;
    drop((region, cache, store, other));
    for server in &servers.servers {
        until("the connections to end", || clients(server) == 0).await;
    }
}
