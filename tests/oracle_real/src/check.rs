//! Explains a history by the promises of the design.

mod calls;
mod cover;
mod facts;
mod moments;
mod reads;
mod show;

use std::collections::BTreeSet;

use crate::clock::Micros;
use crate::event::{Event, OpId};
use crate::setup::ProcessSetup;

use facts::Facts;

/// What cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the promise.
    pub promise: u32,
    /// The operation that shows it.
    pub op: OpId,
    /// What is wrong.
    pub message: String,
    /// The events that show it, a line each.
    pub history: Vec<String>,
}

/// What was found in a history.
#[derive(Debug, Default)]
pub struct Findings {
    /// What cannot be explained.
    pub violations: Vec<Violation>,
    /// The number of values that were explained.
    pub explained: u64,
    /// The longest call that does not load, and the longest that may, in microseconds; the time for which its process
    /// was stopped is left out.
    pub longest: [(Micros, &'static str); 2],
}

/// Explains the events, in the order of their times, of processes that were set up so. Operations in `known` were
/// found before, and are left out.
#[must_use]
pub fn check(setups: &[ProcessSetup], events: &[Event], known: &BTreeSet<OpId>) -> Findings {
    let facts = Facts::new(setups, events);
    let mut findings = Findings::default();
    reads::check(&facts, &mut findings);
    moments::check(&facts, &mut findings);
    calls::check(&facts, &mut findings);
    findings.violations.retain(|violation| !known.contains(&violation.op));
    for violation in &mut findings.violations {
        violation.history = show::around(&facts, events, violation.op);
    }
    findings
}
