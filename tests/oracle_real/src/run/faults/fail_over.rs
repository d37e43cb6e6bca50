//! A replica takes over.

use std::time::{Duration, Instant};

use servers::{TestServer, ask};

use super::apply::tell;
use crate::event::What;
use crate::run::ms;
use crate::run::world::World;

/// The longest time in which a replica gets what its primary has.
const SYNCED_WITHIN: Duration = Duration::from_secs(60);

/// A fact of a server about replication.
fn fact(info: &str, name: &str) -> Option<String> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|it| it.trim().to_owned()))
}

fn info(server: &TestServer) -> Option<String> {
    ask(server.port(), &[b"INFO", b"replication"]).ok().map(|info| info.text())
}

impl World {
    /// Waits until the replica has what the primary had when this was called. It is of the same history then.
    pub(in crate::run) fn sync(&self) {
        let deadline = Instant::now() + SYNCED_WITHIN;
        let written = |info: &str| fact(info, "master_repl_offset")?.parse::<u64>().ok();
        let has = |wanted: &str| {
            let info = info(self.replica())?;
            let is_up = fact(&info, "master_link_status")? == "up";
            let is_same = fact(&info, "master_replid") == fact(wanted, "master_replid");
            let offset = fact(&info, "slave_repl_offset")?.parse::<u64>().ok();
            Some(is_up && is_same && offset >= written(wanted))
        };
        tokio::task::block_in_place(|| {
            let mut wanted = None;
            while !wanted.as_deref().and_then(has).unwrap_or_default() {
                assert!(Instant::now() < deadline, "the replica does not follow");
                std::thread::sleep(ms(2));
                // The history of a primary that has just started may change until it is followed.
                let now = info(self.primary());
                if now.as_deref().and_then(|now| fact(now, "master_replid"))
                    != wanted.as_deref().and_then(|wanted| fact(wanted, "master_replid"))
                {
                    wanted = now;
                }
            }
        });
    }

    /// The replica takes over with all that was acknowledged.
    pub(super) async fn fail_over(&mut self) {
        self.heal_servers();
        self.replication.restore();
        // Writes wait for longer than the rest takes, on a server that then ends.
        tell(self.primary(), &["CLIENT", "PAUSE", "120000", "WRITE"]);
        self.sync();
        self.promote().await;
    }
    /// The replica takes over with what it had some time ago.
    pub(super) async fn fail_over_to_older(&mut self, behind: Duration) {
        self.heal_servers();
        self.replication.restore();
        self.log.record(What::CopyHeld);
        self.has_lost = true;
        self.sync();
        self.replication.silence();
        tokio::time::sleep(behind).await;
        self.promote().await;
        self.log.record(What::FailedOver);
    }

    /// The primary crashes, the replica takes over, and another server becomes its replica.
    async fn promote(&mut self) {
        let (old, new) = (self.primary, 1 - self.primary);
        tokio::task::block_in_place(|| self.servers[old].kill());
        self.replication.silence();
        let port = self.servers[new].port();
        tell(&self.servers[new], &["REPLICAOF", "NO", "ONE"]);
        for slot in &self.slots {
            slot.way.redirect(port);
        }
        self.primary = new;
        self.replication.lead_to(port);
        self.replication.restore();
        tokio::task::block_in_place(|| {
            self.servers[old] = TestServer::start(self.flavor);
            self.servers[old].follow(self.replication.port());
        });
        self.reading.redirect(self.servers[old].port());
    }

    /// The primary crashes, and one that holds nothing stands in its place.
    pub(super) async fn crash(&mut self) {
        self.heal_servers();
        tokio::task::block_in_place(|| {
            self.servers[self.primary].kill();
            // Not on the port of before: a client that has tried to connect may hold that now.
            self.servers[self.primary] = TestServer::start(self.flavor);
        });
        let port = self.primary().port();
        self.replication.lead_to(port);
        self.slots.iter().for_each(|slot| slot.way.lead_to(port));
    }
}
