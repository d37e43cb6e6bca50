//! The store over the model of a server beside the store over real ones: the same random operations, the same answers
//! and pushes, but for the ids, which are random, and times.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use region_core::{
    EndTerms, Event, Guard, Lease, LeaseTerms, LeaseToken, Lifetime, Lineage, Listener, Listening,
    Op, PageTerms, Put, ReadFrom, ReadTerms, RegionPath, RegionTtl, Show, Store, TakeLease, Trust,
    Verb, When, Write, Written,
};
use region_redis::{RedisStore, RedisStoreBuilder};
use servers::{Flavor, TestServer};
use simredis::{Network, Server};
use tokio::time::{Instant, sleep};

const SEQUENCES: u64 = 30;
const OPERATIONS: usize = 60;
const STORES: usize = 2;
const REGIONS: [&str; 4] = ["w", "w.a", "w.a.b:1", "w.c"];
const KEYS: [&str; 3] = ["k", "l", "m"];

/// The key of an entry that is never removed by itself: as long as it is there the region's hash does not end because
/// of an entry that was swept from one server and not yet from another.
const KEPT: &str = "kept";

/// The limit of whatever waits.
const PATIENCE: Duration = Duration::from_secs(30);

const HOUR: Duration = Duration::from_secs(3600);

/// A lifetime that ends within the test.
const BRIEF: Duration = Duration::from_millis(20);

/// The lifetimes that do not: neither is the double of another, so that nothing hangs on a millisecond.
const LONG: [Duration; 2] = [HOUR, Duration::from_secs(7 * 3600)];

/// The time for which entries are stale.
const STALE: Duration = Duration::from_secs(3 * 3600);

/// The longest times that left are shown as one.
const STEP: f64 = 600.0;

/// One operation of a write.
#[derive(Clone, Debug)]
enum WriteOp {
    Put { key: &'static str, value: u32, when: When, fresh: Option<Duration>, stale: Duration },
    Remove(&'static str),
    Take(&'static str),
}

#[derive(Clone, Debug)]
enum Operation {
    Read {
        keys: Vec<&'static str>,
        assumes: bool,
        trust: Trust,
    },
    Begin {
        keys: Vec<&'static str>,
        token: u64,
        take: TakeLease,
        trust: Trust,
    },
    Write {
        ops: Vec<WriteOp>,
        guard: Option<u64>,
        ttl: RegionTtl,
        trust: Trust,
    },
    End {
        verb: Verb,
        trust: Trust,
    },
    Release {
        keys: Vec<&'static str>,
        token: u64,
    },
    Scan(Show),
    Children,
    Len,
    /// A key of the server is lost: that of the region with this letter.
    Lose(char),
}

/// An operation, the store that is asked for it, and the region.
#[derive(Clone, Debug)]
struct Call {
    by: usize,
    region: usize,
    operation: Operation,
}

struct Draw(StdRng);

impl Draw {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of.choose(&mut self.0).unwrap().clone()
    }

    fn keys(&mut self) -> Vec<&'static str> {
        let mut keys: Vec<_> = KEYS.into_iter().filter(|_| self.0.random()).collect();
        if keys.is_empty() || self.0.random_ratio(1, 8) {
            keys.push(KEPT);
        }
        keys
    }

    fn trust(&mut self) -> Trust {
        if self.0.random_ratio(3, 4) { Trust::Kept } else { Trust::NotKept }
    }

    fn token(&mut self) -> u64 {
        self.0.random_range(1..4)
    }

    fn verb(&mut self) -> Verb {
        self.one(&[Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch])
    }

    fn write_op(&mut self) -> WriteOp {
        let key = self.one(&KEYS);
        match self.0.random_range(0..10) {
            0 => WriteOp::Remove(key),
            1 => WriteOp::Take(key),
            at => {
                let value = self.0.random_range(0..3);
                let when = match at {
                    2 | 3 => When::Absent,
                    4 => When::AbsentOrHolding(bytes(self.0.random_range(0..3))),
                    _ => When::Always,
                };
                let fresh = match self.0.random_range(0..8) {
                    0 => Some(BRIEF),
                    1..4 => Some(self.one(&LONG)),
                    _ => None,
                };
                let stale = self.one(&[Duration::ZERO, STALE]);
                WriteOp::Put { key, value, when, fresh, stale }
            }
        }
    }

    fn write(&mut self) -> Operation {
        let mut ops: Vec<_> = (0..self.0.random_range(1..4)).map(|_| self.write_op()).collect();
        if ops.iter().any(is_brief) {
            let (key, value, when) = (KEPT, 7, When::Always);
            ops.insert(0, WriteOp::Put { key, value, when, fresh: None, stale: Duration::ZERO });
        }
        let ttl = match self.0.random_range(0..10) {
            0 => RegionTtl::Start(self.one(&LONG)),
            1 => RegionTtl::Restart(self.one(&LONG)),
            _ => RegionTtl::Leave,
        };
        let guard = self.0.random_ratio(1, 3).then(|| self.token());
        Operation::Write { ops, guard, ttl, trust: self.trust() }
    }

    fn call(&mut self) -> Call {
        let operation = match self.0.random_range(0..32) {
            0..8 => {
                let (keys, assumes) = (self.keys(), self.0.random_ratio(1, 3));
                Operation::Read { keys, assumes, trust: self.trust() }
            }
            8..13 => Operation::Begin {
                keys: self.keys(),
                token: self.token(),
                take: self.one(&[TakeLease::UnlessFresh, TakeLease::Always, TakeLease::Extend]),
                trust: self.trust(),
            },
            13..21 => self.write(),
            21..24 => Operation::End { verb: self.verb(), trust: self.trust() },
            24 => Operation::Release { keys: self.keys(), token: self.token() },
            25 => Operation::Scan(self.one(&[Show::Keys, Show::Entries])),
            26 => Operation::Children,
            27 => Operation::Len,
            _ => Operation::Lose(self.one(&['i', 'd', 'l', 'c'])),
        };
        let (by, region) = (self.0.random_range(0..STORES), self.0.random_range(0..REGIONS.len()));
        Call { by, region, operation }
    }
}

fn is_brief(op: &WriteOp) -> bool {
    matches!(op, WriteOp::Put { fresh: Some(fresh), .. } if *fresh == BRIEF)
}

fn bytes(value: u32) -> bytes::Bytes {
    bytes::Bytes::from(format!("value {value}"))
}

fn op(op: &WriteOp) -> Op<'_> {
    match op {
        WriteOp::Remove(key) => Op::Remove { key },
        WriteOp::Take(key) => Op::Take { key },
        WriteOp::Put { key, value, when, fresh, stale } => {
            let fresh = fresh.map_or(Lifetime::Unlimited, |fresh| Lifetime::of(fresh).unwrap());
            let put = Put::new(key, bytes(*value)).when(when.clone());
            Op::Put(put.fresh_for(fresh).stale_for(*stale))
        }
    }
}

