//! The base of both handles and loads: the store, counters and failure log of a cache, and the path,
//! policy and codec of a region.

mod calls;
mod chain;
mod depends;
mod explain;
mod found;
mod lookup;
mod marker;
mod near;
mod observe;
mod started;
mod steps;
mod wakes;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::lifetime::Lifetime;
use crate::path::RegionPath;
use crate::policy::{NearCache, OnOutage, Policy, ResolvedPolicy};
use crate::random::Random;
use crate::stats::{Counters, CountersByRegion, RegionCounters};
use crate::store::{Put, ReadFrom, SharedStore};
use crate::value::codec::Codec;
use crate::value::serializer::AnySerializer;

pub(crate) use chain::{Chain, LoadId, Outages};
pub(crate) use found::{Accept, CountsAs, Found, FoundOne, Times};
pub(crate) use lookup::Fetched;
pub(crate) use marker::{Marker, Markers, Need};
pub(crate) use near::{DEFAULT_NEAR_BYTES, Looked};

use near::{Near, NearHandle, NearRegion};
use observe::{FailureLog, LogLimiter};
pub(crate) use started::Started;
pub(crate) use wakes::Heard;
pub(crate) use watch::LoadWatch;

/// The shortest ttl: that is the resolution of lifetimes.
const SHORTEST_TTL: Duration = Duration::from_millis(1);

static NEXT_CONTEXT: AtomicU64 = AtomicU64::new(0);

/// What [`wrap_serializers`](crate::RegionCacheBuilder::wrap_serializers) was given.
pub(crate) type WrapSerializer = Arc<dyn Fn(AnySerializer) -> AnySerializer + Send + Sync>;

/// The state that all regions of a cache share.
pub(crate) struct Engine {
    pub(crate) store: SharedStore,
    /// The root of the cache.
    pub(crate) root: RegionPath,
    pub(crate) counters: Arc<CountersByRegion>,
    pub(crate) random: Random,
    pub(crate) near: Near,
    /// Wraps the serializer of each region's policy.
    pub(crate) around: Option<WrapSerializer>,
    #[cfg(feature = "metrics")]
    pub(crate) metrics: crate::metric::Timings,
    failures: FailureLog,
    limiter: LogLimiter,
    /// The store has answered the last lookup at once. Then sharing lookups would cost more than it saves.
    is_immediate: AtomicBool,
}

/// Everything of a region's settings that decides the answer of a lookup. Callers with equal manners may share
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    accept: Accept,
    codec: u64,
    read_from: ReadFrom,
    on_outage: OnOutage,
    near: NearCache,
    near_unverified_for: Duration,
    near_outage_for: Duration,
    stale_for: Duration,
}

/// The state of one region that its handles and its loads share.
pub(crate) struct Context {
    /// A number that no other context has.
    id: u64,
    engine: Arc<Engine>,
    path: RegionPath,
    /// The policy with inherited settings, before defaults are filled in. Child regions inherit from it.
    given: Policy,
    policy: ResolvedPolicy,
    codec: Codec,
    /// `None`: the policy keeps nothing of the region near.
    near: Option<NearHandle>,
    /// The region's record in the near cache, once it is needed.
    record: OnceLock<Arc<NearRegion>>,
    /// The region's counters, once anything is counted.
    counters: OnceLock<Arc<RegionCounters>>,
}

impl Engine {
    pub(crate) fn new(
        store: SharedStore,
        root: RegionPath,
        random: Random,
        near_bytes: u64,
        max_region_stats: usize,
    ) -> Self {
        let counters = Arc::new(CountersByRegion::new(max_region_stats));
        let near = Near::new(near_bytes, Arc::clone(&counters));
        Self {
            #[cfg(feature = "metrics")]
            metrics: crate::metric::Timings::new(&root),
            store,
            root,
            counters,
            random,
            near,
            around: None,
            failures: FailureLog::default(),
            limiter: LogLimiter::default(),
            is_immediate: AtomicBool::new(false),
        }
    }

    /// Returns true if the store answers at once, as far as is known.
    #[inline]
    pub(crate) fn is_immediate(&self) -> bool {
        self.is_immediate.load(Ordering::Relaxed)
    }

