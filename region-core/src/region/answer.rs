use std::time::Duration;

use crate::lifetime::Lifetime;
use crate::stats::MissReason;
use crate::value::made::MadeAt;

/// A value, and how a call came by it: what [`Region::get_answer`](crate::Region::get_answer) and
/// [`Region::get_or_compute_answer_with`](crate::Region::get_or_compute_answer_with) return.
///
/// For response headers, logs and metrics of an application. The statistics of the cache count the same
/// events: each [`Outcome`] says which.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use region_core::{Outcome, Policy, Region, RegionCache, Result};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let policy = Policy::new().ttl(Duration::from_secs(60));
/// let cache = RegionCache::builder(MemoryStore::new()).policy(policy).build()?;
/// let page = || async { Ok::<_, Infallible>("a page".to_owned()) };
/// let first = cache.root().get_or_compute_answer("page", page).await?;
/// assert_eq!(first.outcome(), Outcome::Loaded);
/// let second = cache.root().get_or_compute_answer("page", page).await?;
/// assert_eq!((second.value().as_str(), second.outcome()), ("a page", Outcome::Hit));
/// assert!(second.left().and_then(|left| left.duration()) <= Some(Duration::from_secs(60)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    value: T,
    outcome: Outcome,
    age: Option<Duration>,
    left: Option<Lifetime>,
}

/// The way in which a call came by its value.
///
/// A call for a key that is loaded if it is missing has one of the outcomes but [`Miss`](Self::Miss); its
/// value is `None` if there is none, by a record or because the load function said so. A plain read is a near
/// hit, a hit or a miss; with a registered load function it may be stale too.
///
/// ```
/// use region_core::{MissReason, Outcome};
///
/// assert!(Outcome::NearHit.is_hit() && Outcome::Hit.is_hit());
/// assert!(!Outcome::Stale.is_hit() && !Outcome::Miss(MissReason::Absent).is_hit());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The value was held near, and it was trusted, or the store has just said that it is still valid.
    ///
    /// Counted as one of [`Stats::near_hits`](crate::Stats::near_hits). The record that there is no value
    /// is one of `near_absences` and `absent_hits` instead.
    NearHit,
    /// The value was held near, and neither trusted nor verified: the policy allows that. Counted as
    /// [`NearHit`](Self::NearHit), and as one of
    /// [`Stats::near_unverified_hits`](crate::Stats::near_unverified_hits).
    UnverifiedNearHit,
    /// The store had a fresh value. Counted as one of [`Stats::store_hits`](crate::Stats::store_hits); the
    /// record that there is no value as one of `absent_hits`.
    Hit,
    /// The value is stale. Another load of the key is under way, or one has failed, or takes longer than
    /// [`Policy::soft_timeout`](crate::Policy::soft_timeout). Counted as a miss, and as one of
    /// [`Stats::stale_hits`](crate::Stats::stale_hits).
    Stale,
    /// The value is of a load that another call has started, in this process or in another, or it was set
    /// since the call missed it. The call has not run its load function. Counted as a miss; as one of
    /// [`Stats::joined_loads`](crate::Stats::joined_loads) if the load was this process's, and as one of
    /// [`Stats::lease_waits`](crate::Stats::lease_waits) if the call has waited for another process.
    Joined,
    /// The call has run its load function, and the result is stored. Counted as a miss, and as one of
    /// [`Stats::loads`](crate::Stats::loads) and [`Stats::fills`](crate::Stats::fills).
    Loaded,
    /// The call has run its load function, and the result is not stored, or not known to be. Counted as a
    /// miss and as one of [`Stats::loads`](crate::Stats::loads), but not of `fills`.
    Uncached(UncachedReason),
    /// A plain read has found no fresh value. Counted as a miss for this reason.
    Miss(MissReason),
    /// A [`Memo`](crate::Memo) has remembered the value, or that there is none. Not counted.
    Remembered,
}

