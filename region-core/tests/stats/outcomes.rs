//! The outcome of a call, and what the statistics count of it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use region_core::testing::{Faulty, Method};
use region_core::{
    Answer, EntryAge, ErrorKind, LoadDependencies, LoadOptions, Loaded, MissReason, NearCache,
    OnStale, Outcome, Policy, Region, RegionCache, RegionExt, RegionHandle, Result, Stats,
    UncachedReason,
};
use region_memory::MemoryStore;
use tokio::time::{advance, sleep};

use super::kit::{cache, faulty, memory};

const SECOND: Duration = Duration::from_secs(1);
const LOAD: Duration = Duration::from_millis(100);

/// What the statistics count of calls with these outcomes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    near_hits: u64,
    store_hits: u64,
    unverified: u64,
    absent_hits: u64,
    misses: u64,
    stale_hits: u64,
    /// Calls that waited for a load of another call, here or in another process.
    waits: u64,
    loads: u64,
    fills: u64,
    fenced_fills: u64,
}

impl Counts {
    fn of(stats: &Stats) -> Self {
        Self {
            near_hits: stats.near_hits,
            store_hits: stats.store_hits,
            unverified: stats.near_unverified_hits,
            absent_hits: stats.absent_hits,
            misses: stats.misses,
            stale_hits: stats.stale_hits,
            waits: stats.joined_loads + stats.lease_waits,
            loads: stats.loads,
            fills: stats.fills,
            fenced_fills: stats.fenced_fills,
        }
    }

    fn since(self, before: &Self) -> Self {
        Self {
            near_hits: self.near_hits - before.near_hits,
            store_hits: self.store_hits - before.store_hits,
            unverified: self.unverified - before.unverified,
            absent_hits: self.absent_hits - before.absent_hits,
            misses: self.misses - before.misses,
            stale_hits: self.stale_hits - before.stale_hits,
            waits: self.waits - before.waits,
            loads: self.loads - before.loads,
            fills: self.fills - before.fills,
            fenced_fills: self.fenced_fills - before.fenced_fills,
        }
    }

    /// Adds a call that had a value, or none, and this outcome.
    fn add(&mut self, outcome: Outcome, has_value: bool) {
        match outcome {
            Outcome::NearHit | Outcome::UnverifiedNearHit | Outcome::Hit if !has_value => {
                self.absent_hits += 1;
            }
            Outcome::NearHit => self.near_hits += 1,
            Outcome::UnverifiedNearHit => {
                (self.near_hits, self.unverified) = (self.near_hits + 1, self.unverified + 1)
            }
            Outcome::Hit => self.store_hits += 1,
            Outcome::Miss(_) => self.misses += 1,
            Outcome::Stale => {
                (self.misses, self.stale_hits) = (self.misses + 1, self.stale_hits + 1)
            }
            Outcome::Joined => (self.misses, self.waits) = (self.misses + 1, self.waits + 1),
            Outcome::Loaded => {
                (self.misses, self.loads, self.fills) =
                    (self.misses + 1, self.loads + 1, self.fills + 1);
            }
            Outcome::Uncached(reason) => {
                (self.misses, self.loads) = (self.misses + 1, self.loads + 1);
                self.fenced_fills += u64::from(reason == UncachedReason::Fenced);
            }
            other => panic!("no test for {other:?}"),
        }
    }
}

/// A cache whose calls are compared with its statistics.
struct Watched {
    cache: RegionCache,
    region: RegionHandle,
    before: Counts,
    expected: Counts,
}

impl Watched {
    fn new(cache: RegionCache) -> Self {
        let region = cache.region("a").unwrap();
        let before = Counts::of(&cache.stats());
        Self { cache, region, before, expected: Counts::default() }
    }

    /// Compares what happens from here on.
    fn begin_again(&mut self) {
        (self.before, self.expected) = (Counts::of(&self.cache.stats()), Counts::default());
    }

