use std::time::Duration;

use super::{Limit, OnOutage, OnUpdate, Policy};
use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::store::{ReadFrom, RegionTimeout};
use crate::value::serializer::AnySerializer;

/// How long a lease outlives its holder where no policy says otherwise.
const DEFAULT_LEASE: Duration = Duration::from_secs(10);

/// A policy with every question answered, checked.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedPolicy {
    pub(crate) ttl: Lifetime,
    pub(crate) region_ttl: Lifetime,
    pub(crate) on_update: OnUpdate,
    pub(crate) stale_for: Duration,
    pub(crate) load_timeout: Lifetime,
    pub(crate) lease: Duration,
    pub(crate) read_from: ReadFrom,
    pub(crate) on_outage: OnOutage,
    pub(crate) serializer: AnySerializer,
    pub(crate) version: u32,
}

impl ResolvedPolicy {
    pub(crate) fn new(policy: &Policy) -> Result<Self> {
        policy.check()?;
        let lease = Lifetime::of(policy.lease.unwrap_or(DEFAULT_LEASE))?;
        Ok(Self {
            ttl: lifetime(policy.ttl)?,
            region_ttl: lifetime(policy.region_ttl)?,
            on_update: policy.on_update.unwrap_or_default(),
            stale_for: whole_millis(policy.stale_for.unwrap_or_default()),
            load_timeout: lifetime(policy.load_timeout)?,
            lease: lease.duration().unwrap_or(DEFAULT_LEASE),
            read_from: policy.read_from.unwrap_or_default(),
            on_outage: policy.on_outage.unwrap_or_default(),
            serializer: policy.serializer.clone().unwrap_or_default(),
            version: policy.version.unwrap_or_default(),
        })
    }

    /// What a write does to the region's timeout.
    pub(crate) fn region_timeout(&self) -> RegionTimeout {
        match (self.region_ttl.duration(), self.on_update) {
            (None, _) => RegionTimeout::Leave,
            (Some(ttl), OnUpdate::ResetsTimeout) => RegionTimeout::Restart(ttl),
            (Some(ttl), OnUpdate::KeepsTimeout) => RegionTimeout::Start(ttl),
        }
    }
}

fn lifetime(limit: Option<Limit>) -> Result<Lifetime> {
    match limit {
        None | Some(Limit::Unlimited) => Ok(Lifetime::Unlimited),
        Some(Limit::For(duration)) => Lifetime::of(duration),
    }
}

/// Rounds up to whole milliseconds; zero stays zero.
fn whole_millis(duration: Duration) -> Duration {
    Lifetime::of(duration).ok().and_then(Lifetime::duration).unwrap_or_default()
}
