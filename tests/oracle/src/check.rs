//! Explains a history by the promises of the design.

mod absent;
mod calls;
mod calm;
mod cover;
mod facts;
mod listed;
mod order;
mod reach;
mod reads;

use crate::history::History;
use crate::plan::Plan;

use facts::Facts;
pub use reach::{Kill, is_within, reach};

/// What cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the promise.
    pub promise: u32,
    /// The step that shows it.
    pub step: usize,
    /// What is wrong.
    pub message: String,
}

/// Returns what the promises do not explain.
#[must_use]
pub fn check(plan: &Plan, history: &History) -> Vec<Violation> {
    let facts = Facts::new(plan, history);
    let mut violations = Vec::new();
    reads::check(&facts, &mut violations);
    calls::check(&facts, &mut violations);
    if plan.is_calm() {
        calm::check(&facts, &mut violations);
    }
    violations
}
