//! The parts that the cases are written in.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use processes::{Answer, Command, Place, Setup, Worker};
use servers::{Flavor, Monitored, Proxy, Reply, TestServer};
use tokio::sync::Mutex;

/// The longest time after a change until another process has seen it, on a machine however busy.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// The longest that a case waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Held by cases of many processes: each of them needs the machine for itself.
pub(crate) static HEAVY: Mutex<()> = Mutex::const_new(());

pub(crate) async fn start(setup: &Setup) -> Worker {
    Worker::start(env!("CARGO_BIN_EXE_cache-process"), setup).await
}

/// Starts so many processes, each named by its number.
pub(crate) async fn fleet(count: usize, setup: impl Fn(&str) -> Setup) -> Vec<Worker> {
    let setups: Vec<_> = (0..count).map(|at| setup(&format!("process-{at}"))).collect();
    join_all(setups.iter().map(start)).await
}

/// Prints a figure, although the test passes.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{text}").expect("it can be printed");
}

/// Prints the median and the largest of times in microseconds, and returns the largest. What was seen
/// before the change was acknowledged counts as zero.
pub(crate) fn print_times(what: &str, times: &[u64]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let (median, largest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    print(&format!("{what:<48} p50 {median:>7} us, max {largest:>8} us, of {}", sorted.len()));
    Duration::from_micros(largest)
}

/// Makes a change in one process and waits until the other, which holds an older value near, reads what
/// is expected. Returns the time between the acknowledgement and the read, in microseconds.
pub(crate) async fn seen_after(
    writer: &Worker,
    change: Command,
    reader: &Worker,
    at: &Place,
    expected: Option<u64>,
) -> u64 {
    let watching = reader.ask(Command::WatchUntil(at.clone(), expected));
    let (changed, seen) = tokio::join!(writer.ask(change), watching);
    seen.at.saturating_sub(changed.at)
}

/// Gives a command until it succeeds.
pub(crate) async fn until_ok(worker: &Worker, command: Command) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = worker.try_ask(command.clone()).await.expect("the process goes on");
        match &answer.error {
            None => return answer,
            Some(error) => assert!(Instant::now() < deadline, "{command:?}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The ids and addresses of a process's connections.
pub(crate) fn connections(server: &TestServer, name: &str) -> Vec<(String, String)> {
    let list = server.command(&["CLIENT", "LIST"]).text();
    let field = |line: &str, name: &str| {
        let mut fields = line.split(' ');
        fields.find_map(|field| field.strip_prefix(name).map(str::to_owned))
    };
    let own = list.lines().filter(|line| field(line, "name=").as_deref() == Some(name));
    own.filter_map(|line| Some((field(line, "id=")?, field(line, "addr=")?))).collect()
}

/// Cuts the connections of a process, at the server.
pub(crate) fn kill_connections(server: &TestServer, name: &str) {
    let own = connections(server, name);
    assert!(!own.is_empty(), "{name} has no connection");
    for (id, _) in own {
        assert_eq!(server.command(&["CLIENT", "KILL", "ID", &id]), Reply::Int(1));
    }
}

/// The trips that each process has made for reads, loads and changes. What keeps connections is left out.
pub(crate) fn trips_of(server: &TestServer, fleet: &[Worker], seen: &[Monitored]) -> Vec<u64> {
    let mut trips: HashMap<&str, u64> = HashMap::new();
    let mut lines = seen.iter().peekable();
    while let Some(Monitored { from, command }) = lines.next() {
        let ends_trip = match command.as_str() {
            "EVALSHA" | "EVAL" | "HMGET" | "HGET" => true,
            // The first half of a pipeline, unless it stands alone.
            "MGET" => lines.peek().is_none_or(|next| {
                next.from != *from || !matches!(next.command.as_str(), "HMGET" | "HGET")
            }),
            _ => false,
        };
        *trips.entry(from).or_default() += u64::from(ends_trip);
    }
    let of = |worker: &Worker| {
        let own = connections(server, worker.name());
        own.iter().map(|(_, address)| trips.get(address.as_str()).unwrap_or(&0)).sum()
    };
    fleet.iter().map(of).collect()
}

/// Waits until a replica has what was written to its primary so far.
async fn synced(primary: &TestServer, replica: &TestServer) {
    let offset = |server: &TestServer, at: usize| {
        server.command(&["ROLE"]).list()[at].text().parse::<u64>().unwrap_or_default()
    };
    let written = offset(primary, 1);
    until("the replica to have all", || offset(replica, 4) >= written).await;
}

/// A primary and its replica. What the replica is told and how processes reach the primary go through proxies.
pub(crate) struct Replicated {
    primary: TestServer,
    replica: TestServer,
    replication: Proxy,
    address: Proxy,
}

impl Replicated {
    pub(crate) async fn start(flavor: Flavor) -> Self {
        let primary = TestServer::start(flavor);
        let replication = Proxy::start(primary.port()).await;
        let replica = TestServer::start(flavor);
        tokio::task::block_in_place(|| replica.follow(replication.port()));
        let address = Proxy::start(primary.port()).await;
        Self { primary, replica, replication, address }
    }

    /// The address of the server that is the primary.
    pub(crate) fn url(&self) -> String {
        self.address.url()
    }

    /// Waits until the replica has all. From then on it hears of nothing.
    pub(crate) async fn hold_replica(&self) {
        synced(&self.primary, &self.replica).await;
        self.replication.silence();
    }

    /// Kills the primary. The replica takes over with what it has.
    pub(crate) fn fail_over(&mut self) {
        self.primary.kill();
        self.replica.command(&["REPLICAOF", "NO", "ONE"]);
        self.address.redirect(self.replica.port());
    }
}
