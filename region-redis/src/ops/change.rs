//! Beginning loads, writing, and ending lives.

use redis::{Pipeline, Value};
use region_core::{
    Applied, Begun, BegunKey, Entry, Error, ErrorKind, Lease, LeaseTerms, LeaseToken, Lifetime, Op,
    OpOutcome, RegionPath, Result, Timestamp, Verb, Write, Written,
};
use std::time::Duration;
use tokio::time::Instant;

use crate::net::connection::{Again, Channel, Lane, Request, Tracking};
use crate::net::link::Answered;
use crate::ops::read::{ATTEMPTS, entries};
use crate::protocol::commands;
use crate::protocol::layout::{Moment, Path};
use crate::protocol::reply::{Replies, borrowed, bytes, number};
use crate::session::clock::Between;
use crate::session::recovery::queue_is_full;
use crate::settings::{Acknowledgement, OnInvalidationFailure};
use crate::store::Inner;

/// One put in so many looks for entries that are over: as many as make up for the others.
const PUTS_PER_SWEEP: u32 = 8;

impl Inner {
    pub(crate) async fn begin(
        &self,
        region: &RegionPath,
        keys: &[&str],
        terms: LeaseTerms,
    ) -> Result<Begun> {
        self.reclaimer.note(region);
        self.releases.note(terms.duration);
        let lane = if self.large.any(region, keys) { Lane::Large } else { Lane::Main };
        let request = |channel: &Channel| {
            let begin = commands::begin(region, keys, terms, channel.write_count());
            Request { tracking: Tracking::Read, ..one(begin, lane, Again::Harmless) }
        };
        let deadline = self.deadline_from(terms.started);
        for _ in 0..ATTEMPTS {
            let counted = self.recovery.own().needed(region);
            let Answered { values, channel, source } = self.primary.call(deadline, request).await?;
            let mut replies = Replies::new(&self.primary.shared().server, values).within()?;
            self.recovery.written(region, &channel, replies.number()?);
            if self.shows_own(&channel, counted, replies.number()?) {
                return Ok(self.begun(region, keys, replies)?.source(source));
            }
        }
        Err(self.forgets())
    }

    fn begun(&self, region: &RegionPath, keys: &[&str], mut replies: Replies<'_>) -> Result<Begun> {
        let now = Between::exactly(micros(replies.number()?));
        let path = self.path(&mut replies)?;
        let stamp = replies.next()?;
        let mut fields = vec![stamp];
        fields.extend(replies.list()?);
        let leases = replies.list()?;
        // At one exact moment there is no doubt.
        let verdicts = self.judge(region, keys, Some(&path), &fields, now).unwrap_or_default();
        let entries = entries(keys, fields, verdicts);
        let lineage = path.lineage().ok_or_else(|| replies.odd())?;
        let begun =
            |(entry, lease): (Option<Entry>, &Value)| Some(BegunKey::new(entry, lease_of(lease)?));
        let keys: Option<Vec<_>> = entries.into_iter().zip(&leases).map(begun).collect();
        let keys = keys.filter(|found| found.len() == leases.len()).ok_or_else(|| replies.odd())?;
        Ok(Begun::new(lineage, keys))
    }

