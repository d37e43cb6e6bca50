//! The memory store beside a bare map behind a lock and a bare cache.
//!
//! `cargo bench --bench memory` prints a table of medians, taken in turns in one run so that the
//! machine's moods hit all alike; `-- --criterion` runs criterion on the same operations instead.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use futures_util::FutureExt;
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use region_cache::{
    MemoryStore, Region, RegionCache, RegionExt, RegionHandle, RegionPath, Regioned,
};

const VALUE_BYTES: usize = 200;
const KEYS: usize = 10_000;
/// Many short rounds: on a busy machine a round of a few milliseconds is interrupted more often than not, and
/// then the median is of interrupted ones.
const ROUNDS: usize = 401;
const PER_ROUND: usize = 200;
const MILLION: usize = 1_000_000;

#[derive(Regioned)]
struct Org {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Org)]
struct Project {
    #[region(parent_id)]
    org: u64,
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Project)]
struct Task {
    #[region(parent_id)]
    org: u64,
    #[region(parent_id)]
    project: u64,
    #[region(id)]
    id: u64,
}

/// The output of a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = region_cache::Result<T>>) -> T {
    future.now_or_never().expect("memory does not wait").expect("memory does not fail")
}

/// Values near, and the same values in a bare cache.
struct NearSubjects {
    cache: RegionCache,
    region: RegionHandle,
    bare: Cache<String, Arc<String>>,
    keys: Vec<String>,
}

impl NearSubjects {
    fn new(entries: usize) -> Self {
        /// More than an entry is counted with, so that all of them stay.
        const ROOM: u64 = 2048;
        let cache = RegionCache::builder(MemoryStore::new()).near(ROOM * entries as u64).build();
        let cache = cache.expect("no settings");
        let region = cache.region_at(Task::path(42, 7, 3)).expect("a path of numbers");
        let keys: Vec<_> = (0..entries).map(|key| format!("key-{key}")).collect();
        let subjects = Self { cache, region, bare: Cache::new(2 * entries), keys };
        let value = "v".repeat(VALUE_BYTES);
        for key in &subjects.keys {
            now(subjects.region.set(key, &value));
            subjects.bare.insert(key.clone(), Arc::new(value.clone()));
        }
        for key in &subjects.keys {
            now(subjects.region.get::<String>(key));
        }
        subjects
    }

    fn key(&self, at: usize) -> &str {
        &self.keys[at.wrapping_mul(7919) % self.keys.len()]
    }

    fn hits(&self) -> Vec<Operation<'_>> {
        let load = || async { Ok::<_, Infallible>(String::new()) };
        vec![
            Operation::new("bare quick_cache", |at| {
                black_box(self.bare.get(self.key(at)));
            }),
            Operation::new("near `get`", |at| {
                black_box(now(self.region.get::<String>(self.key(at))));
            }),
            Operation::new("near `get_or_compute`", move |at| {
                black_box(now(self.region.get_or_compute(self.key(at), load)));
            }),
            Operation::new("near `region_at` and `get`", |at| {
                let region = self.cache.region_at(Task::path(42, 7, 3)).expect("a path");
                black_box(now(region.get::<String>(self.key(at))));
            }),
            Operation::new("near `region` (text) and `get`", |at| {
                let region = self.cache.region("org:42.project:7.task:3").expect("a path");
                black_box(now(region.get::<String>(self.key(at))));
            }),
        ]
    }

    /// Nanoseconds of a hit while two threads read at once.
    fn two_threads(&self) -> String {
        const ROUND: usize = 200_000;
        const TURNS: usize = 9;
        let time = |run: &(dyn Fn(usize) + Sync)| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| (0..ROUND).for_each(run));
                }
            });
            start.elapsed().as_secs_f64() * 1e9 / ROUND as f64
        };
        let turn = |_| {
            let bare = time(&|at| drop(black_box(self.bare.get(self.key(at)))));
            let near = time(&|at| drop(black_box(now(self.region.get::<String>(self.key(at))))));
            (bare, near)
        };
        let (bare, near): (Vec<_>, Vec<_>) = (0..TURNS).map(turn).unzip();
        let (bare, near) = (median(bare), median(near));
        format!(
            "\n| {} entries near, two threads at once | ns | ratio |\n|---|---|---|\n\
             | bare quick_cache | {bare:.0} | 1.00 |\n| near `get` | {near:.0} | {:.2} |\n",
            self.keys.len(),
            near / bare
        )
    }
}

