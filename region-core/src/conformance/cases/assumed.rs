//! Reads that assume the lineage that their caller trusts.
//!
//! A store may believe it or read it itself; either way an answer shows what is valid under the lineage that it
//! names.

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, path, put, text};
use crate::lineage::Lineage;
use crate::store::{Entry, Op, Read, ReadFrom, ReadTerms, Store, Trust, Verb};

const KEPT: ReadTerms<'_> = ReadTerms::new(ReadFrom::Primary).trust(Trust::Kept);

async fn read<H: Harness>(f: &Fixture<'_, H>) -> Read {
    f.store.read(&path("r.a"), &["a", "b"], KEPT).await.unwrap()
}

/// A read that assumes the region's lineage answers as one that does not.
pub async fn an_assumed_lineage_changes_no_answer<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let fresh = put("a", "1").stale_for(LONG);
    let steps: [(&str, Option<Op<'_>>, Option<Verb>); 6] = [
        ("a put", Some(Op::Put(fresh.clone())), None),
        ("a put beside it", Some(Op::Put(put("b", "2"))), None),
        ("an expiry: one is stale, one gone", None, Some(Verb::Expire)),
        ("a put after it", Some(Op::Put(put("b", "3"))), None),
        ("a removal", Some(Op::Remove { key: "a" }), None),
        ("a touch", None, Some(Verb::Touch)),
    ];
    let shown = |read: &Read| {
        let entry = |entry: &Entry| (entry.bytes.clone(), entry.is_fresh());
        let entries: Vec<_> = read.entries.iter().map(|e| e.as_ref().map(entry)).collect();
        (entries, read.lineage.clone(), read.changes.clone())
    };
    for (what, op, verb) in steps {
        if let Some(op) = op {
            f.apply("r.a", &[op]).await;
        }
        if let Some(verb) = verb {
            f.end(if verb == Verb::Expire { "r" } else { "r.a" }, verb).await;
        }
        let plain = read(&f).await;
        for client in [&f, &f.client().await] {
            for from in [ReadFrom::Primary, ReadFrom::Replica] {
                let terms = ReadTerms::new(from).trust(Trust::Kept);
                let terms = terms.lineage(plain.lineage.as_ref());
                let assuming = client.store.read(&path("r.a"), &["a", "b"], terms).await.unwrap();
                // A replica may lag behind other clients.
                if from == ReadFrom::Primary || std::ptr::eq(client, &f) {
                    assert_eq!(shown(&assuming), shown(&plain), "{what}, {from:?}");
                }
            }
        }
    }
}

/// A read that assumes an outdated lineage shows nothing of a later one under the name of the outdated.
pub async fn an_outdated_lineage_is_not_given_to_later_entries<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a", "a", "0").await;
    let ends = [("r.a", Verb::Invalidate), ("r", Verb::Invalidate), ("r", Verb::Expire)];
    let mut earlier: Vec<(Lineage, u64)> = Vec::new();
    for (round, (region, verb)) in ends.iter().cycle().take(6).enumerate() {
        let value = round as u64;
        f.apply("r.a", &[Op::Put(put("a", &value.to_string()).stale_for(LONG))]).await;
        let Some(now) = read(&f).await.lineage else { return };
        for (lineage, put) in earlier.iter().chain([&(now.clone(), value)]) {
            let terms = KEPT.lineage(Some(lineage));
            let read = f.store.read(&path("r.a"), &["a"], terms).await.unwrap();
            let shown = read.lineage.expect("the region exists");
            assert!(shown == now || shown == *lineage, "a lineage that was neither");
            let Some(entry) = read.entries[0].as_ref() else {
                assert_ne!(shown, now, "it is there");
                continue;
            };
            let of_now = text(entry) == value.to_string() && shown.same_life(&now);
            let of_then = text(entry) == put.to_string() && shown.same_life(lineage);
            assert!(of_now || of_then, "{shown:?} shows what was put under another: {entry:?}");
            assert!(!entry.is_fresh() || of_now == (shown == now), "{entry:?} under {shown:?}");
        }
        f.end(region, *verb).await;
        earlier.push((now, value));
    }
}
