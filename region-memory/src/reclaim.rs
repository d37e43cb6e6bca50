//! Freeing memory in small steps: what was invalidated, what is over, and what has to make room.
//!
//! Every write takes a few steps, so memory follows what is written without a task of its own. Each
//! shard has a ring of its nodes; a step looks at a few entries of the next one.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;
use parking_lot::Mutex;
use region_core::{Event, Segment};

use crate::data::Data;
use crate::data::node::{Entries, Node};
use crate::data::slot::Conditions;

/// How many nodes of a ring a write looks at.
const NODES_PER_STEP: usize = 2;

/// How many entries of a node it looks at.
const ENTRIES_PER_STEP: usize = 32;

/// How many dead entries it frees.
const FREED_PER_STEP: usize = 64;

/// How many steps a write takes at most to get under the bound on bytes.
const EVICTION_STEPS: usize = 256;

/// What an entry takes beside its key and bytes: the slot, the hash table's place and the key's and
/// bytes' allocations.
const ENTRY_OVERHEAD: u64 = 128;

/// About how many bytes an entry takes.
pub(crate) fn entry_bytes(key: &str, bytes: &Bytes) -> u64 {
    key.len() as u64 + bytes.len() as u64 + ENTRY_OVERHEAD
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

pub(crate) struct Sweep {
    rings: Box<[Mutex<VecDeque<Weak<Node>>>]>,
    turn: AtomicUsize,
    discarded: Mutex<VecDeque<Discarded>>,
    max_bytes: Option<NonZeroU64>,
    bytes: AtomicU64,
    entries: AtomicU64,
    evicted: AtomicU64,
}

/// Maps that nobody can reach any more, whose items are freed one by one. Whole maps, for to take one apart, or to
/// drop its table, is work in proportion to what was in it.
enum Discarded {
    Entries(Entries),
    Children(IndexSet<Segment, DefaultHashBuilder>),
}

/// What to take from a node beside what is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    Nothing,
    Unused,
}

