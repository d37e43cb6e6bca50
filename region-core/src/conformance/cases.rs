//! The cases, by topic. Each takes a [`Harness`](super::Harness) and panics if a rule of the
//! [`Store`](crate::Store) contract is broken.

pub mod absence;
pub mod assumed;
pub mod batches;
pub mod depends;
pub mod fences;
pub mod health;
pub mod leases;
pub mod lifetimes;
pub mod listing;
pub mod loading;
pub mod misses;
pub mod near;
pub mod outcomes;
pub mod outliving;
pub mod races;
pub mod random;
pub mod reading;
pub mod sharing;
pub mod trust;
pub mod unverified;
pub mod values;
pub mod verbs;
pub mod writing;

use std::future::Future;
use std::task::{Context, Poll, Waker};

/// Polls a future a few times and drops it; whether it was done.
fn poll_and_drop(future: impl Future, polls: usize) -> bool {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).any(|_| matches!(future.as_mut().poll(&mut context), Poll::Ready(_)))
}
