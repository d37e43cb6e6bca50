//! The parts that a handle and a load both stand on: one cache's store, counters and failure log,
//! and one region's path, policy and codec.

mod calls;
mod chain;
mod lookup;
mod observe;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::lifetime::Lifetime;
use crate::path::RegionPath;
use crate::policy::{OnOutage, Policy, ResolvedPolicy};
use crate::random::Random;
use crate::stats::Counters;
use crate::store::{Put, SharedStore};
use crate::value::codec::Codec;

pub(crate) use chain::{Chain, LoadId, Outages};
pub(crate) use lookup::{Accept, Fetched, Found};

use observe::{FailureLog, LogLimiter};

/// What all regions of one cache share.
pub(crate) struct Engine {
    pub(crate) store: SharedStore,
    pub(crate) counters: Counters,
    pub(crate) random: Random,
    failures: FailureLog,
    limiter: LogLimiter,
}

/// One region as its handles and its loads need it.
pub(crate) struct Context {
    engine: Arc<Engine>,
    path: RegionPath,
    /// As given and inherited: child regions inherit it.
    given: Policy,
    policy: ResolvedPolicy,
    codec: Codec,
}

impl Engine {
    pub(crate) fn new(store: SharedStore, random: Random) -> Self {
        Self {
            store,
            counters: Counters::default(),
            random,
            failures: FailureLog::default(),
            limiter: LogLimiter::default(),
        }
    }
}

impl Context {
    pub(crate) fn new(engine: Arc<Engine>, path: RegionPath, given: Policy) -> Result<Self> {
        let policy = ResolvedPolicy::new(&given).map_err(|error| error.on("open", &path))?;
        let codec = Codec::new(&path, policy.serializer.clone(), policy.version);
        Ok(Self { engine, path, given, policy, codec })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn path(&self) -> &RegionPath {
        &self.path
    }

    pub(crate) fn given_policy(&self) -> &Policy {
        &self.given
    }

    pub(crate) fn policy(&self) -> &ResolvedPolicy {
        &self.policy
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.engine.counters
    }

    /// Names this region and `operation` in an error.
    pub(crate) fn during(&self, operation: &'static str) -> impl Fn(Error) -> Error + '_ {
        move |error| error.on(operation, &self.path)
    }

    /// Whether `error` is an outage that the policy turns into a miss. Counts it if so.
    pub(crate) fn is_miss(&self, error: &Error) -> bool {
        let is_miss = error.is_outage() && self.policy.on_outage == OnOutage::Miss;
        if is_miss {
            self.counters().store_failures.add(1);
        }
        is_miss
    }

    /// A put under this region's policy.
    pub(crate) fn put<'a>(
        &self,
        key: &'a str,
        bytes: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Put<'a>> {
        let fresh_for = match ttl {
            Some(ttl) => Lifetime::of(ttl).map_err(|error| error.at_key(key))?,
            None => self.policy.ttl,
        };
        let stale_for = self.policy.stale_for;
        Ok(Put::new(key, bytes).fresh_for(fresh_for).stale_for(stale_for))
    }
}
