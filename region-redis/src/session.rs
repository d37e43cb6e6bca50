//! What this process knows of its servers: what it changed there, and must see or repeat; how far they
//! are; what it believes of entries and regions.

pub(crate) mod acknowledgements;
pub(crate) mod clock;
pub(crate) mod counts;
pub(crate) mod hints;
pub(crate) mod lag;
pub(crate) mod queue;
pub(crate) mod recent_writes;
pub(crate) mod recovery;
pub(crate) mod role;
pub(crate) mod roots;
pub(crate) mod sender;
