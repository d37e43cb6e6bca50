//! Runs seeds, and makes a plan that fails smaller.

mod case;
pub mod command;
mod redis;
mod report;
mod seeds;
mod shrink;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use crate::check::{Violation, check};
use crate::history::History;
use crate::sim;

pub use case::{Case, Part};
pub use report::report;
pub use seeds::each_seed;
pub use shrink::shrink;

/// A case of one of the worlds: a seed's plan, or what is left of it after shrinking. Its text can be parsed again.
pub trait SearchCase: Clone + Display + FromStr<Err = String> + Send + Sync {
    /// The words after `cargo run -p oracle --release` that name the program which runs these cases.
    const PROGRAM: &'static str;

    /// The whole plan of a seed.
    fn of_seed(seed: u64) -> Self;

    /// Runs it and returns what happened.
    fn run(&self) -> History;

    /// What cannot be explained of what happened.
    fn check(&self, history: &History) -> Vec<Violation>;

    /// The numbers of the steps, and of what else can be left out one by one.
    fn numbers(&self) -> Vec<usize>;

    /// The same with these numbers alone.
    fn keeping(&self, numbers: BTreeSet<usize>) -> Self;

    /// The same, each time with one more part left out that has no number.
    fn simpler(&self) -> Vec<Self>;

    /// What is done in it, as text.
    fn describe(&self) -> String;
}

/// A case that fails.
pub struct Failure<C> {
    /// The case.
    pub case: C,
    /// What happened; empty if the run has panicked.
    pub history: History,
    /// What cannot be explained.
    pub violations: Vec<Violation>,
}

/// Runs a case; the failure, if there is one.
#[must_use]
pub fn try_case<C: SearchCase>(case: &C) -> Option<Failure<C>> {
    let run = || {
        let history = case.run();
        let violations = case.check(&history);
        (history, violations)
    };
    let (history, violations) = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let message = "the run has panicked".to_owned();
        (History::default(), vec![Violation { promise: 9, step: 0, message }])
    });
    let case = case.clone();
    (!violations.is_empty()).then_some(Failure { case, history, violations })
}

impl SearchCase for Case {
    const PROGRAM: &'static str = "";

    fn of_seed(seed: u64) -> Self {
        Self::new(seed)
    }

    fn run(&self) -> History {
        sim::run(&self.plan())
    }

    fn check(&self, history: &History) -> Vec<Violation> {
        check(&self.plan(), history)
    }

    fn numbers(&self) -> Vec<usize> {
        self.plan().numbers().collect()
    }

    fn keeping(&self, numbers: BTreeSet<usize>) -> Self {
        Self { steps: Some(numbers), ..self.clone() }
    }

    fn simpler(&self) -> Vec<Self> {
        let without = |part: &Part| {
            let mut case = self.clone();
            case.without.insert(*part).then_some(case)
        };
        Part::ALL.iter().filter_map(without).collect()
    }

    fn describe(&self) -> String {
        report::describe(&self.plan())
    }
}