fn near() -> String {
    let tables = [1_000, MILLION].map(|entries| {
        let subjects = NearSubjects::new(entries);
        let title = format!("{entries} entries near");
        table(&title, &subjects.hits()) + &subjects.two_threads()
    });
    tables.concat()
}

/// The subjects of the comparison, filled alike.
struct Subjects {
    region: RegionHandle,
    map: RwLock<hashbrown::HashMap<String, Vec<u8>>>,
    cache: Cache<String, Vec<u8>>,
    keys: Vec<String>,
    value: String,
}

impl Subjects {
    fn new() -> Self {
        let cache = RegionCache::builder(MemoryStore::new()).build().expect("no settings");
        let region = cache.region_at(Task::path(42, 7, 3)).expect("a path of numbers");
        let value = "v".repeat(VALUE_BYTES);
        let keys: Vec<_> = (0..KEYS).map(|key| format!("key-{key}")).collect();
        let subjects =
            Self { region, map: RwLock::default(), cache: Cache::new(2 * KEYS), keys, value };
        for key in &subjects.keys {
            now(subjects.region.set(key, &subjects.value));
            subjects.map.write().insert(key.clone(), subjects.bytes());
            subjects.cache.insert(key.clone(), subjects.bytes());
        }
        subjects
    }

    fn bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.value).expect("a string")
    }

    fn key(&self, at: usize) -> &str {
        // A stride that visits all keys, in no order that a cache line would like.
        &self.keys[at.wrapping_mul(7919) % KEYS]
    }
}

fn decode(bytes: &[u8]) -> Arc<String> {
    Arc::new(postcard::from_bytes(bytes).expect("what was encoded"))
}

struct Operation<'s>(&'static str, Box<dyn Fn(usize) + 's>);

impl<'s> Operation<'s> {
    fn new(name: &'static str, run: impl Fn(usize) + 's) -> Self {
        Self(name, Box::new(run))
    }
}

fn reads(s: &Subjects) -> Vec<Operation<'_>> {
    let load = || async { Ok::<_, Infallible>(String::new()) };
    vec![
        Operation::new("map behind a lock, decoded", |at| {
            black_box(s.map.read().get(s.key(at)).map(|bytes| decode(bytes)));
        }),
        Operation::new("region `get`", |at| {
            black_box(now(s.region.get::<String>(s.key(at))));
        }),
        Operation::new("region `get_or_compute`, hit", move |at| {
            black_box(now(s.region.get_or_compute(s.key(at), load)));
        }),
        Operation::new("quick_cache, decoded", |at| {
            black_box(s.cache.get(s.key(at)).map(|bytes| decode(&bytes)));
        }),
        Operation::new("map behind a lock, bytes alone", |at| {
            black_box(s.map.read().get(s.key(at)).cloned());
        }),
    ]
}

fn writes(s: &Subjects) -> Vec<Operation<'_>> {
    vec![
        Operation::new("map behind a lock, encoded", |at| {
            s.map.write().insert(s.key(at).to_owned(), s.bytes());
        }),
        Operation::new("region `set`", |at| now(s.region.set(s.key(at), &s.value))),
        Operation::new("quick_cache, encoded", |at| {
            s.cache.insert(s.key(at).to_owned(), s.bytes());
        }),
    ]
}

