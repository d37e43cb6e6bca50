use std::collections::BTreeSet;

use super::{Case, Failure, Part, try_case};

/// The most runs that shrinking takes.
const MOST_RUNS: usize = 3000;

/// Makes a failing case smaller: leaves out parts and steps while the same promise stays broken.
#[must_use]
pub fn shrink(failure: Failure) -> Failure {
    let mut shrinking = Shrinking { promise: failure.violations[0].promise, failure, runs: 0 };
    while shrinking.round() {}
    shrinking.failure
}

struct Shrinking {
    promise: u32,
    failure: Failure,
    runs: usize,
}

impl Shrinking {
    /// Tries everything once; returns true if anything could be left out.
    fn round(&mut self) -> bool {
        let mut smaller = false;
        for part in Part::ALL {
            let mut case = self.failure.case.clone();
            if case.without.insert(*part) {
                smaller |= self.accept(&case);
            }
        }
        let mut size = self.steps().len().div_ceil(2);
        while size > 0 {
            smaller |= self.leave_out_steps(size);
            size /= 2;
        }
        smaller
    }

    /// Leaves out so many steps at a time.
    fn leave_out_steps(&mut self, size: usize) -> bool {
        let (mut smaller, mut from) = (false, 0);
        loop {
            let steps = self.steps();
            if from >= steps.len() {
                return smaller;
            }
            let left_out = &steps[from..steps.len().min(from + size)];
            let kept: BTreeSet<_> =
                steps.iter().copied().filter(|step| !left_out.contains(step)).collect();
            let case = Case { steps: Some(kept), ..self.failure.case.clone() };
            match self.accept(&case) {
                true => smaller = true,
                false => from += size,
            }
        }
    }

    fn steps(&self) -> Vec<usize> {
        let clients = self.failure.plan.clients.iter();
        clients.flat_map(|client| client.steps.iter().map(|step| step.number)).collect()
    }

    fn accept(&mut self, case: &Case) -> bool {
        self.runs += 1;
        if self.runs > MOST_RUNS {
            return false;
        }
        let failure = try_case(case).filter(|failure| {
            failure.violations.iter().any(|violation| violation.promise == self.promise)
        });
        failure.map(|failure| self.failure = failure).is_some()
    }
}
