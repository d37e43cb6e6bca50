//! Cases about pushes to a client that keeps trust.

use std::time::Duration;

use region_core::{Event, LeaseTerms, LeaseToken, Op, Put, Store, TakeLease, Verb, Write};
use servers::{Flavor, TestServer};

use crate::kit::{Events, connect, end, get, path, set};

crate::on_both! {
    a_touch_says_nothing_of_siblings_and_children
    what_begin_reads_is_tracked
    entries_that_may_be_large_are_read_over_another_connection
}

/// Bug: a touch drew a new id for every region on its path. Effect: every client doubted all regions below
/// the root. Fix: a touch drops entries and leases, and changes no ids.
async fn a_touch_says_nothing_of_siblings_and_children(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    for region in ["r", "r.a", "r.a.b", "r.a.b.child", "r.sibling"] {
        set(&writer, region, "k", "1").await.unwrap();
    }
    let mut events = Events::of(&reader);
    for region in ["r.a.b.child", "r.sibling"] {
        assert!(get(&reader, region, "k").await.unwrap().is_some());
    }
    end(&writer, "r.a.b", Verb::Touch).await.unwrap();
    // The first that it hears is what comes after.
    set(&writer, "r.sibling", "k", "2").await.unwrap();
    assert_eq!(events.next().await, Some(Event::Entries(path("r.sibling"))));
    assert_eq!(get(&reader, "r.a.b.child", "k").await.unwrap().as_deref(), Some("1"));
    for region in ["r", "r.a", "r.a.b"] {
        assert_eq!(get(&reader, region, "k").await.unwrap(), None, "{region}");
    }
}

/// A load that finds an entry, or creates the region, hears of what happens next.
async fn what_begin_reads_is_tracked(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&writer, "r", "k", "1").await.unwrap();
    let mut events = Events::of(&reader);
    let terms = LeaseTerms::new(LeaseToken::from_bits(1), Duration::from_secs(60));
    let terms = terms.take(TakeLease::UnlessFresh);
    reader.begin(&path("r"), &["k"], terms).await.unwrap();
    set(&writer, "r", "k", "2").await.unwrap();
    assert_eq!(events.next().await, Some(Event::Entries(path("r"))));
    reader.begin(&path("r"), &["k"], terms).await.unwrap();
    end(&writer, "r", Verb::Invalidate).await.unwrap();
    let heard = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert!(heard.contains(&Event::Lineage(path("r"))), "{heard:?}");
    assert!(heard.contains(&Event::Entries(path("r"))), "{heard:?}");
}

/// Bug: the first read of a large entry goes by the main connection. Effect: on a slow link it timed out there
/// for ever, and all others behind it. Fix: what has timed out goes by the other connection next time.
async fn entries_that_may_be_large_are_read_over_another_connection(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let writer = connect(&server.url()).await;
    let ops = [Op::Put(Put::new("k", vec![b'x'; 400_000]))];
    writer.write(&path("r"), Write::new(&ops)).await.unwrap();
    set(&writer, "r", "small", "1").await.unwrap();
    let proxy = servers::Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    get(&store, "r", "small").await.unwrap();
    // It would take eight seconds.
    proxy.limit(50_000);
    let error = get(&store, "r", "k").await.unwrap_err();
    assert_eq!(error.kind(), region_core::ErrorKind::Timeout);
    proxy.restore();
    let connections = || {
        let clients = server.command(&["CLIENT", "LIST"]).text();
        clients.lines().filter(|line| line.contains("name=region-cache")).count()
    };
    let before = connections();
    let found = crate::kit::until_ok(|| get(&store, "r", "k")).await;
    assert_eq!(found.map(|value| value.len()), Some(400_000));
    assert!(connections() > before, "by a connection of its own");
}
