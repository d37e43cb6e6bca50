//! Writing.

use rand::RngExt;
use redis::Value;
use region_core::{
    Applied, Error, ErrorKind, Lifetime, Op, OpOutcome, RegionPath, Result, Trust, Write, Written,
};
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::own_pushes::OwnWrite;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::one;
use crate::protocol::layout::{Id, Located, PathIds, Stamp, Validator};
use crate::protocol::reply::Replies;
use crate::protocol::write::{
    AppliedReply, PutReply, RegionReply, only_puts, outcome_of, put, write,
};
use crate::random;
use crate::time_range::TimeRange;
use crate::topology::shard::Shard;

/// One put in this many looks for expired entries, and for as many more as the other puts leave.
const PUTS_PER_SWEEP: u32 = 8;

impl Shard {
    /// Returns also the `tree` of the anchor, of a region below one that has been written to.
    pub(crate) async fn write(
        &self,
        at: Located<'_>,
        wanted: Write<'_>,
        deadline: Instant,
    ) -> Result<(Written, Option<Id>)> {
        let region = at.region;
        let size = self.check_sizes(region, wanted.ops)?;
        self.tags.note(at.tag());
        if wanted.guard.is_none() {
            self.recovery.recent_writes().intend_write(region, wanted.ops.iter().map(Op::key));
        }
        let lane = if self.large.is_large(size) { Lane::Large } else { Lane::Main };
        if lane == Lane::Main
            && let Some((applied, tree)) = self.put(at, &wanted, deadline).await?
        {
            return Ok((Written::Applied(applied), tree));
        }
        let receipt = self.receipt(lane);
        let request = |connections: &Connections| {
            let count = connections.write_count().with_receipt(receipt.as_deref());
            // A write that may have been done is not done again: others may have written since.
            let request = one(write(at, &wanted, count), lane, Retry::Unsafe).counted(count);
            Request { tracking: tracking(region, &wanted), ..request }
        };
        let Response { values, connections, source, own_write } =
            self.primary.call(deadline, request).await?;
        let replies = Replies::new(&connections.server, values);
        let Some(AppliedReply { count, outcomes, region: after }) = AppliedReply::parse(replies)?
        else {
            return Ok((Written::Fenced, None));
        };
        check_anchor(at, after.as_ref().and_then(|after| after.ids.as_ref()))?;
        if wanted.guard.is_none() {
            self.existing.add(region);
        }
        let outcomes = outcomes_of(wanted.ops, outcomes, after.as_ref())
            .ok_or_else(|| Replies::new(&connections.server, Vec::new()).unexpected())?;
        // Of other outcomes it is not known whether they have changed anything.
        if outcomes.contains(&OpOutcome::Stored) {
            own_write.into_iter().for_each(OwnWrite::done);
        }
        let (connections, count) = match &receipt {
            None => (connections, count),
            Some(receipt) => self.confirm(receipt, deadline).await?,
        };
        self.recovery.written(region, &connections, count);
        self.check_for_loss(&connections);
        let (ids, stamp) = after.map_or((None, None), |after| (after.ids, after.stamp));
        let applied = self.applied(outcomes, wanted.trust, ids.as_ref(), stamp);
        Ok((Written::Applied(applied.source(source)), anchor_tree(at, ids.as_ref())))
    }

