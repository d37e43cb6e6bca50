//! A connection's count of writes.

mod reply;
mod request;

pub(crate) use reply::{Counts, Refreshed};
pub(crate) use request::{forget, prepare, refresh};
