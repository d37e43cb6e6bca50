//! The condition of a store, as far as it knows without asking.

/// The condition of a store, as far as the store knows it without asking a server: see
/// [`Store::health`](super::Store::health).
///
/// ```
/// use region_core::{StoreHealth, StoreProblem};
///
/// let health = StoreHealth::new([StoreProblem::ReplicaDown, StoreProblem::ReplicaDown]);
/// assert_eq!(health.problems(), [StoreProblem::ReplicaDown]);
/// assert!(StoreHealth::default().problems().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    problems: Vec<StoreProblem>,
}

/// A problem of a store that serves worse than it should, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreProblem {
    /// A server that writes go to cannot be called now.
    PrimaryDown,
    /// A server that only serves reads cannot be called now: others serve them.
    ReplicaDown,
    /// A server that only serves reads is too far behind to be read: others serve them.
    ReplicaLags,
    /// Pushes are not relied on now: what is held near is verified before it is returned.
    PushesLost,
    /// Invalidations are queued until a server can be called.
    InvalidationsQueued,
}

impl StoreHealth {
    /// The condition of a store with these problems. Each is kept once.
    #[must_use]
    pub fn new(problems: impl IntoIterator<Item = StoreProblem>) -> Self {
        let mut problems: Vec<_> = problems.into_iter().collect();
        problems.sort_unstable();
        problems.dedup();
        Self { problems }
    }

    /// The present problems, in the order of [`StoreProblem`]; none if the store knows of none.
    #[must_use]
    pub fn problems(&self) -> &[StoreProblem] {
        &self.problems
    }
}

impl StoreProblem {
    /// The name of the problem in reports, such as `"replica_down"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PrimaryDown => "primary_down",
            Self::ReplicaDown => "replica_down",
            Self::ReplicaLags => "replica_lags",
            Self::PushesLost => "pushes_lost",
            Self::InvalidationsQueued => "invalidations_queued",
        }
    }
}
