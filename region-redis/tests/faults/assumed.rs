//! Reads that assume the lineage that their caller trusts.

use std::time::Instant;

use region_core::{Entry, Lineage, Read, ReadFrom, ReadTerms, Result, Store, Verb};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use crate::kit::{RECOVERY, calls_of, connect, end, lose, path, set, unwatched};

servers::on_both! {
    a_trusted_lineage_is_not_read_again
    own_writes_are_seen_under_an_assumed_lineage
    a_loss_is_noticed_under_an_assumed_lineage
    large_entries_are_read_in_full
}

async fn read(store: &RedisStore, lineage: Option<&Lineage>) -> Result<Read> {
    let terms = ReadTerms::new(ReadFrom::Primary).lineage(lineage);
    store.read(&path("r.a.b"), &["k"], terms).await
}

fn value(read: &Read) -> Option<String> {
    let entry = read.entries[0].as_ref().filter(|entry| Entry::is_fresh(entry))?;
    Some(String::from_utf8(entry.bytes.to_vec()).unwrap())
}

async fn a_trusted_lineage_is_not_read_again(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&writer, "r.a.b", "k", "1").await.unwrap();
    let lineage = read(&reader, None).await.unwrap().lineage;
    let full_reads = async || {
        server.command(&["CONFIG", "RESETSTAT"]);
        for _ in 0..10 {
            let read = read(&reader, lineage.as_ref()).await.unwrap();
            assert_eq!((value(&read).as_deref(), &read.lineage), (Some("1"), &lineage));
        }
        assert_eq!(calls_of(&server, "hmget"), 10);
        calls_of(&server, "mget")
    };
    // On a busy machine it may take a while until the server's clock is known well enough.
    let deadline = Instant::now() + RECOVERY;
    while full_reads().await > 0 {
        assert!(Instant::now() < deadline, "a trusted lineage is read again");
    }
    // The lineage is outdated: what the store says of it is not what is there now.
    end(&writer, "r", Verb::Invalidate).await.unwrap();
    set(&writer, "r.a.b", "k", "2").await.unwrap();
    let outdated = read(&reader, lineage.as_ref()).await.unwrap();
    assert_eq!((value(&outdated), &outdated.lineage), (None, &lineage));
    let now = read(&reader, None).await.unwrap();
    assert_eq!(value(&now).as_deref(), Some("2"));
    assert_ne!(now.lineage, lineage);
}

/// The count of own writes is asked for, and the ids are not.
async fn own_writes_are_seen_under_an_assumed_lineage(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "r.a.b", "k", "0").await.unwrap();
    let lineage = read(&store, None).await.unwrap().lineage;
    for round in 0..10 {
        let written = round.to_string();
        set(&store, "r.a.b", "k", &written).await.unwrap();
        let read = read(&store, lineage.as_ref()).await.unwrap();
        assert_eq!(value(&read), Some(written));
    }
}

/// A primary that has lost a write of this process is found out, and does not show what was there before.
async fn a_loss_is_noticed_under_an_assumed_lineage(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let store = unwatched(&primary.url()).connect().await.unwrap();
    set(&store, "r.a.b", "k", "before").await.unwrap();
    let lineage = read(&store, None).await.unwrap().lineage;
    lose(&primary, set(&store, "r.a.b", "k", "after")).await;
    let read = crate::kit::until_ok(|| read(&store, lineage.as_ref())).await;
    assert_eq!(value(&read), None);
}

/// What is read over another connection tells of its lineage too: it is read with it.
async fn large_entries_are_read_in_full(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&writer, "r.a.b", "k", &"x".repeat(100_000)).await.unwrap();
    let lineage = read(&reader, None).await.unwrap().lineage;
    server.command(&["CONFIG", "RESETSTAT"]);
    let read = read(&reader, lineage.as_ref()).await.unwrap();
    assert_eq!(value(&read).map(|value| value.len()), Some(100_000));
    assert_eq!((calls_of(&server, "hmget"), calls_of(&server, "mget")), (1, 1));
}
