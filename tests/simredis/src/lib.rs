//! A model of a Redis server, in memory and on tokio's clock, for simulations of `RedisStore`.
//!
//! It runs the store's own scripts by Lua 5.1, over a model of exactly the commands that the store uses, with their
//! replies, expiry and pushes; a test compares it with real servers. Around it lies a [`Network`] of connections that
//! lag, are cut and fall silent. All random numbers follow from seeds: the same seed gives the same run, if the
//! runtime has one thread and its time is paused.
//!
//! - [`Server`]: keys, scripts, tracking, replicas, and what befalls a server: [evictions](Server::evict),
//!   [restarts](Server::restart), [going back](Server::restore), [standing still](Server::freeze),
//!   [refusing writes](Server::refuse), [failover](Server::promote).
//! - [`Network`]: the processes' connections. What a process had sent when it gave a connection up is still executed.

mod commands;
mod connection;
mod data;
mod dispatch;
mod execution;
mod link;
mod network;
mod packing;
mod replication;
mod reply;
mod script;
mod server;
mod tracking;

pub use execution::Refusal;
pub use link::Way;
pub use network::Network;
pub use reply::Reply;
pub use server::{Flavor, Observer, Server, Snapshot};
