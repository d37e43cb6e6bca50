use region_core::Result;

use crate::protocol::layout::Claim;
use crate::protocol::reply::{Replies, bytes};

/// The answer to [`hold`](super::hold).
pub(crate) struct HoldReply {
    pub(crate) claim: Claim,
}

impl HoldReply {
    pub(crate) fn parse(mut replies: Replies) -> Result<Self> {
        // The count of writes.
        replies.number()?;
        let ids = replies.list()?.into_iter().map(bytes);
        Ok(Self { claim: Claim::new(ids.collect()) })
    }
}
