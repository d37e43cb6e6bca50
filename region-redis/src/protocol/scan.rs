//! Listing and counting entries.

mod reply;
mod request;

pub(crate) use reply::ScanReply;
pub(crate) use request::{Counted, scan};
