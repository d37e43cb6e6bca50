//! Faults that a test can cause in a store.

use std::fmt;
use std::sync::Arc;

use region_core::RegionPath;

use crate::data::Data;
use crate::data::ids::Ids;
pub use crate::data::loss::Loss;
use crate::reclaim;
pub use crate::replica::Replica;
use crate::store::MemoryStore;

/// A copy of everything that a store held at one moment: see [`MemoryStore::back_up`].
pub struct Backup(Data);

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Backup").field(&self.0.memory_use()).finish()
    }
}

/// Faults, as they happen in production, caused by a test.
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

    /// Copies what the store holds, for [`roll_back`](Self::roll_back).
    #[must_use]
    pub fn back_up(&self) -> Backup {
        let data = Data::new(Arc::clone(&self.data.clock), None, Ids::Random);
        data.copy_from(&self.data);
        Backup(data)
    }

    /// Puts the store back to what it held then, leases included, as a failover to a copy that lagged.
    ///
    /// All clients hear that the connection is lost. What they changed since then is undone, and nobody
    /// repeats it for them. To be called while no other call is under way.
    pub fn roll_back(&self, to: &Backup) {
        self.data.clear();
        while reclaim::free_some(&self.data) {}
        self.data.copy_from(&to.0);
        self.note_change();
        self.data.events.cut();
    }

    /// Makes the replica show from now on what the primary holds at this moment. Does nothing to a
    /// store without a replica.
    pub fn hold_replica(&self) {
        if let Some(replica) = self.replica() {
            replica.hold(&self.data);
        }
    }

    /// Makes the replica show what the primary holds, always.
    pub fn release_replica(&self) {
        if let Some(replica) = self.replica() {
            replica.release();
        }
    }

    /// The replica, if the store was built with one.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref().map(|reader| &*reader.replica)
    }
}
