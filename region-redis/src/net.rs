//! Connections to one server: opened, watched, replaced.

pub(crate) mod backoff;
pub(crate) mod connection;
pub(crate) mod identity;
pub(crate) mod keeper;
pub(crate) mod link;
pub(crate) mod pushes;
pub(crate) mod transport;
