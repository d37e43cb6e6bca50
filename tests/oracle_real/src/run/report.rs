//! What a run has shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::check::{Findings, Violation};
use crate::clock::{MS, Micros};
use crate::event::{Event, Outcome, What};

/// What one or more runs have shown.
#[derive(Debug, Default)]
pub struct Report {
    /// The number of runs.
    pub runs: u64,
    /// Their duration.
    pub time: Duration,
    /// The operations, by their names.
    pub operations: BTreeMap<String, u64>,
    /// The faults, by their names.
    pub faults: BTreeMap<String, u64>,
    /// The statistics of all caches.
    pub counts: BTreeMap<String, u64>,
    /// The number of values that were explained.
    pub explained: u64,
    /// The longest call that does not load, and the longest that may: in microseconds, and its name.
    pub longest: [(Micros, &'static str); 2],
    /// What cannot be explained.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Replaces the counts by those of all events of a run.
    pub(super) fn count(
        &mut self,
        events: &[Event],
        findings: &Findings,
        counts: &BTreeMap<usize, BTreeMap<String, u64>>,
    ) {
        self.operations.clear();
        for event in events {
            let name = match &event.what {
                What::Begin { action, .. } => action.name(),
                What::End { outcome: Outcome::Failed(_), .. } => "(failed)",
                What::End { outcome: Outcome::Cancelled, .. } => "(dropped)",
                _ => continue,
            };
            *self.operations.entry(name.to_owned()).or_insert(0) += 1;
        }
        self.counts.clear();
        add(&mut self.counts, counts.values());
        (self.explained, self.longest) = (findings.explained, findings.longest);
    }

    /// Adds what another run has shown.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.time += other.time;
        add(&mut self.operations, [&other.operations]);
        add(&mut self.faults, [&other.faults]);
        add(&mut self.counts, [&other.counts]);
        self.explained += other.explained;
        for (longest, other) in self.longest.iter_mut().zip(other.longest) {
            *longest = (*longest).max(other);
        }
        self.violations.extend(other.violations);
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for violation in &self.violations {
            let _ = writeln!(text, "promise {}: {}", violation.promise, violation.message);
            for line in &violation.history {
                let _ = writeln!(text, "{line}");
            }
        }
        for (title, counts) in
            [("operations", &self.operations), ("faults", &self.faults), ("caches", &self.counts)]
        {
            let _ = writeln!(text, "{title}");
            for (name, count) in counts {
                let _ = writeln!(text, "  {name:<32} {count:>10}");
            }
        }
        for ((longest, name), what) in self.longest.iter().zip(["", " that may load"]) {
            let _ = writeln!(text, "longest call{what}: {name}, {} ms", longest / MS);
        }
        let (runs, seconds) = (self.runs, self.time.as_secs());
        let (explained, violations) = (self.explained, self.violations.len());
        let _ = writeln!(
            text,
            "{runs} runs in {seconds} s: {explained} values explained, {violations} violations"
        );
        text
    }
}

fn add<'c>(
    sums: &mut BTreeMap<String, u64>,
    counts: impl IntoIterator<Item = &'c BTreeMap<String, u64>>,
) {
    for (name, count) in counts.into_iter().flatten() {
        *sums.entry(name.clone()).or_insert(0) += count;
    }
}