    /// Asserts that a call had this outcome, and that all statistics tell the same.
    fn assert<T>(
        &mut self,
        answer: Result<Answer<Option<T>>>,
        outcome: Outcome,
    ) -> Answer<Option<T>> {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome(), outcome);
        self.expected.add(outcome, answer.value().is_some());
        let counted = Counts::of(&self.cache.stats()).since(&self.before);
        assert_eq!(counted, self.expected, "after {outcome:?}");
        answer
    }

    /// A load that brings `loaded`, after a time.
    async fn load(&self, loaded: Loaded<u32>) -> Result<Answer<Option<Arc<u32>>>> {
        load(&self.region, loaded).await
    }

    async fn plain(&self, value: u32) -> Result<Answer<Option<Arc<u32>>>> {
        let load = move || async move { Ok::<_, Infallible>(value) };
        self.region.get_or_compute_answer("k", load).await.map(|answer| answer.map(Some))
    }

    async fn failing(&self) -> Result<Answer<Option<Arc<u32>>>> {
        let load = |_| async { Err::<Loaded<u32>, _>(io::Error::other("down")) };
        self.region.get_or_compute_answer_with("k", LoadOptions::new(), load).await
    }
}

async fn load(region: &RegionHandle, loaded: Loaded<u32>) -> Result<Answer<Option<Arc<u32>>>> {
    let load = move |_| async move {
        sleep(LOAD).await;
        Ok::<_, Infallible>(loaded)
    };
    region.get_or_compute_answer_with("k", LoadOptions::new(), load).await
}

fn left<T>(answer: &Answer<T>) -> Option<Duration> {
    answer.left().and_then(|left| left.duration())
}

#[tokio::test(start_paused = true)]
async fn loads_and_hits_of_the_store() {
    let mut it = Watched::new(cache(faulty(), Policy::new().ttl(10 * SECOND)));
    let answer = it.region.get_answer::<u32>("k").await;
    it.assert(answer, Outcome::Miss(MissReason::Absent));
    let loaded = it.load(Loaded::new(7)).await;
    let loaded = it.assert(loaded, Outcome::Loaded);
    assert_eq!((loaded.age(), left(&loaded)), (Some(LOAD), Some(10 * SECOND)));
    advance(SECOND).await;
    for _ in 0..2 {
        let hit = it.load(Loaded::new(8)).await;
        let hit = it.assert(hit, Outcome::Hit);
        assert_eq!((hit.age(), left(&hit)), (None, Some(9 * SECOND)));
        let hit = it.plain(8).await;
        it.assert(hit, Outcome::Hit);
        let hit = it.region.get_answer::<u32>("k").await;
        let hit = it.assert(hit, Outcome::Hit);
        assert_eq!((hit.value().as_deref(), left(&hit)), (Some(&7), Some(9 * SECOND)));
    }
    it.region.invalidate().await.unwrap();
    let own = it.load(Loaded::new(9).ttl(SECOND)).await;
    let own = it.assert(own, Outcome::Loaded);
    assert_eq!(left(&own), Some(SECOND), "a ttl of its own");
    advance(2 * SECOND).await;
    let loaded = it.plain(10).await;
    it.assert(loaded, Outcome::Loaded);
    let text = it.region.get_answer::<String>("k").await.map(|answer| answer.map(|_| None::<()>));
    it.assert(text, Outcome::Miss(MissReason::OtherType));
}

