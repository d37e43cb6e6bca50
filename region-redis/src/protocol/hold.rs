//! Keeping what lies above an anchor.

mod reply;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use reply::HoldReply;
pub(crate) use request::{ListFor, Needed, Show, hold, ids_above};
