//! Each call ends in time.

use super::facts::{Facts, Op};
use super::{Findings, Violation};
use crate::clock::{MS, Micros};
use crate::event::Outcome;
use crate::setup::{CALL_LIMIT, LEASE, LOAD_LIMIT};

/// A margin for a busy machine.
const MARGIN: Micros = 3_000 * MS;

/// The loads that a caller may wait for, one after the other: others' and its own.
const LOADS: u32 = 3;

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let limit = |duration: std::time::Duration| {
        u64::try_from(duration.as_micros()).unwrap_or(Micros::MAX) + MARGIN
    };
    let limits = [limit(CALL_LIMIT), limit(CALL_LIMIT + LOADS * (LOAD_LIMIT + LEASE))];
    for op in &facts.ops {
        let Some((end, outcome)) = op.end else { continue };
        let took = facts.ran(op, end);
        let loads = usize::from(op.action.loads());
        if took > findings.longest[loads].0 {
            findings.longest[loads] = (took, op.action.name());
        }
        if took > limits[loads] && *outcome != Outcome::Cancelled {
            let message = format!("{} took {} ms", op.action.name(), took / MS);
            let (promise, op, history) = (10, op.id, Vec::new());
            findings.violations.push(Violation { promise, op, message, history });
        }
    }
}

impl Facts<'_> {
    /// The duration of a call, without the time for which its process was stopped.
    fn ran(&self, op: &Op<'_>, end: Micros) -> Micros {
        let stops = self.stops.get(&op.process).map_or(&[][..], Vec::as_slice);
        let stopped =
            stops.iter().map(|(from, to)| end.min(*to).saturating_sub(op.begin.max(*from)));
        (end - op.begin).saturating_sub(stopped.sum())
    }
}
