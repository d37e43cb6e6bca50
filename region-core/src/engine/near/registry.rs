//! The records of the regions in use, and the pushes that reach them.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Weak};

use crate::sync::RwLock;

use super::losses::Losses;
use super::region::NearRegion;
use crate::engine::wakes::Wakes;
use crate::path::{Prehashed, RegionPath};
use crate::store::{Event, Listener};

/// The number of maps that the records are spread over, a power of two.
const SHARDS: usize = 32;

type Records = HashMap<RegionPath, Weak<NearRegion>, BuildHasherDefault<Prehashed>>;

/// One record for each region in use. A record holds its parent's, and removes itself when it is
/// dropped: regions that are forgotten leave nothing behind.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: [RwLock<Records>; SHARDS],
    next_id: AtomicU64,
    pub(super) losses: Losses,
    /// Hears every push too: one listener serves the whole cache.
    pub(super) wakes: Wakes,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            next_id: AtomicU64::new(0),
            losses: Losses::default(),
            wakes: Wakes::default(),
        }
    }

    /// Returns the record of the region at `path`; creates it, and those of its ancestors, where needed.
    pub(super) fn intern(self: &Arc<Self>, path: &RegionPath) -> Arc<NearRegion> {
        if let Some(record) = self.find(path) {
            return record;
        }
        let parent = path.parent().map(|parent| self.intern(&parent));
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        // Before the lock: if another thread was faster, this one is dropped after it.
        let new = Arc::new(NearRegion::new(id, path.clone(), parent, Arc::clone(self)));
        let mut records = self.shard(path).write();
        match records.entry(path.clone()) {
            Entry::Occupied(mut entry) => {
                if let Some(record) = entry.get().upgrade() {
                    return record;
                }
                entry.insert(Arc::downgrade(&new));
            }
            Entry::Vacant(entry) => {
                entry.insert(Arc::downgrade(&new));
            }
        }
        drop(records);
        new
    }

    /// Forgets the record of `path`, which is being dropped, unless another has taken its place.
    pub(super) fn forget(&self, path: &RegionPath) {
        let mut records = self.shard(path).write();
        if records.get(path).is_some_and(|record| record.strong_count() == 0) {
            records.remove(path);
        }
    }

    fn find(&self, path: &RegionPath) -> Option<Arc<NearRegion>> {
        // The record is returned, not dropped, so that its last holder is never under the lock.
        self.shard(path).read().get(path)?.upgrade()
    }

    fn shard(&self, path: &RegionPath) -> &RwLock<Records> {
        // The map uses the hash's upper and lower bits; the shard is chosen by bits between.
        &self.shards[(path.hash_bits() >> 32) as usize % SHARDS]
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}

impl Listener for Registry {
    fn heard(&self, event: Event) {
        self.wakes.heard(&event);
        match event {
            // No value hangs on a lease.
            Event::Leases(_) => {}
            // Without a record of the region nothing below it has one: nothing is trusted there.
            Event::Lineage(path) => {
                if let Some(record) = self.find(&path) {
                    record.lineage_changed();
                }
            }
            Event::Entries(path) => {
                if let Some(record) = self.find(&path) {
                    record.entries_changed();
                }
            }
            Event::All => self.losses.lose_all(),
            Event::Lost(source) => self.losses.lose(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    #[test]
    fn a_region_has_one_record_and_a_forgotten_one_leaves_nothing() {
        let registry = Arc::new(Registry::new());
        let leaf = registry.intern(&path("r.a.b"));
        assert!(Arc::ptr_eq(&leaf, &registry.intern(&path("r.a.b"))));
        assert_eq!(registry.len(), 3);
        let sibling = registry.intern(&path("r.a.c"));
        drop(leaf);
        assert_eq!(registry.len(), 3);
        drop(sibling);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn a_record_that_comes_again_is_another() {
        let registry = Arc::new(Registry::new());
        let id = registry.intern(&path("r.a")).id();
        assert_ne!(registry.intern(&path("r.a")).id(), id);
    }

    #[test]
    fn threads_that_intern_and_forget_agree_on_one_record() {
        let registry = Arc::new(Registry::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        let path = path(&format!("r.a:{}", round % 3));
                        let record = registry.intern(&path);
                        // Nobody else can have put another in its place while it is held.
                        assert!(Arc::ptr_eq(&record, &registry.intern(&path)));
                    }
                });
            }
        });
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn each_push_reaches_the_words_that_it_concerns() {
        let registry = Arc::new(Registry::new());
        let leaf = registry.intern(&path("r.a.b"));
        let table = [
            (Event::Lineage(path("r")), [false, true, false]),
            (Event::Lineage(path("r.a")), [false, true, false]),
            (Event::Lineage(path("r.a.b")), [false, true, false]),
            (Event::Lineage(path("r.other")), [false; 3]),
            (Event::Lineage(path("r.a.b.c")), [false; 3]),
            (Event::Entries(path("r.a.b")), [false, false, true]),
            (Event::Entries(path("r.a")), [false; 3]),
            (Event::All, [true, false, false]),
        ];
        for (event, moved) in table {
            let before = leaf.marks();
            registry.heard(event.clone());
            let after = leaf.marks();
            let has_moved = [
                before.engine != after.engine,
                before.lineage != after.lineage,
                before.ring != after.ring,
            ];
            assert_eq!(has_moved, moved, "{event:?}");
        }
    }
}
