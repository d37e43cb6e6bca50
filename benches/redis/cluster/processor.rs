//! Calls a second of many tasks, and the processor time that they take.

use std::fmt::Write as _;
use std::sync::Arc;

use region_cache::RegionHandle;
use servers::TestServer;

use super::super::measure::{is_asked_for, median, throughput};
use super::super::subjects::{Operation, get_of, operation, set_of};
use super::{ANCHORS, BELOW, Both, region};

const ROUNDS: usize = 15;

/// The unit of the times in `/proc`, in seconds.
const TICK: f64 = 0.01;

/// Seconds of processor time that a server has taken.
fn of_server(server: &TestServer) -> f64 {
    let info = server.command(&["INFO", "cpu"]).text();
    let field = |name: &str| -> f64 {
        let value = info.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().parse().ok()).expect("the server says what it uses")
    };
    field("used_cpu_user:") + field("used_cpu_sys:")
}

/// Seconds of processor time that this process has taken.
fn of_client() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process of Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("its name is in parentheses");
    let ticks = fields.split(' ').skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() * TICK
}

/// Makes the calls to a region.
type Call = fn(&Arc<RegionHandle>) -> Operation;

/// Calls of one kind to some servers.
struct Subject<'a> {
    name: String,
    operation: Operation,
    servers: Vec<&'a TestServer>,
    rates: Vec<f64>,
    calls: f64,
    client: f64,
    /// Of all servers together, and of the busiest one.
    of_servers: f64,
    of_busiest: f64,
}

impl<'a> Subject<'a> {
    fn new(name: String, operation: Operation, servers: Vec<&'a TestServer>) -> Self {
        let (rates, calls) = (Vec::new(), 0.0);
        Self {
            name,
            operation,
            servers,
            rates,
            calls,
            client: 0.0,
            of_servers: 0.0,
            of_busiest: 0.0,
        }
    }

    async fn round(&mut self) {
        let times = || self.servers.iter().map(|server| of_server(server)).collect::<Vec<_>>();
        let (servers, client) = (times(), of_client());
        let burst = throughput(&self.operation).await;
        self.client += of_client() - client;
        let taken: Vec<_> = times().iter().zip(servers).map(|(now, then)| now - then).collect();
        self.of_servers += taken.iter().sum::<f64>();
        self.of_busiest += taken.iter().copied().fold(0.0, f64::max);
        self.calls += burst.calls;
        self.rates.push(burst.per_second);
    }

    fn row(self, first: f64) -> String {
        let rate = median(self.rates);
        let us = |seconds: f64| seconds * 1e6 / self.calls;
        let (client, servers, busiest) =
            (us(self.client), us(self.of_servers), us(self.of_busiest));
        let most = 1e6 / busiest;
        let name = self.name;
        format!(
            "| {name} | {rate:.0} | {:.2} | {client:.1} | {servers:.1} | {busiest:.1} | {most:.0} |\n",
            rate / first
        )
    }
}

/// The calls go to the regions in turns.
fn in_turns(regions: &[Arc<RegionHandle>], of: Call) -> Operation {
    let operations: Vec<_> = regions.iter().map(of).collect();
    operation(move |at| operations[at % operations.len()](at / operations.len()))
}

/// Compares one server with one primary of a cluster, and with three.
pub(super) async fn throughputs(both: &Both, roots: &[String]) -> String {
    if !is_asked_for("throughput on a cluster") {
        return String::new();
    }
    let mut text = String::from(
        "\n| throughput, 64 tasks, depth 4 | calls/s | ratio | client's CPU us | servers' CPU us | of it the busiest's | calls/s of whose core |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let (one, cluster) = (both.on_server().await, both.on_cluster(ANCHORS[0]).await);
    let alone = [region(&one, &roots[0], BELOW)];
    let regions: Vec<_> = roots.iter().map(|root| region(&cluster, root, BELOW)).collect();
    for region in alone.iter().chain(&regions) {
        for at in 0..1_000 {
            set_of(region)(at).await;
        }
    }
    let nodes: Vec<_> = both.cluster.nodes.iter().collect();
    let calls: [(&str, Call); 2] = [("get", get_of), ("set", set_of)];
    for (call, of) in calls {
        let of_cluster = |name: &str, regions: &[Arc<RegionHandle>]| {
            Subject::new(format!("`{call}`, {name}"), in_turns(regions, of), nodes.clone())
        };
        let mut subjects = [
            Subject::new(format!("`{call}`, one server"), in_turns(&alone, of), vec![&both.server]),
            of_cluster("a cluster, one primary", &regions[..1]),
            of_cluster("a cluster, three primaries", &regions),
        ];
        for _ in 0..ROUNDS {
            for subject in &mut subjects {
                subject.round().await;
            }
        }
        let first = median(subjects[0].rates.clone());
        for subject in subjects {
            let _ = write!(text, "{}", subject.row(first));
        }
    }
    text
}
