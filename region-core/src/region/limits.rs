/// The most keys that one step of [`RegionExt::set_many`](crate::RegionExt::set_many) or
/// [`Region::remove_many`](crate::Region::remove_many) writes, and that one step of
/// [`Region::get_many`](crate::Region::get_many) or
/// [`Region::get_or_compute_many`](crate::Region::get_or_compute_many) reads.
pub const MAX_STEP_KEYS: usize = 1_000;

/// The most bytes that one step of [`RegionExt::set_many`](crate::RegionExt::set_many) writes, keys
/// included, unless a single value is larger: one mebibyte.
pub const MAX_STEP_BYTES: usize = 1024 * 1024;

/// The most writes in one [`Transaction`](crate::Transaction).
pub const MAX_TRANSACTION_WRITES: usize = 10_000;

/// The most bytes in one [`Transaction`](crate::Transaction), keys included: 64 mebibytes.
pub const MAX_TRANSACTION_BYTES: usize = 64 * 1024 * 1024;
