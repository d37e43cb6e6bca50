//! Random operations on random trees, against a plain model.
//!
//! The model is a map from region and key to value. Loads are begun and finished as operations of
//! their own, so that anything happens in the middle of them, cancellation too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use region_core::{
    ManualClock, Policy, Region, RegionCache, RegionExt, RegionHandle, RegionPath, Result,
    SetOptions,
};
use region_memory::{Loss, MemoryStore};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const REGIONS: [&str; 6] = ["a", "a.b", "a.b:1.c", "a.b:2", "ab", "d.e.f.g"];
const KEYS: [&str; 3] = ["k", "l", "m"];
const TTL: u64 = 50;

#[derive(Clone, Copy, Debug)]
enum Op {
    Get(usize, usize),
    Set(usize, usize),
    SetShort(usize, usize),
    SetIfAbsent(usize, usize),
    Remove(usize, usize),
    Take(usize, usize),
    Pair(usize),
    Invalidate(usize),
    Touch(usize),
    Expire(usize),
    BeginLoad(usize, usize),
    FinishLoad(usize),
    CancelLoad(usize),
    Advance(u64),
    Lose(usize),
    Reclaim,
    Len(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let region = || 0..REGIONS.len();
    let place = || (region(), 0..KEYS.len());
    prop_oneof![
        4 => place().prop_map(|(r, k)| Op::Get(r, k)),
        3 => place().prop_map(|(r, k)| Op::Set(r, k)),
        1 => place().prop_map(|(r, k)| Op::SetShort(r, k)),
        1 => place().prop_map(|(r, k)| Op::SetIfAbsent(r, k)),
        2 => place().prop_map(|(r, k)| Op::Remove(r, k)),
        1 => place().prop_map(|(r, k)| Op::Take(r, k)),
        1 => region().prop_map(Op::Pair),
        3 => region().prop_map(Op::Invalidate),
        3 => region().prop_map(Op::Touch),
        1 => region().prop_map(Op::Expire),
        5 => place().prop_map(|(r, k)| Op::BeginLoad(r, k)),
        4 => any::<usize>().prop_map(Op::FinishLoad),
        2 => any::<usize>().prop_map(Op::CancelLoad),
        1 => (1..2 * TTL).prop_map(Op::Advance),
        1 => region().prop_map(Op::Lose),
        1 => Just(Op::Reclaim),
        1 => region().prop_map(Op::Len),
    ]
}

/// A load under way.
struct Load {
    place: (usize, usize),
    value: u32,
    /// True while it may be stored: nothing that covers it has happened since it began.
    good: bool,
    go: oneshot::Sender<()>,
    call: JoinHandle<Result<Arc<u32>>>,
}

#[derive(Clone, Copy)]
struct Held {
    value: u32,
    until: Option<u64>,
}

struct Run {
    store: MemoryStore,
    cache: RegionCache,
    clock: ManualClock,
    now: u64,
    next: u32,
    held: BTreeMap<(usize, usize), Held>,
    loads: Vec<Load>,
}

impl Run {
    fn new() -> Self {
        let clock = ManualClock::new();
        let store = MemoryStore::builder().clock(clock.clone()).build();
        // A lease that outlives every run: no load is taken over from.
        let policy = Policy::new().lease(Duration::from_secs(1_000_000));
        let cache = RegionCache::builder(store.clone()).root("r").policy(policy).build().unwrap();
        let (held, loads) = (BTreeMap::new(), Vec::new());
        Self { store, cache, clock, now: 0, next: 0, held, loads }
    }

    fn region(&self, region: usize) -> RegionHandle {
        self.cache.region(REGIONS[region]).unwrap()
    }

