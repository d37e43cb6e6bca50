//! The Redis store beside the bare client that does the least possible work.
//!
//! `cargo bench --bench redis` starts a server of its own and prints tables: the bare client and the
//! store take turns in one run, so that the machine's moods hit both alike. With
//! `REGION_BENCH_SERVER=valkey` the server is Valkey. If Python and the package `region_cache` are
//! there (`REGION_BENCH_PYTHON` names the interpreter, `python3` by default), the library that this one
//! grew from is measured on the same server. Words after `--` choose what is measured.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, cmd};
use region_cache::{ReadTerms, RedisStore, Region, RegionCache, RegionExt, RegionHandle, Store};
use servers::{Flavor, TestServer};

const VALUE_BYTES: usize = 200;
const KEYS: usize = 1_000;
const BATCH: usize = 100;
const ROUNDS: usize = 15;
const PER_ROUND: usize = 300;
const TASKS: usize = 64;
const BURST: Duration = Duration::from_millis(200);
const TREES: [usize; 5] = [1, 100, 10_000, 100_000, 1_000_000];
const REGIONS: usize = 10_000;

/// One operation, again and again, on changing keys.
type Operation = Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>;

fn operation<F>(run: impl Fn(usize) -> F + Send + Sync + 'static) -> Operation
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |at| run(at).boxed())
}

/// The subjects of the comparison, filled alike.
struct Subjects {
    bare: MultiplexedConnection,
    cache: RegionCache,
    /// The store of the cache, which has written the entries, and one that has not.
    writer: RedisStore,
    reader: RedisStore,
    value: Bytes,
}

fn key(at: usize) -> String {
    format!("key-{}", at.wrapping_mul(7919) % KEYS)
}

async fn run(mut connection: MultiplexedConnection, command: Cmd) {
    connection.send_packed_command(&command).await.expect("the server answers");
}

impl Subjects {
    async fn new(server: &TestServer) -> Self {
        let client = redis::Client::open(server.url()).expect("a URL");
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let bare = client.get_multiplexed_async_connection_with_config(&config).await;
        let store = RedisStore::connect(&server.url()).await.expect("a server");
        let reader = RedisStore::connect(&server.url()).await.expect("a server");
        let writer = store.clone();
        let cache = RegionCache::builder(store).root("bench").build().expect("no settings");
        let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
        let subjects = Self { bare: bare.expect("a server"), cache, writer, reader, value };
        for at in 0..KEYS {
            subjects.bare_set()(at).await;
            for depth in [1, 4, 8] {
                subjects.set(depth)(at).await;
            }
        }
        subjects
    }

    /// A region so many segments deep.
    fn region(&self, depth: usize) -> RegionHandle {
        let mut region = self.cache.root();
        for at in 1..depth {
            region = region.child_with_id("part", &at.to_string()).expect("a path");
        }
        region
    }

    fn bare_get(&self) -> Operation {
        let bare = self.bare.clone();
        operation(move |at| {
            let mut command = cmd("HGET");
            command.arg("bare").arg(key(at));
            run(bare.clone(), command)
        })
    }

    /// The commands that a `get` needs at least, by the bare client: what the transport costs.
    fn bare_pipeline(&self, depth: usize) -> Operation {
        let bare = self.bare.clone();
        let region = self.region(depth).path().to_string();
        let below = region.strip_prefix("bench").expect("the root").to_owned();
        operation(move |at| {
            let mut commands = redis::Pipeline::with_capacity(2);
            let mut ids = cmd("MGET");
            let ends = below.match_indices('.').map(|(end, _)| end).chain([below.len()]);
            ends.for_each(|end| {
                ids.arg(format!("rc1:i{{bench}}{}", &below[..end]));
            });
            let mut entry = cmd("HMGET");
            entry.arg(format!("rc1:d{{bench}}{below}")).arg("").arg(key(at));
            commands.add_command(ids).add_command(entry);
            let mut bare = bare.clone();
            async move {
                bare.send_packed_commands(&commands, 0, 2).await.expect("the server answers");
            }
        })
    }

    fn get(&self, depth: usize) -> Operation {
        let region = Arc::new(self.region(depth));
        operation(move |at| {
            let region = Arc::clone(&region);
            async move {
                let value = region.get::<String>(&key(at)).await.expect("the server answers");
                assert!(value.is_some_and(|value| value.len() == VALUE_BYTES));
            }
        })
    }

