//! Invalidating, touching and expiring.

use std::time::Duration;

use region_core::{EndTerms, Ended, Error, ErrorKind, RegionPath, Result, Trust, Verb};
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::pending::PendingChange;
use crate::net::request::{Lane, Retry};
use crate::ops::one;
use crate::protocol::end::{EndReply, end};
use crate::protocol::layout::PathIds;
use crate::protocol::reply::Replies;
use crate::session::recovery::queue_is_full;
use crate::settings::{Acknowledgement, OnInvalidationFailure};
use crate::topology::shard::Shard;

/// The outcome of an invalidation that did not fail.
enum Ending {
    /// It was done. Holds the ids along the path after it, if they are known.
    Done(Option<PathIds>),
    Queued,
}

impl Shard {
    /// Ends what `verb` covers in this shard; the operation began at `started`.
    pub(crate) async fn end(
        &self,
        region: &RegionPath,
        terms: EndTerms,
        started: Instant,
    ) -> Result<Ended> {
        let ending = self.end_now(region, terms.verb, terms.trust, started).await?;
        if let Some(Acknowledgement { replicas, within }) = self.settings.acknowledgement {
            let reached = self.acknowledged(&ending, replicas, within).await?;
            if reached < replicas {
                let message = format!(
                    "only {reached} of {replicas} replicas are known to have it after {within:?}"
                );
                return Err(Error::new(ErrorKind::Unavailable, message).on("end", region));
            }
        }
        let ids = match ending {
            Ending::Done(ids) => ids.filter(|_| terms.trust == Trust::Kept),
            Ending::Queued => None,
        };
        Ok(Ended::new().lineage(ids.as_ref().and_then(PathIds::lineage)))
    }

    /// Ends what `verb` covers in this shard. Returns the number of replicas that are known to have it after at most
    /// `within`.
    pub(crate) async fn end_and_wait(
        &self,
        region: &RegionPath,
        verb: Verb,
        replicas: u32,
        within: Duration,
        started: Instant,
    ) -> Result<u32> {
        let ending = self.end_now(region, verb, Trust::NotKept, started).await?;
        self.acknowledged(&ending, replicas, within).await
    }

    async fn acknowledged(&self, ending: &Ending, replicas: u32, within: Duration) -> Result<u32> {
        match ending {
            Ending::Done(_) => self.wait_for_replicas(replicas, within).await,
            Ending::Queued => Ok(0),
        }
    }

    /// Ends what `verb` covers.
    async fn end_now(
        &self,
        region: &RegionPath,
        verb: Verb,
        trust: Trust,
        started: Instant,
    ) -> Result<Ending> {
        let at = self.locate(region);
        self.tags.note(at.tag());
        let pushes = &self.primary.shared().origin.dialer.pushes;
        let change = PendingChange::end(pushes, region, verb, trust);
        // Before it is tried: a failover during the call must not undo it either.
        self.recovery.recent_writes().intend_end(region, verb);
        let request = |connections: &Connections| {
            let count = connections.write_count();
            one(end(at, verb, count), Lane::Main, Retry::Safe).counted(count)
        };
        let answered = self.primary.call(self.deadline_from(Some(started)), request).await;
        let Response { values, connections, .. } = match answered {
            Ok(answered) => answered,
            Err(error) => return self.invalidation_failed(region, verb, error),
        };
        let mut replies = Replies::new(&connections.server, values);
        let EndReply { count, ids } = match EndReply::parse(&mut replies) {
            Ok(reply) => reply,
            Err(error) => return self.invalidation_failed(region, verb, error),
        };
        self.recovery.ended(region, verb, &connections, count);
        self.check_for_loss(&connections);
        if matches!(verb, Verb::Invalidate | Verb::InvalidateAndTouch) {
            self.tags.wake(at.tag());
        }
        change.known();
        // Below an anchor they are not all of the path's.
        Ok(Ending::Done(ids.filter(|_| at.above() == 0)))
    }

    /// Queues an invalidation that may not have reached the server, if that is asked for.
    fn invalidation_failed(&self, region: &RegionPath, verb: Verb, error: Error) -> Result<Ending> {
        let cannot_reach = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout => error.can_retry(),
            // The client is refused, not the command: a credential has been changed.
            ErrorKind::Denied => !self.primary.is_up(),
            _ => false,
        };
        if !cannot_reach || self.settings.on_invalidation_failure == OnInvalidationFailure::Error {
            return Err(error);
        }
        if !self.recovery.queue(region, verb) {
            return Err(queue_is_full(self.settings.queue, error));
        }
        if let Some(left_out) = self.logs.queued.pass() {
            tracing::warn!(%region, %error, left_out, "invalidation queued");
        }
        // Nothing is read over the present connections any more: the next ones replay the queue first.
        self.primary.shared().start_over(&error);
        Ok(Ending::Queued)
    }
}
