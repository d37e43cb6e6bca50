//! One limit for a whole operation, however many calls to the store it makes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use region_core::testing::{Faulty, Method};
use region_core::{
    ErrorKind, LoadOptions, Loaded, NearCache, OnOutage, Policy, Region, RegionCache, RegionExt,
    RegionHandle,
};
use region_memory::MemoryStore;
use tokio::time::Instant;

use super::kit::{Client, NEAR_BYTES, Process, Pushes, memory, next_seed};

/// The limit of the store.
const LIMIT: Duration = Duration::from_secs(1);

/// What a caller that shares the question of another may take beyond it.
const GRACE: Duration = Duration::from_millis(10);

/// The most calls to the store that an operation is watched for.
const CALLS: u64 = 7;

/// The time at which a load function was called, if it was.
type LoadedAt = Arc<Mutex<Option<Instant>>>;

type Operation = fn(RegionHandle, LoadedAt) -> BoxFuture<'static, ()>;

/// The operations that may have to call the store more than once.
const OPERATIONS: &[(&str, Operation)] = &[
    ("get", |a, _| async move { drop(a.get::<u32>("k").await) }.boxed()),
    ("get_many", |a, _| async move { drop(a.get_many::<u32>(&["k", "l", "m"]).await) }.boxed()),
    ("contains", |a, _| async move { drop(a.contains("k").await) }.boxed()),
    ("take", |a, _| async move { drop(a.take::<u32>("k").await) }.boxed()),
    ("set_if_absent", |a, _| async move { drop(a.set_if_absent("gone", &1u32).await) }.boxed()),
    ("entries", |a, _| async move { drop(a.entries::<u32>().next().await) }.boxed()),
    ("keys", |a, _| async move { drop(a.keys().next().await) }.boxed()),
    ("len", |a, _| async move { drop(a.len().await) }.boxed()),
    ("explain", |a, _| async move { drop(a.explain::<u32>("k").await) }.boxed()),
    ("get_or_compute, a value in doubt", |a, at| get_or_compute(a, "k", at).boxed()),
    ("get_or_compute, a dependency has ended", |a, at| get_or_compute(a, "gone", at).boxed()),
    ("get_or_compute_with, a value in doubt", |a, at| load_with(a, "k", "b", at).boxed()),
    ("get_or_compute_with, a marker", |a, at| load_with(a, "new", "b", at).boxed()),
    ("get_or_compute_with, no marker", |a, at| load_with(a, "new", "d", at).boxed()),
    ("get_or_compute_with, an expired marker", |a, at| load_with(a, "new", "e", at).boxed()),
    ("get_or_compute_many", |a, at| load_many(a, &["k", "m", "gone", "new"], at).boxed()),
    ("warm", |a, at| {
        let load = move |_| async move { Ok::<_, Infallible>(loaded(&at)) };
        async move { drop(a.warm(["gone"]).load(load).await) }.boxed()
    }),
];

/// The ways in which calls of the store take their time.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Each call is answered well within the limit, but not two.
    Slow,
    /// The call of this number is never answered, and those before it take their time.
    HangsAt(u64),
}

fn loaded(at: &LoadedAt) -> u32 {
    at.lock().get_or_insert_with(Instant::now);
    2
}

async fn get_or_compute(a: RegionHandle, key: &'static str, at: LoadedAt) {
    let load = move || async move { Ok::<_, Infallible>(loaded(&at)) };
    drop(a.get_or_compute(key, load).await);
}

/// Loads a value that depends on the region `on`.
async fn load_with(a: RegionHandle, key: &'static str, on: &'static str, at: LoadedAt) {
    let load = move |_| async move { Ok::<_, Infallible>(Loaded::new(loaded(&at))) };
    let path = region_core::RegionPath::parse("r").unwrap().descend(on).unwrap();
    let options = LoadOptions::new().depends_on(path);
    drop(a.get_or_compute_with(key, options, load).await);
}

async fn load_many(a: RegionHandle, keys: &'static [&'static str], at: LoadedAt) {
    let load = move |keys: Vec<String>| {
        let at = Arc::clone(&at);
        async move {
            let value = loaded(&at);
            let values = keys.into_iter().map(|key| (key, value));
            Ok::<_, Infallible>(values.collect::<HashMap<_, _>>())
        }
    };
    drop(a.get_or_compute_many(keys, load).await);
}

/// A process whose store has a limit, and one that changes values.
struct Pair {
    faulty: Faulty<Client>,
    region: RegionHandle,
    there: Process,
}

