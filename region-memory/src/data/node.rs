//! A region in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;
use indexmap::{IndexMap, IndexSet};
use parking_lot::RwLock;
use region_core::{
    Change, ChangeId, ChangeRing, ChangedKey, Incarnation, Incarnations, Leftover, Lineage,
    MAX_DEPTH, RegionPath, Segment, Timestamp,
};

use super::expirations::Expirations;
use super::lease::Leases;
use super::slot::{Conditions, Slot};

pub(crate) type Entries = IndexMap<Arc<str>, Slot, DefaultHashBuilder>;

/// One region. It exists for as long as its node does.
///
/// It points to its parent's node, which holds its parent's incarnations: so a node must outlive its
/// children's. The store sees to that by removing only nodes that nothing else points to.
pub(crate) struct Node {
    pub(crate) path: RegionPath,
    pub(crate) parent: Option<Arc<Node>>,
    /// Read without the lock by those below: changing it is what invalidates a subtree in one step.
    tree: AtomicU64,
    soft: AtomicU64,
    /// The number of changes of the ids that listeners are being told of now.
    telling: AtomicU32,
    expirations: Expirations,
    pub(crate) state: RwLock<State>,
}

/// The state that belongs to the region alone.
pub(crate) struct State {
    /// The lineage that the entries were stored under.
    pub(crate) stamp: Option<Lineage>,
    pub(crate) entries: Entries,
    /// The last changes of the entries, for as long as there is a stamp.
    ring: Option<ChangeRing>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) leases: Leases,
    pub(crate) children: Children,
    /// The lineage under which this region is known to its ancestors as a child.
    pub(crate) registered: Option<Lineage>,
    /// The place where reclaiming goes on.
    pub(crate) sweep_at: usize,
}

/// The children that were put to under one lineage.
pub(crate) struct Children {
    pub(crate) under: Option<Lineage>,
    pub(crate) segments: IndexSet<Segment, DefaultHashBuilder>,
}

/// A region's lineage, and what freshness depends on, at one moment.
pub(crate) struct View<'n> {
    pub(crate) lineage: Lineage,
    pub(crate) at: Conditions<'n>,
}

/// Counts down, whatever the listeners do.
struct Telling<'n>(&'n AtomicU32);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Node {
    pub(crate) fn new(path: RegionPath, parent: Option<Arc<Self>>, ids: Incarnations) -> Self {
        Self {
            path,
            parent,
            tree: AtomicU64::new(ids.tree.to_bits()),
            soft: AtomicU64::new(ids.soft.to_bits()),
            telling: AtomicU32::new(0),
            expirations: Expirations::default(),
            state: RwLock::new(State::new()),
        }
    }

    /// The region's lineage, and what its entries' freshness depends on, now. `expirations` is the
    /// store's count of them.
    pub(crate) fn look(&self, state: &State, now: Timestamp, expirations: &AtomicU64) -> View<'_> {
        // The count first: an expiration that the marks do not show then has a higher number.
        let expirations = expirations.load(Ordering::SeqCst);
        let lineage = self.lineage();
        let soft_mark = lineage.soft_mark();
        let at = Conditions { now, soft_mark, expirations, deadline: state.deadline, node: self };
        View { lineage, at }
    }

    pub(crate) fn lineage(&self) -> Lineage {
        // Filled from the end: the walk goes up, and a lineage goes down.
        let mut trees = [Incarnation::from_bits(0); MAX_DEPTH];
        let mut top = MAX_DEPTH;
        let mut soft_mark = 0;
        let mut next = Some(self);
        while let Some(node) = next {
            top -= 1;
            trees[top] = Incarnation::from_bits(node.tree.load(Ordering::SeqCst));
            soft_mark = mix(soft_mark, node.soft.load(Ordering::SeqCst));
            node.wait_until_told();
            next = node.parent.as_deref();
        }
        let Some(lineage) = Lineage::with_soft_mark(&trees[top..], soft_mark) else {
            unreachable!("a path has at least the node itself");
        };
        lineage
    }

    /// Changes the region's ids and tells of it; no reader gets the new ones before the listeners
    /// have heard of them.
    pub(crate) fn change_ids(&self, change: impl FnOnce(&Self), tell: impl FnOnce()) {
        self.telling.fetch_add(1, Ordering::SeqCst);
        let _telling = Telling(&self.telling);
        change(self);
        tell();
    }

    /// A listener returns at once, so this is over at once too.
    fn wait_until_told(&self) {
        while self.telling.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    /// When this region or one around it was first expired after the expiration number `seen`.
    pub(crate) fn expired_after(&self, seen: u64) -> Option<Timestamp> {
        let path = std::iter::successors(Some(self), |node| node.parent.as_deref());
        path.filter_map(|node| node.expirations.first_after(seen)).min()
    }

    /// This node and its ancestors, from the leaf to the root.
    pub(crate) fn upwards(self: &Arc<Self>) -> impl Iterator<Item = Arc<Self>> {
        std::iter::successors(Some(Arc::clone(self)), |node| node.parent.clone())
    }

    pub(crate) fn set_tree(&self, tree: Incarnation) {
        self.tree.store(tree.to_bits(), Ordering::SeqCst);
    }

    /// Makes what the region and those below hold stale. Numbered after it can be seen, so that
    /// whoever counts first and looks then does not miss one.
    pub(crate) fn expire(&self, soft: Incarnation, now: Timestamp, expirations: &AtomicU64) {
        self.soft.store(soft.to_bits(), Ordering::SeqCst);
        self.expirations.add(expirations.fetch_add(1, Ordering::SeqCst) + 1, now);
    }

    /// A copy for a replica or a backup, under its copied parent.
    #[cfg(feature = "testing")]
    pub(crate) fn copy(&self, parent: Option<Arc<Self>>) -> Self {
        let state = self.state.read();
        let load = |id: &AtomicU64| AtomicU64::new(id.load(Ordering::SeqCst));
        let entries = state.entries.iter();
        Self {
            path: self.path.clone(),
            parent,
            tree: load(&self.tree),
            expirations: self.expirations.copy(),
            soft: load(&self.soft),
            telling: AtomicU32::new(0),
            state: RwLock::new(State {
                stamp: state.stamp.clone(),
                ring: state.ring.clone(),
                entries: entries.map(|(key, slot)| (Arc::clone(key), slot.copy())).collect(),
                deadline: state.deadline,
                leases: state.leases.clone(),
                ..State::new()
            }),
        }
    }
}