    fn value(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn model(&self, place: (usize, usize)) -> Option<u32> {
        let held = self.held.get(&place)?;
        held.until.is_none_or(|until| self.now < until).then_some(held.value)
    }

    fn put(&mut self, place: (usize, usize), value: u32, until: Option<u64>) {
        self.held.insert(place, Held { value, until });
        self.outlive(|load| load == place);
    }

    fn outlive(&mut self, covers: impl Fn((usize, usize)) -> bool) {
        for load in &mut self.loads {
            load.good &= !covers(load.place);
        }
    }

    /// Forgets what is covered, and spoils the loads under way there.
    fn end(&mut self, covers: impl Fn((usize, usize)) -> bool) {
        self.held.retain(|place, _| !covers(*place));
        self.outlive(covers);
    }

    async fn step(&mut self, op: Op) {
        match op {
            Op::Get(r, k) => {
                let found = self.region(r).get::<u32>(KEYS[k]).await.unwrap();
                assert_eq!(found.as_deref().copied(), self.model((r, k)), "{op:?}");
            }
            Op::Set(r, k) => {
                let value = self.value();
                self.region(r).set(KEYS[k], &value).await.unwrap();
                self.put((r, k), value, None);
            }
            Op::SetShort(r, k) => {
                let value = self.value();
                let options = SetOptions::new().ttl(Duration::from_millis(TTL));
                self.region(r).set_with(KEYS[k], &value, options).await.unwrap();
                self.put((r, k), value, Some(self.now + TTL));
            }
            Op::SetIfAbsent(r, k) => {
                let value = self.value();
                let stored = self.region(r).set_if_absent(KEYS[k], &value).await.unwrap();
                assert_eq!(stored, self.model((r, k)).is_none(), "{op:?}");
                if stored {
                    self.put((r, k), value, None);
                }
            }
            Op::Remove(r, k) => {
                let removed = self.region(r).remove(KEYS[k]).await.unwrap();
                assert_eq!(removed, self.model((r, k)).is_some(), "{op:?}");
                self.end(|place| place == (r, k));
            }
            Op::Take(r, k) => {
                let taken = self.region(r).take::<u32>(KEYS[k]).await.unwrap();
                assert_eq!(taken.as_deref().copied(), self.model((r, k)), "{op:?}");
                self.end(|place| place == (r, k));
            }
            Op::Pair(r) => {
                let (one, other) = (self.value(), self.value());
                let mut transaction = self.region(r).transaction();
                transaction.set(KEYS[0], one).set(KEYS[1], other);
                transaction.commit().await.unwrap();
                self.put((r, 0), one, None);
                self.put((r, 1), other, None);
            }
            Op::Invalidate(r) => {
                self.region(r).invalidate().await.unwrap();
                self.end(|(place, _)| is_within(place, r));
            }
            Op::Expire(r) => {
                self.region(r).expire().await.unwrap();
                self.end(|(place, _)| is_within(place, r));
            }
            Op::Touch(r) => {
                self.region(r).touch().await.unwrap();
                self.end(|(place, _)| is_within(r, place));
            }
            Op::BeginLoad(r, k) => self.begin_load((r, k)).await,
            Op::FinishLoad(at) if !self.loads.is_empty() => {
                let load = self.loads.remove(at % self.loads.len());
                load.go.send(()).unwrap();
                assert_eq!(*load.call.await.unwrap().unwrap(), load.value, "its caller gets it");
                if load.good {
                    self.put(load.place, load.value, None);
                }
            }
            Op::CancelLoad(at) if !self.loads.is_empty() => {
                let load = self.loads.remove(at % self.loads.len());
                load.call.abort();
                assert!(load.call.await.unwrap_err().is_cancelled());
                // The load is dropped once its task has noticed.
                while !load.go.is_closed() {
                    tokio::task::yield_now().await;
                }
            }
            Op::FinishLoad(_) | Op::CancelLoad(_) => {}
            Op::Advance(millis) => {
                self.clock.advance(Duration::from_millis(millis));
                self.now += millis;
            }
            Op::Lose(r) => {
                self.store.lose(self.region(r).path(), Loss::Incarnations);
                self.end(|(place, _)| is_within(place, r));
            }
            Op::Reclaim => self.store.reclaim(),
            Op::Len(r) => {
                let expected = (0..KEYS.len()).filter(|k| self.model((r, *k)).is_some()).count();
                assert_eq!(self.region(r).len().await.unwrap(), expected as u64, "{op:?}");
            }
        }
    }

    /// Begins a load unless there is a value, or another load that this one would join or wait for.
    async fn begin_load(&mut self, place: (usize, usize)) {
        let value = self.value();
        let (begun, has_begun) = oneshot::channel();
        let (go, gone) = oneshot::channel();
        let region = self.region(place.0);
        if self.model(place).is_some() {
            let load = || async { panic!("there is a value") as Result<u32> };
            let found = region.get_or_compute(KEYS[place.1], load).await.unwrap();
            assert_eq!(Some(*found), self.model(place));
            return;
        }
        if self.loads.iter().any(|load| load.place == place && load.good) {
            return;
        }
        let call = tokio::spawn(async move {
            let load = move || async move {
                begun.send(()).unwrap();
                gone.await.unwrap();
                Ok::<_, region_core::Error>(value)
            };
            region.get_or_compute(KEYS[place.1], load).await
        });
        has_begun.await.unwrap();
        self.loads.push(Load { place, value, good: true, go, call });
    }
}

fn is_within(inner: usize, outer: usize) -> bool {
    let path = |region: usize| RegionPath::parse(REGIONS[region]).unwrap();
    path(inner).is_within(&path(outer))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_a_map_with_ends(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for op in ops {
                run.step(op).await;
            }
            for region in 0..REGIONS.len() {
                for key in 0..KEYS.len() {
                    run.step(Op::Get(region, key)).await;
                }
            }
        });
    }
}
