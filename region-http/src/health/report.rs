use std::time::Duration;

use region_core::{ErrorKind, StoreProblem};
use serde::{Serialize, Serializer};

/// The condition of a service, as far as its cache goes: see [`Health`](crate::Health).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Everything works.
    Ready,
    /// Requests are served, but something does not work.
    Degraded,
    /// Reads fail.
    Down,
}

/// A report of [`Health`](crate::Health). As JSON it always has all fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HealthReport {
    /// The condition: `"ready"`, `"degraded"` or `"down"`.
    pub status: Condition,
    /// The outcome of a read of the store.
    pub store: StoreReport,
    /// What the store says of itself: see [`StoreProblem::name`].
    #[serde(serialize_with = "names")]
    pub problems: Vec<StoreProblem>,
}

/// The outcome of a read of the store, in a [`HealthReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreReport {
    /// True if the store could be read.
    pub reachable: bool,
    /// Why it could not: `"unavailable"`, `"timeout"`, `"overloaded"`, `"denied"`, `"no_answer"` or `"other"`.
    pub error: Option<&'static str>,
    /// The time that the read took, in milliseconds.
    pub millis: u64,
}

impl HealthReport {
    pub(super) fn new(status: Condition, store: StoreReport, problems: &[StoreProblem]) -> Self {
        Self { status, store, problems: problems.to_vec() }
    }

    /// The store did not answer in time.
    pub(super) fn no_answer(within: Duration) -> Self {
        Self::new(Condition::Down, StoreReport::new(Some("no_answer"), within), &[])
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // It holds nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl StoreReport {
    pub(super) fn new(error: Option<&'static str>, took: Duration) -> Self {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { reachable: error.is_none(), error, millis }
    }
}

/// The word for an error that a read of the store has led to.
pub(super) fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Denied => "denied",
        _ => "other",
    }
}

fn names<S: Serializer>(problems: &[StoreProblem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(|problem| problem.name()))
}