/// Adds a `soft` id to the mark of those below. The ids are random, so that is all that a hash would do:
/// one that has changed changes the mark.
const fn mix(mark: u64, soft: u64) -> u64 {
    /// Odd, so that no two marks become one.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    (mark ^ soft).wrapping_mul(SPREAD).rotate_left(31)
}

impl State {
    fn new() -> Self {
        Self {
            stamp: None,
            entries: Entries::default(),
            ring: None,
            deadline: None,
            leases: Leases::new(),
            children: Children { under: None, segments: IndexSet::default() },
            registered: None,
            sweep_at: 0,
        }
    }

    /// Returns true if the entries, as a whole, are alive.
    pub(crate) fn is_alive(&self, view: &View<'_>) -> bool {
        self.stamp.as_ref().is_some_and(|stamp| stamp.same_life(&view.lineage))
            && self.deadline.is_none_or(|deadline| view.at.now < deadline)
    }

    /// The entries, if they are alive.
    pub(crate) fn alive(&self, view: &View<'_>) -> Option<&Entries> {
        self.is_alive(view).then_some(&self.entries)
    }

    /// The reason for which the entry at `key`, which is not valid, is not.
    pub(crate) fn leftover(&self, key: &str, view: &View<'_>) -> Option<Leftover> {
        let slot = self.entries.get(key)?;
        match &self.stamp {
            Some(stamp) if stamp.same_life(&view.lineage) && !slot.is_expired_by_verb(view.at) => {
                Some(Leftover::Expired)
            }
            _ => Some(Leftover::Fenced),
        }
    }

    /// The last changes of the entries, if these are alive.
    pub(crate) fn changes(&self, view: &View<'_>) -> Option<ChangeRing> {
        self.ring.as_ref().filter(|_| self.is_alive(view)).cloned()
    }

    /// Adds a change of the entries. Those that began with it have one change, of all.
    pub(crate) fn record(&mut self, id: ChangeId, key: ChangedKey) {
        match &mut self.ring {
            Some(ring) => ring.push(Change::new(id, key)),
            ring => *ring = self.stamp.is_some().then(|| ChangeRing::begin(id)),
        }
    }

    /// Takes the entries out, alive or dead, if they take memory.
    pub(crate) fn take_entries(&mut self) -> Option<Entries> {
        self.deadline = None;
        self.stamp = None;
        self.ring = None;
        self.sweep_at = 0;
        // A new table draws a seed for its hash: not where there is nothing to take.
        (self.entries.capacity() > 0).then(|| std::mem::take(&mut self.entries))
    }
}

impl Children {
    /// The children under the lineage `now`.
    pub(crate) fn alive(&self, now: &Lineage) -> Option<&IndexSet<Segment, DefaultHashBuilder>> {
        self.under.as_ref().filter(|under| under.same_life(now)).map(|_| &self.segments)
    }
}