    pub(crate) async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let size = self.check_sizes(region, write.ops)?;
        self.reclaimer.note(region);
        if write.guard.is_none() {
            self.recovery.own().intend_write(region, write.ops.iter().map(Op::key));
        }
        let lane = if self.large.is_large(size) { Lane::Large } else { Lane::Main };
        if self.put_alone(region, &write, lane).await? {
            return Ok(Written::Applied(Applied::new(vec![OpOutcome::Stored; write.ops.len()])));
        }
        let request = |channel: &Channel| {
            // A write that may have been done is not done again: others may have written since.
            one(commands::write(region, &write, channel.write_count()), lane, Again::Unsafe)
        };
        let Answered { values, channel, .. } = self.primary.call(self.deadline(), request).await?;
        let mut replies = Replies::new(&self.primary.shared().server, values);
        let answer = match replies.next()? {
            Value::Nil => return Ok(Written::Fenced),
            answer => vec![answer],
        };
        let mut replies = Replies::new(&self.primary.shared().server, answer).within()?;
        self.recovery.written(region, &channel, replies.number()?);
        let outcomes = replies.list()?;
        if outcomes.len() != write.ops.len() {
            return Err(replies.odd());
        }
        let path;
        let moment = if replies.is_empty() {
            None
        } else {
            let now = Between::exactly(micros(replies.number()?));
            let deadline = Some(replies.number()?).filter(|deadline| *deadline > 0);
            path = self.path(&mut replies)?;
            Some(Moment::new(&path, deadline.map(Timestamp::from_millis), now))
        };
        if write.guard.is_none() {
            self.living.add(region);
        }
        let outcomes = write.ops.iter().zip(outcomes);
        let outcomes: Option<Vec<_>> =
            outcomes.map(|(op, outcome)| outcome_of(op, outcome, moment.as_ref())).collect();
        outcomes
            .map(|outcomes| Written::Applied(Applied::new(outcomes)))
            .ok_or_else(|| replies.odd())
    }

    /// Does the write if it is an ordinary one; whether it has.
    async fn put_alone(&self, region: &RegionPath, write: &Write<'_>, lane: Lane) -> Result<bool> {
        let puts = commands::puts_alone(write).filter(|_| self.living.has(region));
        let Some(puts) = puts else { return Ok(false) };
        // Now and then the other script has to look for entries that are over.
        let is_limited = puts.iter().any(|put| put.fresh_for != Lifetime::Unlimited);
        if is_limited && rand::random_ratio(1, PUTS_PER_SWEEP) {
            return Ok(false);
        }
        let request = |channel: &Channel| {
            one(commands::put_alone(region, &puts, channel.write_count()), lane, Again::Unsafe)
        };
        let Answered { values, channel, .. } = self.primary.call(self.deadline(), request).await?;
        let mut replies = Replies::new(&self.primary.shared().server, values);
        match replies.next()? {
            Value::Int(count) => {
                let count = u64::try_from(count).unwrap_or_default();
                self.recovery.written(region, &channel, count);
                Ok(true)
            }
            _ => {
                self.living.remove(region);
                Ok(false)
            }
        }
    }

    /// The bytes of all puts, if each is within the limit.
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

    pub(crate) async fn end(&self, region: &RegionPath, verb: Verb) -> Result<()> {
        match self.settings.acknowledgement {
            None => self.end_now(region, verb).await.map(drop),
            Some(Acknowledgement { replicas, within }) => {
                let reached = self.end_and_wait(region, verb, replicas, within).await?;
                if reached >= replicas {
                    return Ok(());
                }
                let message = format!(
                    "only {reached} of {replicas} replicas are known to have it after {within:?}"
                );
                Err(Error::new(ErrorKind::Unavailable, message).on("end", region))
            }
        }
    }

    /// Ends what `verb` covers; how many replicas are known to have it after at most `within`.
    pub(crate) async fn end_and_wait(
        &self,
        region: &RegionPath,
        verb: Verb,
        replicas: u32,
        within: Duration,
    ) -> Result<u32> {
        match self.end_now(region, verb).await? {
            Ending::Done => self.wait_for_replicas(replicas, within).await,
            Ending::Queued => Ok(0),
        }
    }

    /// Ends what `verb` covers.
    async fn end_now(&self, region: &RegionPath, verb: Verb) -> Result<Ending> {
        self.reclaimer.note(region);
        // Before it is tried: a failover during the call must not undo it either.
        self.recovery.own().intend_end(region, verb);
        let request = |channel: &Channel| {
            one(commands::end(region, verb, channel.write_count()), Lane::Main, Again::Harmless)
        };
        let answered = self.primary.call(self.deadline(), request).await;
        let Answered { values, channel, .. } = match answered {
            Ok(answered) => answered,
            Err(error) => return self.invalidation_failed(region, verb, error),
        };
        let mut replies = Replies::new(&self.primary.shared().server, values);
        let count = match replies.number() {
            Ok(count) => count,
            Err(error) => return self.invalidation_failed(region, verb, error),
        };
        self.recovery.ended(region, verb, &channel, count);
        if matches!(verb, Verb::Invalidate | Verb::InvalidateAndTouch) {
            self.reclaimer.wake();
        }
        Ok(Ending::Done)
    }

    /// Queues an invalidation that may not have reached the server, if that is asked for.
    fn invalidation_failed(&self, region: &RegionPath, verb: Verb, error: Error) -> Result<Ending> {
        let cannot_reach = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout => error.can_retry(),
            // Not this command is refused but this client: a credential has been changed.
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
        // Nothing is read over the present connections any more: the next begin with the queue.
        self.primary.shared().start_over(&error);
        Ok(Ending::Queued)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline_from(None)
    }

    /// When a call is given up that is a part of an operation begun then, or now.
    pub(crate) fn deadline_from(&self, started: Option<Instant>) -> Instant {
        started.unwrap_or_else(Instant::now) + self.settings.call
    }

    fn path(&self, replies: &mut Replies<'_>) -> Result<Path> {
        let values = replies.list()?;
        Path::parse(values.iter().map(borrowed)).ok_or_else(|| replies.odd())
    }
}

/// What became of an invalidation that did not fail.
enum Ending {
    Done,
    Queued,
}

fn one(command: redis::Cmd, lane: Lane, again: Again) -> Request {
    let mut commands = Pipeline::with_capacity(1);
    commands.add_command(command);
    Request { commands, lane, tracking: Tracking::No, again }
}

fn micros(micros: u64) -> Timestamp {
    Timestamp::from_millis(micros / 1000)
}

fn lease_of(value: &Value) -> Option<Lease> {
    match value {
        Value::Int(0) => Some(Lease::NotTaken),
        Value::Int(1) => Some(Lease::Granted),
        held => {
            let (token, left) = borrowed(held)?.split_first_chunk()?;
            let left = left.iter().fold(0, |left, byte| left << 8 | u64::from(*byte));
            Some(Lease::Held {
                by: LeaseToken::from_bits(u64::from_le_bytes(*token)),
                left: Duration::from_millis(left),
            })
        }
    }
}

fn outcome_of(op: &Op<'_>, outcome: Value, moment: Option<&Moment<'_>>) -> Option<OpOutcome> {
    let count = number(&outcome);
    Some(match (op, count) {
        (Op::Put(_), Some(1)) => OpOutcome::Stored,
        (Op::Put(_), _) => OpOutcome::Exists(moment?.entry(bytes(outcome)?)?),
        (Op::Remove { .. }, Some(was_fresh)) => OpOutcome::Removed(was_fresh == 1),
        (Op::Take { .. }, Some(0)) => OpOutcome::Taken(None),
        (Op::Take { .. }, _) => OpOutcome::Taken(moment?.entry(bytes(outcome)?)),
        _ => return None,
    })
}
