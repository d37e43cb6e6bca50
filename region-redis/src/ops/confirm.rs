//! Counting writes that were done over another connection than the main one.

use std::sync::Arc;

use region_core::Result;
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::request::{Lane, Retry};
use crate::ops::one;
use crate::protocol::confirm::confirm;
use crate::protocol::reply::answered_count;
use crate::random;
use crate::topology::shard::Shard;

impl Shard {
    /// Returns the name of the receipt that a write over this connection has to leave.
    pub(crate) fn receipt(&self, lane: Lane) -> Option<String> {
        let names = self.recovery.count_names();
        (lane != Lane::Main).then(|| names.receipt(random::long_bits()))
    }

    /// Raises the count for a write that has left this receipt. Returns it, and the connections that it belongs to.
    pub(crate) async fn confirm(
        &self,
        receipt: &str,
        deadline: Instant,
    ) -> Result<(Arc<Connections>, u64)> {
        let request = |connections: &Connections| {
            let count = connections.write_count();
            one(confirm(receipt, count), Lane::Main, Retry::Unsafe).counted(count)
        };
        let Response { values, connections, .. } = self.primary.call(deadline, request).await?;
        match answered_count(&values) {
            Some(count) => Ok((connections, count)),
            None => {
                self.distrust(&connections);
                Err(self.lost_writes())
            }
        }
    }
}
