//! What a region lets its values do.

mod resolved;

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::lifetime::{Lifetime, MAX_LIFETIME};
use crate::store::ReadFrom;
use crate::value::serializer::{AnySerializer, Serializer};

pub(crate) use resolved::ResolvedPolicy;

/// The policy of a region: what is not said is inherited from the region around it.
///
/// A policy is checked when it is put to use: by
/// [`RegionCacheBuilder::build`](crate::RegionCacheBuilder::build) and by
/// [`Region::with_policy`](crate::Region::with_policy).
///
/// ```
/// use std::time::Duration;
/// use region_core::Policy;
///
/// let policy = Policy::new().ttl(Duration::from_secs(600)).stale_for(Duration::from_secs(60));
/// assert!(policy.check().is_ok());
/// assert!(Policy::new().ttl(Duration::ZERO).check().is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Policy {
    ttl: Option<Limit>,
    region_ttl: Option<Limit>,
    on_update: Option<OnUpdate>,
    stale_for: Option<Duration>,
    load_timeout: Option<Limit>,
    lease: Option<Duration>,
    read_from: Option<ReadFrom>,
    on_outage: Option<OnOutage>,
    serializer: Option<AnySerializer>,
    version: Option<u32>,
}

/// A duration that may be unlimited, not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Unlimited,
    For(Duration),
}

/// What a write does to the timeout that a region's own entries share
/// ([`Policy::region_ttl`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUpdate {
    /// The timeout starts again: a region in use stays.
    #[default]
    ResetsTimeout,
    /// The timeout goes on: the region is gone that long after its first write.
    KeepsTimeout,
}

/// What a read does when the store cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// It finds nothing; `get_or_compute` loads, and returns the value without storing it.
    #[default]
    Miss,
    /// It returns the error.
    Error,
}