    /// Does the write over the main connection by the faster script, if it consists of puts and the region exists.
    async fn put(
        &self,
        at: Located<'_>,
        write: &Write<'_>,
        deadline: Instant,
    ) -> Result<Option<(Applied, Option<Id>)>> {
        let region = at.region;
        let puts = only_puts(write).filter(|_| self.existing.has(region));
        let Some(puts) = puts else { return Ok(None) };
        // Now and then the other script has to look for entries that have expired.
        let is_limited = puts.iter().any(|put| put.fresh_for != Lifetime::Unlimited);
        if is_limited && random::draw(|rng| rng.random_ratio(1, PUTS_PER_SWEEP)) {
            return Ok(None);
        }
        let request = |connections: &Connections| {
            let count = connections.write_count();
            let command = put(at, &puts, write.trust, count);
            let request = one(command, Lane::Main, Retry::Unsafe).counted(count);
            Request { tracking: tracking(region, write), ..request }
        };
        let Response { values, connections, source, own_write } =
            self.primary.call(deadline, request).await?;
        match PutReply::parse(Replies::new(&connections.server, values))? {
            PutReply::Done { count, region: after } => {
                check_anchor(at, after.as_ref().map(|(ids, _)| ids))?;
                own_write.into_iter().for_each(OwnWrite::done);
                self.recovery.written(region, &connections, count);
                self.check_for_loss(&connections);
                let outcomes = vec![OpOutcome::Stored; write.ops.len()];
                let (ids, stamp) = after.map_or((None, None), |(ids, stamp)| (Some(ids), stamp));
                let applied = self.applied(outcomes, write.trust, ids.as_ref(), stamp);
                Ok(Some((applied.source(source), anchor_tree(at, ids.as_ref()))))
            }
            PutReply::NotDone => {
                self.existing.remove(region);
                Ok(None)
            }
        }
    }

    fn applied(
        &self,
        outcomes: Vec<OpOutcome>,
        trust: Trust,
        ids: Option<&PathIds>,
        stamp: Option<Stamp>,
    ) -> Applied {
        let applied = Applied::new(outcomes);
        if trust == Trust::NotKept {
            return applied;
        }
        let applied = applied.lineage(ids.and_then(PathIds::lineage));
        let Some(stamp) = stamp else { return applied };
        // The clock is asked after the write: so no more is left than there was.
        let left = match (stamp.ttl_end, self.primary_progress.clock.now()) {
            (None, _) => Some(Lifetime::Unlimited),
            (end, Some(now)) => Lifetime::left(end, now.latest),
            (Some(_), None) => None,
        };
        applied.changes(Some(stamp.changes)).region_ttl_left(left)
    }

    /// Returns the bytes of all puts, if each is within the limit.
    fn check_sizes(&self, region: &RegionPath, ops: &[Op<'_>]) -> Result<usize> {
        let mut total = 0;
        for op in ops {
            let Op::Put(put) = op else { continue };
            let (len, most) = (put.bytes.len(), self.settings.max_entry);
            if len > most {
                let message =
                    format!("an entry of {len} bytes exceeds the store's limit of {most}");
                let error = Error::new(ErrorKind::TooLarge, message);
                return Err(error.on("write", region).at_key(put.key));
            }
            self.large.note(region, put.key, len);
            total += len;
        }
        Ok(total)
    }
}

pub(crate) fn outcomes_of(
    ops: &[Op<'_>],
    outcomes: Vec<Value>,
    region: Option<&RegionReply>,
) -> Option<Vec<OpOutcome>> {
    if outcomes.len() != ops.len() {
        return None;
    }
    let validator = region.and_then(|region| {
        let now = TimeRange::exactly(region.now);
        region.ids.as_ref().map(|ids| Validator::new(ids, region.ttl_end, now))
    });
    let outcomes = ops.iter().zip(outcomes);
    outcomes.map(|(op, outcome)| outcome_of(op, outcome, validator.as_ref())).collect()
}

fn check_anchor(at: Located<'_>, ids: Option<&PathIds>) -> Result<()> {
    ids.map_or(Ok(()), |ids| ids.check(at.anchor))
}

/// The `tree` of the anchor of a region that has these ids, if there is one above it.
fn anchor_tree(at: Located<'_>, ids: Option<&PathIds>) -> Option<Id> {
    ids.filter(|_| at.above() > 0)?.tree_at(at.above() + 1)
}

/// A write whose answer is trusted hears of later changes, and not of its own.
fn tracking(region: &RegionPath, write: &Write<'_>) -> Tracking {
    match write.trust {
        Trust::Kept => Tracking::Write(region.clone()),
        Trust::NotKept => Tracking::No,
    }
}
