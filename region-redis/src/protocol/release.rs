//! Giving leases back.

mod request;

pub(crate) use request::release;