    /// The command that a read under a trusted lineage needs, by the bare client.
    fn bare_entries(&self, depth: usize) -> Operation {
        let bare = self.bare.clone();
        let region = self.region(depth).path().to_string();
        let below = region.strip_prefix("bench").expect("the root").to_owned();
        operation(move |at| {
            let mut entry = cmd("HMGET");
            entry.arg(format!("rc1:d{{bench}}{below}")).arg("").arg(key(at));
            run(bare.clone(), entry)
        })
    }

    /// Reads as a caller does that trusts the region's lineage.
    async fn trusted_read(&self, store: &RedisStore, depth: usize) -> Operation {
        let path = self.region(depth).path().clone();
        let read = store.read(&path, &[], ReadTerms::default()).await;
        let lineage = read.expect("the server answers").lineage;
        let known = Arc::new((store.clone(), path, lineage));
        operation(move |at| {
            let known = Arc::clone(&known);
            async move {
                let (store, path, lineage) = &*known;
                let terms = ReadTerms::default().lineage(lineage.as_ref());
                let read = store.read(path, &[&key(at)], terms).await;
                assert!(read.expect("the server answers").entries[0].is_some());
            }
        })
    }

    /// Reads of one key, which is there.
    fn hot_get(&self) -> Operation {
        let region = Arc::new(self.region(4));
        operation(move |_| {
            let region = Arc::clone(&region);
            async move { drop(region.get::<String>(&key(0)).await.expect("the server answers")) }
        })
    }

    /// The same by calls that would load it: those that come at the same time share a read.
    fn hot_get_or_compute(&self) -> Operation {
        let region = Arc::new(self.region(4));
        operation(move |_| {
            let region = Arc::clone(&region);
            async move {
                let load = || async { Ok::<_, Infallible>(String::new()) };
                let value = region.get_or_compute(&key(0), load).await;
                assert_eq!(value.expect("the server answers").len(), VALUE_BYTES);
            }
        })
    }

    fn bare_set(&self) -> Operation {
        let (bare, value) = (self.bare.clone(), self.value.clone());
        operation(move |at| {
            let mut command = cmd("HSET");
            command.arg("bare").arg(key(at)).arg(&value[..]);
            run(bare.clone(), command)
        })
    }

    fn set(&self, depth: usize) -> Operation {
        let (region, value) = (Arc::new(self.region(depth)), Arc::new("v".repeat(VALUE_BYTES)));
        operation(move |at| {
            let (region, value) = (Arc::clone(&region), Arc::clone(&value));
            async move { region.set(&key(at), &*value).await.expect("the server answers") }
        })
    }

    fn bare_get_many(&self) -> Operation {
        let bare = self.bare.clone();
        operation(move |at| {
            let mut command = cmd("HMGET");
            command.arg("bare");
            (0..BATCH).for_each(|n| {
                command.arg(key(at + n));
            });
            run(bare.clone(), command)
        })
    }

    fn get_many(&self) -> Operation {
        let region = Arc::new(self.region(4));
        operation(move |at| {
            let region = Arc::clone(&region);
            async move {
                let keys: Vec<_> = (0..BATCH).map(|n| key(at + n)).collect();
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                let values = region.get_many::<String>(&keys).await.expect("the server answers");
                assert_eq!(values.len(), BATCH);
            }
        })
    }

    fn bare_set_many(&self) -> Operation {
        let (bare, value) = (self.bare.clone(), self.value.clone());
        operation(move |at| {
            let mut command = cmd("HSET");
            command.arg("bare");
            (0..BATCH).for_each(|n| {
                command.arg(key(at + n)).arg(&value[..]);
            });
            run(bare.clone(), command)
        })
    }

    fn set_many(&self) -> Operation {
        let (region, value) = (Arc::new(self.region(4)), Arc::new("v".repeat(VALUE_BYTES)));
        operation(move |at| {
            let (region, value) = (Arc::clone(&region), Arc::clone(&value));
            async move {
                let keys: Vec<_> = (0..BATCH).map(|n| key(at + n)).collect();
                let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), &*value)).collect();
                region.set_many(&entries).await.expect("the server answers");
            }
        })
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Microseconds of single calls, one after the other.
async fn latencies(operation: &Operation, round: usize, taken: &mut Vec<f64>) {
    for at in 0..PER_ROUND {
        let start = Instant::now();
        operation(round * PER_ROUND + at).await;
        taken.push(start.elapsed().as_secs_f64() * 1e6);
    }
}

