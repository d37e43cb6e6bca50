//! Measurements of the process and the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use region_cache::{MemoryStore, RegionCache};
use servers::TestServer;

use crate::Shared;

/// The quantities that have to stay flat: a name, and the amount by which each may rise that is no leak.
pub(crate) const QUANTITIES: [(&str, u64); 12] = [
    ("process bytes", 16 << 20),
    ("server bytes", 2 << 20),
    ("server keys", 1500),
    ("clients", 4),
    ("files", 8),
    ("tasks", 24),
    ("near bytes", 128 << 10),
    ("near entries", 300),
    // Each cache keeps its last 4096 opened regions, and those above them.
    ("near regions", 5 * 2 * 4096),
    ("memory bytes", 256 << 10),
    ("memory entries", 300),
    ("memory regions", 300),
];

/// The state at one time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The time since the start.
    pub at: Duration,
    /// The number of operations so far.
    pub operations: u64,
    /// The number of those that have failed or were given up.
    pub failures: u64,
    /// The number of regions that there were so far.
    pub regions: u64,
    /// The quantities, in the order of the table's columns.
    pub amounts: [u64; QUANTITIES.len()],
}

impl Sample {
    pub(crate) async fn take(
        at: Duration,
        server: &Arc<TestServer>,
        memory: &MemoryStore,
        caches: &[RegionCache],
        shared: &Shared,
    ) -> Self {
        let server = Arc::clone(server);
        let asked = tokio::task::spawn_blocking(move || of_server(&server)).await;
        let [bytes, keys, clients] = asked.unwrap_or_else(|error| panic!("the server: {error}"));
        let near = caches.iter().map(RegionCache::near_use);
        let [near_bytes, near_entries, near_regions] = near.fold([0; 3], |sum, near| {
            [sum[0] + near.bytes, sum[1] + near.entries, sum[2] + near.regions]
        });
        let memory = memory.memory_use();
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64;
        Self {
            at,
            operations: shared.operations.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            regions: shared.regions.load(Ordering::Relaxed),
            amounts: [
                process_bytes(),
                bytes,
                keys,
                clients,
                files(),
                tasks,
                near_bytes,
                near_entries,
                near_regions,
                memory.bytes,
                memory.entries,
                memory.regions,
            ],
        }
    }
}

fn of_server(server: &TestServer) -> [u64; 3] {
    let info = server.command(&["INFO"]).text();
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.and_then(|value| value.trim().parse().ok());
        value.unwrap_or_else(|| panic!("the server does not say {name}"))
    };
    // The connection that asks is among its clients.
    let keys = server.command(&["DBSIZE"]).text().parse();
    [field("used_memory"), keys.unwrap_or_default(), field("connected_clients")]
}

/// The resident memory of this process.
fn process_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status");
    let status = status.unwrap_or_else(|error| panic!("/proc is needed: {error}"));
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map_or_else(|| panic!("no resident memory: {status}"), |kib| kib * 1024)
}

/// The number of open files of this process, sockets among them.
fn files() -> u64 {
    let open = std::fs::read_dir("/proc/self/fd");
    open.unwrap_or_else(|error| panic!("/proc is needed: {error}")).count() as u64
}
