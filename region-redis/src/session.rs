//! The state that this process keeps for its servers: its own writes, the queue of invalidations, the
//! primary's clock, replica lag, and hints that save work.

pub(crate) mod acknowledgements;
pub(crate) mod clock;
pub(crate) mod compared_roots;
pub(crate) mod counts;
pub(crate) mod hints;
pub(crate) mod lag;
pub(crate) mod listed;
pub(crate) mod queue;
pub(crate) mod recent_writes;
pub(crate) mod recovery;
pub(crate) mod role;
pub(crate) mod sender;
pub(crate) mod tags;
