//! Putting and removing.

use std::sync::Arc;

use parking_lot::RwLockWriteGuard;
use region_core::{
    Applied, ChangedKey, Error, ErrorKind, Event, Guard, Lifetime, Lineage, MARKER_KEY, Op,
    OpOutcome, Put, RegionPath, RegionTtl, Result, Timestamp, Trust, When, Write, Written,
};

use super::Data;
use super::node::{Node, State, View};
use super::slot::Slot;
use super::usage::entry_bytes;

impl Data {
    pub(crate) fn write(&self, path: &RegionPath, write: Write<'_>) -> Result<Written> {
        self.check_sizes(path, write.ops)?;
        let source = self.events.source();
        let puts = write.ops.iter().any(|op| matches!(op, Op::Put(_)));
        let node = match (self.node(path), write.guard) {
            (Some(node), _) => node,
            (None, Some(_)) => return Ok(Written::Fenced),
            (None, None) if puts => self.node_or_new(path),
            (None, None) => {
                return Ok(Written::Applied(Applied::new(missing(write.ops)).source(Some(source))));
            }
        };
        let mut state = node.state.write();
        let mut view = self.look(&node, &state);
        if write.guard.is_some_and(|guard| !holds(guard, &state, &view)) {
            return Ok(Written::Fenced);
        }
        if !state.is_alive(&view) {
            self.drop_entries(&mut state);
            view.at.deadline = None;
        }
        let outcomes: Vec<_> =
            write.ops.iter().map(|op| self.apply(&mut state, op, &view)).collect();
        self.record_changes(&node, &mut state, write, &outcomes, view.at.now);
        let mut applied = Applied::new(outcomes).source(Some(source));
        if write.trust == Trust::Kept {
            let changes = state.changes(&view);
            let left = Lifetime::left(state.deadline, view.at.now);
            applied = applied.lineage(Some(view.lineage.clone())).changes(changes);
            applied = applied.region_ttl_left(left);
        }
        let is_known = state.registered.as_ref().is_some_and(|r| r.same_life(&view.lineage));
        drop(state);
        if !is_known && shows(write.ops, &applied.outcomes) {
            self.register(&node, &view.lineage);
        }
        Ok(Written::Applied(applied))
    }

    /// Sets the deadline, notes what has changed and tells of it, all before anyone can see it.
    fn record_changes(
        &self,
        node: &Node,
        state: &mut RwLockWriteGuard<'_, State>,
        write: Write<'_>,
        outcomes: &[OpOutcome],
        now: Timestamp,
    ) {
        let before = state.deadline;
        state.deadline = match write.region_ttl {
            _ if state.entries.is_empty() => None,
            RegionTtl::Leave => before,
            RegionTtl::Start(after) => before.or(Some(now.saturating_add(after))),
            RegionTtl::Restart(after) => Some(now.saturating_add(after)),
        };
        let ends_sooner = match (before, state.deadline) {
            (Some(before), Some(deadline)) => deadline < before,
            (None, deadline) => deadline.is_some(),
            (Some(_), None) => false,
        };
        let is_change = |outcome: &OpOutcome| !matches!(outcome, OpOutcome::Exists(_));
        let changed = write.ops.iter().zip(outcomes).filter(|(_, outcome)| is_change(outcome));
        let changed = ChangedKey::of_keys(changed.map(|(op, _)| op.key()));
        let changed = if ends_sooner { Some(ChangedKey::All) } else { changed };
        if let Some(changed) = changed {
            state.record(self.change_id(), changed);
        }
        if changed.is_some() || state.deadline != before {
            self.events.push(Event::Entries, &node.path);
        }
    }