/// What a store was told.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Event>>);

impl Listener for Heard {
    fn heard(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A server, and the stores over it.
struct Side {
    stores: Vec<RedisStore>,
    heard: Vec<Arc<Heard>>,
    _listening: Vec<Listening>,
    lose: Box<dyn Fn(&str)>,
    /// The ids that were seen, by when they were seen first.
    ids: BTreeMap<String, usize>,
    lineages: BTreeMap<usize, Lineage>,
    /// The lineages that leases were taken under.
    begun: BTreeMap<(usize, u64), Lineage>,
}

type Connecting = Pin<Box<dyn Future<Output = RedisStore>>>;

impl Side {
    async fn new(connect: impl Fn() -> Connecting, lose: Box<dyn Fn(&str)>) -> Self {
        let (mut stores, mut heard, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..STORES {
            let store = connect().await;
            let events = Arc::new(Heard::default());
            all.extend(store.listen(Arc::clone(&events) as _));
            stores.push(store);
            heard.push(events);
        }
        let (ids, lineages, begun) = Default::default();
        Self { stores, heard, _listening: all, lose, ids, lineages, begun }
    }

    /// What was told to each store since the last time, each thing once.
    async fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        for (store, heard) in self.stores.iter().zip(&self.heard) {
            // Pushes come before the reply that follows them.
            store.now().await.unwrap();
            let events = std::mem::take(&mut *heard.0.lock().unwrap());
            // Who waits for a lease asks again and again, so nobody knows how often that is told.
            let is_told = |event: &&Event| !matches!(event, Event::Leases(_));
            let mut events: Vec<_> =
                events.iter().filter(is_told).map(|event| format!("{event:?}")).collect();
            events.sort();
            events.dedup();
            told.push(events.join(", "));
        }
        told
    }

    /// Returns the answer, as all stores give it.
    async fn answer(&mut self, call: &Call) -> String {
        let Call { by, region, operation } = call;
        let path = RegionPath::parse(REGIONS[*region]).unwrap();
        let store = self.stores[*by].clone();
        let answer = match operation {
            Operation::Read { keys, assumes, trust } => {
                let assumed = self.lineages.get(region).filter(|_| *assumes);
                let terms = ReadTerms::new(ReadFrom::Primary).lineage(assumed).trust(*trust);
                let mut read = store.read(&path, keys, terms).await.unwrap().source(None);
                // They hang on what was swept.
                read.leftovers = Vec::new();
                self.know(*region, read.lineage.as_ref());
                format!("{read:?}")
            }
            Operation::Begin { keys, token, take, trust } => {
                let terms = LeaseTerms::new(LeaseToken::from_bits(*token), HOUR);
                let terms = terms.take(*take).trust(*trust);
                let begun = store.begin(&path, keys, terms).await.unwrap().source(None);
                self.know(*region, Some(&begun.lineage));
                self.begun.insert((*region, *token), begun.lineage.clone());
                format!("{begun:?}")
            }
            Operation::Write { ops, guard, ttl, trust } => {
                self.write(*by, *region, ops, *guard, (*ttl, *trust)).await
            }
            Operation::End { verb, trust } => {
                let ended = store.end(&path, EndTerms::new(*verb).trust(*trust)).await.unwrap();
                self.know(*region, ended.lineage.as_ref());
                format!("{:?}", ended.source(None))
            }
            Operation::Release { keys, token } => {
                release(&store, &path, keys, *token).await;
                String::new()
            }
            Operation::Scan(show) => {
                let page = store.scan(&path, PageTerms::new(100).show(*show)).await.unwrap();
                sorted(page.items, page.next.is_some())
            }
            Operation::Children => {
                let page = store.children(&path, PageTerms::new(100)).await.unwrap();
                sorted(page.items, page.next.is_some())
            }
            Operation::Len => store.len(&path).await.unwrap().to_string(),
            Operation::Lose(letter) => {
                (self.lose)(&key(*letter, REGIONS[*region]));
                String::new()
            }
        };
        canonical(&answer, &mut self.ids)
    }

    fn know(&mut self, region: usize, lineage: Option<&Lineage>) {
        if let Some(lineage) = lineage {
            self.lineages.insert(region, lineage.clone());
        }
    }

    async fn write(
        &mut self,
        by: usize,
        region: usize,
        ops: &[WriteOp],
        guard: Option<u64>,
        (ttl, trust): (RegionTtl, Trust),
    ) -> String {
        let (path, store) = (RegionPath::parse(REGIONS[region]).unwrap(), self.stores[by].clone());
        let ending = ops.iter().any(is_brief);
        let keys: Vec<_> = ops.iter().map(op).collect();
        let guarded: Vec<_> = keys.iter().map(Op::key).filter(|key| *key != KEPT).collect();
        let lineage = guard.and_then(|token| self.begun.get(&(region, token)));
        let mut write = Write::new(&keys).region_ttl(ttl).trust(trust);
        if let (Some(token), Some(lineage)) = (guard, lineage) {
            write = write.guard(Guard::new(lineage, &guarded, LeaseToken::from_bits(token)));
        }
        let mut written = store.write(&path, write).await.unwrap();
        if let Written::Applied(applied) = &mut written {
            // Not every script tells it.
            (applied.source, applied.region_ttl_left) = (None, None);
            let lineage = applied.lineage.clone();
            self.know(region, lineage.as_ref());
        }
        if ending {
            pass(&store).await;
        }
        format!("{written:?}")
    }
}

/// Waits until what is brief is over by the server's clock.
async fn pass(store: &RedisStore) {
    let over = store.now().await.unwrap().saturating_add(BRIEF + Duration::from_millis(1));
    let deadline = Instant::now() + PATIENCE;
    while store.now().await.unwrap() <= over {
        assert!(Instant::now() < deadline, "the server's clock stands still");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Gives leases back, and waits until the server has them.
async fn release(store: &RedisStore, path: &RegionPath, keys: &[&str], token: u64) {
    let (token, deadline) = (LeaseToken::from_bits(token), Instant::now() + PATIENCE);
    store.release(path, keys, token);
    let nobody = LeaseTerms::new(LeaseToken::from_bits(99), HOUR).take(TakeLease::Extend);
    loop {
        let begun = store.begin(path, keys, nobody).await.unwrap();
        let is_held = |lease| matches!(lease, Lease::Held { by, .. } if by == token);
        if !begun.keys.iter().any(|key| is_held(key.lease)) {
            return;
        }
        assert!(Instant::now() < deadline, "the leases are kept");
        sleep(Duration::from_millis(1)).await;
    }
}

/// The server's key with this letter of a region.
fn key(letter: char, region: &str) -> String {
    let (root, below) =
        region.split_once('.').map_or((region, None), |(root, below)| (root, Some(below)));
    let below = below.map_or(String::new(), |below| format!(".{below}"));
    format!("rc1:{letter}{{{root}}}{below}")
}

fn sorted<T: Debug>(items: Vec<T>, has_more: bool) -> String {
    let mut items: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    items.sort();
    format!("{} {has_more}", items.join(", "))
}

/// The text with ids by their numbers, and times rounded up.
fn canonical(text: &str, ids: &mut BTreeMap<String, usize>) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '.';
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        let is_id = matches!(word.len(), 8 | 16) && word.chars().all(|c| c.is_ascii_hexdigit());
        if let Some(seconds) = seconds(word, shown.ends_with("Millis(")) {
            shown.push_str(&format!("{}s", (seconds / STEP).ceil() * STEP));
        } else if is_id {
            let next = ids.len();
            let number = *ids.entry(word.to_owned()).or_insert(next);
            shown.push_str(&format!("#{number}"));
        } else {
            shown.push_str(word);
        }
    }
    shown
}

/// A duration, as it is shown for debugging; or the number of a lifetime.
fn seconds(word: &str, is_lifetime: bool) -> Option<f64> {
    if is_lifetime {
        return word.parse().ok().map(|millis: f64| millis / 1e3);
    }
    let units = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    units.into_iter().find_map(|(unit, seconds)| {
        let number: f64 = word.strip_suffix(unit)?.parse().ok()?;
        Some(number * seconds)
    })
}

fn settings(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    builder
        .call_timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .watch(Duration::from_millis(500), PATIENCE)
        .without_reclaimer()
}

async fn real(server: &Arc<TestServer>) -> Side {
    server.command(&["FLUSHALL"]);
    let url = server.url();
    let connect = || -> Connecting {
        let url = url.clone();
        Box::pin(
            async move { settings(RedisStore::builder(&url).unwrap()).connect().await.unwrap() },
        )
    };
    let server = Arc::clone(server);
    Side::new(connect, Box::new(move |key| drop(server.command(&["DEL", key])))).await
}

async fn model(seed: u64, kind: simredis::Flavor) -> Side {
    let (network, server) = (Network::new(seed, Duration::ZERO), Server::new(seed, kind));
    network.bind("model", &server);
    let connect = || -> Connecting {
        let connector = network.connector(0);
        Box::pin(async move {
            let builder = settings(RedisStore::builder("redis://model:1").unwrap());
            builder.connector(connector).connect().await.unwrap()
        })
    };
    Side::new(connect, Box::new(move |key| server.evict(&[key.as_bytes().to_vec()]))).await
}

async fn compare(flavor: Flavor) {
    let server = Arc::new(TestServer::start(flavor));
    let kind = match flavor {
        Flavor::Redis => simredis::Flavor::Redis,
        Flavor::Valkey => simredis::Flavor::Valkey,
    };
    for seed in 0..SEQUENCES {
        let mut draw = Draw(StdRng::seed_from_u64(seed));
        let (mut real, mut model) = (real(&server).await, model(seed, kind).await);
        let mut done = Vec::new();
        for number in 0..OPERATIONS {
            let call = draw.call();
            done.push(format!("{call:?}"));
            // Chance decides which script does a write; so it is the same.
            let chance = seed * 1000 + number as u64;
            region_redis::testing::seed_thread(chance);
            let expected = real.answer(&call).await;
            region_redis::testing::seed_thread(chance);
            let answered = model.answer(&call).await;
            assert_eq!(answered, expected, "{flavor:?}, seed {seed}: {done:#?}");
            let (expected, told) = (real.told().await, model.told().await);
            assert_eq!(told, expected, "pushes of {flavor:?}, seed {seed}: {done:#?}");
        }
    }
}

#[tokio::test]
async fn the_model_answers_as_redis() {
    compare(Flavor::Redis).await;
}

#[tokio::test]
async fn the_model_answers_as_valkey() {
    compare(Flavor::Valkey).await;
}
