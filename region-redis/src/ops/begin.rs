//! Beginning loads.

use std::sync::Arc;

use region_core::{Begun, BegunKey, LeaseTerms, RegionPath, Result, Trust};
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::ask::ATTEMPTS;
use crate::ops::one;
use crate::ops::read::valid_entries;
use crate::protocol::begin::{BeginReply, begin};
use crate::protocol::layout::Located;
use crate::protocol::reply::{Replies, borrowed};
use crate::time_range::TimeRange;
use crate::topology::shard::Shard;

impl Shard {
    pub(crate) async fn begin(
        &self,
        at: Located<'_>,
        keys: &[&str],
        terms: LeaseTerms,
        deadline: Instant,
    ) -> Result<Begun> {
        let region = at.region;
        self.tags.note(at.tag());
        self.releases.note(terms.duration);
        let lane = if self.large.any(region, keys) { Lane::Large } else { Lane::Main };
        let receipt = self.receipt(lane);
        let request = |connections: &Connections| {
            let count = connections.write_count().with_receipt(receipt.as_deref());
            let request =
                one(begin(at, keys, &terms, count), lane, Retry::SafeInOrder).counted(count);
            // The script reads before it answers: the server tracks the keys from then on.
            Request { tracking: Tracking::Read, ..request }
        };
        for _ in 0..ATTEMPTS {
            let counted = self.recovery.recent_writes().needed(region);
            let Response { values, connections, source, .. } =
                self.primary.call(deadline, request).await?;
            let replies = Replies::new(&connections.server, values).within()?;
            let reply = BeginReply::parse(replies)?;
            reply.ids.check(at.anchor)?;
            if reply.created {
                let (connections, count) = match &receipt {
                    None => (Arc::clone(&connections), reply.count),
                    Some(receipt) => self.confirm(receipt, deadline).await?,
                };
                self.recovery.written(region, &connections, count);
            }
            self.check_for_loss(&connections);
            if self.check_own_writes(&connections, counted, reply.shown, deadline).await {
                let begun = self.begun(region, keys, reply, terms.trust);
                let unexpected = || Replies::new(&connections.server, Vec::new()).unexpected();
                return Ok(begun.ok_or_else(unexpected)?.source(source));
            }
        }
        Err(self.lost_writes())
    }

    /// Returns `None` if the reply is of another form than it should be.
    fn begun(
        &self,
        region: &RegionPath,
        keys: &[&str],
        reply: BeginReply,
        trust: Trust,
    ) -> Option<Begun> {
        let BeginReply { now, ids, fields, leases, .. } = reply;
        let lineage = ids.lineage()?;
        let stamp = ids.stamp(fields.first().and_then(borrowed));
        // At an exact time validation is never unsure.
        let now = TimeRange::exactly(now);
        let valid = self.validate(region, keys, Some(&ids), &fields, now).unwrap_or_default();
        let entries = valid_entries(keys, fields, valid);
        if leases.len() != keys.len() {
            return None;
        }
        let keys = entries.into_iter().zip(leases);
        let keys = keys.map(|(entry, lease)| BegunKey::new(entry, lease)).collect();
        let changes = stamp.filter(|_| trust == Trust::Kept).map(|stamp| stamp.changes);
        Some(Begun::new(lineage, keys).changes(changes))
    }
}
