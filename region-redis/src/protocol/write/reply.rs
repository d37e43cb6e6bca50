use redis::Value;
use region_core::{Op, OpOutcome, Result, Timestamp};

use crate::protocol::layout::{PathIds, Stamp, Validator};
use crate::protocol::reply::{Replies, borrowed, bytes, number};

/// The answer to [`write`](super::write), if it was applied.
pub(crate) struct AppliedReply {
    pub(crate) count: u64,
    pub(crate) outcomes: Vec<Value>,
    /// Only if an entry is among the outcomes or trust is kept.
    pub(crate) region: Option<RegionReply>,
}

/// The region that was written to.
pub(crate) struct RegionReply {
    pub(crate) now: Timestamp,
    /// When the region's TTL is over that ran before the write.
    pub(crate) ttl_end: Option<Timestamp>,
    pub(crate) ids: Option<PathIds>,
    /// The stamp after the write.
    pub(crate) stamp: Option<Stamp>,
}

impl AppliedReply {
    /// Reads the answer; `None` if the guard does not hold.
    pub(crate) fn parse(mut replies: Replies) -> Result<Option<Self>> {
        let mut replies = match replies.next()? {
            Value::Int(_) => return Ok(None),
            Value::Array(parts) => replies.of(parts),
            _ => return Err(replies.unexpected()),
        };
        let (count, outcomes) = (replies.number()?, replies.list()?);
        let region = if replies.is_empty() { None } else { Some(RegionReply::parse(replies)?) };
        Ok(Some(Self { count, outcomes, region }))
    }
}

impl RegionReply {
    fn parse(mut replies: Replies) -> Result<Self> {
        let now = replies.micros()?;
        let ttl_end = Some(replies.number()?).filter(|end| *end > 0);
        let ids = replies.path_ids()?;
        let stamp = replies.next()?;
        let stamp = ids.as_ref().and_then(|ids| ids.stamp(borrowed(&stamp)));
        Ok(Self { now, ttl_end: ttl_end.map(Timestamp::from_millis), ids, stamp })
    }
}

/// The answer to [`put`](super::put).
pub(crate) enum PutReply {
    /// Nothing was done: the script handles only puts into an existing region.
    NotDone,
    Done {
        count: u64,
        /// The ids and the stamp after the write, if trust is kept.
        region: Option<(PathIds, Option<Stamp>)>,
    },
}

impl PutReply {
    pub(crate) fn parse(mut replies: Replies) -> Result<Self> {
        match replies.next()? {
            Value::Nil => Ok(Self::NotDone),
            count @ Value::Int(_) => {
                let count = number(&count).ok_or_else(|| replies.unexpected())?;
                Ok(Self::Done { count, region: None })
            }
            Value::Array(parts) => {
                let mut parts = replies.of(parts);
                let count = parts.number()?;
                let ids = parts.path_ids()?.ok_or_else(|| parts.unexpected())?;
                let stamp = ids.stamp(borrowed(&parts.next()?));
                Ok(Self::Done { count, region: Some((ids, stamp)) })
            }
            _ => Err(replies.unexpected()),
        }
    }
}

/// Returns the outcome of an operation.
pub(crate) fn outcome_of(
    op: &Op<'_>,
    outcome: Value,
    validator: Option<&Validator<'_>>,
) -> Option<OpOutcome> {
    let count = number(&outcome);
    Some(match (op, count) {
        (Op::Put(_), Some(1)) => OpOutcome::Stored,
        (Op::Put(_), _) => OpOutcome::Exists(validator?.entry(bytes(outcome)?)?),
        (Op::Remove { .. }, Some(was_fresh)) => OpOutcome::Removed(was_fresh == 1),
        (Op::Take { .. }, Some(0)) => OpOutcome::Taken(None),
        (Op::Take { .. }, _) => OpOutcome::Taken(validator?.entry(bytes(outcome)?)),
        _ => return None,
    })
}
