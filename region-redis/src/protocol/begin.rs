//! Beginning loads.

mod reply;
mod request;

pub(crate) use reply::BeginReply;
pub(crate) use request::begin;
