//! A connection's count of writes.

mod request;

pub(crate) use request::{forget, prepare, refresh};
