use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::future::join_all;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use servers::{Flavor, Proxy, TestServer};
use tokio::process::Command as Program;

use super::report::Report;
use super::{Run, generate};
use crate::check::check;
use crate::event::{OpId, What};
use crate::log::{self, Log};
use crate::message::{Command, Worker};
use crate::setup::{Lifetimes, ProcessSetup};

/// The number of processes.
const PROCESSES: usize = 3;

/// The number that stands for the controller in its events.
pub(super) const CONTROLLER: usize = usize::MAX;

/// Servers, processes and what they have recorded.
pub(super) struct World {
    pub(super) rng: SmallRng,
    program: PathBuf,
    folder: PathBuf,
    pub(super) flavor: Flavor,
    pub(super) servers: [TestServer; 2],
    /// The one that is the primary; the other is its replica.
    pub(super) primary: usize,
    /// The way by which the replica follows.
    pub(super) replication: Proxy,
    /// The way to the replica.
    pub(super) reading: Proxy,
    pub(super) slots: Vec<Slot>,
    lifetimes: Lifetimes,
    /// All processes that there were.
    setups: Vec<ProcessSetup>,
    pub(super) log: Log,
    counts: BTreeMap<usize, BTreeMap<String, u64>>,
    known: BTreeSet<OpId>,
    /// The events are kept for a look at them.
    is_kept: bool,
    /// In this round a process was killed, and changes were lost.
    pub(super) has_killed: bool,
    pub(super) has_lost: bool,
    /// The number of values that the controller has named.
    pub(super) values: u64,
}

/// A process, its way to the primary, and its settings. One that was killed has a successor in its slot.
pub(super) struct Slot {
    pub(super) way: Proxy,
    pub(super) worker: Worker,
    pub(super) number: usize,
    pub(super) is_stopped: bool,
}

impl World {
    pub(super) async fn start(run: &Run) -> Self {
        let servers = [TestServer::start(run.flavor), TestServer::start(run.flavor)];
        let replication = Proxy::start(servers[0].port()).await;
        tokio::task::block_in_place(|| servers[1].follow(replication.port()));
        let reading = Proxy::start(servers[1].port()).await;
        let folder =
            std::env::temp_dir().join(format!("oracle-{}-{}", std::process::id(), run.seed));
        // One of an earlier run with this number.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let log = Log::create(&folder.join("controller"), CONTROLLER).expect("a file can be made");
        let mut rng = SmallRng::seed_from_u64(run.seed);
        let lifetimes = generate::lifetimes(&mut rng);
        let mut world = Self {
            rng,
            program: run.program.clone(),
            folder,
            flavor: run.flavor,
            servers,
            primary: 0,
            replication,
            reading,
            slots: Vec::new(),
            lifetimes,
            setups: Vec::new(),
            log,
            counts: BTreeMap::new(),
            known: BTreeSet::new(),
            is_kept: false,
            has_killed: false,
            has_lost: false,
            values: 0,
        };
        for slot in 0..PROCESSES {
            let way = Proxy::start(world.servers[0].port()).await;
            let caches = generate::caches(&mut world.rng, slot);
            let queues = slot > 0 && world.rng.random_ratio(1, 3);
            let replica = Some(world.reading.url());
            let setup = ProcessSetup {
                number: 0,
                url: way.url(),
                replica,
                events: PathBuf::new(),
                truth: world.folder.join("truth"),
                queues,
                caches,
                lifetimes: world.lifetimes.clone(),
            };
            let (number, worker) = world.launch(setup).await;
            world.slots.push(Slot { way, worker, number, is_stopped: false });
        }
        world
    }

    /// Starts a process with a number of its own.
    async fn launch(&mut self, setup: ProcessSetup) -> (usize, Worker) {
        let number = self.setups.len();
        let events = self.folder.join(format!("process-{number}"));
        let setup = ProcessSetup { number, events, ..setup };
        let mut program = Program::new(&self.program);
        program.arg("process").arg(serde_json::to_string(&setup).expect("settings are JSON"));
        self.setups.push(setup);
        (number, Worker::launch(program, &format!("process-{number}")).await)
    }

    /// Kills the process in a slot, as a crash does, and starts another.
    pub(super) async fn replace(&mut self, slot: usize) {
        let killed = &self.slots[slot];
        killed.worker.kill().await;
        self.log.record_for(killed.number, What::Killed);
        let (number, worker) = self.launch(self.setups[killed.number].clone()).await;
        let slot = &mut self.slots[slot];
        (slot.number, slot.worker, slot.is_stopped) = (number, worker, false);
    }

    pub(super) fn primary(&self) -> &TestServer {
        &self.servers[self.primary]
    }

    pub(super) fn replica(&self) -> &TestServer {
        &self.servers[1 - self.primary]
    }

    pub(super) fn setup(&self, slot: usize) -> &ProcessSetup {
        &self.setups[self.slots[slot].number]
    }

    pub(super) fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// The slots and their caches.
    pub(super) fn caches(&self) -> Vec<(usize, usize)> {
        let caches = |slot| (0..self.setup(slot).caches.len()).map(move |cache| (slot, cache));
        (0..self.slots.len()).flat_map(caches).collect()
    }

    /// Asks all processes for their counts, which replace the earlier ones.
    pub(super) async fn count(&mut self) {
        let asking = self
            .slots
            .iter()
            .map(|slot| async { (slot.number, slot.worker.try_ask(Command::Count).await) });
        for (number, answer) in join_all(asking).await {
            if let Some(answer) = answer {
                self.counts.insert(number, answer.counts);
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let Lifetimes { ttl, stale_for, region_ttl, .. } = self.lifetimes;
        let cache = |(slot, cache): (usize, usize)| {
            let setup = &self.setup(slot).caches[cache];
            match (setup.near, setup.replica) {
                (true, true) => "near+replica",
                (true, false) => "near",
                (false, true) => "replica",
                (false, false) => "primary",
            }
        };
        let caches: Vec<_> = self.caches().into_iter().map(cache).collect();
        format!("ttl {ttl}, stale for {stale_for}, region ttl {region_ttl}; {}", caches.join(" "))
    }

    /// Checks all that was recorded so far.
    pub(super) fn explain(&mut self, report: &mut Report, say: &dyn Fn(&str)) {
        let mut files: Vec<_> = self.setups.iter().map(|setup| setup.events.clone()).collect();
        files.push(self.folder.join("controller"));
        let read = |file: &PathBuf| log::read(file).unwrap_or_else(|error| panic!("{error}"));
        let mut events: Vec<_> = files.iter().flat_map(read).collect();
        events.sort_by_key(|event| event.at);
        let findings = tokio::task::block_in_place(|| check(&self.setups, &events, &self.known));
        self.known.extend(findings.violations.iter().map(|violation| violation.op));
        report.count(&events, &findings, &self.counts);
        report.violations.extend(findings.violations);
        if !report.violations.is_empty() && !std::mem::replace(&mut self.is_kept, true) {
            say(&format!("  all events are kept in {}", self.folder.display()));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left behind in the temporary folder does no harm.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
