//! A primary with its replicas.

#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use region_core::RegionPath;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::net::dialer::Dialer;
use crate::net::link::Link;
use crate::net::locator::{Fixed, Locator};
use crate::net::origin::{Origin, Place};
use crate::net::outage::{LogLimit, OutageLines};
use crate::net::pool::Pool;
use crate::net::pushes::Pushes;
use crate::protocol::layout::{Located, Slot};
use crate::random;
use crate::server::Server;
use crate::session::acknowledgements::Acknowledgements;
use crate::session::hints::{ExistingRegions, LargeEntries};
use crate::session::lag::{PrimaryProgress, ReplicaProgress};
use crate::session::listed::ListedAnchors;
use crate::session::recovery::Recovery;
use crate::session::role::{PrimaryRole, ReplicaRole};
use crate::session::tags::UsedTags;
use crate::settings::Settings;
use crate::topology::releases::{Release, Releases};

/// A primary with its replicas, and the state that this process keeps for them. The operations of the store
/// are its methods.
pub(crate) struct Shard {
    pub(crate) settings: Arc<Settings>,
    pub(crate) primary: Link,
    replicas: RwLock<Vec<Arc<Replica>>>,
    surroundings: Surroundings,
    place: Place,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) primary_progress: Arc<PrimaryProgress>,
    pub(crate) large: Arc<LargeEntries>,
    pub(crate) existing: Arc<ExistingRegions>,
    pub(crate) listed: ListedAnchors,
    pub(crate) tags: Arc<UsedTags>,
    pub(crate) logs: Logs,
    pub(crate) releases: Releases,
    pub(crate) acknowledgements: Acknowledgements,
    neighbours: OnceLock<Box<dyn Neighbours>>,
    next_replica: AtomicUsize,
}

/// A replica, and how far it is behind.
pub(crate) struct Replica {
    server: Arc<Server>,
    pub(crate) link: Link,
    progress: Arc<ReplicaProgress>,
}

/// The other shards of the same store.
pub(crate) trait Neighbours: Send + Sync {
    /// Returns the shard of a slot; `None` once the store is gone.
    fn shard(&self, slot: Slot) -> Option<ShardHandle>;
}

/// The parts of a store that its shards have in common.
#[derive(Clone)]
pub(crate) struct Surroundings {
    settings: Arc<Settings>,
    dialing: Dialing,
    large: Arc<LargeEntries>,
    existing: Arc<ExistingRegions>,
    repetitions: Arc<LogLimit>,
}

/// The way to connections for links.
#[derive(Clone)]
enum Dialing {
    /// Each link has connections of its own.
    Apart { pushes: Arc<Pushes>, runtime: Handle },
    /// The links share connections, and the limits of the lines that they log.
    Shared { pool: Arc<Pool>, lines: Arc<OutageLines> },
}

impl Surroundings {
    /// For a single shard.
    pub(crate) fn of_one(settings: &Arc<Settings>, pushes: &Arc<Pushes>, runtime: &Handle) -> Self {
        let (pushes, runtime) = (Arc::clone(pushes), runtime.clone());
        Self::new(settings, Dialing::Apart { pushes, runtime })
    }

    /// For shards that share the connections of `pool`.
    pub(crate) fn of_many(settings: &Arc<Settings>, pool: Arc<Pool>) -> Self {
        Self::new(settings, Dialing::Shared { pool, lines: Arc::default() })
    }

    fn new(settings: &Arc<Settings>, dialing: Dialing) -> Self {
        let large = Arc::new(LargeEntries::new(settings.large));
        let (settings, existing) = (Arc::clone(settings), Arc::new(ExistingRegions::new()));
        Self { settings, dialing, large, existing, repetitions: Arc::default() }
    }

    /// The state of a shard that has changed nothing yet.
    pub(crate) fn new_recovery(&self, place: Place) -> Arc<Recovery> {
        let lines = Arc::clone(&self.repetitions);
        Arc::new(Recovery::new(&self.settings, place.count_names(), lines))
    }

    /// The number of attempts to connect that were made for all links to the server that is printed so.
    pub(crate) fn connects_to(&self, server: &str, place: Place) -> u64 {
        match &self.dialing {
            Dialing::Apart { .. } => 0,
            Dialing::Shared { pool, .. } => pool.connects_to(server, place),
        }
    }

    /// Where a link of one shard leads to.
    fn origin(&self, locator: Arc<dyn Locator>, place: Place) -> Origin {
        match &self.dialing {
            Dialing::Apart { pushes, runtime } => {
                let dialer = Arc::new(Dialer::new(&self.settings, pushes, runtime, place));
                Origin { locator, dialer, place, pool: None, lines: Arc::default() }
            }
            Dialing::Shared { pool, lines } => {
                let dialer = Arc::clone(pool.dialer(place));
                let (pool, lines) = (Some(Arc::clone(pool)), Arc::clone(lines));
                Origin { locator, dialer, place, pool, lines }
            }
        }
    }
}

/// The limits of the log lines that calls write.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) queued: LogLimit,
    pub(crate) lost_changes: LogLimit,
}

impl Shard {
    /// Begins to connect to the primary that `primary` locates; there are no replicas yet. Returns the shard,
    /// and the queue of leases that a task has to give back.
    pub(crate) fn open(
        settings: Arc<Settings>,
        primary: Arc<dyn Locator>,
        pushes: &Arc<Pushes>,
        runtime: &Handle,
    ) -> (Self, mpsc::Receiver<Release>) {
        let place = Place::Alone;
        let surroundings = Surroundings::of_one(&settings, pushes, runtime);
        let recovery = surroundings.new_recovery(place);
        Self::open_at(place, recovery, primary, surroundings)
    }

