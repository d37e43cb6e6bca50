//! The nodes of a cluster.

mod nodes;
mod slot_map;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use region_core::{Error, RegionPath, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::locator::{Locator, Target};
use crate::net::origin::Place;
use crate::net::pool::Pool;
use crate::net::pushes::Pushes;
use crate::protocol::layout::Slot;
use crate::server::Server;
use crate::servers::ClusterServers;
use crate::session::compared_roots::ComparedRoots;
use crate::session::recovery::Recovery;
use crate::settings::Settings;
use crate::topology::releases::Release;
use crate::topology::shard::{Neighbours, Shard, ShardHandle, Surroundings};
use crate::url::ReplicaUse;
use nodes::Nodes;
use slot_map::SlotMap;
#[cfg(any(test, fuzzing))]
pub(crate) use slot_map::View;

/// The number of shards beyond which those are closed that have not been used for a while: each has tasks of its own,
/// and takes about 20 KiB.
const MOST_IDLE: usize = 1024;

/// The least time for which a shard that is closed has not been used.
const IDLE: Duration = Duration::from_secs(30);

/// A cluster: a shard for each slot in use.
///
/// A root and all below it lie in one slot, and the keys of a slot move from node to node together. So all that this
/// process keeps of its writes is kept for each slot, and goes with it wherever its keys are.
pub(crate) struct Cluster {
    this: Weak<Cluster>,
    nodes: Arc<Nodes>,
    settings: Arc<Settings>,
    surroundings: Surroundings,
    runtime: Handle,
    start_tasks: StartTasks,
    start: Instant,
    /// Made on first use. There are no more than slots.
    shards: RwLock<HashMap<Slot, Member>>,
    /// The state of each shard that was ever used: it stays when the connections are closed for a while.
    recoveries: Mutex<HashMap<Slot, Arc<Recovery>>>,
}

/// Starts the tasks of a new shard, and returns those that end with its last handle.
type StartTasks = fn(&Arc<Shard>, mpsc::Receiver<Release>, &Handle) -> Vec<AbortHandle>;

/// A shard, and when it was last used, in milliseconds from the start.
struct Member {
    shard: ShardHandle,
    used: AtomicU64,
}

/// A handle to a cluster. With the last handle its connections and tasks end.
#[derive(Clone)]
pub(crate) struct ClusterHandle(Arc<Owner>);

struct Owner {
    cluster: Arc<Cluster>,
    compared_roots: ComparedRoots,
    watching: AbortHandle,
}

impl ClusterHandle {
    pub(crate) fn open(
        servers: ClusterServers,
        settings: &Arc<Settings>,
        pushes: &Arc<Pushes>,
        runtime: &Handle,
        start_tasks: StartTasks,
    ) -> Self {
        let nodes = Arc::new(Nodes::new(servers, settings));
        let pool = Arc::new(Pool::new(settings, pushes, runtime));
        let newest_epoch = Arc::clone(pool.newest_epoch());
        let cluster = Arc::new_cyclic(|this| Cluster {
            this: this.clone(),
            nodes,
            settings: Arc::clone(settings),
            surroundings: Surroundings::of_many(settings, pool),
            runtime: runtime.clone(),
            start_tasks,
            start: Instant::now(),
            shards: RwLock::default(),
            recoveries: Mutex::default(),
        });
        let watching = watch::start(&cluster, newest_epoch, runtime);
        Self(Arc::new(Owner { cluster, compared_roots: ComparedRoots::default(), watching }))
    }

    /// Returns the shards of the slots in which a region, and the regions above its anchor, lie.
    pub(crate) fn shards_of(&self, region: &RegionPath) -> (ShardHandle, Option<ShardHandle>) {
        let cluster = &self.0.cluster;
        let at = cluster.nodes.servers.anchor.locate(region);
        let above = at.slot_above().map(|slot| cluster.shard(slot));
        (cluster.shard(at.slot()), above)
    }

    /// The roots whose anchors have been compared with those of other processes.
    pub(crate) fn compared_roots(&self) -> &ComparedRoots {
        &self.0.compared_roots
    }

    /// Returns a shard that any question may go to: one that can be called now, if there is one.
    pub(crate) fn any_shard(&self) -> ShardHandle {
        let present = {
            let shards = self.0.cluster.shards.read();
            let mut all = shards.values().map(|member| &member.shard);
            let up = all.clone().find(|shard| shard.primary.is_up());
            up.or_else(|| all.next()).cloned()
        };
        present.unwrap_or_else(|| self.0.cluster.shard(Slot::of_tag("")))
    }

    /// Returns the shards in use.
    pub(crate) fn shards(&self) -> Vec<ShardHandle> {
        self.0.cluster.shards.read().values().map(|member| member.shard.clone()).collect()
    }

    /// The number of attempts to connect to a node, which is one of the primaries or a replica of one.
    pub(crate) fn connects_to(&self, server: &str, place: Place) -> u64 {
        self.0.cluster.surroundings.connects_to(server, place)
    }

    /// The name of the cluster, for messages.
    pub(crate) fn name(&self) -> &str {
        self.0.cluster.nodes.name()
    }

