//! Pushes, and their loss.

use std::time::Duration;

use region_core::{Event, ReadFrom, ReadTerms, Result, Source, Store};
use region_redis::RedisStore;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{Events, connect, get, path, set, until_ok};

servers::on_both! {
    pushes_name_what_has_changed
    a_lost_connection_is_an_event
    the_loss_of_a_connection_concerns_what_was_read_over_it
    reads_go_on_where_tracking_is_not_permitted
    a_flush_is_an_event
    pushes_survive_a_reconnect
    own_changes_do_not_silence_those_of_others
}

async fn pushes_name_what_has_changed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&writer, "r.a%2Eb", "k", "1").await.unwrap();
    let mut events = Events::of(&reader);
    get(&reader, "r.a%2Eb", "k").await.unwrap();
    set(&writer, "r.a%2Eb", "k", "2").await.unwrap();
    assert_eq!(events.next().await, Some(Event::Entries(path("r.a%2Eb"))));
    get(&reader, "r.a%2Eb", "k").await.unwrap();
    writer.end(&path("r"), region_core::Verb::Invalidate.into()).await.unwrap();
    assert_eq!(events.next().await, Some(Event::Lineage(path("r"))));
}

/// Reads, and says over which connection.
async fn source_of(store: &RedisStore, key: &str) -> Result<Option<Source>> {
    let read = store.read(&path("r"), &[key], ReadTerms::new(ReadFrom::Primary)).await?;
    Ok(read.source)
}

async fn a_lost_connection_is_an_event(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    assert_eq!(source_of(&store, "k").await.unwrap(), None, "nobody listens");
    let mut events = Events::of(&store);
    let first = source_of(&store, "k").await.unwrap().unwrap();
    proxy.cut();
    assert_eq!(events.next().await, Some(Event::Lost(first)));
    let second = until_ok(|| source_of(&store, "k")).await.unwrap();
    assert_ne!(first, second);
    proxy.silence();
    assert_eq!(events.next().await, Some(Event::Lost(second)), "silence is noticed by the watch");
    proxy.restore();
    let third = until_ok(|| source_of(&store, "k")).await.unwrap();
    drop(store);
    assert_eq!(events.next().await, Some(Event::Lost(third)), "an end is a loss too");
}

/// Bug: the loss of any connection ended the trust in all that was ever read.
/// Effect: a lost connection for large entries emptied every near cache.
/// Fix: each answer names the connection it came over, and its loss concerns what that one brought.
async fn the_loss_of_a_connection_concerns_what_was_read_over_it(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let (store, other) = (connect(&proxy.url()).await, connect(&server.url()).await);
    set(&store, "r", "large", &"x".repeat(100_000)).await.unwrap();
    let mut events = Events::of(&store);
    let small = source_of(&store, "small").await.unwrap();
    let large = source_of(&store, "large").await.unwrap();
    assert!(small.is_some() && large.is_some() && small != large, "{small:?} {large:?}");
    proxy.silence_one(1);
    assert_eq!(events.next().await, large.map(Event::Lost));
    assert_eq!(source_of(&store, "small").await.unwrap(), small);
    set(&other, "r", "small", "1").await.unwrap();
    assert_eq!(events.next().await, Some(Event::Entries(path("r"))), "the other one still tells");
    let again = until_ok(|| source_of(&store, "large")).await;
    assert!(again.is_some() && again != large && again != small, "{again:?}");
}

/// Bug: where the server refused to track what is read, each read failed.
/// Effect: a client whose permissions lacked `CLIENT TRACKING` could not read at all once somebody listened.
/// Fix: what is read then names no connection that would tell of its changes.
async fn reads_go_on_where_tracking_is_not_permitted(flavor: Flavor) {
    let server = TestServer::start(flavor);
    server.command(&[
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">secret",
        "~rc1:*",
        "+@all",
        "-client|tracking",
    ]);
    let store = connect(&format!("redis://app:secret@127.0.0.1:{}", server.port())).await;
    let _events = Events::of(&store);
    set(&store, "r", "k", "1").await.unwrap();
    assert_eq!(source_of(&store, "k").await.unwrap(), None);
    assert_eq!(get(&store, "r", "k").await.unwrap().as_deref(), Some("1"));
}

async fn a_flush_is_an_event(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let mut events = Events::of(&store);
    get(&store, "r", "k").await.unwrap();
    server.command(&["FLUSHALL"]);
    events.wait_for(&Event::All).await;
}

async fn pushes_survive_a_reconnect(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let (reader, writer) = (connect(&proxy.url()).await, connect(&server.url()).await);
    let mut events = Events::of(&reader);
    let source = source_of(&reader, "k").await.unwrap().unwrap();
    proxy.cut();
    events.wait_for(&Event::Lost(source)).await;
    until_ok(|| get(&reader, "r", "k")).await;
    set(&writer, "r", "k", "1").await.unwrap();
    events.wait_for(&Event::Entries(path("r"))).await;
}

/// Own write, own extension of the ids' lifetimes, then another's write: the reader is told.
async fn own_changes_do_not_silence_those_of_others(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    let mut events = Events::of(&reader);
    for round in 0..3 {
        get(&reader, "r.a", "k").await.unwrap();
        set(&reader, "r.a", "k", "mine").await.unwrap();
        assert_eq!(get(&reader, "r.a", "k").await.unwrap().as_deref(), Some("mine"));
        while events.next_within(Duration::from_millis(100)).await.is_some() {}
        set(&writer, "r.a", "k", "theirs").await.unwrap();
        assert_eq!(events.next().await, Some(Event::Entries(path("r.a"))), "{round}");
    }
}
