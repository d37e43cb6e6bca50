//! The Redis and Valkey store of `region-cache`.
//!
//! [`RedisStore`] keeps regions on a server that many processes share. It reads from replicas, reconnects by
//! itself, and limits everything that can wait. `LAYOUT.md` beside this package describes the keys and
//! values on the server, byte by byte.
//!
//! It needs Redis 7.0 or Valkey 8.0, or newer, and no modules.

mod backoff;
mod builder;
#[cfg(feature = "client")]
mod client;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod net;
mod ops;
mod protocol;
mod random;
mod server;
mod servers;
mod session;
mod settings;
mod shards;
mod stats;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod time_range;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod url;

pub use backoff::Backoff;
pub use builder::RedisStoreBuilder;
#[cfg(feature = "client")]
pub use client::ServerConnection;
pub use server::Server;
pub use settings::{OnInvalidationFailure, OnTimeout, StoreSetting};
pub use stats::{LastError, ServerStats, StoreStats};
pub use store::RedisStore;
#[cfg(feature = "tls")]
pub use tls::Tls;