/// Calls a second of many tasks at once.
async fn throughput(operation: &Operation) -> f64 {
    let is_over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (operation, is_over) = (Arc::clone(operation), Arc::clone(&is_over));
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                for at in task.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    operation(at).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(BURST).await;
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no panic");
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// Returns whether the command line names this part, or no part at all.
fn is_asked_for(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

/// Compares two operations in turns; a row of the table.
async fn row(name: &str, bare: Operation, store: Operation) -> String {
    if !is_asked_for(name) {
        return String::new();
    }
    let (mut bare_us, mut store_us) = (Vec::new(), Vec::new());
    let (mut bare_rate, mut store_rate) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        latencies(&bare, round, &mut bare_us).await;
        latencies(&store, round, &mut store_us).await;
        bare_rate.push(throughput(&bare).await);
        store_rate.push(throughput(&store).await);
    }
    let (bare_us, store_us) = (median(bare_us), median(store_us));
    let (bare_rate, store_rate) = (median(bare_rate), median(store_rate));
    format!(
        "| {name} | {bare_us:.1} | {store_us:.1} | {:.2} | {bare_rate:.0} | {store_rate:.0} | {:.2} |\n",
        store_us / bare_us,
        store_rate / bare_rate
    )
}

async fn operations(subjects: &Subjects) -> String {
    let mut table = String::from(
        "\n| 200 bytes | bare us | store us | ratio | bare/s, 64 tasks | store/s | ratio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for depth in [1, 4, 8] {
        let name = format!("`get`, depth {depth}, to HGET");
        table += &row(&name, subjects.bare_get(), subjects.get(depth)).await;
    }
    for (who, store) in [("another's", &subjects.reader), ("own", &subjects.writer)] {
        let name = format!("read of {who} entries, trusted lineage, depth 4, to HGET");
        table += &row(&name, subjects.bare_get(), subjects.trusted_read(store, 4).await).await;
    }
    let name = "HMGET by the bare client, trusted lineage, depth 4, to HGET";
    table += &row(name, subjects.bare_get(), subjects.bare_entries(4)).await;
    let name = "MGET and HMGET by the bare client, depth 4, to HGET";
    table += &row(name, subjects.bare_get(), subjects.bare_pipeline(4)).await;
    let name = "`get_or_compute` of one hot key, depth 4, to `get` of it";
    table += &row(name, subjects.hot_get(), subjects.hot_get_or_compute()).await;
    for depth in [1, 4, 8] {
        let name = format!("`set`, depth {depth}, to HSET");
        table += &row(&name, subjects.bare_set(), subjects.set(depth)).await;
    }
    let name = "`get_many` of 100, depth 4, to HMGET";
    table += &row(name, subjects.bare_get_many(), subjects.get_many()).await;
    let name = "`set_many` of 100, depth 4, to HSET";
    table + &row(name, subjects.bare_set_many(), subjects.set_many()).await
}

/// Measures an invalidation, in turns with a bare SET, with so many entries below.
async fn invalidations(subjects: &Subjects) -> String {
    let mut text = String::from(
        "\n| `invalidate` with entries below | SET us | invalidate us | ratio |\n|---|---|---|---|\n",
    );
    for entries in TREES {
        let samples = (100_000 / entries).clamp(3, 400);
        let (mut set, mut invalidate) = (Vec::new(), Vec::new());
        for sample in 0..samples {
            let region = subjects.cache.region(&format!("tree:{entries}")).expect("a path");
            fill(&region, entries).await;
            // The first script after a long fill finds every cache cold, whatever it does: so an empty
            // region goes first.
            let empty = subjects.cache.region(&format!("empty:{sample}")).expect("a path");
            empty.invalidate().await.expect("the server answers");
            let mut command = cmd("SET");
            command.arg("bare-set").arg(sample);
            let start = Instant::now();
            run(subjects.bare.clone(), command).await;
            set.push(start.elapsed().as_secs_f64() * 1e6);
            let start = Instant::now();
            region.invalidate().await.expect("the server answers");
            invalidate.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let (set, invalidate) = (median(set), median(invalidate));
        let ratio = invalidate / set;
        let _ = writeln!(text, "| {entries} | {set:.1} | {invalidate:.1} | {ratio:.2} |");
    }
    text
}

/// Puts entries into regions below, up to a hundred in each.
async fn fill(region: &RegionHandle, entries: usize) {
    let per_region = BATCH.min(entries);
    let fills = (0..entries / per_region).map(|at| {
        let region = region.child_with_id("part", &at.to_string()).expect("a path");
        async move {
            let keys: Vec<_> = (0..per_region).map(|key| key.to_string()).collect();
            let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), &1_u8)).collect();
            region.set_many(&entries).await.expect("the server answers");
        }
    });
    let mut fills =
        futures_util::StreamExt::buffer_unordered(futures_util::stream::iter(fills), 64);
    while futures_util::StreamExt::next(&mut fills).await.is_some() {}
}

