use redis::Value;
use region_core::Result;

use crate::protocol::reply::Replies;

/// The answer to [`hold`](super::hold).
pub(crate) struct HoldReply {
    /// The contents of the `i` keys from the root down.
    pub(crate) ids: Vec<Value>,
}

impl HoldReply {
    pub(crate) fn parse(mut replies: Replies) -> Result<Self> {
        // The count of writes.
        replies.number()?;
        Ok(Self { ids: replies.list()? })
    }
}
