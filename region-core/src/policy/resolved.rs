use super::{OnUpdate, Policy, ResolvedPolicy};
use crate::error::Result;
use crate::store::RegionTimeout;

impl ResolvedPolicy {
    pub(crate) fn new(policy: &Policy) -> Result<Self> {
        policy.check()?;
        Ok(policy.resolve())
    }

    /// The effect of a write on the TTL that the region's entries share.
    pub(crate) fn region_timeout(&self) -> RegionTimeout {
        match (self.region_ttl.duration(), self.on_update) {
            (None, _) => RegionTimeout::Leave,
            (Some(ttl), OnUpdate::Restart) => RegionTimeout::Restart(ttl),
            (Some(ttl), OnUpdate::Keep) => RegionTimeout::Start(ttl),
        }
    }
}
