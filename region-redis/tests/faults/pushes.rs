//! Pushes, and their loss.

use std::time::Duration;

use region_core::{Event, Store};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{Events, connect, get, path, set, until_ok};

crate::on_both! {
    pushes_name_what_has_changed
    a_lost_connection_is_an_event
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

async fn a_lost_connection_is_an_event(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    let mut events = Events::of(&store);
    get(&store, "r", "k").await.unwrap();
    proxy.cut();
    assert_eq!(events.next().await, Some(Event::All));
    until_ok(|| get(&store, "r", "k")).await;
    proxy.silence();
    assert_eq!(events.next().await, Some(Event::All), "silence is noticed by the watch");
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
    get(&reader, "r", "k").await.unwrap();
    proxy.cut();
    events.wait_for(&Event::All).await;
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