    /// Notes that a lookup had to wait for the store.
    #[inline]
    pub(crate) fn saw_wait(&self) {
        if self.is_immediate() {
            self.is_immediate.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that the store has answered a lookup at once.
    pub(crate) fn saw_no_wait(&self) {
        self.is_immediate.store(true, Ordering::Relaxed);
    }
}

impl Context {
    pub(crate) fn new(engine: Arc<Engine>, path: RegionPath, given: Policy) -> Result<Self> {
        let policy = ResolvedPolicy::new(&given).map_err(|error| error.on("open", &path))?;
        let serializer = policy.serializer.clone();
        let serializer = match &engine.around {
            None => serializer,
            Some(around) => around(serializer),
        };
        let codec = Codec::new(&path, serializer, policy.version).with_age(policy.age);
        let near = (policy.near == NearCache::On)
            .then(|| engine.near.open(&engine.store, &path, codec.identity()));
        if let Some(near) = near.as_ref().filter(|_| policy.serves_unverified()) {
            near.keep_evidence();
        }
        let id = NEXT_CONTEXT.fetch_add(1, Ordering::Relaxed);
        let (record, counters) = (OnceLock::new(), OnceLock::new());
        Ok(Self { id, engine, path, given, policy, codec, near, record, counters })
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
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

    /// The manner of lookups that return what `accept` says.
    pub(crate) fn manner(&self, accept: Accept) -> Manner {
        let policy = &self.policy;
        Manner {
            accept,
            codec: self.codec.identity(),
            read_from: policy.read_from,
            on_outage: policy.on_outage,
            near: policy.near,
            near_unverified_for: policy.near_unverified_for,
            near_outage_for: policy.near_outage_for,
            stale_for: policy.stale_for,
        }
    }

    /// The region's record in the near cache, unless no region is held near.
    fn record(&self) -> Option<&Arc<NearRegion>> {
        if let Some(record) = self.record.get() {
            return Some(record);
        }
        let record = self.engine.near.record(&self.path)?;
        Some(self.record.get_or_init(|| record))
    }

    /// The counters of the region that the calling thread adds to.
    #[inline]
    pub(crate) fn counters(&self) -> &Counters {
        self.region_counters().here()
    }

    #[inline]
    fn region_counters(&self) -> &Arc<RegionCounters> {
        match self.counters.get() {
            Some(counters) => counters,
            None => self.open_counters(),
        }
    }

    #[cold]
    fn open_counters(&self) -> &Arc<RegionCounters> {
        self.counters.get_or_init(|| self.engine.counters.open(&self.path))
    }

    /// The pushes heard so far that may concern this region; `None`: nobody listens to the store.
    pub(crate) fn heard(&self) -> Option<Heard> {
        let near = &self.engine.near;
        near.is_listening().then(|| near.wakes().heard_of(&self.path))
    }

    /// Waits for a push about this region that had not been heard at `before`.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait.
    pub(crate) async fn heard_since(&self, before: Heard) {
        self.engine.near.wakes().heard_since(before, &self.path).await;
    }

    /// Begins to listen to the store, unless it is listened to or never pushes; then returns true.
    pub(crate) fn begin_to_listen(&self) -> bool {
        self.engine.near.listen(&self.engine.store)
    }

    /// Adds this region and `operation` to an error.
    pub(crate) fn during(&self, operation: &'static str) -> impl Fn(Error) -> Error + '_ {
        move |error| error.on(operation, &self.path)
    }

    /// Returns true, and counts it, if `error` is an outage that the policy turns into a miss.
    pub(crate) fn is_miss(&self, error: &Error) -> bool {
        let is_miss = error.is_outage() && self.policy.on_outage == OnOutage::Miss;
        if is_miss {
            self.counters().store_failures.add(1);
        }
        is_miss
    }

    /// Builds a put with the lifetimes of this region's policy.
    pub(crate) fn put<'a>(
        &self,
        key: &'a str,
        bytes: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Put<'a>> {
        let fresh_for = match ttl {
            Some(ttl) => Lifetime::of(ttl).map_err(|error| error.at_key(key))?,
            None => self.jittered_ttl(),
        };
        let stale_for = self.policy.stale_for;
        Ok(Put::new(key, bytes).fresh_for(fresh_for).stale_for(stale_for))
    }

    /// The policy's ttl, less its jitter.
    fn jittered_ttl(&self) -> Lifetime {
        let jitter = self.policy.ttl_jitter;
        match self.policy.ttl.duration() {
            Some(ttl) if jitter > 0.0 => {
                let jittered = ttl.mul_f64(1.0 - jitter * self.engine.random.unit());
                Lifetime::of(jittered.max(SHORTEST_TTL)).unwrap_or(self.policy.ttl)
            }
            _ => self.policy.ttl,
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.counters.get().is_some() {
            self.engine.counters.closed(&self.path);
        }
    }
}
