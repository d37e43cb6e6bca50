//! The data of a store: nodes in a sharded map.

mod discarded;
pub(crate) mod events;
mod expirations;
pub(crate) mod ids;
mod lease;
mod listing;
#[cfg(feature = "testing")]
pub(crate) mod loss;
pub(crate) mod node;
mod rings;
pub(crate) mod slot;
pub(crate) mod usage;
mod verbs;
mod write;

use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as MapEntry;
use parking_lot::{RwLock, RwLockWriteGuard};
use region_core::{
    Begun, BegunKey, ChangeId, Clock, Entry, Event, LeaseTerms, LeaseToken, Read, ReadTerms,
    RegionPath, Timestamp, Trust,
};

use discarded::DiscardQueue;
use events::Events;
use ids::Ids;
use node::{Node, State, View};
use rings::Rings;
use usage::{MemoryUse, Usage};

/// The number of maps that the nodes are spread over, a power of two.
const SHARDS: usize = 64;

type Nodes = HashMap<RegionPath, Arc<Node>, BuildHasherDefault<HashedAlready>>;

/// Everything that the clients of one store share.
pub(crate) struct Data {
    shards: Box<[RwLock<Nodes>]>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) usage: Usage,
    pub(crate) discarded: DiscardQueue,
    pub(crate) rings: Rings,
    ids: Ids,
    /// The number of expirations so far.
    expirations: AtomicU64,
}

