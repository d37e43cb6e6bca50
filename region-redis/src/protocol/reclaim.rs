//! Freeing what is dead.

mod reply;
mod request;

pub(crate) use reply::{Child, Children, Taken, Work};
pub(crate) use request::{
    holds_anything, list, listed_until, prune, read_record, reclaim, reclaim_anchor, remove, take,
    unlist,
};
