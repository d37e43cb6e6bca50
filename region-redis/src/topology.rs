//! The servers of a store.

pub(crate) mod releases;
pub(crate) mod sentinel;
pub(crate) mod shard;
