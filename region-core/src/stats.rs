//! Statistics: in total, and for each region.

mod counter;
#[cfg(all(test, region_shuttle))]
mod models;
mod regions;
mod table;

use std::time::Duration;

use crate::path::RegionPath;

pub(crate) use regions::{CountersByRegion, DEFAULT_REGIONS, RegionCounters};
#[cfg(feature = "metrics")]
pub(crate) use table::Counted;
pub(crate) use table::Counters;
pub use table::{MissReason, Stats};

/// The durations of loads that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadTime {
    /// The number of loads that have ended, with values or with an error. One that was given up is none.
    pub count: u64,
    /// The sum of their durations.
    pub total: Duration,
    /// The longest of them.
    pub longest: Duration,
}

/// The statistics of the busiest regions, and of all others together: see
/// [`RegionCache::region_stats`](crate::RegionCache::region_stats).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionStats {
    /// Regions with the most reads and loads, the busiest first.
    pub regions: Vec<(RegionPath, Stats)>,
    /// The sum of all other regions.
    pub other: Stats,
}

/// The memory that the near cache of a cache uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearUse {
    /// The bytes that its entries are counted with: see
    /// [`RegionCacheBuilder::near`](crate::RegionCacheBuilder::near).
    pub bytes: u64,
    /// The number of its entries.
    pub entries: u64,
    /// The number of regions with a record: those with handles or entries, and their ancestors.
    pub regions: u64,
}

impl LoadTime {
    /// Returns the mean duration, or `None` if no load has ended.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.total.as_nanos().checked_div(u128::from(self.count))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
        self.longest = self.longest.max(other.longest);
    }
}

impl RegionStats {
    /// Returns the sum of all regions: what [`RegionCache::stats`](crate::RegionCache::stats) returns.
    #[must_use]
    pub fn total(&self) -> Stats {
        self.regions.iter().map(|(_, stats)| stats).chain([&self.other]).sum()
    }
}
