use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::node::Node;

/// The order in which nodes are looked at for memory to free: a ring for each shard.
///
/// Every node is in its ring once, from when it is created until it is removed, except while it is
/// being looked at.
pub(crate) struct Rings {
    rings: Box<[Mutex<VecDeque<Weak<Node>>>]>,
    turn: AtomicUsize,
}

impl Rings {
    pub(crate) fn new(shards: usize) -> Self {
        Self { rings: (0..shards).map(|_| Mutex::default()).collect(), turn: AtomicUsize::new(0) }
    }

    pub(crate) fn shards(&self) -> usize {
        self.rings.len()
    }

    /// Returns each shard in turn.
    pub(crate) fn next_shard(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.rings.len()
    }

    pub(crate) fn len(&self, shard: usize) -> usize {
        self.rings[shard].lock().len()
    }

    pub(crate) fn push(&self, shard: usize, node: &Arc<Node>) {
        self.rings[shard].lock().push_back(Arc::downgrade(node));
    }

    /// Takes the next node that still exists out of its ring.
    pub(crate) fn pop(&self, shard: usize) -> Option<Arc<Node>> {
        let mut ring = self.rings[shard].lock();
        while let Some(node) = ring.pop_front() {
            if let Some(node) = node.upgrade() {
                return Some(node);
            }
        }
        None
    }
}
