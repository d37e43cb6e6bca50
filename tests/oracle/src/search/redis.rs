//! The search in the world of servers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::{Violation, check};
use crate::history::History;
use crate::sim::redis::{RedisCase, run};

/// The most runs that shrinking takes.
const MOST_RUNS: usize = 2000;

/// The violations that a report shows.
const MOST_VIOLATIONS: usize = 5;

/// A case that fails.
pub struct Failure {
    /// The case.
    pub case: RedisCase,
    /// What happened; empty if the run has panicked.
    pub history: History,
    /// What cannot be explained.
    pub violations: Vec<Violation>,
}

/// Runs a case; the failure, if there is one.
#[must_use]
pub fn try_case(case: &RedisCase) -> Option<Failure> {
    let plan = case.plan();
    let all = || {
        let history = run(&plan);
        let violations = check(&plan.plan, &history);
        (history, violations)
    };
    let (history, violations) = catch_unwind(AssertUnwindSafe(all)).unwrap_or_else(|_| {
        let message = "the run has panicked".to_owned();
        (History::default(), vec![Violation { promise: 9, step: 0, message }])
    });
    let case = case.clone();
    (!violations.is_empty()).then_some(Failure { case, history, violations })
}

/// Leaves out steps and faults while the same promise stays broken.
#[must_use]
pub fn shrink(mut failure: Failure) -> Failure {
    let promise = failure.violations[0].promise;
    let mut runs = 0;
    let plan = failure.case.plan();
    let steps = plan.plan.clients.iter().flat_map(|client| &client.steps);
    let mut kept: BTreeSet<usize> = steps.map(|step| step.number).collect();
    kept.extend(plan.faults.iter().map(|fault| fault.number));
    let mut size = kept.len().div_ceil(2);
    while size > 0 && runs < MOST_RUNS {
        let (mut from, mut is_smaller) = (0, false);
        while from < kept.len() && runs < MOST_RUNS {
            runs += 1;
            let left: BTreeSet<_> = kept
                .iter()
                .enumerate()
                .filter(|(at, _)| !(from..from + size).contains(at))
                .map(|(_, number)| *number)
                .collect();
            let case = RedisCase { kept: Some(left.clone()), ..failure.case };
            let smaller = try_case(&case).filter(|smaller| {
                smaller.violations.iter().any(|violation| violation.promise == promise)
            });
            match smaller {
                Some(smaller) => (failure, kept, is_smaller) = (smaller, left, true),
                None => from += size,
            }
        }
        if size > 1 || !is_smaller {
            size /= 2;
        }
    }
    failure
}

/// A failure as text.
#[must_use]
pub fn report(failure: &Failure) -> String {
    let (mut text, plan) = (String::new(), failure.case.plan());
    let _ = writeln!(text, "case {} fails:", failure.case);
    for violation in failure.violations.iter().take(MOST_VIOLATIONS) {
        let _ = writeln!(text, "  promise {}: {}", violation.promise, violation.message);
    }
    let setup = &plan.plan.setup;
    let _ = writeln!(text, "\nregions {:?}, {:?}", setup.regions, setup.rates);
    let _ = writeln!(
        text,
        "lag {}, ahead {}, queues {:?}, large {}, {:?}",
        plan.lag, plan.ahead, plan.queues, plan.large, plan.flavor
    );
    for (number, process) in setup.processes.iter().enumerate() {
        let _ = writeln!(text, "process {number}: {process:?}");
    }
    for client in &plan.plan.clients {
        for step in &client.steps {
            let (number, pause, action) = (step.number, step.pause, &step.action);
            let (process, cancel) = (client.process, step.cancel);
            let _ =
                writeln!(text, "  {number:>3} of {process:?} +{pause} ms {action:?} {cancel:?}");
        }
    }
    for fault in &plan.faults {
        let _ = writeln!(text, "  {:>3} +{} ms {:?}", fault.number, fault.pause, fault.fault);
    }
    let _ = writeln!(text, "\n{}", failure.history.text());
    let case = &failure.case;
    let _ = writeln!(
        text,
        "to see it again: cargo run -p oracle --release --bin oracle_redis -- replay '{case}'"
    );
    text
}
