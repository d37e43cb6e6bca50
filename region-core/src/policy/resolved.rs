use super::{OnStale, OnUpdate, Policy, ResolvedPolicy};
use crate::error::Result;
use crate::store::RegionTtl;

impl ResolvedPolicy {
    pub(crate) fn new(policy: &Policy) -> Result<Self> {
        policy.check()?;
        Ok(policy.resolve())
    }

    /// Returns true if entries may be refreshed before they end.
    pub(crate) fn refreshes_early(&self) -> bool {
        self.early_refresh_at < 1.0 || self.early_refresh_beta > 0.0
    }

    /// Returns true if values held near may be returned although nothing tells that they are still the
    /// store's.
    pub(crate) fn serves_unverified(&self) -> bool {
        !self.near_unverified_for.is_zero() || !self.near_outage_for.is_zero()
    }

    /// Returns true if reads may start loads in the background.
    pub(crate) fn refreshes(&self) -> bool {
        self.on_stale == OnStale::Refresh || self.refreshes_early()
    }

    /// The effect of a write on the TTL that the region's entries share.
    pub(crate) fn region_ttl_on_write(&self) -> RegionTtl {
        match (self.region_ttl.duration(), self.on_update) {
            (None, _) => RegionTtl::Leave,
            (Some(ttl), OnUpdate::Restart) => RegionTtl::Restart(ttl),
            (Some(ttl), OnUpdate::Keep) => RegionTtl::Start(ttl),
        }
    }
}
