//! Putting and removing.

use std::sync::Arc;

use parking_lot::RwLockWriteGuard;
use region_core::{
    Applied, Error, ErrorKind, Event, Guard, Lineage, Op, OpOutcome, Put, RegionPath, RegionTtl,
    Result, When, Write, Written,
};

use super::Data;
use crate::node::{Moment, Node, State};
use crate::slot::Slot;
use crate::sweep::entry_bytes;

impl Data {
    pub(crate) fn write(&self, path: &RegionPath, write: Write<'_>) -> Result<Written> {
        self.check_sizes(path, write.ops)?;
        let puts = write.ops.iter().any(|op| matches!(op, Op::Put(_)));
        let node = match (self.node(path), write.guard) {
            (Some(node), _) => node,
            (None, Some(_)) => return Ok(Written::Fenced),
            (None, None) if puts => self.born(path),
            (None, None) => return Ok(Written::Applied(Applied::new(unborn(write.ops)))),
        };
        let mut state = node.state.write();
        let mut moment = self.moment(&node, &state);
        if write.guard.is_some_and(|guard| !holds(guard, &state, &moment)) {
            return Ok(Written::Fenced);
        }
        if !state.is_alive(&moment) {
            self.bury(&mut state);
            moment.at.deadline = None;
        }
        let outcomes: Vec<_> =
            write.ops.iter().map(|op| self.apply(&mut state, op, &moment)).collect();
        set_timeout(&mut state, write.region_ttl, &moment);
        let is_known = state.registered.as_ref().is_some_and(|r| r.same_life(&moment.lineage));
        drop(state);
        if outcomes.contains(&OpOutcome::Stored) && !is_known {
            self.register(&node, &moment.lineage);
        }
        self.events.push(Event::Entries, path);
        drop(node);
        self.sweep(self.sweep.next_shard());
        Ok(Written::Applied(Applied::new(outcomes)))
    }

    fn check_sizes(&self, path: &RegionPath, ops: &[Op<'_>]) -> Result<()> {
        let Some(max) = self.sweep.max_bytes() else {
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
        moment: &Moment<'_>,
    ) -> OpOutcome {
        match op {
            Op::Put(put) => self.put(state, put, moment),
            Op::Remove { key } => {
                state.leases.void(key);
                let removed = self.remove(state, key);
                OpOutcome::Removed(removed.is_some_and(|slot| slot.is_fresh(moment.at)))
            }
            Op::Take { key } => {
                state.leases.void(key);
                let removed = self.remove(state, key);
                OpOutcome::Taken(removed.and_then(|slot| slot.entry(moment.at)))
            }
        }
    }

    fn put(
        &self,
        state: &mut RwLockWriteGuard<'_, State>,
        put: &Put<'_>,
        moment: &Moment<'_>,
    ) -> OpOutcome {
        if put.when != When::Always
            && let Some(slot) = state.entries.get(put.key)
            && slot.is_fresh(moment.at)
            && !matches!(&put.when, When::AbsentOrHolding(bytes) if *bytes == slot.bytes)
            && let Some(entry) = slot.entry(moment.at)
        {
            return OpOutcome::Exists(entry);
        }
        let slot = Slot::new(put, moment.at);
        self.sweep.added(put.key, &slot.bytes);
        if let Some(held) = state.entries.get_mut(put.key) {
            let old = std::mem::replace(held, slot);
            self.sweep.removed(put.key, &old.bytes);
        } else {
            state.entries.insert(Arc::from(put.key), slot);
        }
        state.stamp.get_or_insert_with(|| moment.lineage.clone());
        state.leases.void(put.key);
        OpOutcome::Stored
    }

    fn remove(&self, state: &mut RwLockWriteGuard<'_, State>, key: &str) -> Option<Slot> {
        let slot = state.entries.swap_remove(key)?;
        self.sweep.removed(key, &slot.bytes);
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
                self.sweep.bury_children(dead);
                state.children.under = Some(parents);
            }
            state.children.segments.insert(child.path.last());
        }
        node.state.write().registered = Some(lineage.clone());
    }
}

/// What a write does to a region that is not born and stays so.
fn unborn(ops: &[Op<'_>]) -> Vec<OpOutcome> {
    let outcome = |op: &Op<'_>| match op {
        Op::Take { .. } => OpOutcome::Taken(None),
        Op::Put(_) | Op::Remove { .. } => OpOutcome::Removed(false),
    };
    ops.iter().map(outcome).collect()
}

fn holds(guard: Guard<'_>, state: &State, moment: &Moment<'_>) -> bool {
    let Moment { lineage, at } = moment;
    *lineage == *guard.lineage
        && guard.keys.iter().all(|key| state.leases.is_held(key, guard.token, lineage, at.now))
}

fn set_timeout(
    state: &mut RwLockWriteGuard<'_, State>,
    region_ttl: RegionTtl,
    moment: &Moment<'_>,
) {
    let now = moment.at.now;
    state.deadline = match region_ttl {
        _ if state.entries.is_empty() => None,
        RegionTtl::Leave => state.deadline,
        RegionTtl::Start(after) => state.deadline.or(Some(now.saturating_add(after))),
        RegionTtl::Restart(after) => Some(now.saturating_add(after)),
    };
}