    /// As [`open`](Self::open), for what lies in this place, and has been changed as `recovery` knows.
    pub(crate) fn open_at(
        place: Place,
        recovery: Arc<Recovery>,
        primary: Arc<dyn Locator>,
        surroundings: Surroundings,
    ) -> (Self, mpsc::Receiver<Release>) {
        let primary_progress = Arc::new(PrimaryProgress::new(surroundings.settings.max_lag));
        let role = PrimaryRole {
            recovery: Arc::clone(&recovery),
            progress: Arc::clone(&primary_progress),
        };
        let primary = Link::open(surroundings.origin(primary, place), role);
        let (releases, released) = Releases::new();
        let shard = Self {
            primary,
            replicas: RwLock::default(),
            place,
            recovery,
            primary_progress,
            large: Arc::clone(&surroundings.large),
            existing: Arc::clone(&surroundings.existing),
            listed: ListedAnchors::new(),
            tags: Arc::default(),
            logs: Logs::default(),
            releases,
            acknowledgements: Acknowledgements::default(),
            neighbours: OnceLock::new(),
            next_replica: AtomicUsize::new((random::bits() as u16).into()),
            settings: Arc::clone(&surroundings.settings),
            surroundings,
        };
        (shard, released)
    }

    /// Lets the shard find others, whose keys hang on its own.
    pub(crate) fn set_neighbours(&self, neighbours: Box<dyn Neighbours>) {
        let _ = self.neighbours.set(neighbours);
    }

    /// Returns the shard of another slot.
    pub(crate) fn neighbour(&self, slot: Slot) -> Option<ShardHandle> {
        self.neighbours.get()?.shard(slot)
    }

    /// A region, and where its keys lie.
    pub(crate) fn locate<'p>(&self, region: &'p RegionPath) -> Located<'p> {
        self.settings.servers.anchor().locate(region)
    }

    /// Reads from these replicas from now on. Links to those that are replicas already are kept, links to others
    /// are closed, and their calls fail: the primary answers in their place.
    pub(crate) fn set_replicas(&self, servers: Vec<Arc<Server>>) {
        let mut present = self.replicas.write();
        let mut former = std::mem::take(&mut *present);
        for server in servers {
            let kept = former.iter().position(|replica| replica.server.is_at(&server));
            let kept = kept.map(|at| former.swap_remove(at));
            present.push(kept.unwrap_or_else(|| self.open_replica(server)));
        }
        // Without the lock: listeners are called.
        drop(present);
        former.iter().for_each(|replica| replica.link.close());
    }

    fn open_replica(&self, server: Arc<Server>) -> Arc<Replica> {
        let progress = Arc::new(ReplicaProgress::default());
        let role = ReplicaRole {
            primary: Arc::clone(&self.primary_progress),
            progress: Arc::clone(&progress),
        };
        let place = self.place.of_replica();
        let locator = Fixed::at(Arc::clone(&server));
        let link = Link::open(self.surroundings.origin(locator, place), role);
        Arc::new(Replica { server, link, progress })
    }

    /// Returns whether the primary is at this address, and can be called.
    pub(crate) fn leads_to(&self, primary: &Server) -> bool {
        let target = self.primary.target();
        self.primary.is_up() && target.server().is_some_and(|server| server.is_at(primary))
    }

    /// Returns whether these are the replicas.
    pub(crate) fn has_replicas(&self, servers: &[Arc<Server>]) -> bool {
        let replicas = self.replicas.read();
        let is_one = |server: &Arc<Server>| replicas.iter().any(|one| one.server.is_at(server));
        replicas.len() == servers.len() && servers.iter().all(is_one)
    }

    /// Returns the replicas of now.
    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.replicas.read().clone()
    }

    /// Returns a replica that may be read from. The replicas take turns.
    pub(crate) fn replica(&self) -> Option<Arc<Replica>> {
        let replicas = self.replicas.read();
        if replicas.is_empty() || self.recovery.has_queued() {
            return None;
        }
        let first = self.next_replica.fetch_add(1, Ordering::Relaxed) % replicas.len();
        let mut all = replicas.iter().cycle().skip(first).take(replicas.len());
        all.find(|replica| replica.link.is_up() && self.is_recent(replica)).cloned()
    }

    /// Returns whether the replica's lag is known to be within `max_lag`.
    pub(crate) fn is_recent(&self, replica: &Replica) -> bool {
        replica.progress.is_within(&self.primary_progress, self.settings.max_lag)
    }

    /// Ends the connections for good.
    fn close(&self) {
        self.primary.close();
        self.replicas().iter().for_each(|replica| replica.link.close());
    }
}

/// A handle to a shard. With the last handle the connections and the background tasks end, even while a
/// task still holds the shard itself.
#[derive(Clone)]
pub(crate) struct ShardHandle(Arc<Owner>);

/// The state that the handles to a shard own together.
struct Owner {
    shard: Arc<Shard>,
    tasks: Vec<AbortHandle>,
}

impl ShardHandle {
    /// The first handle. With the last one the `tasks` end too.
    pub(crate) fn new(shard: Arc<Shard>, tasks: Vec<AbortHandle>) -> Self {
        Self(Arc::new(Owner { shard, tasks }))
    }

    /// Returns whether nobody else has one at present.
    pub(crate) fn is_the_only_handle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Deref for ShardHandle {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.0.shard
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.shard.close();
    }
}
