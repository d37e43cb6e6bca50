use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use region_core::{
    Begun, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms, Read,
    ReadTerms, RegionPath, Result, ScanItem, Segment, Store, StoreHealth, StoreProblem, Timestamp,
    Verb, Write, Written,
};
use tokio::runtime::Handle;

use crate::net::pending::PendingChange;
use crate::net::pushes::Pushes;
#[cfg(feature = "client")]
use crate::protocol::layout::{Kind, NameBuffer};
use crate::server::Server;
#[cfg(feature = "client")]
use crate::servers::Servers;
use crate::settings::Settings;
use crate::shards::Shards;
use crate::stats::StoreStats;

/// A store on a Redis or Valkey server, shared by all processes that use the same server.
///
/// Clones share their connections. There are at most three to each server: one for ordinary calls, one for
/// large entries and listings, one for invalidations that wait for replicas. To a node of a cluster there are
/// up to four of the last. There is one to a sentinel, if these are asked for the primary. Background tasks
/// keep them, on the runtime that the store was made on. The tasks end with the last clone.
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
    shards: Shards,
    pushes: Arc<Pushes>,
    settings: Arc<Settings>,
}

impl RedisStore {
    pub(crate) fn over(settings: Settings, runtime: &Handle) -> Result<Self> {
        let (pushes, settings) =
            (Arc::new(Pushes::new(settings.servers.anchor())), Arc::new(settings));
        let shards = Shards::open(&settings, &pushes, runtime)?;
        Ok(Self { shards, pushes, settings })
    }

    /// Returns the server that all writes go to at present; `None` until one has been found. Of a cluster it is
    /// always `None`: each slot has a primary, see [`stats`](Self::stats).
    #[must_use]
    pub fn primary(&self) -> Option<Server> {
        match &self.shards {
            Shards::One(shard) => shard.primary.target().server().map(|server| (**server).clone()),
            Shards::Cluster(_) => None,
        }
    }

    pub(crate) async fn first_attempt(&self) -> Result<()> {
        self.shards.first_attempt().await
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
        let ended = self.shards.of(region).end_and_wait(region, verb, replicas, within).await;
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
        let shards = self.shards.all();
        let reclaimed = join_all(shards.iter().map(|shard| shard.reclaim())).await;
        reclaimed.into_iter().sum()
    }

    /// As [`reclaim`](Self::reclaim), for the region's root alone, whether or not this store has written there. Of a
    /// cluster with `anchor=N`: for the region's anchor, or for what lies above all anchors.
    ///
    /// # Errors
    /// As [`reclaim`](Self::reclaim).
    ///
    /// # Cancel safety
    /// As [`reclaim`](Self::reclaim).
    pub async fn reclaim_around(&self, region: &RegionPath) -> Result<u64> {
        let reclaimed = self.shards.of(region).shard.reclaim_around(region).await;
        reclaimed.map_err(|error| error.on("reclaim", region))
    }

    /// Returns the servers that are known now: the primary, if it has been found, and then its replicas. Of a
    /// cluster: the nodes that the URL names.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        match (&self.shards, &self.settings.servers) {
            (Shards::Cluster(_), Servers::Cluster(nodes)) => nodes.nodes.clone(),
            (Shards::Cluster(_), _) => Vec::new(),
            (Shards::One(shard), _) => {
                let replicas = shard.replicas().into_iter();
                let replicas = replicas.filter_map(|replica| {
                    replica.link.target().server().map(|server| (**server).clone())
                });
                self.primary().into_iter().chain(replicas).collect()
            }
        }
    }

    /// Returns the name of the key that holds the region's entries on the server, for commands such as `MEMORY USAGE`.
    ///
    /// ```no_run
    /// use region_core::RegionPath;
    /// use region_redis::RedisStore;
    ///
    /// # async fn run() -> region_core::Result<()> {
    /// let store = RedisStore::connect("redis://localhost").await?;
    /// assert_eq!(store.entries_key(&RegionPath::parse("shop.org:42")?), "rc1:d{shop}.org:42");
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "client")]
    #[must_use]
    pub fn entries_key(&self, region: &RegionPath) -> String {
        let anchor = self.settings.servers.anchor();
        NameBuffer::new(anchor).of(Kind::Entries, region.as_str()).to_owned()
    }

    /// Returns counts of what the store has done, and whether its servers can be called.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        match &self.shards {
            Shards::One(shard) => StoreStats::of_shard(shard),
            Shards::Cluster(cluster) => StoreStats::of_cluster(cluster),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("servers", &self.settings.servers)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        self.shards
            .of(region)
            .read(region, keys, terms)
            .await
            .map_err(|error| error.on("read", region))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        self.shards
            .of(region)
            .begin(region, keys, terms)
            .await
            .map_err(|error| error.on("begin", region))
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let change = PendingChange::write(&self.pushes, region, write.trust);
        let written = self.shards.of(region).write(region, write).await;
        if written.is_ok() {
            change.known();
        }
        written.map_err(|error| error.on("write", region))
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        self.shards.of(region).end(region, terms).await.map_err(|error| error.on("end", region))
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        self.shards.of(region).shard.release(region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.shards.of(region).scan(region, terms).await.map_err(|error| error.on("scan", region))
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.shards
            .of(region)
            .children(region, terms)
            .await
            .map_err(|error| error.on("children", region))
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.shards.of(region).len(region).await.map_err(|error| error.on("len", region))
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        Some(self.pushes.listen(listener))
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.settings.call)
    }

    fn health(&self) -> StoreHealth {
        let lost = self.pushes.are_lost().then_some(StoreProblem::PushesLost);
        StoreHealth::new(self.stats().problems().chain(lost))
    }

    async fn now(&self) -> Result<Timestamp> {
        self.shards.any().now().await
    }
}
