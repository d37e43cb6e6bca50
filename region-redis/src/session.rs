//! What this process changed, and must see or repeat.

pub(crate) mod clock;
pub(crate) mod counts;
pub(crate) mod lag;
pub(crate) mod queue;
pub(crate) mod recent_writes;
pub(crate) mod recovery;
pub(crate) mod role;
pub(crate) mod sender;
