use std::fmt::Write as _;

use super::{Failure, SearchCase};
use crate::plan::Plan;

/// The violations that a report lists.
const MOST_VIOLATIONS: usize = 10;

/// A failure as text: what is broken, what was done, what happened, and how to see it again.
#[must_use]
pub fn report<C: SearchCase>(failure: &Failure<C>) -> String {
    let mut text = String::new();
    let Failure { case, history, violations } = failure;
    let _ = writeln!(text, "case {case} fails:");
    for violation in violations.iter().take(MOST_VIOLATIONS) {
        let _ = writeln!(text, "  promise {}: {}", violation.promise, violation.message);
    }
    let _ = writeln!(text, "\n{}\n{}", case.describe(), history.text());
    let program = C::PROGRAM;
    let _ = writeln!(
        text,
        "to see it again: cargo run -p oracle --release{program} -- replay '{case}'"
    );
    text
}

/// A plan as text.
pub(super) fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "regions {:?}, {:?}", plan.setup.regions, plan.setup.rates);
    for (number, process) in plan.setup.processes.iter().enumerate() {
        let _ = writeln!(text, "process {number}: {process:?}");
    }
    for client in &plan.clients {
        let _ = writeln!(text, "client of process {:?}:", client.process);
        for step in &client.steps {
            let cancel = step.cancel.map(|waits| format!(", dropped after {waits} waits"));
            let after = step.dropped_after.map(|turns| format!(", dropped after {turns} turns"));
            let cancel = cancel.or(after).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {:>3}  +{} ms  {:?}{cancel}",
                step.number, step.pause, step.action
            );
        }
    }
    text
}
