//! All shards of a store.

use std::borrow::Cow;
use std::sync::Arc;

use region_core::{RegionPath, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::net::locator::{Fixed, Locator};
use crate::net::pushes::Pushes;
use crate::ops::home::Home;
use crate::ops::{reclaim, release};
use crate::servers::Servers;
use crate::settings::Settings;
use crate::topology::cluster::ClusterHandle;
use crate::topology::releases::Release;
use crate::topology::sentinel::{self, Sentinels};
use crate::topology::shard::{Shard, ShardHandle};

/// The shards that regions lie in.
#[derive(Clone)]
pub(crate) enum Shards {
    /// All regions lie in one.
    One(ShardHandle),
    Cluster(ClusterHandle),
}

impl Shards {
    /// Begins to connect to the servers of the settings.
    pub(crate) fn open(
        settings: &Arc<Settings>,
        pushes: &Arc<Pushes>,
        runtime: &Handle,
    ) -> Result<Self> {
        match &settings.servers {
            Servers::Fixed(primary) => {
                let primary = Fixed::at(Arc::new(primary.clone()));
                Ok(Self::One(open_one(settings, primary, None, pushes, runtime)))
            }
            Servers::Sentinel(servers) => {
                let sentinels = Sentinels::new(servers.clone(), settings);
                let primary = Arc::clone(&sentinels) as _;
                Ok(Self::One(open_one(settings, primary, Some(sentinels), pushes, runtime)))
            }
            Servers::Cluster(nodes) => Ok(Self::Cluster(ClusterHandle::open(
                nodes.clone(),
                settings,
                pushes,
                runtime,
                start_tasks,
            ))),
        }
    }

    /// Returns where a region lies.
    pub(crate) fn of(&self, region: &RegionPath) -> Home<'_> {
        match self {
            Self::One(shard) => Home { shard: Cow::Borrowed(shard), above: None, compared: None },
            Self::Cluster(cluster) => {
                let (shard, above) = cluster.shards_of(region);
                let compared = Some(cluster.compared_roots());
                Home { shard: Cow::Owned(shard), above, compared }
            }
        }
    }

    /// Returns a shard that any question may go to.
    pub(crate) fn any(&self) -> Cow<'_, ShardHandle> {
        match self {
            Self::One(shard) => Cow::Borrowed(shard),
            Self::Cluster(cluster) => Cow::Owned(cluster.any_shard()),
        }
    }

    /// Returns the shards in use.
    pub(crate) fn all(&self) -> Vec<ShardHandle> {
        match self {
            Self::One(shard) => vec![shard.clone()],
            Self::Cluster(cluster) => cluster.shards(),
        }
    }

    /// Waits until the first attempt to find and reach the servers has ended.
    pub(crate) async fn first_attempt(&self) -> Result<()> {
        match self {
            Self::One(shard) => shard.primary.first_attempt().await,
            Self::Cluster(cluster) => cluster.first_attempt().await,
        }
    }
}

fn open_one(
    settings: &Arc<Settings>,
    primary: Arc<dyn Locator>,
    sentinels: Option<Arc<Sentinels>>,
    pushes: &Arc<Pushes>,
    runtime: &Handle,
) -> ShardHandle {
    let replicas = settings.replicas.iter().cloned().map(Arc::new).collect();
    let (shard, releases) = Shard::open(Arc::clone(settings), primary, pushes, runtime);
    shard.set_replicas(replicas);
    let shard = Arc::new(shard);
    let watching = sentinels.map(|sentinels| sentinel::start(sentinels, &shard, runtime));
    let tasks = start_tasks(&shard, releases, runtime).into_iter().chain(watching);
    let tasks = tasks.collect();
    ShardHandle::new(shard, tasks)
}

/// Starts the tasks that each shard has. Returns those that end with its last handle.
fn start_tasks(
    shard: &Arc<Shard>,
    releases: mpsc::Receiver<Release>,
    runtime: &Handle,
) -> Vec<AbortHandle> {
    release::start(releases, runtime);
    let reclaiming = shard.settings.reclaim.then(|| reclaim::start(shard, runtime));
    reclaiming.into_iter().collect()
}
