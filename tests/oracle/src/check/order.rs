//! What a process reads never gets older.

use super::Violation;
use super::facts::{Done, Facts};
use crate::history::{Outcome, ValueId};
use crate::plan::{Action, Key};

impl Facts<'_> {
    /// A value that is older than one which the same process has read before.
    pub(super) fn goes_back(&self, read: &Done<'_>) -> Option<Violation> {
        let setup = &self.plan.setup.processes[read.process];
        let is_ordered = setup.lanes > 1
            && !(setup.replica
                || setup.sometimes_far
                || setup.unverified() > std::time::Duration::ZERO)
            && self.rollbacks.is_empty();
        let (key, id) = read_by(read).filter(|_| is_ordered)?;
        let last = self.values.get(&id)?.puts.last()?.0;
        let newer = self.steps.values().find_map(|done| {
            let (end, _) = done.end?;
            let (_, other) = read_by(done).filter(|(of, _)| *of == key)?;
            let is_before = done.process == read.process && end.seq < read.begin.seq;
            let was_killed = self.was_killed(read.process, done.begin.seq, read.begin.seq);
            let (first, _) = self.values.get(&other)?.puts.first()?;
            (is_before && !was_killed && first.seq > last.seq).then_some(other)
        })?;
        let step = read.step.number;
        let message = format!(
            "{}: step {step} read value {id}, after its process had read the newer value {newer}",
            self.name(key)
        );
        Some(Violation { promise: 5, step, message })
    }
}

/// The key and value of a plain read.
fn read_by(done: &Done<'_>) -> Option<(Key, ValueId)> {
    let (_, Outcome::Values(values)) = done.end? else { return None };
    let (Action::Get(_), [(key, Some(id))]) = (&done.step.action, &values[..]) else { return None };
    Some((*key, *id))
}
