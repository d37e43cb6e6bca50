//! Runs seeds, and makes a plan that fails smaller.

mod case;
pub mod redis;
mod report;
mod shrink;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::{Violation, check};
use crate::history::History;
use crate::plan::Plan;
use crate::sim;

pub use case::{Case, Part};
pub use report::report;
pub use shrink::shrink;

/// A case that fails.
pub struct Failure {
    /// The case.
    pub case: Case,
    /// What is done in it.
    pub plan: Plan,
    /// What happened; empty if the run has panicked.
    pub history: History,
    /// What cannot be explained.
    pub violations: Vec<Violation>,
}

/// Runs a case; the failure, if there is one.
#[must_use]
pub fn try_case(case: &Case) -> Option<Failure> {
    let plan = case.plan();
    let run = || {
        let history = sim::run(&plan);
        let violations = check(&plan, &history);
        (history, violations)
    };
    let (history, violations) = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let message = "the run has panicked".to_owned();
        (History::default(), vec![Violation { promise: 9, step: 0, message }])
    });
    let case = case.clone();
    (!violations.is_empty()).then_some(Failure { case, plan, history, violations })
}