#[tokio::test(start_paused = true)]
async fn a_reload_is_no_read() {
    let it = Watched::new(cache(faulty(), Policy::new()));
    it.region.set("k", &1u32).await.unwrap();
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(2u32)) };
    let options = LoadOptions::new().reload();
    let answer = it.region.get_or_compute_answer_with("k", options, load).await.unwrap();
    assert_eq!((answer.outcome(), answer.value().as_deref()), (Outcome::Loaded, Some(&2)));
    let stats = it.cache.stats();
    assert_eq!((stats.misses, stats.loads, stats.fills), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn near_hits() {
    let store = faulty();
    let policy = Policy::new().ttl(10 * SECOND).near(NearCache::On).near_unverified_for(5 * SECOND);
    let mut it = Watched::new(cache(store.clone(), policy));
    let loaded = it.load(Loaded::new(7)).await;
    it.assert(loaded, Outcome::Loaded);
    advance(SECOND).await;
    let near = it.load(Loaded::new(8)).await;
    let near = it.assert(near, Outcome::NearHit);
    assert_eq!(near.age(), None);
    assert_eq!(left(&near), Some(9 * SECOND), "counted from before the value was sent");
    let near = it.plain(8).await;
    it.assert(near, Outcome::NearHit);
    let near = it.region.get_answer::<u32>("k").await;
    it.assert(near, Outcome::NearHit);
    store.cut_pushes();
    let unverified = it.region.get_answer::<u32>("k").await;
    it.assert(unverified, Outcome::UnverifiedNearHit);
    let unverified = it.load(Loaded::new(8)).await;
    it.assert(unverified, Outcome::UnverifiedNearHit);
    let unverified = it.plain(8).await;
    it.assert(unverified, Outcome::UnverifiedNearHit);
    // A value that the store says to be valid still is one that was held near.
    advance(6 * SECOND).await;
    let verified = it.region.get_answer::<u32>("k").await;
    let verified = it.assert(verified, Outcome::NearHit);
    assert_eq!(left(&verified), Some(3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn absences() {
    for near in [NearCache::Off, NearCache::On] {
        let policy = Policy::new().ttl(10 * SECOND).near(near);
        let mut it = Watched::new(cache(faulty(), policy));
        let loaded = it.load(Loaded::absent()).await;
        let loaded = it.assert(loaded, Outcome::Loaded);
        assert_eq!((loaded.value(), loaded.left()), (&None, None));
        let outcome = if near == NearCache::On { Outcome::NearHit } else { Outcome::Hit };
        let known = it.load(Loaded::new(7)).await;
        it.assert(known, outcome);
        let read = it.region.get_answer::<u32>("k").await;
        it.assert(read, Outcome::Miss(MissReason::Absent));
        let loaded = it.plain(7).await;
        it.assert(loaded, Outcome::Loaded);
    }
}

#[tokio::test(start_paused = true)]
async fn results_that_are_not_stored() {
    let store = faulty();
    let mut it = Watched::new(cache(store.clone(), Policy::new()));
    let declined = Outcome::Uncached(UncachedReason::Declined);
    for loaded in [
        Loaded::DontStore(7),
        Loaded::new(7).ttl(Duration::ZERO),
        Loaded::absent().ttl(Duration::ZERO),
    ] {
        let answer = it.load(loaded).await;
        let answer = it.assert(answer, declined);
        assert_eq!((answer.age(), answer.left()), (Some(LOAD), None));
    }

    let region = it.region.clone();
    let loading = tokio::spawn(async move { load(&region, Loaded::new(7)).await });
    sleep(LOAD / 2).await;
    it.region.invalidate().await.unwrap();
    let fenced = loading.await.unwrap();
    it.assert(fenced, Outcome::Uncached(UncachedReason::Fenced));

    for (method, kind, reason) in [
        (Method::Write, ErrorKind::Unavailable, UncachedReason::StoreFailed),
        (Method::Write, ErrorKind::TooLarge, UncachedReason::TooLarge),
        (Method::Begin, ErrorKind::Unavailable, UncachedReason::StoreFailed),
        (Method::Read, ErrorKind::Unavailable, UncachedReason::StoreFailed),
    ] {
        store.on(method).fail(kind);
        let before = it.cache.stats().store_failures;
        let answer = it.load(Loaded::new(7)).await;
        it.assert(answer, Outcome::Uncached(reason));
        assert_eq!(it.cache.stats().store_failures, before + 1, "{method}: {kind:?}");
        store.heal();
        it.region.invalidate().await.unwrap();
    }

    let prices = it.cache.region("prices").unwrap();
    let path = prices.path().clone();
    store.on(Method::Begin).within(&path).fail(ErrorKind::Unavailable);
    store.on(Method::Read).within(&path).fail(ErrorKind::Unavailable);
    store.on(Method::Write).within(&path).fail(ErrorKind::Unavailable);
    let load = move |_| async move {
        LoadDependencies::current()?.add(&prices).await?;
        Ok::<_, region_core::Error>(Loaded::new(7u32))
    };
    let answer = it.region.get_or_compute_answer_with("k", LoadOptions::new(), load).await;
    it.assert(answer, Outcome::Uncached(UncachedReason::UnknownDependency));
}

#[tokio::test(start_paused = true)]
async fn stale_values() {
    let policy = Policy::new().ttl(SECOND).stale_for(10 * SECOND);
    let mut it = Watched::new(cache(faulty(), policy.clone().soft_timeout(LOAD / 2)));
    it.region.set("k", &1u32).await.unwrap();
    advance(2 * SECOND).await;
    it.begin_again();
    // A load that fails, and then none for a while.
    let failed = it.failing().await.unwrap();
    assert_eq!((failed.outcome(), left(&failed)), (Outcome::Stale, Some(9 * SECOND)));
    let stats = it.cache.stats();
    assert_eq!((stats.stale_hits, stats.loads, stats.load_failures), (1, 1, 1));
    it.begin_again();
    let throttled = it.load(Loaded::new(2)).await;
    it.assert(throttled, Outcome::Stale);
    advance(2 * SECOND).await;
    // A load that takes longer than the soft timeout.
    let slow = it.load(Loaded::new(2)).await.unwrap();
    assert_eq!((slow.outcome(), it.cache.stats().soft_timeouts), (Outcome::Stale, 1));
    sleep(LOAD).await;
    it.begin_again();
    let hit = it.load(Loaded::new(3)).await;
    it.assert(hit, Outcome::Hit);

    // A load that is under way.
    let mut it = Watched::new(cache(faulty(), policy.clone()));
    it.region.set("k", &1u32).await.unwrap();
    it.region.expire().await.unwrap();
    let region = it.region.clone();
    let loading = tokio::spawn(async move { load(&region, Loaded::new(2)).await });
    sleep(LOAD / 2).await;
    let stale = it.load(Loaded::new(3)).await.unwrap();
    assert_eq!((stale.outcome(), stale.value().as_deref()), (Outcome::Stale, Some(&1)));
    it.expected.add(Outcome::Stale, true);
    let loaded = loading.await.unwrap();
    it.assert(loaded, Outcome::Loaded);

    // One in the background.
    let mut it = Watched::new(cache(faulty(), policy.on_stale(OnStale::Refresh)));
    it.region.set("k", &1u32).await.unwrap();
    it.region.expire().await.unwrap();
    let stale = it.load(Loaded::new(2)).await;
    it.assert(stale, Outcome::Stale);
    sleep(2 * LOAD).await;
    let hit = it.load(Loaded::new(3)).await.unwrap();
    assert_eq!((hit.outcome(), hit.value().as_deref()), (Outcome::Hit, Some(&2)));
}

/// Callers that come while a load runs, before and after the store was asked about it, and in another
/// process.
#[tokio::test(start_paused = true)]
async fn loads_that_are_joined() {
    let store = faulty();
    let there = process(&store, 2);
    let mut it = Watched::new(process(&store, 1));
    let calls = [0, 1, 2].map(|call| {
        let region = it.region.clone();
        tokio::spawn(async move {
            sleep(LOAD * call / 4).await;
            load(&region, Loaded::new(call)).await
        })
    });
    sleep(LOAD / 2).await;
    let mut theirs = Watched::new(there);
    let waited = theirs.load(Loaded::new(9)).await;
    let waited = theirs.assert(waited, Outcome::Joined);
    assert_eq!((waited.value().as_deref(), waited.age()), (Some(&0), None));
    let [first, second, third] = calls;
    for joined in [second, third] {
        let joined = joined.await.unwrap().unwrap();
        assert_eq!((joined.outcome(), joined.age()), (Outcome::Joined, Some(LOAD)));
        it.expected.add(Outcome::Joined, true);
    }
    let first = first.await.unwrap();
    it.assert(first, Outcome::Loaded);
}

fn process(store: &Faulty<MemoryStore>, seed: u64) -> RegionCache {
    let store = Faulty::new(store.inner().client());
    RegionCache::builder(store).root("r").seed(seed).build().unwrap()
}

/// Another has stored the value since the lookup: no load of this process ran, and none was waited for.
#[tokio::test(start_paused = true)]
async fn a_value_that_came_since_the_lookup() {
    let store = faulty();
    let there = process(&store, 2).region("a").unwrap();
    let it = Watched::new(cache(store.clone(), Policy::new()));
    let pause = store.pause(Method::Begin);
    let region = it.region.clone();
    let loading = tokio::spawn(async move { load(&region, Loaded::new(1)).await });
    pause.reached().await;
    there.set("k", &2u32).await.unwrap();
    pause.release();
    let answer = loading.await.unwrap().unwrap();
    assert_eq!((answer.outcome(), answer.value().as_deref()), (Outcome::Joined, Some(&2)));
    let stats = it.cache.stats();
    assert_eq!((stats.misses, stats.loads, stats.joined_loads, stats.lease_waits), (1, 0, 0, 0));
}

/// A plain read with a registered load function.
#[tokio::test(start_paused = true)]
async fn reads_that_refresh() {
    let policy = Policy::new().ttl(10 * SECOND).stale_for(10 * SECOND).early_refresh_at(80);
    let mut it = Watched::new(cache(faulty(), policy.on_stale(OnStale::Refresh)));
    it.region = it.region.with_loader(|_: region_core::LoadRequest<u32>| async {
        sleep(LOAD).await;
        Ok::<_, Infallible>(Loaded::new(2u32))
    });
    it.region.set("k", &1u32).await.unwrap();
    advance(9 * SECOND).await;
    let due = it.region.get_answer::<u32>("k").await;
    let due = it.assert(due, Outcome::Hit);
    assert_eq!((due.value().as_deref(), left(&due)), (Some(&1), Some(SECOND)));
    sleep(2 * LOAD).await;
    it.region.expire().await.unwrap();
    it.begin_again();
    let stale = it.region.get_answer::<u32>("k").await;
    it.assert(stale, Outcome::Stale);
    let missing = it.region.get_answer::<u32>("other").await;
    it.assert(missing, Outcome::Miss(MissReason::Absent));
}

/// An explanation foretells the outcome of a read.
#[tokio::test(start_paused = true)]
async fn an_explanation_has_the_outcome_of_the_read() {
    use region_core::ReadOutcome;
    let store = faulty();
    let policy = Policy::new().ttl(SECOND).stale_for(SECOND).near(NearCache::On);
    let cache = cache(store.clone(), policy);
    let region = cache.region("a").unwrap();
    for step in 0..6 {
        match step {
            1 => region.set("k", &1u32).await.unwrap(),
            3 => store.cut_pushes(),
            4 => advance(SECOND).await,
            5 => drop(store.on(Method::Read).fail(ErrorKind::Unavailable)),
            _ => {}
        }
        let explained = region.explain::<u32>("k").await.unwrap().outcome;
        let outcome = region.get_answer::<u32>("k").await.unwrap().outcome();
        let expected = match explained {
            ReadOutcome::NearHit | ReadOutcome::VerifiedNearHit => Outcome::NearHit,
            ReadOutcome::UnverifiedNearHit => Outcome::UnverifiedNearHit,
            ReadOutcome::StoreHit => Outcome::Hit,
            ReadOutcome::Miss(reason) => Outcome::Miss(reason),
            other => panic!("step {step}: {other:?}"),
        };
        assert_eq!(outcome, expected, "step {step}");
    }
}

/// Bug guarded against: an age that begins with the write makes a value younger than what it was made from.
#[tokio::test(start_paused = true)]
async fn the_age_of_a_hit_counts_from_the_beginning_of_its_load() {
    let policy = Policy::new().age(EntryAge::Recorded);
    for near in [NearCache::Off, NearCache::On] {
        let region = cache(memory(), policy.clone().near(near)).region("a").unwrap();
        let slow = || async {
            advance(SECOND).await;
            Ok::<_, Infallible>(1u32)
        };
        let loaded = region.get_or_compute_answer("k", slow).await.unwrap();
        assert_eq!((loaded.outcome(), loaded.age()), (Outcome::Loaded, Some(SECOND)));
        for _ in 0..2 {
            let hit = region.get_answer::<u32>("k").await.unwrap();
            assert!(hit.outcome().is_hit());
            assert!(hit.age().is_some_and(|age| age >= SECOND && age < 60 * SECOND), "{hit:?}");
        }
    }
}

/// A value that is not modified is as good as new.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_modified_begins_its_age_anew() {
    let policy = Policy::new().stale_for(3600 * SECOND).age(EntryAge::Recorded);
    let region = cache(memory(), policy).region("a").unwrap();
    let slow = || async {
        advance(5 * SECOND).await;
        Ok::<_, Infallible>(1u32)
    };
    region.get_or_compute("k", slow).await.unwrap();
    region.expire().await.unwrap();
    let same = |_| async { Ok::<_, Infallible>(Loaded::<u32>::not_modified()) };
    region.get_or_compute_with("k", LoadOptions::new(), same).await.unwrap();
    let hit = region.get_answer::<u32>("k").await.unwrap();
    assert_eq!((hit.value().as_deref(), hit.outcome()), (Some(&1), Outcome::Hit));
    assert!(hit.age().is_some_and(|age| age < 5 * SECOND), "{hit:?}");
}