impl Policy {
    /// A policy that leaves everything to the region around it. At the root that means: no ttl, no
    /// stale values, no limit on a load, leases of ten seconds, reads from the primary, outages are
    /// misses, [`Postcard`](crate::Postcard), version 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Each entry lives this long from its own write, rounded up to whole milliseconds.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(Limit::For(ttl));
        self
    }

    /// Entries have no lifetime of their own, whatever the region around says.
    #[must_use]
    pub fn no_ttl(mut self) -> Self {
        self.ttl = Some(Limit::Unlimited);
        self
    }

    /// The region's own entries are all gone this long after the last write to the region, or after
    /// the first: [`on_update`](Self::on_update) decides. An entry whose own ttl is over is gone
    /// before.
    #[must_use]
    pub fn region_ttl(mut self, ttl: Duration) -> Self {
        self.region_ttl = Some(Limit::For(ttl));
        self
    }

    /// The region has no timeout as a whole, whatever the region around says.
    #[must_use]
    pub fn no_region_ttl(mut self) -> Self {
        self.region_ttl = Some(Limit::Unlimited);
        self
    }

    /// Whether a write starts the region's timeout again.
    #[must_use]
    pub fn on_update(mut self, on_update: OnUpdate) -> Self {
        self.on_update = Some(on_update);
        self
    }

    /// A value whose ttl is over, or that was expired, is kept this long as *stale*:
    /// `get_or_compute` returns it while another caller loads, and when a load fails. Zero: it is
    /// not kept.
    #[must_use]
    pub fn stale_for(mut self, window: Duration) -> Self {
        self.stale_for = Some(window);
        self
    }

    /// A load that takes longer fails with [`ErrorKind::LoadTimeout`], and is dropped.
    #[must_use]
    pub fn load_timeout(mut self, limit: Duration) -> Self {
        self.load_timeout = Some(Limit::For(limit));
        self
    }

    /// A load may take as long as it likes, whatever the region around says.
    #[must_use]
    pub fn no_load_timeout(mut self) -> Self {
        self.load_timeout = Some(Limit::Unlimited);
        self
    }

    /// How long a load's lease outlives its holder: after a crash another process takes over then.
    /// A living holder extends its lease for as long as it loads.
    #[must_use]
    pub fn lease(mut self, duration: Duration) -> Self {
        self.lease = Some(duration);
        self
    }

    /// Where reads go.
    #[must_use]
    pub fn read_from(mut self, from: ReadFrom) -> Self {
        self.read_from = Some(from);
        self
    }

    /// What reads do when the store cannot be asked.
    #[must_use]
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = Some(on_outage);
        self
    }

    /// How values become bytes. Values written by another serializer are misses.
    #[must_use]
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Some(AnySerializer::new(serializer));
        self
    }

    /// The version of what the values mean. Values written under another version are misses. Change
    /// it when a value's meaning changes but its type's shape does not.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// This policy, with what it does not say taken from `outer`.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        Self {
            ttl: self.ttl.or(outer.ttl),
            region_ttl: self.region_ttl.or(outer.region_ttl),
            on_update: self.on_update.or(outer.on_update),
            stale_for: self.stale_for.or(outer.stale_for),
            load_timeout: self.load_timeout.or(outer.load_timeout),
            lease: self.lease.or(outer.lease),
            read_from: self.read_from.or(outer.read_from),
            on_outage: self.on_outage.or(outer.on_outage),
            serializer: self.serializer.clone().or_else(|| outer.serializer.clone()),
            version: self.version.or(outer.version),
        }
    }

    /// Checks every setting, and the settings against one another.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPolicy`], listing everything that is wrong.
    pub fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        let limits = [
            ("ttl", self.ttl),
            ("region_ttl", self.region_ttl),
            ("load_timeout", self.load_timeout),
        ];
        for (name, limit) in limits {
            if let Some(Limit::For(duration)) = limit {
                wrong.extend(check_duration(name, duration));
            }
        }
        wrong.extend(self.lease.and_then(|lease| check_duration("lease", lease)));
        if let Some(window) = self.stale_for.filter(|window| *window > MAX_LIFETIME) {
            wrong.push(format!("stale_for is {window:?}; at most {MAX_LIFETIME:?} is possible"));
        }
        wrong.extend(self.contradictions());
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidPolicy, format!("bad policy: {}", wrong.join("; "))))
    }

    fn contradictions(&self) -> Option<String> {
        let (Some(Limit::For(ttl)), Some(Limit::For(region_ttl))) = (self.ttl, self.region_ttl)
        else {
            return None;
        };
        (ttl > region_ttl && self.on_update == Some(OnUpdate::KeepsTimeout)).then(|| {
            format!(
                "ttl is {ttl:?}, but with OnUpdate::KeepsTimeout no entry outlives the region_ttl \
                 of {region_ttl:?}: shorten ttl, or leave it out"
            )
        })
    }
}

fn check_duration(name: &str, duration: Duration) -> Option<String> {
    Lifetime::of(duration).is_err().then(|| {
        format!("{name} is {duration:?}; it must be more than zero and at most {MAX_LIFETIME:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_inner_policy_wins_and_the_rest_is_inherited() {
        let outer = Policy::new().ttl(SECOND).stale_for(SECOND).version(3);
        let merged = Policy::new().no_ttl().version(4).within(&outer);
        assert_eq!(merged.ttl, Some(Limit::Unlimited));
        assert_eq!(merged.stale_for, Some(SECOND));
        assert_eq!(merged.version, Some(4));
    }

    #[test]
    fn every_fault_is_listed() {
        let policy =
            Policy::new().ttl(Duration::ZERO).lease(Duration::MAX).stale_for(Duration::MAX);
        let error = policy.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPolicy);
        let text = error.to_string();
        for name in ["ttl is 0ns", "lease is", "stale_for is"] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn a_ttl_that_no_entry_can_reach_is_a_contradiction() {
        let policy = Policy::new().ttl(2 * SECOND).region_ttl(SECOND);
        assert!(policy.check().is_ok());
        let policy = policy.on_update(OnUpdate::KeepsTimeout);
        assert!(policy.check().unwrap_err().to_string().contains("shorten ttl"));
        assert!(policy.clone().no_ttl().check().is_ok());
    }
}
