//! Faults that a test can cause in a store.

use region_core::RegionPath;

pub use crate::data::loss::Loss;
pub use crate::replica::Replica;
use crate::store::MemoryStore;

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
