//! What a test does to a store.

mod replica;

use std::sync::Arc;

use region_core::RegionPath;

use crate::data::Data;
use crate::data::ids::Ids;
use crate::store::MemoryStore;

pub use replica::Replica;

/// What part of a region a store loses: see [`MemoryStore::lose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its incarnations: it is created anew.
    Incarnations,
    /// Its entries.
    Entries,
    /// The leases of its keys.
    Leases,
}

/// What goes wrong in production, at a test's command.
impl MemoryStore {
    /// Loses everything, as a server that is flushed or restarted empty.
    pub fn flush(&self) {
        self.data.flush();
        self.note_change();
    }

    /// Loses a part of a region, as a server that evicts a key.
    pub fn lose(&self, region: &RegionPath, loss: Loss) {
        self.data.lose(region, loss);
        self.note_change();
    }

    /// Breaks the connection that pushes come over, as it were: all clients hear that its
    /// [`Source`](region_core::Source) is lost, and later answers name another.
    pub fn cut_pushes(&self) {
        self.data.events.cut();
    }

    /// Makes the replica show from now on what the primary holds at this moment. Does nothing to a
    /// store without a replica.
    pub fn hold_replica(&self) {
        if let Some(replica) = &self.replica {
            let copy = Data::new(Arc::clone(&self.data.clock), None, Ids::Random);
            replica.hold(&self.data, copy);
        }
    }

    /// Makes the replica show what the primary holds, always.
    pub fn release_replica(&self) {
        if let Some(replica) = &self.replica {
            replica.release();
        }
    }

    /// The replica, if the store was built with one.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_deref()
    }
}