impl Data {
    pub(crate) fn new(clock: Arc<dyn Clock>, max_bytes: Option<NonZeroU64>, ids: Ids) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            clock,
            events: Events::default(),
            usage: Usage::new(max_bytes),
            discarded: DiscardQueue::default(),
            rings: Rings::new(SHARDS),
            ids,
            expirations: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The region's lineage, and what freshness depends on, now.
    pub(crate) fn look<'n>(&self, node: &'n Node, state: &State) -> View<'n> {
        node.look(state, self.now(), &self.expirations)
    }

    fn change_id(&self) -> ChangeId {
        // The low half is as random as the whole.
        ChangeId::from_bits(self.ids.draw().to_bits() as u32)
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

    /// The region's node; creates it and its ancestors where needed.
    pub(crate) fn node_or_new(&self, path: &RegionPath) -> Arc<Node> {
        if let Some(node) = self.node(path) {
            return node;
        }
        // Holding the parent keeps it from being removed before it is pointed to.
        let parent = path.parent().map(|parent| self.node_or_new(&parent));
        let shard = self.shard_of(path);
        let mut nodes = self.shards[shard].write();
        let node = match nodes.entry(path.clone()) {
            MapEntry::Occupied(entry) => return Arc::clone(entry.get()),
            MapEntry::Vacant(vacant) => {
                let node = Arc::new(Node::new(path.clone(), parent, self.ids.draw_all()));
                Arc::clone(vacant.insert(node))
            }
        };
        // Before anyone can see it.
        self.events.push(Event::Lineage, path);
        drop(nodes);
        self.rings.push(shard, &node);
        node
    }

    /// Removes a node that nothing but the map and the caller holds, and that holds nothing.
    ///
    /// An operation that found the node holds it too, and so does each of its children: so nobody
    /// can be about to use it, and no child keeps incarnations that a parent created again would
    /// not know of. Whoever comes next finds a new node, with new incarnations.
    pub(crate) fn prune(&self, node: &Arc<Node>) -> bool {
        const MAP_AND_CALLER: usize = 2;
        let mut shard = self.shards[self.shard_of(&node.path)].write();
        if Arc::strong_count(node) != MAP_AND_CALLER || !self.is_idle(node) {
            return false;
        }
        // Before the node goes: a child that is created again registers itself after this.
        if let Some(parent) = &node.parent {
            parent.state.write().children.segments.swap_remove(&node.path.last());
        }
        shard.remove(&node.path);
        true
    }

    fn is_idle(&self, node: &Arc<Node>) -> bool {
        let state = node.state.read();
        let view = self.look(node, &state);
        state.entries.is_empty() && state.leases.is_empty_at(&view.lineage, view.at.now)
    }

    pub(crate) fn read(&self, path: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Read {
        // Before the entries: a loss in between then concerns them.
        let source = (terms.trust == Trust::Kept).then(|| self.events.source());
        let Some(node) = self.node(path) else {
            return Read::nothing(keys.len()).source(source);
        };
        let state = node.state.read();
        let view = self.look(&node, &state);
        let entries: Vec<_> = keys.iter().map(|key| self.entry(&state, key, &view)).collect();
        let missing =
            entries.iter().zip(keys).enumerate().filter(|(_, (entry, _))| entry.is_none());
        let leftover =
            |(at, (_, key)): (usize, (_, &&str))| Some((at, state.leftover(key, &view)?));
        let leftovers = missing.filter_map(leftover).collect();
        let changes = source.and_then(|_| state.changes(&view));
        let read = Read::new(entries).leftovers(leftovers);
        read.lineage(Some(view.lineage)).changes(changes).source(source)
    }

    fn entry(&self, state: &State, key: &str, view: &View<'_>) -> Option<Entry> {
        let slot = state.alive(view)?.get(key)?;
        if self.usage.is_bounded() {
            slot.mark_used();
        }
        slot.entry(view.at)
    }

    pub(crate) fn begin(&self, path: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Begun {
        let source = self.events.source();
        let node = self.node_or_new(path);
        let mut state = node.state.write();
        let view = self.look(&node, &state);
        let begun = |key: &&str| {
            let entry = self.entry(&state, key, &view);
            let is_fresh = entry.as_ref().is_some_and(Entry::is_fresh);
            let lease = state.leases.take(key, terms, &view.lineage, view.at.now, is_fresh);
            BegunKey::new(entry, lease)
        };
        let keys = keys.iter().map(begun).collect();
        let changes = (terms.trust == Trust::Kept).then(|| state.changes(&view)).flatten();
        Begun::new(view.lineage, keys).changes(changes).source(Some(source))
    }

    pub(crate) fn release(&self, path: &RegionPath, keys: &[&str], token: LeaseToken) {
        if let Some(node) = self.node(path) {
            let mut state = node.state.write();
            let released = keys.iter().filter(|key| state.leases.release(key, token)).count();
            // Under the lock: who hears it and asks sees it.
            if released > 0 {
                self.events.push(Event::Leases, path);
            }
        }
    }

    /// Drops what a region holds whose node is locked; the memory is freed later.
    pub(crate) fn drop_entries(&self, state: &mut RwLockWriteGuard<'_, State>) {
        if let Some(entries) = state.take_entries() {
            self.discarded.push_entries(entries);
        }
    }

    pub(crate) fn memory_use(&self) -> MemoryUse {
        let regions = self.shards.iter().map(|shard| shard.read().len() as u64).sum();
        self.usage.snapshot(regions)
    }

    /// Every node, parents before their children.
    #[cfg(feature = "testing")]
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
    #[cfg(feature = "testing")]
    pub(crate) fn copy_from(&self, other: &Self) {
        use std::sync::atomic::Ordering;

        self.expirations.store(other.expirations.load(Ordering::SeqCst), Ordering::SeqCst);
        for node in other.all_nodes() {
            let parent = match node.path.parent().map(|parent| self.node(&parent)) {
                None => None,
                Some(Some(parent)) => Some(parent),
                // Created while the copy was made: the copy is from before that.
                Some(None) => continue,
            };
            let copy = Arc::new(node.copy(parent));
            for (key, slot) in &copy.state.read().entries {
                self.usage.added(key, &slot.bytes);
            }
            let shard = self.shard_of(&node.path);
            self.rings.push(shard, &copy);
            self.shards[shard].write().insert(node.path.clone(), copy);
        }
    }

    /// Forgets every region and what it holds; the memory is freed later.
    #[cfg(feature = "testing")]
    pub(crate) fn clear(&self) {
        for node in self.all_nodes() {
            self.drop_entries(&mut node.state.write());
        }
        self.shards.iter().for_each(|shard| shard.write().clear());
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
