use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use region_core::{
    Begun, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms, Read,
    ReadTerms, RegionPath, Result, ScanItem, Segment, Store, Timestamp, Verb, Write, Written,
};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::net::link::Link;
use crate::net::origin::Origin;
use crate::net::outage::LogLimit;
use crate::net::pushes::Pushes;
use crate::ops::acknowledge::Acknowledgements;
use crate::ops::hints::{LargeEntries, LivingRegions};
use crate::ops::reclaim::Reclaimer;
use crate::ops::release::Releases;
use crate::server::Server;
use crate::session::lag::{PrimaryProgress, ReplicaProgress};
use crate::session::recovery::Recovery;
use crate::session::role::Role;
use crate::settings::Settings;
use crate::stats::{ServerStats, StoreStats};

/// A store on a Redis or Valkey server, shared by all processes that use the same server.
///
/// Clones are the same store over the same connections: at most three to each server, one for ordinary
/// calls, one for large entries and listings, one for invalidations that wait for replicas. It keeps
/// them in background tasks of the runtime it was made on, which end with its last clone.
///
/// No call takes longer than the limit that the builder sets, whatever the server does: see
/// [`RedisStoreBuilder`](crate::RedisStoreBuilder). A dropped future may leave its command on the way: the server does it
/// wholly or not at all.
///
/// ```no_run
/// use region_redis::RedisStore;
///
/// # async fn run() -> region_core::Result<()> {
/// let store = RedisStore::connect("redis://localhost").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore(
    Arc<Inner>,
    #[expect(dead_code, reason = "it acts when it is dropped")] Arc<Owner>,
);

/// What the clones of a store own together: with the last of them everything ends, even while a
/// background task still holds what they share.
struct Owner(Arc<Inner>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the clones of a store share.
pub(crate) struct Inner {
    pub(crate) settings: Arc<Settings>,
    pub(crate) primary: Link,
    pub(crate) replicas: Vec<Link>,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) primary_progress: Arc<PrimaryProgress>,
    pub(crate) large: LargeEntries,
    pub(crate) living: LivingRegions,
    pub(crate) reclaimer: Reclaimer,
    pub(crate) logs: Logs,
    pub(crate) releases: Releases,
    pub(crate) acknowledgements: Acknowledgements,
    pushes: Arc<Pushes>,
    next_replica: AtomicUsize,
    reclaiming: parking_lot::Mutex<Option<AbortHandle>>,
}

/// The limits of the log lines that calls write.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) queued: LogLimit,
    pub(crate) lost_changes: LogLimit,
}

impl RedisStore {
    pub(crate) fn over(settings: Settings, runtime: Handle) -> Self {
        let settings = Arc::new(settings);
        let pushes = Arc::new(Pushes::default());
        let recovery = Arc::new(Recovery::new(settings.queue, settings.max_lag));
        let primary_progress = Arc::new(PrimaryProgress::default());
        let link = |server: &Server, role| {
            let origin = Origin {
                server: server.clone(),
                settings: Arc::clone(&settings),
                pushes: Arc::clone(&pushes),
                runtime: runtime.clone(),
                refused_extra: LogLimit::default(),
            };
            Link::open(origin, role)
        };
        let role = Role::Primary {
            recovery: Arc::clone(&recovery),
            primary: Arc::clone(&primary_progress),
        };
        let primary = link(&settings.primary, role);
        let replica = |server: &Server| {
            let primary = Arc::clone(&primary_progress);
            link(server, Role::Replica { primary, progress: ReplicaProgress::default() })
        };
        let replicas = settings.replicas.iter().map(replica).collect();
        let (releases, release_task) = Releases::new();
        let inner = Arc::new(Inner {
            primary,
            replicas,
            recovery,
            primary_progress,
            large: LargeEntries::new(settings.large),
            living: LivingRegions::new(),
            reclaimer: Reclaimer::default(),
            logs: Logs::default(),
            releases,
            acknowledgements: Acknowledgements::default(),
            pushes,
            next_replica: AtomicUsize::new(rand::random::<u16>().into()),
            reclaiming: parking_lot::Mutex::default(),
            settings,
        });
        release_task.start(&runtime);
        if inner.settings.reclaim {
            *inner.reclaiming.lock() = Some(inner.reclaimer.start(Arc::downgrade(&inner)));
        }
        let owner = Arc::new(Owner(Arc::clone(&inner)));
        Self(inner, owner)
    }

    /// The server that all writes go to.
    #[must_use]
    pub fn primary(&self) -> &Server {
        &self.0.settings.primary
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) async fn first_attempt(&self) -> Result<()> {
        self.0.primary.first_attempt().await
    }

    /// Ends what `verb` covers, and waits until `replicas` replicas have it, for at most `within`.
    /// Returns how many are known to have it, which may be less; an invalidation that was queued is
    /// known to none.
    ///
    /// # Errors
    /// As [`Store::end`]; too few replicas are no error.
    ///
    /// # Cancel safety
    /// What it asked for has happened wholly or not at all.
    pub async fn end_and_wait(
        &self,
        region: &RegionPath,
        verb: Verb,
        replicas: u32,
        within: Duration,
    ) -> Result<u32> {
        let ended = self.0.end_and_wait(region, verb, replicas, within).await;
        ended.map_err(|error| error.on("end", region))
    }

    /// Frees what invalidations have left behind, now rather than in the background, for all roots
    /// that this store has written to. Returns how many regions it looked at.
    ///
    /// # Errors
    /// When the server cannot be reached. What was freed stays freed.
    ///
    /// # Cancel safety
    /// It may be dropped at any time, and be begun again by anyone.
    pub async fn reclaim(&self) -> Result<u64> {
        self.0.reclaim().await
    }

    /// What the store has done so far, and whether its servers can be asked.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let server = |link: &Link| {
            let shared = link.shared();
            ServerStats {
                is_up: link.is_up(),
                is_recent: shared.role.is_recent(&self.0.settings),
                connects: shared.stats.connects.load(Ordering::Relaxed),
                timeouts: shared.stats.timeouts.load(Ordering::Relaxed),
                last_error: shared.stats.last_error.lock().clone(),
            }
        };
        StoreStats {
            primary: server(&self.0.primary),
            replicas: self.0.replicas.iter().map(server).collect(),
            has_queued: self.0.recovery.has_queued(),
        }
    }
}

impl Inner {
    /// Ends the connections and the background tasks.
    fn close(&self) {
        if let Some(reclaiming) = self.reclaiming.lock().take() {
            reclaiming.abort();
        }
        self.primary.close();
        self.replicas.iter().for_each(Link::close);
    }

    pub(crate) fn next_replica(&self) -> usize {
        self.next_replica.fetch_add(1, Ordering::Relaxed) % self.replicas.len().max(1)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("primary", &self.0.settings.primary)
            .field("replicas", &self.0.settings.replicas)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms) -> Result<Read> {
        self.0.read(region, keys, terms).await.map_err(|error| error.on("read", region))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        self.0.begin(region, keys, terms).await.map_err(|error| error.on("begin", region))
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        self.0.write(region, write).await.map_err(|error| error.on("write", region))
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        self.0.end(region, terms).await.map_err(|error| error.on("end", region))
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        Releases::release(self, region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.0.scan(region, terms).await.map_err(|error| error.on("scan", region))
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.0.children(region, terms).await.map_err(|error| error.on("children", region))
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.0.len(region).await.map_err(|error| error.on("len", region))
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        Some(self.0.pushes.listen(listener))
    }

    async fn now(&self) -> Result<Timestamp> {
        self.0.now().await
    }
}
