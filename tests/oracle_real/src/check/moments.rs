//! Values that are read together are of one moment.

use super::facts::{Changes, Facts, NEVER, Origin};
use super::{Findings, Violation};
use crate::clock::Micros;
use crate::event::{Action, Outcome, Place};
use crate::item::ValueId;

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let changes = facts.changes();
    let reads = facts.ops.iter().filter(|op| matches!(op.action, Action::GetMany(..)));
    for op in reads {
        let Some((_, Outcome::Values(values))) = op.end else { continue };
        let places = op.action.read_places().into_iter().zip(values);
        let held: Vec<_> =
            places.filter_map(|(place, id)| facts.held(&changes, place, (*id)?)).collect();
        let apart = held.iter().flat_map(|one| held.iter().map(move |other| (one, other)));
        if let Some((one, other)) = apart.into_iter().find(|(one, other)| one.until < other.since) {
            let message = format!(
                "values {} and {} were read together, but the one was gone at {} and the other made at {}",
                one.id, other.id, one.until, other.since
            );
            let (promise, op, history) = (2, op.id, Vec::new());
            findings.violations.push(Violation { promise, op, message, history });
        }
    }
}

/// The longest time in which the store may have held a value.
struct Held {
    id: ValueId,
    since: Micros,
    until: Micros,
}

impl Facts<'_> {
    fn held(&self, changes: &Changes<'_>, place: Place, id: ValueId) -> Option<Held> {
        let value = self.values.get(&id)?;
        let since = value.origins.iter().map(|origin| origin.from).min()?;
        let until = |origin: &Origin| {
            let ends = changes.of_place(place, Some(id), origin.from, NEVER);
            let mut first = NEVER;
            for (change, _) in ends.filter(|(change, _)| self.is_after(change, origin)) {
                first = first.min(self.until_all_know(change));
            }
            first
        };
        let until = value.origins.iter().map(until).max()?;
        Some(Held { id, since, until })
    }

    /// The time from which a change is certainly in force: a failover may undo it before.
    fn until_all_know(&self, change: &super::facts::Change<'_>) -> Micros {
        let is_in = |loss: &&super::facts::Loss| {
            loss.held <= change.end
                && change.op.begin <= loss.failed_over
                && loss.failed_over != NEVER
        };
        let lost = self.losses.iter().find(is_in).map_or(0, |loss| loss.calm);
        let queued = match self.setups[change.op.process].queues {
            true => self.calm_after(change.end),
            false => 0,
        };
        change.end.max(lost).max(queued)
    }
}
