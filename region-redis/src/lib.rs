//! The Redis and Valkey store of `region-cache`.
//!
//! [`RedisStore`] keeps regions on a server that many processes share, with read replicas, own
//! reconnection, and limits on all that can wait. What lies on the server is described byte by byte in
//! `LAYOUT.md` beside this package.
//!
//! It needs Redis 7.0 or Valkey 8.0, or newer, and no modules.

mod backoff;
mod builder;
mod change;
mod channel;
mod clock;
mod commands;
mod duty;
mod error;
mod hints;
mod identity;
mod keeper;
mod layout;
mod link;
mod own;
mod pushes;
mod queue;
mod read;
mod reclaimer;
mod recovery;
mod reply;
mod scripts;
mod server;
mod settings;
mod stats;
mod store;
mod wire;

pub use backoff::Backoff;
pub use builder::RedisStoreBuilder;
pub use server::Server;
pub use settings::{OnLostEnd, OnTimeout};
pub use stats::{ServerStats, StoreStats};
pub use store::RedisStore;
