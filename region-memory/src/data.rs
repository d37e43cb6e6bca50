//! What a store holds: nodes in a sharded map.

mod listing;
mod verbs;
mod write;

use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as MapEntry;
use parking_lot::{RwLock, RwLockWriteGuard};
use region_core::{
    Begun, BegunKey, Clock, Entry, Event, LeaseTerms, LeaseToken, Read, RegionPath, Timestamp,
};

use crate::events::Events;
use crate::ids::Ids;
use crate::node::{Entries, Moment, Node, State};
use crate::sweep::Sweep;

/// How many maps the nodes are spread over; a power of two.
const SHARDS: usize = 64;

type Nodes = HashMap<RegionPath, Arc<Node>, BuildHasherDefault<HashedAlready>>;

/// Everything that the clients of one store share.
pub(crate) struct Data {
    shards: Box<[RwLock<Nodes>]>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) sweep: Sweep,
    ids: Ids,
    /// The number of changes so far.
    changes: AtomicU64,
    /// The number of expirations so far.
    expirations: AtomicU64,
}

/// What part of a region a store loses: see [`MemoryStore::lose`](crate::MemoryStore::lose).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its incarnations: it is born anew.
    Incarnations,
    /// Its entries.
    Entries,
    /// The leases of its keys.
    Leases,
}

/// What a [`MemoryStore`](crate::MemoryStore) takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Bytes of entries, keys and bookkeeping included; what was invalidated but not freed yet too.
    pub bytes: u64,
    /// Entries, likewise.
    pub entries: u64,
    /// Regions.
    pub regions: u64,
    /// Entries evicted so far to keep the bound on bytes.
    pub evicted: u64,
}