fn used_memory(server: &TestServer) -> f64 {
    let info = server.command(&["INFO", "memory"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("the server says what it uses")
}

/// The server's bytes for each entry and region, beside what the payload takes in bare hashes.
async fn memory(server: &TestServer) -> String {
    const PER_REGION: usize = 20;
    let store = RedisStore::connect(&server.url()).await.expect("a server");
    let cache = RegionCache::builder(store).root("bench").build().expect("no settings");
    let value = "v".repeat(VALUE_BYTES);
    let mut text =
        String::from("\n| memory on the server | bare hash | store | more |\n|---|---|---|---|\n");
    for (name, regions, per_region) in [
        ("bytes an entry, 100,000 in one region", 1, 100_000),
        ("bytes a region of 20 entries", REGIONS, PER_REGION),
    ] {
        server.command(&["FLUSHALL"]);
        let before = used_memory(server);
        let mut bare = redis::Client::open(server.url())
            .expect("a URL")
            .get_multiplexed_async_connection()
            .await
            .expect("a server");
        for region in 0..regions {
            for key in 0..per_region {
                let mut command = cmd("HSET");
                command.arg(format!("bench.part:{region}")).arg(key).arg(&value);
                bare.send_packed_command(&command).await.expect("the server answers");
            }
        }
        let bare = used_memory(server) - before;
        server.command(&["FLUSHALL"]);
        let before = used_memory(server);
        for region in 0..regions {
            let region = cache.region(&format!("part:{region}")).expect("a path");
            for key in 0..per_region {
                region.set(&key.to_string(), &value).await.expect("the server answers");
            }
        }
        let store = used_memory(server) - before;
        let of = if regions == 1 { per_region } else { regions } as f64;
        let more = (store - bare) / of;
        let _ = writeln!(text, "| {name} | {:.0} | {:.0} | {more:.0} |", bare / of, store / of);
    }
    text
}

/// Measures the Python library on the same server.
fn seed(server: &TestServer) -> String {
    let python = std::env::var("REGION_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    server.command(&["FLUSHALL"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/seed.py");
    let port = server.port().to_string();
    match Command::new(python).args([script, "--port", &port]).output() {
        Ok(done) if done.status.success() => {
            format!("\nThe Python library: {}", String::from_utf8_lossy(&done.stdout))
        }
        Ok(done) => {
            format!("\nThe Python library: {}", String::from_utf8_lossy(&done.stderr))
        }
        Err(error) => format!("\nThe Python library: no Python ({error})\n"),
    }
}

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let flavor = match std::env::var("REGION_BENCH_SERVER").as_deref() {
        Ok("valkey") => Flavor::Valkey,
        _ => Flavor::Redis,
    };
    let server = TestServer::start(flavor);
    runtime.block_on(async {
        let subjects = Subjects::new(&server).await;
        if !is_bench {
            // As a test it only has to run.
            subjects.get_many()(1).await;
            return fill(&subjects.region(2), 1).await;
        }
        let print = |text: String| {
            // A closed pipe is for whoever closed it to know.
            let _ = std::io::stdout().write_all(text.as_bytes());
        };
        print(operations(&subjects).await);
        if is_asked_for("invalidate") {
            print(invalidations(&subjects).await);
        }
        if is_asked_for("memory") {
            print(memory(&server).await);
        }
        if is_asked_for("python") {
            print(seed(&server));
        }
    });
}
