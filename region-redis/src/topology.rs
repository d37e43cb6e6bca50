//! The servers of a store.

pub(crate) mod cluster;
pub(crate) mod releases;
pub(crate) mod sentinel;
pub(crate) mod shard;
mod stats;
