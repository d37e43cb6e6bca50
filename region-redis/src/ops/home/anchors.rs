//! Comparing anchors before a change whose answer would not show that another process has others.

use std::time::Duration;

use futures_util::future::BoxFuture;
use region_core::{ErrorKind, RegionPath, Result};
use tokio::time::timeout;

use super::Home;
use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::request::{Lane, Retry};
use crate::ops::one;
use crate::protocol::read::ids;
use crate::protocol::reply::{Replies, borrowed};
use crate::topology::shard::Shard;

/// The longest time for which a change waits for a comparison: the node of the root may hang, while that of the change
/// does not.
const LIMIT: Duration = Duration::from_millis(250);

impl Home<'_> {
    /// Compares the anchors of this process with those that the root of a region names; `None` while that is not due: it
    /// is so once in a while, for the answer to an invalidation shows no ids. A root itself lies in one place, whatever
    /// its anchors are.
    ///
    /// It fails if a process with other anchors has created the root, and not if that cannot be found out in time.
    pub(super) fn comparison_of_anchors(
        &self,
        region: &RegionPath,
    ) -> Option<BoxFuture<'_, Result<()>>> {
        let compared = self.compared.filter(|_| region.depth() > 1)?;
        let root = std::iter::successors(Some(region.clone()), RegionPath::parent).last()?;
        let shard = self.above.as_ref().unwrap_or(&self.shard);
        compared.begin(root.as_str()).then(|| {
            Box::pin(async move {
                match timeout(LIMIT, shard.compare_anchors(&root)).await {
                    Ok(Err(error)) if error.kind() == ErrorKind::InvalidConfig => {
                        compared.forget(root.as_str());
                        Err(error)
                    }
                    _ => Ok(()),
                }
            }) as _
        })
    }
}

impl Shard {
    async fn compare_anchors(&self, root: &RegionPath) -> Result<()> {
        let at = self.locate(root);
        let request = |_: &Connections| one(ids(at, None), Lane::Main, Retry::Safe);
        let Response { values, connections, .. } =
            self.primary.call(self.deadline(), request).await?;
        let ids = Replies::new(&connections.server, values).list()?;
        at.anchor.check(ids.first().and_then(borrowed))
    }
}
