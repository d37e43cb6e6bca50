//! Everything at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;

use super::super::Harness;
use super::super::fixture::{Fixture, path, put};
use super::poll_and_drop;
use crate::store::{
    Entry, Guard, Lease, LeaseTerms, LeaseToken, Op, PageTerms, ReadTerms, RegionTtl, Store, Verb,
    Write,
};

const ENDS: u64 = 300;
const FILLERS: usize = 3;
const READERS: usize = 2;

/// The ways in which the value of `r.a.b`/`k` ends.
#[derive(Clone, Copy)]
enum End {
    Verb(&'static str, Verb),
    Removal,
}

struct Race<S> {
    store: S,
    /// The number of ends that have returned.
    ended: AtomicU64,
    /// The number of ends that have been called.
    called: AtomicU64,
}

impl<S: Store> Race<S> {
    fn new(store: S) -> Self {
        Self { store, ended: AtomicU64::new(0), called: AtomicU64::new(0) }
    }

    async fn end(&self, end: End) {
        match end {
            End::Verb(region, verb) => {
                self.store.end(&path(region), verb.into()).await.unwrap();
            }
            End::Removal => {
                let ops = [Op::Remove { key: "k" }];
                let write = Write::new(&ops);
                self.store.write(&path("r.a.b"), write).await.unwrap();
            }
        }
    }

    /// Loads as a cache does: the value says how many ends had been called once the load had begun.
    async fn fill(&self) {
        let region = path("r.a.b");
        let token = LeaseToken::random();
        let duration = super::super::fixture::LONG;
        let terms = LeaseTerms::new(token, duration);
        let begun = self.store.begin(&region, &["k"], terms).await.unwrap();
        if begun.keys[0].lease != Lease::Granted {
            return;
        }
        let value = self.called.load(Ordering::SeqCst).to_string();
        others_go_on().await;
        let ops = [Op::Put(put("k", &value))];
        let write = Write::new(&ops).guard(Guard::new(&begun.lineage, &["k"], token));
        self.store.write(&region, write).await.unwrap();
    }

    /// Reads, and complains of a value older than an end that had returned before.
    async fn read(&self) {
        let ended = self.ended.load(Ordering::SeqCst);
        let read = self.store.read(&path("r.a.b"), &["k"], ReadTerms::default()).await.unwrap();
        let Some(entry) = read.entries[0].as_ref().filter(|entry| entry.is_fresh()) else {
            return;
        };
        let loaded: u64 = String::from_utf8_lossy(&entry.bytes).parse().unwrap();
        // The load had begun before the next end was called, which has returned since.
        assert!(loaded >= ended, "read after end {ended}: a load begun before end {}", loaded + 1);
    }
}

/// Lets other tasks run for a moment, now shorter, now longer.
async fn others_go_on() {
    for _ in 0..rand::random_range(0..6) {
        tokio::task::yield_now().await;
    }
}

impl<S: Store> Race<S> {
    fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst) == ENDS
    }

    async fn keep_filling(self: Arc<Self>) {
        while !self.is_over() {
            self.fill().await;
            tokio::task::yield_now().await;
        }
    }

    async fn keep_reading(self: Arc<Self>) {
        while !self.is_over() {
            self.read().await;
            tokio::task::yield_now().await;
        }
    }

    async fn keep_ending(self: Arc<Self>, end: End) {
        for _ in 0..ENDS {
            others_go_on().await;
            self.called.fetch_add(1, Ordering::SeqCst);
            self.end(end).await;
            self.ended.fetch_add(1, Ordering::SeqCst);
            others_go_on().await;
            self.read().await;
        }
    }
}

async fn race<H: Harness>(harness: &H, end: End) {
    interleaved(Arc::new(Race::new(harness.store().await)), end).await;
    in_parallel(Arc::new(Race::new(harness.store().await)), end).await;
}

