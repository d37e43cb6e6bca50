//! Ending what is there.

mod reply;
mod request;

pub(crate) use reply::EndReply;
pub(crate) use request::{drop_entries, end};