impl Pair {
    /// The region `a` has `k`, which depends on `b`; `l`; and `gone`, which depended on `c` before that ended.
    /// The first two are held near, and nothing of that is trusted. `m` is there and not near.
    async fn new(pushes: Pushes, policy: Policy) -> Self {
        let store: MemoryStore = memory();
        let faulty = Faulty::new(Client::new(&store, pushes)).with_limit(LIMIT);
        let builder = RegionCache::builder(faulty.clone()).root("r").policy(policy);
        let cache = builder.near(NEAR_BYTES).seed(next_seed()).build().unwrap();
        let region = cache.region("a").unwrap();
        let there = Process::new(&store, Pushes::OfOthers, Policy::new());
        let theirs = there.region("a");
        for (key, on) in [("k", "b"), ("gone", "c"), ("old", "e")] {
            let options = LoadOptions::new().depends_on(&there.region(on));
            let load = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
            theirs.get_or_compute_with(key, options, load).await.unwrap();
        }
        theirs.set("l", &1u32).await.unwrap();
        let near = region.get_many::<u32>(&["k", "l", "gone"]).await.unwrap();
        assert!(near.iter().all(Option::is_some));
        there.region("c").touch().await.unwrap();
        there.region("e").expire().await.unwrap();
        theirs.set("m", &1u32).await.unwrap();
        there.cut_pushes();
        Self { faulty, region, there }
    }

    /// Does `operation` while the store is in `trouble` and others change the region.
    async fn watch(&self, operation: Operation, trouble: Trouble) -> (Duration, Duration) {
        let _held = match trouble {
            Trouble::Slow => {
                self.faulty.on_any().delay_before(LIMIT * 7 / 10);
                None
            }
            Trouble::HangsAt(call) => {
                let pause = self.faulty.on_any().nth(call).pause();
                let slow = LIMIT * 9 / 10 / u32::try_from(CALLS).unwrap();
                self.faulty.on_any().delay_before(slow);
                Some(pause)
            }
        };
        let theirs = self.there.region("a");
        let changing = tokio::spawn(async move {
            for n in 0u32.. {
                tokio::time::sleep(LIMIT / 50).await;
                theirs.set("n", &n).await.unwrap();
            }
        });
        let (at, start) = (LoadedAt::default(), Instant::now());
        operation(self.region.clone(), Arc::clone(&at)).await;
        let end = Instant::now();
        changing.abort();
        let loaded = at.lock().unwrap_or(end);
        (loaded - start, end - loaded)
    }
}

/// Bug: a verification, the read after it, a second read and the read of markers each had their own limit.
/// Effect: an operation took two or three limits while the server hung between its calls.
/// Fix: all of them count from the start of the operation.
#[tokio::test(start_paused = true)]
async fn an_operation_of_many_calls_has_one_limit() {
    let troubles = (1..=CALLS).map(Trouble::HangsAt).chain([Trouble::Slow]);
    let mut wrong = Vec::new();
    for trouble in troubles {
        for near in [NearCache::On, NearCache::Off] {
            for on_outage in [OnOutage::Miss, OnOutage::Error] {
                for (name, operation) in OPERATIONS {
                    let policy = Policy::new().near(near).on_outage(on_outage);
                    let pair = Pair::new(Pushes::OfOthers, policy).await;
                    let (before, after) = pair.watch(*operation, trouble).await;
                    if before.max(after) > LIMIT + GRACE {
                        let parts = format!("{before:?} before a load, {after:?} after it");
                        wrong
                            .push(format!("{name}, {trouble:?}, {near:?}, {on_outage:?}: {parts}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A verification goes on for those who still wait, and each of its callers leaves when its own time is over.
#[tokio::test(start_paused = true)]
async fn callers_that_share_a_verification_leave_one_by_one() {
    // Without pushes each read asks for itself what nobody asks already.
    let policy = Policy::new().on_outage(OnOutage::Error);
    let pair = Pair::new(Pushes::Never, policy).await;
    let first = pair.faulty.pause(Method::Read);
    let call = |key: &'static str| {
        let region = pair.region.clone();
        tokio::spawn(async move {
            let start = Instant::now();
            (region.get::<u32>(key).await, start.elapsed())
        })
    };
    let asking = call("l");
    first.reached().await;
    // Both share the next question, which is answered after the time of the earlier one is over.
    let early = call("l");
    tokio::time::sleep(LIMIT / 2).await;
    let late = call("l");
    tokio::time::sleep(LIMIT / 4).await;
    let second = pair.faulty.pause(Method::Read);
    first.release();
    assert_eq!(asking.await.unwrap().0.unwrap().as_deref(), Some(&1));
    second.reached().await;
    let (found, waited) = early.await.unwrap();
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(waited <= LIMIT + GRACE, "{waited:?}");
    second.release();
    let (found, waited) = late.await.unwrap();
    assert_eq!(found.unwrap().as_deref(), Some(&1));
    assert!(waited <= LIMIT + GRACE, "{waited:?}");
}
