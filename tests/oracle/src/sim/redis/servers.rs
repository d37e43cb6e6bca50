//! The servers of a run, and what befalls them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use simredis::{Network, Refusal, Server, Snapshot, Way};

use super::decode;
use super::plan::{Fault, RedisPlan};
use super::witness::Witness;
use crate::history::{Effect, Seq, What};

/// The hosts of the servers.
pub(super) const PRIMARY: &str = "primary";
pub(super) const REPLICA: &str = "replica";

/// A primary with one replica.
pub(super) struct Servers {
    pub(super) network: Network,
    witness: Arc<Witness>,
    state: Mutex<State>,
    seed: u64,
    lag: Duration,
}

struct State {
    primary: Server,
    replica: Server,
    saved: Option<(Snapshot, Seq)>,
    servers: u64,
}

impl Servers {
    pub(super) fn new(plan: &RedisPlan, witness: &Arc<Witness>) -> Self {
        let (seed, lag) = (plan.plan.seed, Duration::from_millis(plan.lag));
        let latency = Duration::from_millis(plan.plan.setup.rates.latency);
        let network = Network::new(seed, latency);
        let primary = Server::new(seed, plan.flavor);
        primary.set_clock(plan.ahead);
        let replica = primary.replica(seed + 1, lag);
        network.bind(PRIMARY, &primary);
        network.bind(REPLICA, &replica);
        primary.observe(Arc::downgrade(witness) as _);
        let state = State { primary, replica, saved: None, servers: 2 };
        let witness = Arc::clone(witness);
        Self { network, witness, state: Mutex::new(state), seed, lag }
    }

    /// Does what a fault says.
    pub(super) fn befall(&self, fault: Fault) {
        let ms = Duration::from_millis;
        let mut state = self.state.lock();
        match fault {
            Fault::EvictIds(region) => self.evict(&state, "i", Some(region), true),
            Fault::EvictEntries(region) => self.evict(&state, "d", Some(region), false),
            Fault::EvictLeases(region) => self.evict(&state, "l", Some(region), false),
            Fault::EvictChildren(region) => self.evict(&state, "c", Some(region), false),
            Fault::EvictCounts => self.evict(&state, "w", None, false),
            Fault::Flush => {
                state.primary.flush_all();
                self.witness.changed(None, vec![Effect::Flushed]);
            }
            Fault::FlushScripts => state.primary.flush_scripts(),
            Fault::Cut(process, after) => self.network.cut(process, after),
            Fault::HoldBack(process, time) => self.network.hold(process, Way::Back, ms(time)),
            Fault::HoldThere(process, time) => self.network.hold(process, Way::There, ms(time)),
            Fault::Silence(process, time) => {
                self.network.hold(process, Way::Back, ms(time));
                self.network.hold(process, Way::There, ms(time));
            }
            Fault::SilenceNewest(process, time) => self.network.silence_newest(process, ms(time)),
            Fault::Outage(process, time) => {
                self.network.refuse(process, ms(time));
                self.network.cut(process, 0);
            }
            Fault::Freeze(time) => state.primary.freeze(ms(time)),
            Fault::Save => state.saved = Some((state.primary.snapshot(), self.witness.world.now())),
            Fault::Restore => match state.saved.clone() {
                Some((saved, to)) => {
                    state.primary.restore(&saved);
                    self.rolled_back(to);
                }
                None => {
                    state.primary.flush_all();
                    self.witness.changed(None, vec![Effect::Flushed]);
                }
            },
            Fault::Restart => {
                let saved = state.saved.clone();
                state.primary.restart(saved.as_ref().map(|(saved, _)| saved));
                match saved {
                    Some((_, to)) => self.rolled_back(to),
                    None => drop(self.witness.changed(None, vec![Effect::Flushed])),
                }
            }
            Fault::RestartEmpty => {
                state.primary.restart(None);
                self.witness.changed(None, vec![Effect::Flushed]);
            }
            Fault::FailOver => self.fail_over(&mut state),
            Fault::HoldReplica => state.replica.hold(true),
            Fault::ReleaseReplica => state.replica.hold(false),
            Fault::RefuseFull => state.primary.refuse(Refusal::Full),
            Fault::RefuseAll => state.primary.refuse(Refusal::Disk),
            Fault::Accept => state.primary.refuse(Refusal::None),
        }
    }

    /// Evicts the keys of this kind: of one region, or all.
    fn evict(&self, state: &State, kind: &str, of: Option<usize>, with_all_below: bool) {
        let prefix = format!("rc1:{kind}");
        let path = of.map(|region| &self.witness.world.paths[region]);
        let is_it = |key: &Vec<u8>| {
            key.starts_with(prefix.as_bytes())
                && path.is_none_or(|path| decode::region(key).as_ref() == Some(path))
        };
        let keys: Vec<_> = state.primary.keys().into_iter().filter(is_it).collect();
        if keys.is_empty() {
            return;
        }
        state.primary.evict(&keys);
        if let (Some(region), "i" | "d") = (of, kind) {
            self.witness.changed(None, vec![Effect::Lost { region, with_all_below }]);
        }
    }

    fn rolled_back(&self, to: Seq) {
        self.witness.world.record(What::RolledBack { to });
    }

    fn fail_over(&self, state: &mut State) {
        state.servers += 1;
        let replica = state.replica.clone();
        state.primary.disconnect_all();
        replica.disconnect_all();
        replica.promote();
        let to = self.witness.shown_at(replica.offset());
        self.witness.world.record(What::FailedOver { to });
        self.rolled_back(to);
        state.saved = None;
        replica.observe(Arc::downgrade(&self.witness) as _);
        state.primary = replica;
        state.replica = state.primary.replica(self.seed + state.servers, self.lag);
        self.network.bind(PRIMARY, &state.primary);
        self.network.bind(REPLICA, &state.replica);
    }
}
