//! How a fault begins and ends.

use servers::{TestServer, ask};

use super::Fault;
use crate::event::What;
use crate::run::ms;
use crate::run::world::World;

/// Many keys, for a server's tracking table.
const UNLIMITED_KEYS: &str = "1000000";

/// The bytes that pass in a second on a slow way.
const THROTTLED: u64 = 30_000;

/// The keys that are deleted, of which some are of regions and some of entries.
const DELETED: usize = 5;

/// The memory that a server is left with while it evicts, in bytes, and what is written to fill it.
const SPARE: u64 = 150_000;
const FILLINGS: usize = 20;
const FILLING: usize = 10_000;

impl World {
    pub(super) async fn apply(&mut self, fault: Fault, pause: u64) {
        match fault {
            Fault::StopProcess(slot) => {
                let slot = &mut self.slots[slot];
                slot.worker.pause().await;
                slot.is_stopped = true;
                self.log.record_for(slot.number, What::Stopped);
            }
            Fault::KillProcess(slot) => {
                self.has_killed = true;
                self.replace(slot).await;
                self.begin(slot, pause).await;
            }
            Fault::Cut(slot) => self.slots[slot].way.cut(),
            Fault::CutInAnswer(slot, bytes) => self.slots[slot].way.cut_after(bytes),
            Fault::Silence(slot) => self.slots[slot].way.silence(),
            Fault::Delay(slot, millis) => self.slots[slot].way.delay_answers(ms(millis)),
            Fault::Throttle(slot) => self.slots[slot].way.limit(THROTTLED),
            Fault::CutReading => self.reading.cut(),
            Fault::SilenceReading => self.reading.silence(),
            Fault::DelayReading(millis) => self.reading.delay_answers(ms(millis)),
            Fault::DelayReplication(millis) => self.replication.delay_answers(ms(millis)),
            Fault::HoldReplication => self.replication.silence(),
            Fault::StopReplica => self.replica().pause(),
            Fault::StopServer => self.primary().pause(),
            Fault::KillServer => self.crash().await,
            Fault::FailOver => self.fail_over().await,
            Fault::FailOverToOlder(millis) => self.fail_over_to_older(ms(millis)).await,
            _ => {
                self.heal_servers();
                tokio::task::block_in_place(|| administer(self.primary(), fault));
            }
        }
    }

    /// Servers and processes that were stopped go on.
    pub(super) fn heal_servers(&mut self) {
        for server in &self.servers {
            server.resume();
        }
    }

    /// Nothing fails any more.
    pub(super) async fn heal(&mut self) {
        self.heal_servers();
        for slot in &mut self.slots {
            slot.way.restore();
            if slot.is_stopped {
                // Before it can do anything: what it does then is of no stop.
                self.log.record_for(slot.number, What::Continued);
                slot.worker.resume().await;
                slot.is_stopped = false;
            }
        }
        self.reading.restore();
        self.replication.restore();
        tokio::task::block_in_place(|| {
            for server in &self.servers {
                tell(server, &["CLIENT", "UNPAUSE"]);
                tell(server, &["CONFIG", "SET", "maxmemory", "0"]);
                tell(server, &["CONFIG", "SET", "tracking-table-max-keys", UNLIMITED_KEYS]);
            }
        });
    }
}

/// What somebody who administers a server does to it.
fn administer(server: &TestServer, fault: Fault) {
    match fault {
        Fault::PauseAll(millis) => tell(server, &["CLIENT", "PAUSE", &millis.to_string(), "ALL"]),
        Fault::PauseWrites(millis) => {
            tell(server, &["CLIENT", "PAUSE", &millis.to_string(), "WRITE"]);
        }
        Fault::Sleep => tell(server, &["DEBUG", "SLEEP", "0.3"]),
        Fault::Evict => evict(server),
        Fault::DeleteKeys => {
            for _ in 0..DELETED {
                if let Ok(key) = ask(server.port(), &[b"RANDOMKEY"]) {
                    tell(server, &["DEL", &key.text()]);
                }
            }
        }
        Fault::Flush => tell(server, &["FLUSHALL"]),
        Fault::FlushScripts => tell(server, &["SCRIPT", "FLUSH"]),
        Fault::KillClients => tell(server, &["CLIENT", "KILL", "TYPE", "normal"]),
        Fault::TrackFewKeys => tell(server, &["CONFIG", "SET", "tracking-table-max-keys", "3"]),
        _ => {}
    }
}

/// Leaves the server with little memory, so that it evicts keys at random.
fn evict(server: &TestServer) {
    let Ok(info) = ask(server.port(), &[b"INFO", b"memory"]) else { return };
    let info = info.text();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.and_then(|used| used.trim().parse().ok()).unwrap_or_default();
    tell(server, &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    tell(server, &["CONFIG", "SET", "maxmemory", &(used + SPARE).to_string()]);
    let filling = "x".repeat(FILLING);
    for number in 0..FILLINGS {
        // It does not matter if there is no room.
        tell(server, &["SET", &format!("filling.{number}"), &filling, "PX", "2000"]);
    }
}

/// Gives a command to a server; one that cannot answer now does not matter.
pub(super) fn tell(server: &TestServer, args: &[&str]) {
    let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
    let _ = ask(server.port(), &args);
}
