//! The metrics of the facade `metrics` (feature of the same name): their names, and the histograms.

use std::time::Duration;

use metrics::{SharedString, describe_counter, describe_gauge, describe_histogram, histogram};

use crate::path::RegionPath;
use crate::stats::Counted;

const LOAD_SECONDS: &str = "region_cache_load_seconds";
const STORE_CALL_SECONDS: &str = "region_cache_store_call_seconds";
pub(crate) const NEAR_BYTES: &str = "region_cache_near_bytes";
pub(crate) const NEAR_ENTRIES: &str = "region_cache_near_entries";
pub(crate) const NEAR_REGIONS: &str = "region_cache_near_regions";

/// A metric that a cache publishes.
///
/// Each has the label `cache`, the path of the cache's root. The histograms are of seconds, and have the label
/// `is_ok` too, `true` or `false`; that of calls to the store also `operation`: `read`, `begin`, `write`, `end`,
/// `scan`, `children` or `len`.
///
/// ```
/// use region_core::{Metric, MetricKind};
///
/// let name = "region_cache_near_hits_total";
/// let hits = Metric::all().into_iter().find(|metric| metric.name == name);
/// assert_eq!(hits.map(|metric| metric.kind), Some(MetricKind::Counter));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name, as Prometheus writes it.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// A short description.
    pub description: &'static str,
}

/// The kind of a [`Metric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A number of events since the cache was built.
    Counter,
    /// A present amount.
    Gauge,
    /// A distribution of durations, in seconds.
    Histogram,
}

impl Metric {
    const fn gauge(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: MetricKind::Gauge, description }
    }

    const fn histogram(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: MetricKind::Histogram, description }
    }

    /// Returns all metrics: a counter for each count of [`Stats`](crate::Stats) that is not a sum of others,
    /// and gauges and histograms.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let counter = |counted: &Counted| {
            let &Counted { metric, description, .. } = counted;
            Self { name: metric, kind: MetricKind::Counter, description }
        };
        let mut all: Vec<_> = Counted::ALL.iter().map(counter).collect();
        all.extend([
            Self::gauge(NEAR_BYTES, "the bytes of the near cache"),
            Self::gauge(NEAR_ENTRIES, "the entries of the near cache"),
            Self::gauge(NEAR_REGIONS, "the regions with a record in the near cache"),
            Self::histogram(LOAD_SECONDS, "the durations of load functions"),
            Self::histogram(STORE_CALL_SECONDS, "the durations of calls to the store"),
        ]);
        all
    }

    /// Tells the recorder that is installed what each metric means. Call it once, after the recorder is
    /// installed.
    pub fn describe_all() {
        for Self { name, kind, description } in Self::all() {
            match kind {
                MetricKind::Counter => describe_counter!(name, description),
                MetricKind::Gauge => describe_gauge!(name, description),
                MetricKind::Histogram => describe_histogram!(name, description),
            }
        }
    }
}

/// Records durations as they occur.
pub(crate) struct Timings {
    /// The value of the label `cache`.
    pub(crate) cache: SharedString,
}

impl Timings {
    pub(crate) fn new(root: &RegionPath) -> Self {
        Self { cache: SharedString::from_shared(root.as_str().into()) }
    }

    pub(crate) fn load(&self, time: Duration, is_ok: bool) {
        let labels = [("cache", self.cache.clone()), ("is_ok", label(is_ok))];
        histogram!(LOAD_SECONDS, &labels).record(time);
    }

    pub(crate) fn store_call(&self, operation: &'static str, time: Duration, is_ok: bool) {
        let operation = SharedString::const_str(operation);
        let labels =
            [("cache", self.cache.clone()), ("operation", operation), ("is_ok", label(is_ok))];
        histogram!(STORE_CALL_SECONDS, &labels).record(time);
    }
}

fn label(is_ok: bool) -> SharedString {
    SharedString::const_str(if is_ok { "true" } else { "false" })
}