fn paths() -> Vec<Operation<'static>> {
    let root = RegionPath::root("root").expect("a name");
    vec![
        Operation::new("path parse, depth 4", |at| {
            let text = ["root.org:42.project:7.task:3", "root.org:43.project:8.task:4"][at % 2];
            black_box(RegionPath::parse(text).expect("a path"));
        }),
        Operation::new("derived path, depth 4", move |at| {
            black_box(Task::path(42, 7, at as u64).below(&root).expect("a path"));
        }),
    ]
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The median nanoseconds of each operation, taken in turns, and their ratios to the first.
fn table(title: &str, operations: &[Operation<'_>]) -> String {
    let mut taken = vec![Vec::with_capacity(ROUNDS); operations.len()];
    for round in 0..ROUNDS {
        for (turn, (Operation(_, run), taken)) in operations.iter().zip(&mut taken).enumerate() {
            // Other keys than in the turn before, which has brought its own into the processor's caches.
            let first = (round * operations.len() + turn) * PER_ROUND;
            let start = Instant::now();
            (0..PER_ROUND).for_each(|at| run(first + at));
            taken.push(start.elapsed().as_secs_f64() * 1e9 / PER_ROUND as f64);
        }
    }
    let medians: Vec<_> = taken.into_iter().map(median).collect();
    let mut text = format!("\n| {title} | ns | ratio |\n|---|---|---|\n");
    for (Operation(name, _), nanos) in operations.iter().zip(&medians) {
        let _ = writeln!(text, "| {name} | {nanos:.0} | {:.2} |", nanos / medians[0]);
    }
    text
}

/// Measures one `invalidate` with so many entries below, spread or in one region.
fn invalidations() -> String {
    let mut text = String::from(
        "\n| `invalidate` with | in regions below, ns | in the region itself, ns |\n|---|---|---|\n",
    );
    let set = |region: &RegionHandle, entry: usize| now(region.set(&entry.to_string(), &1u8));
    let set_below = |region: &RegionHandle, entry: usize| {
        let inner = region.child_with_id("project", &(entry % 10_000).to_string());
        set(&inner.expect("a path"), entry);
    };
    for (entries, repeats) in [(1, 201), (1_000, 51), (MILLION, 5)] {
        let time = |fill: &dyn Fn(&RegionHandle, usize)| {
            let cache = RegionCache::builder(MemoryStore::new()).build().expect("no settings");
            let taken = (0..repeats).map(|repeat| {
                let region = cache.region(&format!("org:{repeat}")).expect("a path");
                (0..entries).for_each(|entry| fill(&region, entry));
                // After a long fill every cache is cold for whatever comes first: an empty region.
                now(cache.region(&format!("empty:{repeat}")).expect("a path").invalidate());
                let start = Instant::now();
                now(region.invalidate());
                start.elapsed().as_secs_f64() * 1e9
            });
            median(taken.collect())
        };
        let (below, own) = (time(&set_below), time(&set));
        let _ = writeln!(text, "| {entries} entries | {below:.0} | {own:.0} |");
    }
    text
}

/// The memory that this process has, as the system counts it; `None` where it does not say.
fn resident_bytes() -> Option<u64> {
    const KIB: u64 = 1024;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * KIB)
}

fn memory() -> String {
    const ENTRIES: usize = 200_000;
    let per_entry = |fill: &dyn Fn() -> Box<dyn std::any::Any>| {
        let before = resident_bytes()?;
        let kept = fill();
        let taken = resident_bytes()?.saturating_sub(before);
        // Kept until the end: what is freed would be used again by the next.
        std::mem::forget(kept);
        Some(taken as f64 / ENTRIES as f64)
    };
    let value = || "v".repeat(VALUE_BYTES);
    let map = per_entry(&|| {
        let entries = (0..ENTRIES).map(|entry| (format!("key-{entry}"), value()));
        Box::new(entries.collect::<hashbrown::HashMap<_, _>>())
    });
    let region = per_entry(&|| {
        let cache = RegionCache::builder(MemoryStore::new()).build().expect("no settings");
        (0..ENTRIES).for_each(|entry| now(cache.root().set(&format!("key-{entry}"), &value())));
        Box::new(cache)
    });
    match (map, region) {
        (Some(map), Some(region)) => format!(
            "\n| {ENTRIES} entries of {VALUE_BYTES} bytes | bytes an entry | ratio |\n|---|---|---|\n\
             | bare map | {map:.0} | 1.00 |\n| region | {region:.0} | {:.2} |\n",
            region / map
        ),
        _ => String::from("\nThis system does not say how much memory a process has.\n"),
    }
}

fn criterion(subjects: &Subjects) {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2));
    for (title, operations) in
        [("read", reads(subjects)), ("write", writes(subjects)), ("path", paths())]
    {
        let mut group = criterion.benchmark_group(title);
        for Operation(name, run) in operations {
            let mut at = 0;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    at += 1;
                    run(at);
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
}

fn main() {
    let is_asked = |word| std::env::args().any(|argument| argument == word);
    let memory = is_asked("--bench").then(memory);
    let subjects = Subjects::new();
    let Some(memory) = memory else {
        // As a test it only has to run.
        let operations = [reads(&subjects), writes(&subjects), paths()];
        operations.iter().flatten().for_each(|Operation(_, run)| run(1));
        return NearSubjects::new(100).hits().iter().for_each(|Operation(_, run)| run(1));
    };
    if is_asked("--criterion") {
        return criterion(&subjects);
    }
    let tables = [
        near(),
        table("reads of 200 bytes, depth 4", &reads(&subjects)),
        table("writes of 200 bytes, depth 4", &writes(&subjects)),
        table("paths", &paths()),
        invalidations(),
        memory,
    ];
    // A closed pipe is for whoever closed it to know.
    let _ = std::io::stdout().write_all(tables.concat().as_bytes());
}
