use redis::Value;
use region_core::Result;

use crate::protocol::layout::PathIds;
use crate::protocol::reply::{Replies, number};

/// The answer to [`end`](super::end).
pub(crate) struct EndReply {
    pub(crate) count: u64,
    /// The ids along the path; `None` if the region does not exist.
    pub(crate) ids: Option<PathIds>,
}

impl EndReply {
    /// Reads the next answer.
    pub(crate) fn parse(replies: &mut Replies) -> Result<Self> {
        match replies.next()? {
            // An invalidated region does not exist any more.
            count @ Value::Int(_) => {
                let count = number(&count).ok_or_else(|| replies.unexpected())?;
                Ok(Self { count, ids: None })
            }
            Value::Array(parts) => {
                let mut parts = replies.of(parts);
                Ok(Self { count: parts.number()?, ids: parts.path_ids()? })
            }
            _ => Err(replies.unexpected()),
        }
    }
}
