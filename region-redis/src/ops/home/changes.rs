//! Beginning loads, writing and ending.

use std::time::Duration;

use futures_util::future::{OptionFuture, join};
use region_core::{
    Applied, Begun, EndTerms, Ended, Guard, LeaseTerms, Lifetime, MARKER_KEY, Op, OpOutcome, Put,
    RegionPath, RegionTtl, Result, Verb, Write, Written,
};
use tokio::time::Instant;

use super::{Attempts, Home, gone};
use crate::ops::above::Above;
use crate::protocol::call::millis;
use crate::protocol::hold::{Needed, Show};
use crate::protocol::layout::Claim;
use crate::topology::shard::Shard;

impl Home<'_> {
    pub(crate) async fn begin(
        &self,
        region: &RegionPath,
        keys: &[&str],
        terms: LeaseTerms,
    ) -> Result<Begun> {
        let (at, deadline) = (self.shard.locate(region), self.shard.deadline_from(terms.started));
        let Some(above) = &self.above else {
            return self.shard.begin(at, keys, terms, deadline).await;
        };
        let needed = Needed { millis: Some(millis(terms.duration)), show: Show::Unlisted };
        let mut attempts = Attempts::default();
        loop {
            let Above { claim, source } = above.keep_above(at, needed, deadline).await?;
            if !claim.is_of_existing() {
                return Err(gone());
            }
            let claim = attempts.claim(self.by_own_clock(above, claim));
            let begun = self.shard.begin(at.claiming(Some(&claim)), keys, terms, deadline);
            if let Some(begun) = attempts.answered(begun.await)? {
                let source = self.shard.joint_source(source, begun.source);
                return Ok(begun.source(source));
            }
        }
    }

    pub(crate) async fn write(&self, region: &RegionPath, wanted: Write<'_>) -> Result<Written> {
        let (at, deadline) = (self.shard.locate(region), self.shard.deadline_from(wanted.started));
        let Some(above) = &self.above else {
            return Ok(self.shard.write(at, wanted, deadline).await?.0);
        };
        let needed = needed(&wanted);
        let mut attempts = Attempts::default();
        loop {
            let Above { claim, source } = match needed {
                Some(needed) => above.keep_above(at, needed, deadline).await?,
                None => above.read_above(at, deadline).await?,
            };
            if wanted.guard.as_ref().is_some_and(|guard| !is_under(guard, &claim)) {
                return Ok(Written::Fenced);
            }
            if !claim.is_of_existing() {
                // Nothing below exists either, and what is left there is never valid again.
                return if needed.is_none() { Ok(nothing_there(&wanted)) } else { Err(gone()) };
            }
            let claim = attempts.claim(self.by_own_clock(above, claim));
            let written = self.shard.write(at.claiming(Some(&claim)), wanted, deadline).await;
            let Some((written, tree)) = attempts.answered(written)? else { continue };
            if let (Some(needed), Some(tree)) = (needed, tree) {
                above.keep_above_after(at, &claim, tree, needed, deadline).await?;
            }
            return Ok(match written {
                Written::Applied(applied) => {
                    let source = self.shard.joint_source(source, applied.source);
                    Written::Applied(applied.source(source))
                }
                Written::Fenced => Written::Fenced,
            });
        }
    }

    pub(crate) async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let started = Instant::now();
        let comparison = OptionFuture::from(self.comparison_of_anchors(region));
        let (compared, ended) = join(comparison, self.shard.end(region, terms, started)).await;
        compared.transpose()?;
        let ended = ended?;
        let Some((above, parent)) = self.touched_above(region, terms.verb) else {
            return Ok(ended);
        };
        // The inner regions come first: a value of an outer one is made of theirs.
        let outer = EndTerms::new(Verb::Touch).trust(terms.trust);
        above.end(&parent, outer, started).await?;
        Ok(ended)
    }

    /// As [`Shard::end_and_wait`].
    pub(crate) async fn end_and_wait(
        &self,
        region: &RegionPath,
        verb: Verb,
        replicas: u32,
        within: Duration,
    ) -> Result<u32> {
        let started = Instant::now();
        let comparison = OptionFuture::from(self.comparison_of_anchors(region));
        let (compared, reached) =
            join(comparison, self.shard.end_and_wait(region, verb, replicas, within, started))
                .await;
        compared.transpose()?;
        let reached = reached?;
        let Some((above, parent)) = self.touched_above(region, verb) else { return Ok(reached) };
        let left = within.saturating_sub(started.elapsed());
        let outer =
            above.end_and_wait(&parent, Verb::Touch, replicas, left, Instant::now()).await?;
        Ok(reached.min(outer))
    }

    /// The region that is touched above the anchor, and its shard, if the verb reaches so far.
    fn touched_above(&self, region: &RegionPath, verb: Verb) -> Option<(&Shard, RegionPath)> {
        let above = self.above.as_ref().filter(|_| verb.covers_ancestors())?;
        Some((above, self.shard.locate(region).parent_above()?))
    }
}

/// What a write needs of the regions above; `None` if it puts nothing.
fn needed(wanted: &Write<'_>) -> Option<Needed> {
    let puts = wanted.ops.iter().filter_map(|op| match op {
        Op::Put(put) => Some(put),
        Op::Remove { .. } | Op::Take { .. } => None,
    });
    let lives_for = |put: &Put<'_>| match put.fresh_for {
        Lifetime::Unlimited => None,
        Lifetime::Millis(fresh) => Some(fresh.get().saturating_add(millis(put.stale_for))),
    };
    let of_puts = puts.clone().map(lives_for).reduce(|one, other| Some(one?.max(other?)));
    let ttl = match wanted.region_ttl {
        RegionTtl::Leave => None,
        RegionTtl::Start(ttl) | RegionTtl::Restart(ttl) => Some(millis(ttl)),
    };
    let show = match puts.clone().next() {
        None => Show::Unlisted,
        Some(_) if puts.clone().all(|put| put.key == MARKER_KEY) => Show::Hidden,
        Some(_) => Show::Shown,
    };
    // Where entries share a timeout none outlives it.
    let millis = match (of_puts, ttl) {
        (None, None) => return None,
        (Some(longest), None) => longest,
        (longest, Some(ttl)) => Some(longest.flatten().map_or(ttl, |longest| longest.max(ttl))),
    };
    Some(Needed { millis, show })
}

/// Returns whether the regions above are those that a guard names.
fn is_under(guard: &Guard<'_>, claim: &Claim) -> bool {
    claim.is_of_existing() && guard.lineage.life_bytes().starts_with(&claim.trees())
}

/// The answer to removals from a region that does not exist.
fn nothing_there(wanted: &Write<'_>) -> Written {
    let outcome = |op: &Op<'_>| match op {
        Op::Take { .. } => OpOutcome::Taken(None),
        Op::Put(_) | Op::Remove { .. } => OpOutcome::Removed(false),
    };
    Written::Applied(Applied::new(wanted.ops.iter().map(outcome).collect()))
}
