//! Records what the primary executes, and when each process is told.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use simredis::{Network, Observer, Reply};

use super::super::world::World;
use super::decode::effects;
use super::{MOST_SILENT, is_lenient};
use crate::history::{Effect, Seq, What};

/// What has been told takes effect within so long: then all tasks have had their turn.
const A_TURN: Duration = Duration::from_millis(1);

pub(super) struct Witness {
    pub(super) world: Arc<World>,
    pub(super) network: OnceLock<Network>,
    /// See [`RedisPlan::stores`](super::RedisPlan::stores).
    stores: Vec<usize>,
    /// The primary's offset after each change.
    offsets: Mutex<Vec<(u64, Seq)>>,
}

impl Witness {
    pub(super) fn new(world: &Arc<World>, stores: &[usize]) -> Arc<Self> {
        let (network, offsets) = (OnceLock::new(), Mutex::default());
        Arc::new(Self { world: Arc::clone(world), network, stores: stores.to_vec(), offsets })
    }

    /// Records changes, and follows what tells each process of them.
    pub(super) fn changed(&self, process: Option<usize>, effects: Vec<Effect>) -> Seq {
        let of = self.world.record(What::Executed { process, late: false, effects });
        let processes = self.world.plan.setup.processes.iter().enumerate();
        for (process, setup) in processes.filter(|(_, setup)| setup.near) {
            if is_lenient(setup) {
                self.world.record(What::PushLeftOut { process, of });
            }
            let store = self.stores[process];
            let settling = self.network.get().and_then(|network| network.settling(store));
            let Some(settling) = settling else { continue };
            self.world.record(What::PushDelayed { process, of });
            let world = Arc::clone(&self.world);
            tokio::spawn(async move {
                let is_told = tokio::time::timeout(MOST_SILENT, settling).await;
                tokio::time::sleep(A_TURN).await;
                world.record(match is_told {
                    Ok(true) => What::Heard { process, of },
                    Ok(false) | Err(_) => What::LostPush { process, of },
                });
            });
        }
        of
    }

    /// The last change that a server has whose history is so long.
    pub(super) fn shown_at(&self, offset: u64) -> Seq {
        let offsets = self.offsets.lock();
        let shown = offsets.iter().rev().find(|(at, _)| *at <= offset);
        shown.map_or(0, |(_, seq)| *seq)
    }
}

impl Observer for Witness {
    fn executed(&self, process: usize, args: &[Vec<u8>], reply: &Reply, offset: u64) {
        let effects = effects(&self.world, args, reply);
        if !effects.is_empty() {
            let seq = self.changed(Some(process), effects);
            self.offsets.lock().push((offset, seq));
        }
    }

    fn reached(&self, process: usize) {
        self.world.record(What::Reached { store: process });
    }
}
