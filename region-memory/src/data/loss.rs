use region_core::{Event, RegionPath};

use super::Data;

/// The part of a region that a store loses: see [`MemoryStore::lose`](crate::MemoryStore::lose).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its incarnations: it is created anew.
    Incarnations,
    /// Its entries.
    Entries,
    /// The leases of its keys.
    Leases,
}

impl Data {
    pub(crate) fn lose(&self, path: &RegionPath, loss: Loss) {
        let Some(node) = self.node(path) else { return };
        let mut state = node.state.write();
        match loss {
            Loss::Incarnations => {
                self.end_life(&node, &mut state);
                node.expire(self.ids.draw(), self.now(), &self.expirations);
            }
            Loss::Entries => self.drop_entries(&mut state),
            Loss::Leases => state.leases.clear(),
        }
        self.events.push(Event::Lineage, path);
    }

    /// Creates every region anew. The nodes stay, because others may be about to use them.
    pub(crate) fn flush(&self) {
        for node in self.all_nodes() {
            self.lose(&node.path, Loss::Incarnations);
        }
        self.events.push_all();
    }
}
