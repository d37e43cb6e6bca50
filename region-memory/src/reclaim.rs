//! Freeing memory in small steps: what was invalidated, and what has expired.
//!
//! Every write takes a few steps, so memory follows what is written without a task of its own. A step
//! looks at a few entries of the next node in a shard's ring.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use region_core::Event;

use crate::data::Data;
use crate::data::node::{Entries, Node};
use crate::data::slot::Conditions;

/// The number of nodes of a ring that a write looks at.
const NODES_PER_STEP: usize = 2;

/// The number of entries of a node that it looks at.
const ENTRIES_PER_STEP: usize = 32;

/// The number of discarded entries that it frees.
const FREED_PER_STEP: usize = 64;

/// The entries to take from a node, beside expired ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Nothing,
    /// Entries that were not read since the last visit.
    Unused,
}

/// Takes the steps of one write.
pub(crate) fn after_write(data: &Data) {
    let shard = data.rings.next_shard();
    free_some(data);
    for _ in 0..NODES_PER_STEP {
        visit_next(data, shard, Take::Nothing);
    }
}

/// Frees all that can be freed now.
pub(crate) fn reclaim_all(data: &Data) {
    // A removed node may leave its parent to be removed, hence one round for each level.
    loop {
        let before = data.memory_use();
        while free_some(data) {}
        for shard in 0..data.rings.shards() {
            for _ in 0..data.rings.len(shard) {
                visit_whole(data, shard);
            }
        }
        let after = data.memory_use();
        if (after.regions, after.entries) == (before.regions, before.entries) {
            return;
        }
    }
}

/// Frees some discarded entries. Returns false if there were none.
pub(crate) fn free_some(data: &Data) -> bool {
    data.discarded.free(FREED_PER_STEP, &data.usage)
}

/// Looks at the next node of a shard.
pub(crate) fn visit_next(data: &Data, shard: usize, take: Take) {
    if let Some(node) = data.rings.pop(shard) {
        visit(data, shard, node, take);
    }
}

fn visit_whole(data: &Data, shard: usize) {
    if let Some(node) = data.rings.pop(shard) {
        let entries = node.state.read().entries.len();
        for _ in 0..entries / ENTRIES_PER_STEP {
            thin_out(data, &node, Take::Nothing);
        }
        visit(data, shard, node, Take::Nothing);
    }
}

fn visit(data: &Data, shard: usize, node: Arc<Node>, take: Take) {
    thin_out(data, &node, take);
    if !data.prune(&node) {
        data.rings.push(shard, &node);
    }
}

/// Takes one step at `node`, under one lock. A node that is in use is passed over, and looked at
/// another time.
fn thin_out(data: &Data, node: &Node, take: Take) {
    let Some(mut state) = node.state.try_write() else { return };
    let view = data.look(node, &state);
    if !state.is_alive(&view) {
        data.drop_entries(&mut state);
    }
    let state = &mut *state;
    if drop_some(data, &mut state.entries, &mut state.sweep_at, view.at, take) {
        data.events.push(Event::Entries, &node.path);
    }
}

/// Drops a few of a region's entries from the place `from` on: those that have expired, and unused ones
/// if asked. Returns true if one of them had not expired.
fn drop_some(
    data: &Data,
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
                data.usage.removed(&key, &slot.bytes);
            }
            if !is_over {
                dropped_alive = true;
                data.usage.evicted();
            }
        }
        // The oldest entries come first. What a removal moves here is the newest, whose turn
        // comes when the others have had theirs.
        *from += 1;
    }
    dropped_alive
}
