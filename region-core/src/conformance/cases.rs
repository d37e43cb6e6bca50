//! The cases, by topic. Each takes a [`Harness`](super::Harness) and panics if a rule of the
//! [`Store`](crate::Store) contract is broken.

pub mod fences;
pub mod leases;
pub mod lifetimes;
pub mod listing;
pub mod loading;
pub mod races;
pub mod reading;
pub mod sharing;
pub mod values;
pub mod verbs;
pub mod writing;
