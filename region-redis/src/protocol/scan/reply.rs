use redis::Value;
use region_core::{Cursor, Result, Timestamp};

use crate::protocol::reply::{Replies, cursor};

/// The answer to [`scan`](super::scan), but for the ids and the count.
pub(crate) struct ScanReply {
    pub(crate) now: Timestamp,
    pub(crate) stamp: Value,
    pub(crate) next: Option<Cursor>,
    /// The number of fresh entries, or keys and entries in turns.
    pub(crate) page: Value,
}

impl ScanReply {
    pub(crate) fn parse(mut replies: Replies) -> Result<Self> {
        let (now, stamp) = (replies.micros()?, replies.next()?);
        let next = cursor(&replies.next()?).ok_or_else(|| replies.unexpected())?;
        Ok(Self { now, stamp, next, page: replies.next()? })
    }
}
