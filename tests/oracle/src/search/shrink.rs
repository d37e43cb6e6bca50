use std::collections::BTreeSet;

use super::{Failure, SearchCase, try_case};

/// The most runs that shrinking takes.
const MOST_RUNS: usize = 3000;

/// Makes a failing case smaller: leaves out parts and steps while the same promise stays broken.
#[must_use]
pub fn shrink<C: SearchCase>(failure: Failure<C>) -> Failure<C> {
    let mut shrinking = Shrinking { promise: failure.violations[0].promise, failure, runs: 0 };
    while shrinking.round() {}
    shrinking.failure
}

struct Shrinking<C> {
    promise: u32,
    failure: Failure<C>,
    runs: usize,
}

impl<C: SearchCase> Shrinking<C> {
    /// Tries everything once; returns true if anything could be left out.
    fn round(&mut self) -> bool {
        let mut smaller = false;
        let mut tried = 0;
        // What is left to try follows from what was left out: a part that was refused stays at its place.
        while let Some(case) = self.failure.case.simpler().get(tried) {
            match self.accept(case) {
                true => smaller = true,
                false => tried += 1,
            }
        }
        let mut size = self.failure.case.numbers().len().div_ceil(2);
        while size > 0 {
            smaller |= self.leave_out(size);
            size /= 2;
        }
        smaller
    }

    /// Leaves out so many numbers at a time.
    fn leave_out(&mut self, size: usize) -> bool {
        let (mut smaller, mut from) = (false, 0);
        loop {
            let numbers = self.failure.case.numbers();
            if from >= numbers.len() {
                return smaller;
            }
            let left_out = from..numbers.len().min(from + size);
            let kept = numbers.iter().enumerate().filter(|(at, _)| !left_out.contains(at));
            let kept: BTreeSet<_> = kept.map(|(_, number)| *number).collect();
            let case = self.failure.case.keeping(kept);
            match self.accept(&case) {
                true => smaller = true,
                false => from += size,
            }
        }
    }

    fn accept(&mut self, case: &C) -> bool {
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
