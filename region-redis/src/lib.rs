//! The Redis and Valkey store of `region-cache`.
//!
//! [`RedisStore`] keeps regions on a server that many processes share, with read replicas, own
//! reconnection, and limits on all that can wait. What lies on the server is described byte by byte in
//! `LAYOUT.md` beside this package.
//!
//! It needs Redis 7.0 or Valkey 8.0, or newer, and no modules.

mod backoff;
mod builder;
mod error;
mod net;
mod ops;
mod protocol;
mod server;
mod session;
mod settings;
mod stats;
mod store;
mod time_range;
mod topology;
mod url;

pub use backoff::Backoff;
pub use builder::RedisStoreBuilder;
pub use server::Server;
pub use settings::{OnInvalidationFailure, OnTimeout};
pub use stats::{LastError, ServerStats, StoreStats};
pub use store::RedisStore;
