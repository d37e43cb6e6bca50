//! Processes that die, and others that take their places.

use std::sync::Arc;

use parking_lot::Mutex;

use super::client::Process;
use super::world::World;
use crate::history::What;

/// A process, and those that come after it.
#[derive(Clone)]
pub(super) struct Restartable {
    now: Arc<Mutex<Arc<Process>>>,
    /// Those that are dead. Nothing of them runs on, but dropping them would give their leases back.
    dead: Arc<Mutex<Vec<Arc<Process>>>>,
    world: Arc<World>,
    number: usize,
}

impl Restartable {
    pub(super) fn new(world: &Arc<World>, number: usize) -> Self {
        let first = Mutex::new(super::process(world, number, 0));
        Self { now: Arc::new(first), dead: Arc::default(), world: Arc::clone(world), number }
    }

    pub(super) fn now(&self) -> Arc<Process> {
        Arc::clone(&self.now.lock())
    }

    /// Ends the process as a kill does: it gives nothing back, and its connection is gone.
    pub(super) fn restart(&self) {
        let mut dead = self.dead.lock();
        let next = super::process(&self.world, self.number, dead.len() as u64 + 1);
        let old = std::mem::replace(&mut *self.now.lock(), next);
        old.channel.die();
        self.world.record(What::Killed { process: self.number });
        old.died.notify_waiters();
        dead.push(old);
    }

    pub(super) fn close(&self) {
        self.now().channel.close();
    }
}
