use std::fmt::Write as _;

use super::Failure;

/// The violations that a report lists.
const MOST_VIOLATIONS: usize = 10;

/// A failure as text: what is broken, what was done, what happened, and how to see it again.
#[must_use]
pub fn report(failure: &Failure) -> String {
    let mut text = String::new();
    let Failure { case, plan, history, violations } = failure;
    let _ = writeln!(text, "seed {} fails:", case.seed);
    for violation in violations.iter().take(MOST_VIOLATIONS) {
        let _ = writeln!(text, "  promise {}: {}", violation.promise, violation.message);
    }
    let _ = writeln!(text, "\nregions {:?}, {:?}", plan.setup.regions, plan.setup.rates);
    for (number, process) in plan.setup.processes.iter().enumerate() {
        let _ = writeln!(text, "process {number}: {process:?}");
    }
    for client in &plan.clients {
        let _ = writeln!(text, "client of process {:?}:", client.process);
        for step in &client.steps {
            let cancel = step.cancel.map(|waits| format!(", dropped after {waits} waits"));
            let cancel = cancel.unwrap_or_default();
            let _ = writeln!(
                text,
                "  {:>3}  +{} ms  {:?}{cancel}",
                step.number, step.pause, step.action
            );
        }
    }
    let _ = writeln!(text, "\n{}", history.text());
    let _ = writeln!(text, "to see it again: cargo run -p oracle --release -- replay '{case}'");
    text
}
