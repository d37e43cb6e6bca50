//! The task that has the shards follow the nodes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::Cluster;
use super::nodes::Nodes;

/// The time between two looks at the map that nobody has doubted.
const ROUND: Duration = Duration::from_secs(10);

/// As [`ROUND`], while a node cannot be called: another may have been made a primary in its place.
const TROUBLED: Duration = Duration::from_millis(500);

/// The time in which doubts gather, and the least between two looks.
const GATHERING: Duration = Duration::from_millis(100);

/// Starts the task. It runs as long as the cluster exists.
///
/// It makes a change quicker for shards that have not noticed it themselves, and keeps the lists of replicas. That a
/// link leads to the primary of its slot does not depend on it.
pub(super) fn start(cluster: &Arc<Cluster>, runtime: &Handle) -> AbortHandle {
    let watching = watch(Arc::downgrade(cluster), Arc::clone(&cluster.nodes));
    runtime.spawn(watching).abort_handle()
}

async fn watch(cluster: Weak<Cluster>, nodes: Arc<Nodes>) {
    let mut followed = None;
    loop {
        let map = nodes.map().await;
        let Some(cluster) = cluster.upgrade() else { return };
        match map {
            Ok(map) => {
                if followed.as_ref().is_none_or(|former| !Arc::ptr_eq(former, &map)) {
                    cluster.follow(&map);
                    followed = Some(map);
                }
            }
            Err(failure) => tracing::debug!(error = %failure.error, "no node of a cluster answers"),
        }
        cluster.close_idle();
        let round = if cluster.is_up() { ROUND } else { TROUBLED };
        // Not held while waiting: the cluster ends with its last handle.
        drop(cluster);
        tokio::time::sleep(GATHERING).await;
        if tokio::time::timeout(round, nodes.doubts()).await.is_err() {
            nodes.grow_old();
        }
    }
}
