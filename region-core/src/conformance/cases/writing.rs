//! Cases about writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, path, put, text};
use crate::store::{Op, OpOutcome, Put, ReadTerms, Store, Verb, When, Write};

const WRITERS: usize = 16;
const ROUNDS: usize = 60;

/// The operations of one write happen in order.
pub async fn operations_see_those_before<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let absent = |value| Put { when: When::Absent, ..put("k", value) };
    let ops = [
        Op::Put(put("k", "1")),
        Op::Put(absent("2")),
        Op::Take { key: "k" },
        Op::Put(absent("3")),
        Op::Remove { key: "k" },
        Op::Put(put("k", "4")),
    ];
    let outcomes = f.apply("r", &ops).await;
    assert_eq!(outcomes[0], OpOutcome::Stored);
    assert!(matches!(&outcomes[1], OpOutcome::Exists(entry) if text(entry) == "1"));
    assert!(matches!(&outcomes[2], OpOutcome::Taken(Some(entry)) if text(entry) == "1"));
    assert_eq!(outcomes[3..], [OpOutcome::Stored, OpOutcome::Removed(true), OpOutcome::Stored]);
    assert_eq!(f.get("r", "k").await.as_deref(), Some("4"));
}

/// Removing says whether something fresh was there; taking returns also what is stale.
pub async fn removing_tells_what_was_there<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let ops = [Op::Remove { key: "k" }, Op::Take { key: "k" }];
    let nothing = [OpOutcome::Removed(false), OpOutcome::Taken(None)];
    assert_eq!(f.apply("missing", &ops).await, nothing);
    f.set("r", "other", "x").await;
    assert_eq!(f.apply("r", &ops).await, nothing);
    let stale = Put { stale_for: LONG, ..put("k", "v") };
    f.apply("r", &[Op::Put(stale.clone())]).await;
    f.end("r", Verb::Expire).await;
    assert_eq!(f.apply("r", &ops[..1]).await, [OpOutcome::Removed(false)]);
    f.apply("r", &[Op::Put(stale)]).await;
    f.end("r", Verb::Expire).await;
    let taken = f.apply("r", &ops[1..]).await;
    assert!(matches!(&taken[..], [OpOutcome::Taken(Some(entry))] if !entry.is_fresh()));
    assert_eq!(f.entry("r", "k").await, None);
}

/// A fresh entry stands in the way of an absent put and stays as it is; a stale one does not.
pub async fn absent_means_no_fresh_entry<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let absent = |value| Op::Put(Put { when: When::Absent, stale_for: LONG, ..put("k", value) });
    assert_eq!(f.apply("r", &[absent("1")]).await, [OpOutcome::Stored]);
    let outcomes = f.apply("r", &[absent("2")]).await;
    assert!(matches!(&outcomes[..], [OpOutcome::Exists(entry)] if text(entry) == "1"));
    assert_eq!(f.get("r", "k").await.as_deref(), Some("1"));
    f.end("r", Verb::Expire).await;
    assert_eq!(f.apply("r", &[absent("3")]).await, [OpOutcome::Stored]);
    f.end("r", Verb::Invalidate).await;
    assert_eq!(f.apply("r", &[absent("4")]).await, [OpOutcome::Stored]);
    assert_eq!(f.get("r", "k").await.as_deref(), Some("4"));
}

/// Bytes that are of no use may be replaced, but only those very bytes.
pub async fn absent_or_holding_compares_bytes<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let replacing = |old: &'static str, new| {
        let when = When::AbsentOrHolding(Bytes::from_static(old.as_bytes()));
        Op::Put(Put { when, ..put("k", new) })
    };
    assert_eq!(f.apply("r", &[replacing("junk", "1")]).await, [OpOutcome::Stored]);
    let outcomes = f.apply("r", &[replacing("junk", "2")]).await;
    assert!(matches!(&outcomes[..], [OpOutcome::Exists(entry)] if text(entry) == "1"));
    assert_eq!(f.apply("r", &[replacing("1", "3")]).await, [OpOutcome::Stored]);
    assert_eq!(f.get("r", "k").await.as_deref(), Some("3"));
}

/// Of many absent puts at once one is stored, and the others are told of it.
pub async fn one_of_many_absent_puts_stores<H: Harness>(harness: &H) {
    let store = Arc::new(harness.store().await);
    let write = |writer: usize| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let value = writer.to_string();
            let ops = [Op::Put(Put { when: When::Absent, ..put("k", &value) })];
            let write = Write::new(&ops);
            let written = store.write(&path("r"), write).await.unwrap();
            written.outcomes().unwrap_or_else(|| panic!("no guard was given")).remove(0)
        })
    };
    let written: Vec<_> = (0..WRITERS).map(write).collect();
    let mut stored = 0;
    for outcome in written {
        match outcome.await.unwrap() {
            OpOutcome::Stored => stored += 1,
            OpOutcome::Exists(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stored, 1);
}

/// No reader sees one half of a write: two keys that always change together are always equal.
pub async fn batches_are_seen_whole<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let is_over = AtomicBool::new(false);
    let writing = async {
        for round in 0..ROUNDS {
            let value = round.to_string();
            let ops = [Op::Put(put("a", &value)), Op::Put(put("b", &value))];
            let write = Write::new(&ops);
            store.write(&path("r"), write).await.unwrap();
            tokio::task::yield_now().await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    let reading = async {
        while !is_over.load(Ordering::SeqCst) {
            let read = store.read(&path("r"), &["a", "b"], ReadTerms::default()).await.unwrap();
            let bytes = |at: usize| read.entries[at].as_ref().map(|entry| entry.bytes.clone());
            assert_eq!(bytes(0), bytes(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, reading);
}