/// The reason for which a loaded value is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UncachedReason {
    /// The load function has said so: by [`Loaded::DontStore`](crate::Loaded::DontStore), by a ttl of zero,
    /// or because it brought nothing that could be stored.
    Declined,
    /// The value was invalidated, touched, removed or set while it was loaded. Counted as one of
    /// [`Stats::fenced_fills`](crate::Stats::fenced_fills).
    Fenced,
    /// The store failed: before the load, so that it ran without a lease, or when the value was to be
    /// stored. After a timeout the value may be stored all the same. Counted as one of
    /// [`Stats::store_failures`](crate::Stats::store_failures).
    StoreFailed,
    /// The value is larger than the store or [`MAX_ENTRY_BYTES`](crate::MAX_ENTRY_BYTES) allows. Counted as one
    /// of [`Stats::store_failures`](crate::Stats::store_failures).
    TooLarge,
    /// It could not be noted on which state of another region the value depends: see
    /// [`LoadDependencies::add`](crate::LoadDependencies::add).
    UnknownDependency,
}

impl<T> Answer<T> {
    /// Creates an answer of unknown age and time left, for implementations of
    /// [`Region`](crate::Region).
    #[must_use]
    pub const fn new(value: T, outcome: Outcome) -> Self {
        Self { value, outcome, age: None, left: None }
    }

    /// Sets the age.
    #[must_use]
    pub fn with_age(self, age: Duration) -> Self {
        Self { age: Some(age), ..self }
    }

    /// Sets the age of a value that was made then; `None`: that is not known.
    pub(crate) fn with_age_since(self, made: Option<MadeAt>) -> Self {
        Self { age: made.map(MadeAt::age), ..self }
    }

    /// Sets the time left.
    #[must_use]
    pub fn with_left(self, left: Lifetime) -> Self {
        Self { left: Some(left), ..self }
    }

    /// Returns the value.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Returns the value alone.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// Returns how the call came by the value.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns the time since the load began that has brought the value, or since the value was set: it is not
    /// older than that. `None`: it is not known, or there is no value.
    ///
    /// - Of a value that was loaded for this call, or for one that it shares the load with, it is always known.
    /// - Of a value that the cache had, near or in the store, fresh or stale, it is known if the value was
    ///   written under [`Policy::age`](crate::Policy::age). Then it is the difference between the system clocks of
    ///   the process that wrote the value and of this one, and zero if that is negative.
    /// - Of a value that a [`Memo`](crate::Memo) has remembered it is not known.
    /// - A load that says [`NotModified`](crate::Loaded::NotModified) begins the age anew.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Returns the time for which the value stays fresh, or a stale one can still be served, unless
    /// something ends it before. `None`: it is not known, or there is no value.
    ///
    /// - Of a hit it is what the store has said, by its own clock, when it answered. The region's TTL is
    ///   taken into account.
    /// - Of a near hit it is counted by this process's clock from before the read was sent that brought the
    ///   value here. So it is never longer than what the store itself would say now, but for the
    ///   difference in speed of the two clocks.
    /// - Of a loaded value it is the ttl that the entry was stored with, counted from before it was sent to
    ///   the store. The region's TTL, which is not known then, may end it sooner. It is `None` if the value
    ///   is not stored.
    /// - Of a stale value it is the time until it is gone, counted like that of a hit.
    #[must_use]
    pub const fn left(&self) -> Option<Lifetime> {
        self.left
    }

    /// Replaces the value by what `f` makes of it.
    #[must_use]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { value, outcome, age, left } = self;
        Answer { value: f(value), outcome, age, left }
    }
}

impl<T> Answer<Option<T>> {
    /// Returns the answer of a value that is there; `None`: it is not.
    #[must_use]
    pub fn transpose(self) -> Option<Answer<T>> {
        let Self { value, outcome, age, left } = self;
        value.map(|value| Answer { value, outcome, age, left })
    }
}

impl Outcome {
    /// Returns true if the value was there when the call began: held near, or in the store, and fresh.
    #[must_use]
    pub const fn is_hit(self) -> bool {
        matches!(self, Self::NearHit | Self::UnverifiedNearHit | Self::Hit)
    }

    /// Returns the name that metrics and spans use: such as `near_hit`, `loaded`, `uncached` or `miss`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NearHit => "near_hit",
            Self::UnverifiedNearHit => "unverified_near_hit",
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Joined => "joined",
            Self::Loaded => "loaded",
            Self::Uncached(_) => "uncached",
            Self::Miss(_) => "miss",
            Self::Remembered => "remembered",
        }
    }
}
