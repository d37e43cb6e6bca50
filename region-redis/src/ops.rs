//! The operations of the store.

pub(crate) mod acknowledge;
pub(crate) mod change;
pub(crate) mod hints;
pub(crate) mod read;
pub(crate) mod reclaim;
pub(crate) mod release;
