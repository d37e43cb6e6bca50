//! The task that has the shards follow the nodes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Cluster;
use super::nodes::Nodes;
use crate::net::epoch::NewestEpoch;

/// The time between two looks at the map that nobody has doubted.
const ROUND: Duration = Duration::from_secs(10);

/// As [`ROUND`], while a node cannot be called: another may have been made a primary in its place.
const TROUBLED: Duration = Duration::from_millis(500);

/// For so long the map is looked at as if a node could not be called, once a newer epoch is heard of: it rises before a
/// replica takes over.
const UNSETTLED: Duration = Duration::from_secs(5);

/// The time in which doubts gather, and the least between two looks.
const GATHERING: Duration = Duration::from_millis(100);

/// Starts the task. It runs as long as the cluster exists.
///
/// It makes a change quicker for shards that have not noticed it themselves, and keeps the lists of replicas. That a
/// link leads to the primary of its slot does not depend on it.
pub(super) fn start(
    cluster: &Arc<Cluster>,
    newest_epoch: Arc<NewestEpoch>,
    runtime: &Handle,
) -> AbortHandle {
    let watching = watch(Arc::downgrade(cluster), Arc::clone(&cluster.nodes), newest_epoch);
    runtime.spawn(watching).abort_handle()
}

async fn watch(cluster: Weak<Cluster>, nodes: Arc<Nodes>, newest_epoch: Arc<NewestEpoch>) {
    let (mut followed, mut heard_of, mut settled) = (None, 0, Instant::now());
    loop {
        let map = nodes.map().await;
        let Some(cluster) = cluster.upgrade() else { return };
        match map {
            Ok(map) => {
                if map.epoch() > heard_of && followed.is_some() {
                    settled = Instant::now() + UNSETTLED;
                }
                heard_of = heard_of.max(map.epoch());
                if followed.as_ref().is_none_or(|former| !Arc::ptr_eq(former, &map)) {
                    cluster.follow(&map);
                    followed = Some(map);
                }
            }
            Err(failure) => tracing::debug!(error = %failure.error, "no node of a cluster answers"),
        }
        cluster.close_idle();
        let is_quiet = cluster.is_up() && Instant::now() >= settled;
        let round = if is_quiet { ROUND } else { TROUBLED };
        // Not held while waiting: the cluster ends with its last handle.
        drop(cluster);
        tokio::time::sleep(GATHERING).await;
        tokio::select! {
            biased;
            () = nodes.doubts() => {}
            epoch = newest_epoch.newer_than(heard_of) => {
                (heard_of, settled) = (epoch, Instant::now() + UNSETTLED);
                nodes.grow_old();
            }
            () = tokio::time::sleep(round) => nodes.grow_old(),
        }
    }
}