impl Data {
    pub(crate) fn new(clock: Arc<dyn Clock>, max_bytes: Option<NonZeroU64>, ids: Ids) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            clock,
            events: Events::default(),
            sweep: Sweep::new(SHARDS, max_bytes),
            ids,
            changes: AtomicU64::new(0),
            expirations: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn moment<'n>(&self, node: &'n Node, state: &State) -> Moment<'n> {
        node.moment(state, self.now(), &self.expirations)
    }

    /// Numbers a change that has been made.
    pub(crate) fn changed(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number of the latest change.
    pub(crate) fn latest_change(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn shard_of(&self, path: &RegionPath) -> usize {
        let mut hasher = HashedAlready::default();
        std::hash::Hash::hash(path, &mut hasher);
        // The map uses the hash's upper and lower bits; the shard is chosen by bits between.
        (hasher.finish() >> 32) as usize % SHARDS
    }

    pub(crate) fn node(&self, path: &RegionPath) -> Option<Arc<Node>> {
        self.shards[self.shard_of(path)].read().get(path).map(Arc::clone)
    }

    /// The region's node; gives birth to it and to its ancestors where needed.
    pub(crate) fn born(&self, path: &RegionPath) -> Arc<Node> {
        if let Some(node) = self.node(path) {
            return node;
        }
        // Holding the parent keeps it from being removed before it is pointed to.
        let parent = path.parent().map(|parent| self.born(&parent));
        let shard = self.shard_of(path);
        let node = match self.shards[shard].write().entry(path.clone()) {
            MapEntry::Occupied(entry) => return Arc::clone(entry.get()),
            MapEntry::Vacant(vacant) => {
                let node = Arc::new(Node::new(path.clone(), parent, self.ids.draw_all()));
                Arc::clone(vacant.insert(node))
            }
        };
        self.sweep.watch(shard, &node);
        self.events.push(Event::Lineage, path);
        node
    }

    /// Removes a node that nothing but the map and the caller holds, and that holds nothing.
    ///
    /// An operation that found the node holds it too, and so does each of its children: so nobody
    /// can be about to use it, and no child keeps incarnations that a re-born parent would not know
    /// of. Whoever comes next finds a new node, born with new incarnations.
    pub(crate) fn prune(&self, node: &Arc<Node>) -> bool {
        const MAP_AND_CALLER: usize = 2;
        let mut shard = self.shards[self.shard_of(&node.path)].write();
        if Arc::strong_count(node) != MAP_AND_CALLER || !self.is_idle(node) {
            return false;
        }
        // Before the node goes: a child that is born again registers itself after this.
        if let Some(parent) = &node.parent {
            parent.state.write().children.segments.swap_remove(&node.path.last());
        }
        shard.remove(&node.path);
        true
    }

    fn is_idle(&self, node: &Arc<Node>) -> bool {
        let mut state = node.state.write();
        let moment = self.moment(node, &state);
        state.entries.is_empty() && state.leases.is_empty_at(&moment.lineage, moment.at.now)
    }

    pub(crate) fn read(&self, path: &RegionPath, keys: &[&str]) -> Read {
        let Some(node) = self.node(path) else {
            return Read::nothing(keys.len());
        };
        let state = node.state.read();
        let moment = self.moment(&node, &state);
        let entries = keys.iter().map(|key| self.entry(&state, key, &moment)).collect();
        Read::new(entries).lineage(Some(moment.lineage))
    }

    fn entry(&self, state: &State, key: &str, moment: &Moment<'_>) -> Option<Entry> {
        let slot = state.alive(moment)?.get(key)?;
        if self.sweep.is_bounded() {
            slot.mark_used();
        }
        slot.entry(moment.at)
    }

    pub(crate) fn begin(&self, path: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Begun {
        let node = self.born(path);
        let mut state = node.state.write();
        let moment = self.moment(&node, &state);
        let begun = |key: &&str| {
            let entry = self.entry(&state, key, &moment);
            let is_fresh = entry.as_ref().is_some_and(Entry::is_fresh);
            let lease = state.leases.take(key, terms, &moment.lineage, moment.at.now, is_fresh);
            BegunKey::new(entry, lease)
        };
        let keys = keys.iter().map(begun).collect();
        Begun::new(moment.lineage, keys)
    }

    pub(crate) fn release(&self, path: &RegionPath, keys: &[&str], token: LeaseToken) {
        if let Some(node) = self.node(path) {
            let mut state = node.state.write();
            keys.iter().for_each(|key| state.leases.release(key, token));
        }
    }

    /// Empties a region whose node is locked; the memory is freed later.
    pub(crate) fn bury(&self, state: &mut RwLockWriteGuard<'_, State>) {
        let entries: Entries = state.take_entries();
        self.sweep.bury(entries);
    }

    pub(crate) fn memory_use(&self) -> MemoryUse {
        let regions = self.shards.iter().map(|shard| shard.read().len() as u64).sum();
        MemoryUse { regions, ..self.sweep.memory_use() }
    }

    /// Every node, parents before their children.
    pub(crate) fn all_nodes(&self) -> Vec<Arc<Node>> {
        let mut nodes: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| shard.read().values().map(Arc::clone).collect::<Vec<_>>())
            .collect();
        nodes.sort_by_key(|node| node.path.depth());
        nodes
    }

    /// Copies what `other` holds into this empty store.
    pub(crate) fn copy_from(&self, other: &Self) {
        self.expirations.store(other.expirations.load(Ordering::SeqCst), Ordering::SeqCst);
        for node in other.all_nodes() {
            let parent = match node.path.parent().map(|parent| self.node(&parent)) {
                None => None,
                Some(Some(parent)) => Some(parent),
                // Born while the copy was made: the copy is from before that.
                Some(None) => continue,
            };
            let copy = Arc::new(node.copy(parent));
            self.shards[self.shard_of(&node.path)].write().insert(node.path.clone(), copy);
        }
    }
}

/// Passes the hash through that a path carries.
#[derive(Default)]
pub(crate) struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Paths write one number; anything else is still spread by its bytes.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
