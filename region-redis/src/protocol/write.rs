//! Writing.

mod reply;
mod request;

pub(crate) use reply::{AppliedReply, PutReply, RegionReply, outcome_of};
pub(crate) use request::{only_puts, put, write};