    fn check_sizes(&self, path: &RegionPath, ops: &[Op<'_>]) -> Result<()> {
        let Some(max) = self.usage.max_bytes() else {
            return Ok(());
        };
        for op in ops {
            if let Op::Put(put) = op
                && entry_bytes(put.key, &put.bytes) > max
            {
                let size = entry_bytes(put.key, &put.bytes);
                let message =
                    format!("an entry of {size} bytes exceeds the store's bound of {max}");
                return Err(Error::new(ErrorKind::TooLarge, message)
                    .on("write", path)
                    .at_key(put.key));
            }
        }
        Ok(())
    }

    fn apply(
        &self,
        state: &mut RwLockWriteGuard<'_, State>,
        op: &Op<'_>,
        view: &View<'_>,
    ) -> OpOutcome {
        match op {
            Op::Put(put) => self.put(state, put, view),
            Op::Remove { key } => {
                state.leases.void(key);
                let removed = self.remove(state, key);
                OpOutcome::Removed(removed.is_some_and(|slot| slot.is_fresh(view.at)))
            }
            Op::Take { key } => {
                state.leases.void(key);
                let removed = self.remove(state, key);
                OpOutcome::Taken(removed.and_then(|slot| slot.entry(view.at)))
            }
        }
    }

    fn put(
        &self,
        state: &mut RwLockWriteGuard<'_, State>,
        put: &Put<'_>,
        view: &View<'_>,
    ) -> OpOutcome {
        if put.when != When::Always
            && let Some(slot) = state.entries.get(put.key)
            && slot.is_fresh(view.at)
            && !matches!(&put.when, When::AbsentOrHolding(bytes) if *bytes == slot.bytes)
            && let Some(entry) = slot.entry(view.at)
        {
            return OpOutcome::Exists(entry);
        }
        let slot = Slot::new(put, view.at);
        self.usage.added(put.key, &slot.bytes);
        if let Some(held) = state.entries.get_mut(put.key) {
            let old = std::mem::replace(held, slot);
            self.usage.removed(put.key, &old.bytes);
        } else {
            state.entries.insert(Arc::from(put.key), slot);
        }
        state.stamp.get_or_insert_with(|| view.lineage.clone());
        state.leases.void(put.key);
        OpOutcome::Stored
    }

    fn remove(&self, state: &mut RwLockWriteGuard<'_, State>, key: &str) -> Option<Slot> {
        let slot = state.entries.swap_remove(key)?;
        self.usage.removed(key, &slot.bytes);
        Some(slot)
    }

    /// Makes `node`, put to under `lineage`, a child of its parent, and so on up to the root; unless
    /// an ancestor's life has ended since, for then nothing was put as far as that one knows.
    fn register(&self, node: &Arc<Node>, lineage: &Lineage) {
        for child in node.upwards() {
            let Some(parent) = &child.parent else { break };
            let mut state = parent.state.write();
            // The parent's trees first, the node's after: if those are still the old ones, so were
            // these, for ids never come back.
            let parents = parent.lineage();
            if !node.lineage().same_life(lineage) {
                return;
            }
            if state.children.alive(&parents).is_none() {
                let dead = std::mem::take(&mut state.children.segments);
                self.discarded.push_children(dead);
                state.children.under = Some(parents);
            }
            state.children.segments.insert(child.path.last());
        }
        node.state.write().registered = Some(lineage.clone());
    }
}

/// Returns true if something was stored for which the region is a child of its parent: not a marker alone.
fn shows(ops: &[Op<'_>], outcomes: &[OpOutcome]) -> bool {
    let stored = ops.iter().zip(outcomes).filter(|(_, outcome)| **outcome == OpOutcome::Stored);
    stored.map(|(op, _)| op.key()).any(|key| key != MARKER_KEY)
}

/// Returns the outcomes of a write to a region that is missing and stays missing.
fn missing(ops: &[Op<'_>]) -> Vec<OpOutcome> {
    let outcome = |op: &Op<'_>| match op {
        Op::Take { .. } => OpOutcome::Taken(None),
        Op::Put(_) | Op::Remove { .. } => OpOutcome::Removed(false),
    };
    ops.iter().map(outcome).collect()
}

fn holds(guard: Guard<'_>, state: &State, view: &View<'_>) -> bool {
    let View { lineage, at } = view;
    *lineage == *guard.lineage
        && guard.keys.iter().all(|key| state.leases.is_held(key, guard.token, lineage, at.now))
}
