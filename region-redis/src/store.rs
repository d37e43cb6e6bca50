use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use region_core::{
    Begun, EndTerms, Ended, Error, ErrorKind, LeaseTerms, LeaseToken, Listener, Listening, Page,
    PageTerms, Read, ReadTerms, RegionPath, Result, ScanItem, Segment, Store, Timestamp, Verb,
    Write, Written,
};
use tokio::runtime::Handle;

use crate::net::link::Link;
use crate::net::locator::{Fixed, Locator};
use crate::net::pending::PendingChange;
use crate::net::pushes::Pushes;
use crate::ops::{reclaim, release};
use crate::server::Server;
use crate::servers::Servers;
use crate::settings::Settings;
use crate::stats::{ServerStats, StoreStats};
use crate::topology::sentinel::{self, Sentinels};
use crate::topology::shard::{Shard, ShardHandle};

/// A store on a Redis or Valkey server, shared by all processes that use the same server.
///
/// Clones share their connections. There are at most three to each server: one for ordinary calls, one for
/// large entries and listings, one for invalidations that wait for replicas. There is one to a sentinel, if these are
/// asked for the primary. Background tasks keep them, on
/// the runtime that the store was made on. The tasks end with the last clone.
///
/// No call takes longer than `call_timeout`, whatever the server does: see
/// [`RedisStoreBuilder`](crate::RedisStoreBuilder). The command of a dropped future may still reach the
/// server, which does it wholly or not at all.
///
/// ```no_run
/// use region_redis::RedisStore;
///
/// # async fn run() -> region_core::Result<()> {
/// let store = RedisStore::connect("redis://localhost").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    shard: ShardHandle,
    pushes: Arc<Pushes>,
}

impl RedisStore {
    pub(crate) fn over(settings: Settings, runtime: &Handle) -> Result<Self> {
        let pushes = Arc::new(Pushes::default());
        let settings = Arc::new(settings);
        let sentinels = match &settings.servers {
            Servers::Sentinel(servers) => Some(Sentinels::new(servers.clone(), &settings)),
            Servers::Fixed(_) | Servers::Cluster(_) => None,
        };
        let primary: Arc<dyn Locator> = match (&settings.servers, &sentinels) {
            (_, Some(sentinels)) => Arc::clone(sentinels) as _,
            (Servers::Fixed(primary), _) => Fixed::at(Arc::new(primary.clone())),
            (servers, None) => {
                let why = format!("{servers}: Redis Cluster is not supported");
                return Err(Error::new(ErrorKind::InvalidConfig, why));
            }
        };
        let replicas = settings.replicas.iter().cloned().map(Arc::new).collect();
        let (shard, releases) = Shard::open(settings, primary, &pushes, runtime);
        shard.set_replicas(replicas);
        let shard = Arc::new(shard);
        release::start(releases, runtime);
        let reclaiming = shard.settings.reclaim.then(|| reclaim::start(&shard, runtime));
        let watching = sentinels.map(|sentinels| sentinel::start(sentinels, &shard, runtime));
        let tasks = reclaiming.into_iter().chain(watching).collect();
        Ok(Self { shard: ShardHandle::new(shard, tasks), pushes })
    }

    /// Returns the server that all writes go to at present; `None` until one has been found.
    #[must_use]
    pub fn primary(&self) -> Option<Server> {
        self.shard.primary.target().server().map(|server| (**server).clone())
    }

    pub(crate) async fn first_attempt(&self) -> Result<()> {
        self.shard.primary.first_attempt().await
    }

    /// Ends what `verb` covers, and waits until `replicas` replicas have received it, for at most `within`.
    /// Returns the number of replicas that are known to have it, which may be less; it is 0 for an
    /// invalidation that was queued.
    ///
    /// # Errors
    /// As [`Store::end`]; too few replicas are no error.
    ///
    /// # Cancel safety
    /// A dropped call has taken effect wholly or not at all.
    pub async fn end_and_wait(
        &self,
        region: &RegionPath,
        verb: Verb,
        replicas: u32,
        within: Duration,
    ) -> Result<u32> {
        let ended = self.shard.end_and_wait(region, verb, replicas, within).await;
        ended.map_err(|error| error.on("end", region))
    }

    /// Frees the memory of invalidated regions on the server, now rather than in the background, for all
    /// roots that this store has written to. Returns the number of regions that it looked at.
    ///
    /// # Errors
    /// When the server cannot be reached. What was freed stays freed.
    ///
    /// # Cancel safety
    /// It may be dropped at any time. The next call, of any process, goes on with the rest.
    pub async fn reclaim(&self) -> Result<u64> {
        self.shard.reclaim().await
    }

    /// Returns counts of what the store has done, and whether its servers can be called.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shard = &self.shard;
        let replicas = shard.replicas();
        let replicas =
            replicas.iter().map(|replica| stats_of(&replica.link, shard.is_recent(replica)));
        StoreStats {
            primary: stats_of(&shard.primary, true),
            replicas: replicas.collect(),
            has_queued: shard.recovery.has_queued(),
        }
    }
}

fn stats_of(link: &Link, is_recent: bool) -> ServerStats {
    let stats = &link.shared().stats;
    ServerStats {
        server: link.target().to_string(),
        is_up: link.is_up(),
        is_recent,
        connects: stats.connects.load(Ordering::Relaxed),
        timeouts: stats.timeouts.load(Ordering::Relaxed),
        last_error: stats.last_error.lock().clone(),
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("primary", &self.shard.primary.target())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        self.shard.read(region, keys, terms).await.map_err(|error| error.on("read", region))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        self.shard.begin(region, keys, terms).await.map_err(|error| error.on("begin", region))
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let change = PendingChange::write(&self.pushes, region, write.trust);
        let written = self.shard.write(region, write).await;
        if written.is_ok() {
            change.known();
        }
        written.map_err(|error| error.on("write", region))
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        self.shard.end(region, terms).await.map_err(|error| error.on("end", region))
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        self.shard.release(region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.shard.scan(region, terms).await.map_err(|error| error.on("scan", region))
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.shard.children(region, terms).await.map_err(|error| error.on("children", region))
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.shard.len(region).await.map_err(|error| error.on("len", region))
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        Some(self.pushes.listen(listener))
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.shard.settings.call)
    }

    async fn now(&self) -> Result<Timestamp> {
        self.shard.now().await
    }
}
