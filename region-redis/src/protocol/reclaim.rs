//! Freeing what is dead.

mod reply;
mod request;

pub(crate) use reply::{Children, Taken, Work};
pub(crate) use request::{list, prune, reclaim, remove, take};