/// Everyone in one task, taking turns at every await: what two threads rarely meet happens often.
async fn interleaved<S: Store>(race: Arc<Race<S>>, end: End) {
    let fillers = (0..FILLERS).map(|_| Arc::clone(&race).keep_filling());
    let readers = (0..READERS).map(|_| Arc::clone(&race).keep_reading());
    let (fillers, readers) = (join_all(fillers), join_all(readers));
    tokio::join!(Arc::clone(&race).keep_ending(end), fillers, readers);
}

/// Everyone in a task of its own, on several threads.
async fn in_parallel<S: Store>(race: Arc<Race<S>>, end: End) {
    let mut tasks = vec![tokio::spawn(Arc::clone(&race).keep_ending(end))];
    tasks.extend((0..FILLERS).map(|_| tokio::spawn(Arc::clone(&race).keep_filling())));
    tasks.extend((0..READERS).map(|_| tokio::spawn(Arc::clone(&race).keep_reading())));
    for task in tasks {
        task.await.unwrap();
    }
    race.read().await;
}

/// No value loaded before an `invalidate` is read after it.
pub async fn no_stale_fill_under_invalidation<H: Harness>(harness: &H) {
    race(harness, End::Verb("r.a.b", Verb::Invalidate)).await;
}

/// No value loaded before an ancestor's `invalidate` is read after it.
pub async fn no_stale_fill_under_ancestor_invalidation<H: Harness>(harness: &H) {
    race(harness, End::Verb("r", Verb::Invalidate)).await;
}

/// No value loaded before a `touch` below is read after it.
pub async fn no_stale_fill_under_touch<H: Harness>(harness: &H) {
    race(harness, End::Verb("r.a.b.c", Verb::Touch)).await;
}

/// No value loaded before a removal is read after it.
pub async fn no_stale_fill_under_removal<H: Harness>(harness: &H) {
    race(harness, End::Removal).await;
}

/// A call that is dropped has happened wholly or not at all, and is in nobody's way after that.
pub async fn dropped_calls_happen_wholly_or_not<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let region = path("r.a");
    for polls in 0..4 {
        f.apply("r.a", &[Op::Put(put("a", "1")), Op::Put(put("b", "1"))]).await;
        let ops = [Op::Put(put("a", "2")), Op::Remove { key: "b" }];
        let write = Write::new(&ops);
        let done = poll_and_drop(f.store.write(&region, write), polls);
        let seen = (f.get("r.a", "a").await, f.get("r.a", "b").await);
        let seen = (seen.0.as_deref(), seen.1.as_deref());
        assert!(matches!(seen, (Some("2"), None) | (Some("1"), Some("1"))), "{seen:?}");
        assert!(!done || seen.1.is_none(), "a write that returned has happened");

        f.set("r.a.b", "k", "1").await;
        let done = poll_and_drop(f.store.end(&path("r.a"), Verb::Invalidate.into()), polls);
        let left = f.get("r.a.b", "k").await;
        assert!(!done || left.is_none(), "an invalidation that returned has happened");
        assert_eq!(left.is_some(), f.get("r.a", "a").await.is_some(), "all of it or nothing");

        let token = LeaseToken::random();
        let duration = super::super::fixture::SHORT;
        let terms = LeaseTerms::new(token, duration);
        poll_and_drop(f.store.begin(&region, &["leased"], terms), polls);
        poll_and_drop(f.store.read(&region, &["a"], ReadTerms::default()), polls);
        poll_and_drop(f.store.scan(&region, PageTerms::new(10)), polls);
        // A dropped `begin` that has been sent may take its lease a moment later.
        f.get("r.a", "a").await;
        f.advance(duration * 2).await;
        // However far it got, its lease is over by now.
        let fence = f.lease("r.a", "leased").await;
        assert!(f.fill("r.a", "leased", "v", &fence).await);
        f.apply("r.a", &[Op::Remove { key: "leased" }]).await;
    }
    assert_eq!(f.entry("r.a", "leased").await.filter(Entry::is_fresh), None);
    let guard = Guard {
        lineage: &f.lease("r.a", "x").await.lineage,
        keys: &["x"],
        token: LeaseToken::random(),
    };
    let written = f.write("r.a", &[], Some(guard), RegionTtl::Leave).await;
    assert!(written.is_fenced());
}
