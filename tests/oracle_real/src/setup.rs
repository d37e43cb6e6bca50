//! The settings of processes and their caches.

use std::path::PathBuf;
use std::time::Duration;

use region_cache::{
    Backoff, BoxError, NearCache, OnInvalidationFailure, OnOutage, OnStale, OnUpdate, Policy,
    ReadFrom, RedisStore, RegionCache,
};
use serde::{Deserialize, Serialize};

use crate::clock::{MS, Micros};

/// The regions, below the root.
pub const REGIONS: [&str; 7] = ["", "a", "a.b:1", "a.b:1.c", "a.b:2", "d", "d.e"];

/// The number of keys of each region.
pub const KEYS: usize = 3;

/// The limit of a call.
pub const CALL_LIMIT: Duration = Duration::from_millis(500);

/// The lease of a load.
pub const LEASE: Duration = Duration::from_secs(2);

/// The time after which a load is dropped.
pub const LOAD_LIMIT: Duration = Duration::from_secs(3);

/// The time between two questions for a sign of life, and the longest silence.
pub const WATCH: Duration = Duration::from_millis(100);
/// See [`WATCH`].
pub const SILENCE: Duration = Duration::from_millis(300);

/// The longest replica lag.
pub const MAX_LAG: Duration = Duration::from_millis(600);

/// The bytes from which an entry goes over a connection of its own.
const LARGE_ENTRY: usize = 300;

/// The bound on what each cache holds near, in bytes.
const NEAR_BYTES: u64 = 1024 * 1024;

/// A process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessSetup {
    /// Its number; no two of a run have the same.
    pub number: usize,
    /// The address of the primary.
    pub url: String,
    /// The address of the replica.
    pub replica: Option<String>,
    /// The file that takes its events.
    pub events: PathBuf,
    /// The file that holds the truth.
    pub truth: PathBuf,
    /// Invalidations that do not reach the server are queued.
    pub queues: bool,
    /// Its caches, over one store.
    pub caches: Vec<CacheSetup>,
    /// The lifetimes, which all processes share.
    pub lifetimes: Lifetimes,
}

/// Lifetimes in milliseconds; zero: none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named after the settings of a policy")]
pub struct Lifetimes {
    pub ttl: u64,
    pub ttl_jitter: u32,
    pub stale_for: u64,
    pub absent_ttl: u64,
    pub region_ttl: u64,
    pub keep_region_ttl: bool,
    pub load_retry_after: u64,
}

/// A cache. Times are in milliseconds; zero: none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named after the settings of a policy")]
pub struct CacheSetup {
    pub near: bool,
    pub replica: bool,
    pub near_unverified_for: u64,
    pub near_outage_for: u64,
    pub soft_timeout: u64,
    pub early_refresh_at: u32,
    pub early_refresh_beta: u32,
    pub refreshes_stale: bool,
    pub outage_is_error: bool,
}

impl ProcessSetup {
    /// Connects, and opens the caches.
    ///
    /// # Errors
    /// If the settings are wrong.
    pub async fn open(&self) -> Result<Vec<RegionCache>, BoxError> {
        let ms = Duration::from_millis;
        let on_failure = match self.queues {
            true => OnInvalidationFailure::Queue,
            false => OnInvalidationFailure::Error,
        };
        let mut store = RedisStore::builder(&self.url)?
            .call_timeout(CALL_LIMIT)
            .connect_timeout(CALL_LIMIT)
            .watch(WATCH, SILENCE)
            .backoff(Backoff::new(ms(20), ms(200))?)
            .large_entries(LARGE_ENTRY)
            .max_lag(MAX_LAG)
            .on_invalidation_failure(on_failure)
            .client_name(format!("process-{}", self.number));
        if let Some(replica) = &self.replica {
            store = store.replica(replica)?;
        }
        // A process that starts during an outage connects later.
        let store = store.build()?;
        let open = |cache: &CacheSetup| {
            let builder = RegionCache::builder(store.clone()).root("shop");
            let builder = builder.policy(cache.policy(&self.lifetimes));
            if cache.near { builder.near(NEAR_BYTES).build() } else { builder.build() }
        };
        Ok(self.caches.iter().map(open).collect::<Result<_, _>>()?)
    }
}

impl CacheSetup {
    fn policy(&self, lifetimes: &Lifetimes) -> Policy {
        let ms = Duration::from_millis;
        let mut policy = Policy::new()
            .lease(LEASE)
            .load_timeout(LOAD_LIMIT)
            .stale_for(ms(lifetimes.stale_for))
            .absent_ttl(ms(lifetimes.absent_ttl))
            .load_retry_after(ms(lifetimes.load_retry_after))
            .near_unverified_for(ms(self.near_unverified_for))
            .near_outage_for(ms(self.near_outage_for))
            .early_refresh_beta(self.early_refresh_beta)
            .on_stale(if self.refreshes_stale { OnStale::Refresh } else { OnStale::Wait })
            .on_outage(if self.outage_is_error { OnOutage::Error } else { OnOutage::Miss })
            .read_from(if self.replica { ReadFrom::Replica } else { ReadFrom::Primary })
            .near(if self.near { NearCache::On } else { NearCache::Off });
        if lifetimes.ttl > 0 {
            policy = policy.ttl(ms(lifetimes.ttl)).ttl_jitter(lifetimes.ttl_jitter);
        }
        if self.early_refresh_at > 0 {
            policy = policy.early_refresh_at(self.early_refresh_at);
        }
        if self.soft_timeout > 0 {
            policy = policy.soft_timeout(ms(self.soft_timeout));
        }
        if lifetimes.region_ttl > 0 {
            let keeps = lifetimes.keep_region_ttl;
            let on_update = if keeps { OnUpdate::Keep } else { OnUpdate::Restart };
            policy = policy.region_ttl(ms(lifetimes.region_ttl)).on_update(on_update);
        }
        policy
    }

    /// The longest time for which the cache may not know of a change by another process, if no failover loses it.
    ///
    /// What is near is trusted for at most one round of the watch and two silences after a question whose answer
    /// came; or for longer, as the policy says. A replica may lag, and its lag be known so much later.
    #[must_use]
    pub fn others_seen_within(&self) -> Micros {
        let watched = WATCH + 2 * SILENCE;
        let mut bound = Duration::ZERO;
        if self.near {
            let unverified = self.near_unverified_for.max(self.near_outage_for);
            bound += watched + Duration::from_millis(unverified);
        }
        if self.replica {
            bound += MAX_LAG + watched;
        }
        u64::try_from(bound.as_micros()).unwrap_or(Micros::MAX)
    }
}

/// A duration on the clock of the events.
#[must_use]
pub fn micros(ms: u64) -> Micros {
    ms * MS
}
