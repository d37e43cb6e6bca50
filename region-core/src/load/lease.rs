//! The leases that a load's task holds, or may hold.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Context;
use crate::region::MAX_STEP_KEYS;
use crate::store::{LeaseTerms, LeaseToken, TakeLease};

/// A load extends its leases this often within their duration.
const EXTENSIONS_PER_LEASE: u32 = 3;

/// Leases that were asked for and are not known to be over. Whatever ends the task (an error, a
/// panic, a cancellation, the end of the runtime) drops this, and that releases them: no other load
/// waits for a lease that nobody holds.
pub(super) struct Leases {
    context: Arc<Context>,
    token: LeaseToken,
    keys: HashSet<Box<str>>,
}

impl Leases {
    pub(super) fn new(context: &Arc<Context>, token: LeaseToken) -> Self {
        Self { context: Arc::clone(context), token, keys: HashSet::new() }
    }

    pub(super) fn token(&self) -> LeaseToken {
        self.token
    }

    /// The store is about to be asked for the leases of `keys`. It may grant them even if its answer
    /// never arrives.
    pub(super) fn asked<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        self.keys.extend(keys.into_iter().map(Box::from));
    }

    /// The lease of `key` is over, or was never granted.
    pub(super) fn settled(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// Releases those of `keys` that are not settled.
    pub(super) fn release<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        let keys = keys.into_iter().filter(|key| self.keys.remove(*key)).collect();
        self.send(keys);
    }

    fn send(&self, keys: Vec<&str>) {
        for step in keys.chunks(MAX_STEP_KEYS) {
            self.context.release(step, self.token);
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        self.send(keys.iter().map(AsRef::as_ref).collect());
    }
}

/// Extends the leases of a load for as long as it is polled. A lease that is lost stays lost.
pub(super) async fn extend(context: &Context, token: LeaseToken, keys: &[&str]) -> Infallible {
    let lease: Duration = context.policy().lease;
    let terms = LeaseTerms::new(token, lease).take(TakeLease::Extend);
    loop {
        tokio::time::sleep(lease / EXTENSIONS_PER_LEASE).await;
        for step in keys.chunks(MAX_STEP_KEYS) {
            if let Err(error) = context.begin(step, terms).await {
                tracing::debug!(region = %context.path(), %error, "lease not extended");
            }
        }
    }
}
