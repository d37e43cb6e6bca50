//! Counting a write that was done over another connection than the main one.

mod request;

pub(crate) use request::confirm;
