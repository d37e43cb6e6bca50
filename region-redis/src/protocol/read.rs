//! Reading.

mod request;

pub(crate) use request::{entries, ids, time};