    /// Waits until it is known which node has which slot.
    pub(crate) async fn first_attempt(&self) -> Result<()> {
        let nodes = &self.0.cluster.nodes;
        let limit = self.0.cluster.settings.connect * 2;
        let late = || Failure::unavailable(nodes.name(), "has not been found in time");
        let found = tokio::time::timeout(limit, nodes.map()).await;
        found.unwrap_or_else(|_| Err(late())).map(drop).map_err(|failure| failure.error)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.watching.abort();
        // The shards end with their last handles; releases that are still to be sent hold some.
        let shards = std::mem::take(&mut *self.cluster.shards.write());
        // Without the lock: listeners are called.
        drop(shards);
    }
}

impl Cluster {
    fn shard(&self, slot: Slot) -> ShardHandle {
        let now = self.now();
        if let Some(Member { shard, used }) = self.shards.read().get(&slot) {
            used.store(now, Ordering::Relaxed);
            return shard.clone();
        }
        let mut shards = self.shards.write();
        let open = || Member { shard: self.open(slot), used: AtomicU64::new(now) };
        shards.entry(slot).or_insert_with(open).shard.clone()
    }

    /// The time in milliseconds from the start.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the connections of shards that have not been used for long, if there are many. One that has something
    /// to tell its node stays.
    fn close_idle(&self) {
        let idle = IDLE.max(self.settings.max_lag * 2).as_millis();
        let before = self.now().saturating_sub(u64::try_from(idle).unwrap_or(u64::MAX));
        let mut shards = self.shards.write();
        let Some(excess) = shards.len().checked_sub(MOST_IDLE) else { return };
        let is_idle = |member: &Member| {
            let Member { shard, used } = member;
            used.load(Ordering::Relaxed) < before
                && shard.is_the_only_handle()
                && shard.primary.is_up()
                && shard.primary.shared().in_flight() == 0
                && !shard.recovery.has_queued()
        };
        let mut idle: Vec<_> = shards.iter().filter(|(_, member)| is_idle(member)).collect();
        idle.sort_by_key(|(_, member)| member.used.load(Ordering::Relaxed));
        let idle: Vec<_> = idle.into_iter().take(excess).map(|(slot, _)| *slot).collect();
        let closed: Vec<_> = idle.iter().filter_map(|slot| shards.remove(slot)).collect();
        // Without the lock: listeners are called. If the slot is used again just now, the names of the counts that are
        // deleted may be those of the new connections, which then get another.
        drop(shards);
        drop(closed);
    }

    /// Returns whether all shards can be called.
    fn is_up(&self) -> bool {
        self.shards.read().values().all(|member| member.shard.primary.is_up())
    }

    fn open(&self, slot: Slot) -> ShardHandle {
        let locator =
            SlotLocator { nodes: Arc::clone(&self.nodes), slot, located: Mutex::default() };
        let place = Place::Primary(slot);
        let recovery = {
            let mut recoveries = self.recoveries.lock();
            let new = || self.surroundings.new_recovery(place);
            Arc::clone(recoveries.entry(slot).or_insert_with(new))
        };
        let (locator, surroundings) = (Arc::new(locator), self.surroundings.clone());
        let (shard, releases) = Shard::open_at(place, recovery, locator, surroundings);
        shard.set_neighbours(Box::new(Others(self.this.clone())));
        if let Some(map) = self.nodes.present() {
            self.set_replicas(&shard, &map, slot);
        }
        let shard = Arc::new(shard);
        let tasks = (self.start_tasks)(&shard, releases, &self.runtime);
        ShardHandle::new(shard, tasks)
    }

    fn set_replicas(&self, shard: &Shard, map: &SlotMap, slot: Slot) {
        if self.nodes.servers.replicas == ReplicaUse::Read {
            let replicas = map.replicas(slot).iter();
            shard.set_replicas(replicas.map(|host| self.nodes.server(host)).collect());
        }
    }

    /// Makes the shards follow the map.
    fn follow(&self, map: &SlotMap) {
        let shards: Vec<_> = {
            let shards = self.shards.read();
            shards.iter().map(|(slot, member)| (*slot, member.shard.clone())).collect()
        };
        let mut moved = 0_usize;
        for (slot, shard) in shards {
            let Some(primary) = map.primary(slot) else { continue };
            let primary = self.nodes.server(primary);
            let target = shard.primary.target();
            if target.server().is_some_and(|target| !target.is_at(&primary)) {
                tracing::debug!(%slot, %primary, "a slot has another primary");
                moved += 1;
                shard.primary.relocate();
            }
            self.set_replicas(&shard, map, slot);
        }
        if moved > 0 {
            tracing::info!(cluster = self.nodes.name(), moved, "slots have another primary");
        }
    }
}

/// All shards of a cluster, for one of them.
struct Others(Weak<Cluster>);

impl Neighbours for Others {
    fn shard(&self, slot: Slot) -> Option<ShardHandle> {
        Some(self.0.upgrade()?.shard(slot))
    }
}

/// Finds the primary of a slot.
struct SlotLocator {
    nodes: Arc<Nodes>,
    slot: Slot,
    located: Mutex<Option<Arc<Server>>>,
}

#[async_trait]
impl Locator for SlotLocator {
    async fn locate(&self) -> Result<Arc<Server>, Failure> {
        let map = self.nodes.map().await?;
        let Some(primary) = map.primary(self.slot) else {
            let why = format!("has no node for slot {}", self.slot);
            return Err(Failure::unavailable(self.nodes.name(), &why));
        };
        let server = self.nodes.server(primary);
        *self.located.lock() = Some(Arc::clone(&server));
        Ok(server)
    }

    fn doubt(&self, _: &Error) {
        self.nodes.doubt(self.located.lock().clone());
    }

    fn target(&self) -> Target {
        Target::Name(Arc::clone(self.nodes.shared_name()))
    }
}
