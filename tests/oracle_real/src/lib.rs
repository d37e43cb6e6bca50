//! The oracle on real servers: several operating system processes share a Redis or Valkey server with a replica,
//! everything around them fails, and each value that they read is explained, or reported.
//!
//! - [`process`] is a process: caches whose operations are drawn from a seed, and recorded;
//! - [`run`] starts servers and processes, makes them fail, and lets them converge;
//! - [`check`] explains what was recorded by the promises.
//!
//! Unlike in the simulation of the package `oracle` nobody knows when a server did what it was asked. All times are
//! of one clock; a change happened at some time between its begin and its end, and if its outcome is unknown at
//! any time after its begin.

pub mod check;
pub mod clock;
pub mod event;
pub mod item;
pub mod log;
pub mod message;
pub mod process;
pub mod run;
pub mod setup;
pub mod truth;
