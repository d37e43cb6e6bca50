//! The oracle: processes that share a store are simulated, everything around them fails, and each value
//! that they read is explained, or reported.
//!
//! - [`plan`] draws from a seed what happens;
//! - [`sim`] does it, on one thread and in virtual time, so that a seed has one history;
//! - [`history`] is what is recorded;
//! - [`check`] explains the history by the promises;
//! - [`search`] runs seeds, and makes a plan that fails smaller.

pub mod check;
pub mod history;
pub mod plan;
pub mod search;
pub mod sim;
