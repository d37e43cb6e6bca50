//! The samples of a run, and the judgement on them.

use std::fmt;

use crate::sample::{QUANTITIES, Sample};

/// The samples of a run.
#[derive(Clone, Debug)]
pub struct Table {
    samples: Vec<Sample>,
    cuts: u64,
}

impl Table {
    pub(crate) fn new(samples: Vec<Sample>, cuts: u64) -> Self {
        Self { samples, cuts }
    }

    /// Returns the last sample.
    #[must_use]
    pub fn last(&self) -> Option<&Sample> {
        self.samples.last()
    }

    /// Returns what is not flat: whatever its median in the last third of the run exceeds that in the middle
    /// third by more than `percent`, and by more than varies anyway.
    #[must_use]
    pub fn rising(&self, percent: u64) -> Vec<String> {
        let rows = QUANTITIES.iter().enumerate();
        let faults = rows.filter_map(|(at, (name, slack))| {
            let [middle, last] = self.thirds(at);
            let most = middle + (middle * percent / 100).max(*slack);
            (last > most).then(|| format!("{name}: from {middle} to {last}"))
        });
        faults.collect()
    }

    /// The medians of a quantity in the middle and the last third of the run.
    fn thirds(&self, quantity: usize) -> [u64; 2] {
        let third = self.samples.len() / 3;
        [1, 2].map(|part| {
            let samples = self.samples.iter().skip(part * third).take(third.max(1));
            let mut amounts: Vec<u64> = samples.map(|sample| sample.amounts[quantity]).collect();
            amounts.sort_unstable();
            amounts.get(amounts.len() / 2).copied().unwrap_or_default()
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:16} {:>12} {:>12} {:>8}", "", "middle third", "last third", "change")?;
        for (at, (name, _)) in QUANTITIES.iter().enumerate() {
            let [middle, last] = self.thirds(at);
            let change = (last as f64 - middle as f64) / (middle.max(1) as f64) * 100.0;
            writeln!(f, "{name:16} {middle:>12} {last:>12} {change:>+7.1}%")?;
        }
        let Some(Sample { at, operations, failures, regions, .. }) = self.last() else {
            return Ok(());
        };
        write!(
            f,
            "{} s: {operations} operations, {failures} failed or given up, {regions} regions, connections cut \
             {} times",
            at.as_secs(),
            self.cuts
        )
    }
}

/// Returns the names of the columns of printed samples.
#[must_use]
pub fn heading() -> String {
    let names = QUANTITIES.map(|(name, _)| name).join(", ");
    format!("seconds, operations, {names}:")
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} s {:>9}", self.at.as_secs(), self.operations)?;
        self.amounts.iter().try_for_each(|amount| write!(f, " {amount:>9}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn table(amount: impl Fn(u64) -> u64) -> Table {
        let sample = |second: u64| Sample {
            at: Duration::from_secs(second),
            operations: second,
            failures: 0,
            regions: 0,
            amounts: [amount(second); QUANTITIES.len()],
        };
        Table::new((0..60).map(sample).collect(), 0)
    }

    #[test]
    fn what_rises_after_the_first_third_is_told() {
        assert_eq!(table(|_| 1 << 30).rising(10), Vec::<String>::new());
        assert_eq!(table(|second| (second.min(20)) << 30).rising(10), Vec::<String>::new());
        assert_eq!(table(|second| second << 30).rising(10).len(), QUANTITIES.len());
        assert_eq!(table(|second| 10 + second % 5).rising(10), Vec::<String>::new());
        assert_eq!(table(|second| second << 2).rising(10).len(), 3, "clients, files, tasks");
    }
}