impl Sweep {
    pub(crate) fn new(shards: usize, max_bytes: Option<NonZeroU64>) -> Self {
        Self {
            rings: (0..shards).map(|_| Mutex::default()).collect(),
            turn: AtomicUsize::new(0),
            discarded: Mutex::default(),
            max_bytes,
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        self.max_bytes.map(NonZeroU64::get)
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.max_bytes.is_some()
    }

    /// Every node is in its ring once, from when it is created until it is removed.
    pub(crate) fn watch(&self, shard: usize, node: &Arc<Node>) {
        self.rings[shard].lock().push_back(Arc::downgrade(node));
    }

    pub(crate) fn next_shard(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.rings.len()
    }

    pub(crate) fn added(&self, key: &str, bytes: &Bytes) {
        self.bytes.fetch_add(entry_bytes(key, bytes), Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn removed(&self, key: &str, bytes: &Bytes) {
        self.bytes.fetch_sub(entry_bytes(key, bytes), Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn discard(&self, entries: Entries) {
        if !entries.is_empty() {
            self.discarded.lock().push_back(Discarded::Entries(entries));
        }
    }

    pub(crate) fn discard_children(&self, children: IndexSet<Segment, DefaultHashBuilder>) {
        if !children.is_empty() {
            self.discarded.lock().push_back(Discarded::Children(children));
        }
    }

    pub(crate) fn memory_use(&self) -> MemoryUse {
        MemoryUse {
            bytes: self.bytes.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            ..MemoryUse::default()
        }
    }

    fn is_over_bound(&self) -> bool {
        self.max_bytes().is_some_and(|max| self.bytes.load(Ordering::Relaxed) > max)
    }

    /// Frees some of what is dead; whether there was any.
    fn free_some(&self) -> bool {
        let Some(mut found) = self.discarded.lock().pop_front() else {
            return false;
        };
        for _ in 0..FREED_PER_STEP {
            let is_empty = match &mut found {
                Discarded::Entries(entries) => match entries.pop() {
                    Some((key, slot)) => {
                        self.removed(&key, &slot.bytes);
                        false
                    }
                    None => true,
                },
                Discarded::Children(children) => children.pop().is_none(),
            };
            if is_empty {
                return true;
            }
        }
        self.discarded.lock().push_front(found);
        true
    }

    /// Drops what is over, and unused entries if asked, from a few places of a region's entries;
    /// whether any were alive.
    fn thin_out(
        &self,
        entries: &mut Entries,
        from: &mut usize,
        at: Conditions<'_>,
        take: Take,
    ) -> bool {
        let mut dropped_alive = false;
        for _ in 0..ENTRIES_PER_STEP.min(entries.len()) {
            if *from >= entries.len() {
                *from = 0;
            }
            let Some((_, slot)) = entries.get_index(*from) else { break };
            let is_over = slot.freshness(at).is_none();
            let is_unwanted = take == Take::Unused && !slot.used.swap(false, Ordering::Relaxed);
            if is_over || is_unwanted {
                if let Some((key, slot)) = entries.swap_remove_index(*from) {
                    self.removed(&key, &slot.bytes);
                }
                if !is_over {
                    dropped_alive = true;
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
            }
            // The oldest entries come first. What a removal moves here is the newest, whose turn
            // comes when the others have had theirs.
            *from += 1;
        }
        dropped_alive
    }
}

impl Data {
    /// The steps that one write takes.
    pub(crate) fn sweep(&self, shard: usize) {
        self.sweep.free_some();
        for _ in 0..NODES_PER_STEP {
            self.visit_next(shard, Take::Nothing);
        }
        for _ in 0..EVICTION_STEPS {
            if !self.sweep.is_over_bound() {
                break;
            }
            if !self.sweep.free_some() {
                self.visit_next(self.sweep.next_shard(), Take::Unused);
            }
        }
    }

    /// Frees all that can be freed now.
    pub(crate) fn reclaim(&self) {
        // A removed node may leave its parent to be removed, hence one round for each level.
        loop {
            let before = self.memory_use();
            while self.sweep.free_some() {}
            for shard in 0..self.sweep.rings.len() {
                let nodes = self.sweep.rings[shard].lock().len();
                for _ in 0..nodes {
                    self.visit_whole(shard);
                }
            }
            let after = self.memory_use();
            if (after.regions, after.entries) == (before.regions, before.entries) {
                return;
            }
        }
    }

    fn next_in_ring(&self, shard: usize) -> Option<Arc<Node>> {
        let mut ring = self.sweep.rings[shard].lock();
        while let Some(node) = ring.pop_front() {
            if let Some(node) = node.upgrade() {
                return Some(node);
            }
        }
        None
    }

    fn visit_next(&self, shard: usize, take: Take) {
        if let Some(node) = self.next_in_ring(shard) {
            self.visit(shard, node, take);
        }
    }

    fn visit_whole(&self, shard: usize) {
        if let Some(node) = self.next_in_ring(shard) {
            let entries = node.state.read().entries.len();
            for _ in 0..entries / ENTRIES_PER_STEP {
                self.thin_out(&node, Take::Nothing);
            }
            self.visit(shard, node, Take::Nothing);
        }
    }

    /// One step, under one lock. Whoever works on the region keeps it alive; it is looked at another
    /// time.
    fn thin_out(&self, node: &Node, take: Take) {
        let Some(mut state) = node.state.try_write() else { return };
        let view = self.look(node, &state);
        if !state.is_alive(&view) {
            self.drop_entries(&mut state);
        }
        let places = &mut *state;
        let from = &mut places.sweep_at;
        if self.sweep.thin_out(&mut places.entries, from, view.at, take) {
            self.events.push(Event::Entries, &node.path);
        }
    }

    fn visit(&self, shard: usize, node: Arc<Node>, take: Take) {
        self.thin_out(&node, take);
        if !self.prune(&node) {
            self.sweep.rings[shard].lock().push_back(Arc::downgrade(&node));
        }
    }
}
