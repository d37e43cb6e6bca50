//! Hits near beside the bare libraries: `quick_cache`, which is underneath, and `moka`.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use futures_util::FutureExt;
use region_cache::{MemoryStore, Region, RegionCache, RegionExt, RegionHandle};

use crate::peer::Value;
use crate::table::{Table, median};

const ENTRIES: [usize; 2] = [1_000, 1_000_000];
const THREADS: [usize; 2] = [1, 2];
const TURNS: usize = 9;
const CALLS: usize = 100_000;
const STRIDE: usize = 7919;

/// More than an entry is counted with, so that all of them stay.
const ROOM: u64 = 2048;

/// The same values in each.
struct Subjects {
    keys: Vec<String>,
    quick: quick_cache::sync::Cache<String, Arc<String>>,
    moka: moka::sync::Cache<String, Arc<String>>,
    near: RegionHandle,
}

/// The output of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = region_cache::Result<T>>) -> T {
    future.now_or_never().expect("memory does not wait").expect("memory does not fail")
}

impl Subjects {
    fn new(entries: usize) -> Self {
        let cache = RegionCache::builder(MemoryStore::new()).near(ROOM * entries as u64).build();
        let near = cache.expect("valid settings").region("org:42.project:7").expect("a path");
        let subjects = Self {
            keys: (0..entries).map(|key| format!("key-{key}")).collect(),
            quick: quick_cache::sync::Cache::new(2 * entries),
            moka: moka::sync::Cache::new(2 * entries as u64),
            near,
        };
        let value = Value::default();
        for key in &subjects.keys {
            // A value of its own in each, as a decoded one is.
            subjects.quick.insert(key.clone(), Arc::new(value.text.clone()));
            subjects.moka.insert(key.clone(), Arc::new(value.text.clone()));
            now(subjects.near.set(key, &value.text));
        }
        subjects.moka.run_pending_tasks();
        for at in 0..entries {
            [Self::quick, Self::moka, Self::near].iter().for_each(|hit| hit(&subjects, at));
        }
        subjects
    }

    fn key(&self, at: usize) -> &str {
        &self.keys[at.wrapping_mul(STRIDE) % self.keys.len()]
    }

    fn quick(&self, at: usize) {
        black_box(self.quick.get(self.key(at)).expect("all stay"));
    }

    fn moka(&self, at: usize) {
        black_box(self.moka.get(self.key(at)).expect("all stay"));
    }

    fn near(&self, at: usize) {
        black_box(now(self.near.get::<String>(self.key(at))).expect("all stay"));
    }

    /// Nanoseconds of a hit while so many threads read at once.
    fn time(&self, threads: usize, turn: usize, hit: fn(&Self, usize)) -> f64 {
        let start = Instant::now();
        thread::scope(|scope| {
            for thread in 0..threads {
                let from = (turn * threads + thread) * CALLS;
                scope.spawn(move || (from..from + CALLS).for_each(|at| hit(self, at)));
            }
        });
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    }
}

/// A row for each number of entries and threads.
pub fn near() -> String {
    let mut table = Table::new("hit, ns", &["bare `quick_cache`", "bare `moka`", "near `get`"]);
    for entries in ENTRIES {
        let subjects = Subjects::new(entries);
        for threads in THREADS {
            let mut taken = [const { Vec::new() }; 3];
            for turn in 0..TURNS {
                let hits = [Subjects::quick, Subjects::moka, Subjects::near];
                for (hit, taken) in hits.into_iter().zip(&mut taken) {
                    taken.push(subjects.time(threads, turn, hit));
                }
            }
            let figures = taken.map(|taken| Some(median(taken)));
            table.figures(&format!("{entries} entries, {threads} threads"), &figures);
        }
    }
    table.finish()
}
