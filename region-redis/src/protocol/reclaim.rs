//! Freeing what is dead.

mod reply;
mod request;

pub(crate) use reply::Work;
pub(crate) use request::{due, prune, reclaim, remove};
