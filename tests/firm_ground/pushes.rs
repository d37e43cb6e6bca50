//! Whatever was read and then changes is pushed, however it was read and whoever changes it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use region_cache::{
    EndTerms, Event, Guard, LeaseTerms, LeaseToken, Lifetime, Listener, Op, Put, ReadFrom,
    ReadTerms, RedisStore, RegionPath, Store, Trust, Verb, Write, Written,
};
use servers::{Flavor, TestServer};

use crate::kit::{connect, until};

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Listener for Heard {
    fn heard(&self, event: Event) {
        self.0.lock().push(event);
    }
}

/// Returns whether `event` ends the trust in what was read of `region`.
fn concerns(event: &Event, region: &RegionPath) -> bool {
    match event {
        Event::Lineage(top) => region.is_within(top),
        Event::Entries(of) => of == region,
        _ => true,
    }
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    Read,
    ReadMissing,
    ReadLarge,
    Begin,
}

#[derive(Clone, Copy, Debug)]
enum Changing {
    Put,
    PutAnother,
    PutMany,
    Remove,
    Fill,
    End(Verb, &'static str),
    Delete(&'static str),
    Flush,
}

const CHANGES: [Changing; 15] = [
    Changing::Put,
    Changing::PutAnother,
    Changing::PutMany,
    Changing::Remove,
    Changing::Fill,
    Changing::End(Verb::Invalidate, ""),
    Changing::End(Verb::Invalidate, ".mid"),
    Changing::End(Verb::Invalidate, ".mid.leaf"),
    Changing::End(Verb::Expire, ".mid"),
    Changing::End(Verb::Touch, ".mid.leaf"),
    Changing::End(Verb::Touch, ".mid.leaf.below"),
    Changing::End(Verb::InvalidateAndTouch, ".mid.leaf.below"),
    Changing::Delete("d{fg}"),
    Changing::Delete("i{fg}"),
    Changing::Flush,
];

async fn put(store: &RedisStore, region: &RegionPath, keys: &[&str], len: usize) {
    let ops: Vec<_> = keys.iter().map(|key| Op::Put(Put::new(key, vec![1; len]))).collect();
    store.write(region, Write::new(&ops)).await.unwrap();
}

async fn read(store: &RedisStore, region: &RegionPath, how: Reading) {
    let terms = ReadTerms::new(ReadFrom::Primary).trust(Trust::Kept);
    match how {
        Reading::Read => drop(store.read(region, &["k"], terms).await.unwrap()),
        Reading::ReadMissing => drop(store.read(region, &["none"], terms).await.unwrap()),
        // Once it is known to be large it is read over a connection of its own.
        Reading::ReadLarge => {
            store.read(region, &["large"], terms).await.unwrap();
            store.read(region, &["large"], terms).await.unwrap();
        }
        Reading::Begin => {
            let terms = LeaseTerms::new(LeaseToken::random(), Duration::from_secs(5));
            store.begin(region, &["none"], terms.trust(Trust::Kept)).await.unwrap();
        }
    }
}

async fn change(store: &RedisStore, server: &TestServer, region: &RegionPath, how: Changing) {
    let top = region.prefixes().nth(1).unwrap();
    match how {
        Changing::Put => put(store, region, &["k"], 5).await,
        Changing::PutAnother => put(store, region, &["another"], 5).await,
        Changing::PutMany => put(store, region, &["k", "another"], 5).await,
        Changing::Remove => {
            store.write(region, Write::new(&[Op::Remove { key: "k" }])).await.unwrap();
        }
        Changing::Fill => {
            let token = LeaseToken::random();
            let terms = LeaseTerms::new(token, Duration::from_secs(5));
            let begun = store.begin(region, &["filled"], terms).await.unwrap();
            let ops = [Op::Put(Put::new("filled", vec![1]).fresh_for(Lifetime::Unlimited))];
            let guard = Guard::new(&begun.lineage, &["filled"], token);
            let written = store.write(region, Write::new(&ops).guard(guard)).await.unwrap();
            assert!(matches!(written, Written::Applied(_)));
        }
        Changing::End(verb, below) => {
            let covered = RegionPath::parse(&format!("{top}{below}")).unwrap();
            store.end(&covered, EndTerms::new(verb)).await.unwrap();
        }
        Changing::Delete(kind) => {
            let name = region.as_str().strip_prefix("fg").unwrap();
            assert_eq!(server.command(&["DEL", &format!("rc1:{kind}{name}")]).text(), "1");
        }
        Changing::Flush => drop(server.command(&["FLUSHALL"])),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_read_and_changes_is_pushed() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let (own, other) = (connect(&server.url()).await, connect(&server.url()).await);
        let heard = Arc::new(Heard::default());
        let _listening = own.listen(Arc::clone(&heard) as Arc<dyn Listener>).unwrap();
        let mut round = 0;
        for reading in [Reading::Read, Reading::ReadMissing, Reading::ReadLarge, Reading::Begin] {
            for changing in CHANGES {
                for changer in [&other, &own] {
                    round += 1;
                    let region = RegionPath::parse(&format!("fg.r:{round}.mid.leaf")).unwrap();
                    put(&other, &region, &["k"], 5).await;
                    put(&other, &region, &["large"], 100_000).await;
                    read(&own, &region, reading).await;
                    heard.0.lock().clear();
                    change(changer, &server, &region, changing).await;
                    let by = if std::ptr::eq(changer, &own) { "itself" } else { "another" };
                    let what =
                        format!("{flavor:?}: a push of {changing:?} by {by} after {reading:?}");
                    let is_pushed = || heard.0.lock().iter().any(|event| concerns(event, &region));
                    until(&what, is_pushed).await;
                }
            }
        }
    }
}
