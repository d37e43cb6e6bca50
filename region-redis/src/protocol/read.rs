//! Reading.

mod request;

pub(crate) use request::{count_alone, entries, ids, time};
