//! The time until which the pushes of all connections are relied on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use region_core::Coverage;
use tokio::time::Instant;

/// The connections whose pushes tell of changes, each with the time until which that is relied on.
///
/// The tasks of a connection find out that it is silent. If they stand still themselves, because their
/// runtime is not polled or the process was stopped, this is not moved on any more.
#[derive(Debug, Default)]
pub(crate) struct Covered {
    /// The least of all.
    until: Arc<Coverage>,
    each: Mutex<HashMap<u64, Instant>>,
    next: AtomicU64,
}

impl Covered {
    pub(crate) fn until(&self) -> &Arc<Coverage> {
        &self.until
    }

    /// Returns a number that no other connection has.
    pub(crate) fn new_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Relies on a connection until `until`, if it is still one that `is_to_be`.
    pub(crate) fn cover_if(&self, is_to_be: impl FnOnce() -> bool, number: u64, until: Instant) {
        let mut each = self.each.lock();
        // Under the lock: one that ends meanwhile is forgotten after this, and not before.
        if is_to_be() {
            each.insert(number, until);
            self.until.ends_at(each.values().min().copied());
        }
    }

    /// Forgets a connection, once it is told that it is lost.
    pub(crate) fn forget(&self, number: u64) {
        let mut each = self.each.lock();
        each.remove(&number);
        self.until.ends_at(each.values().min().copied());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_connection_that_is_heard_of_least_counts() {
        let covered = Covered::default();
        let (one, other) = (covered.new_number(), covered.new_number());
        let (soon, late) =
            (Instant::now() + Duration::from_secs(1), Instant::now() + Duration::from_secs(2));
        assert_eq!(covered.until().end(), None);
        covered.cover_if(|| true, one, late);
        covered.cover_if(|| true, other, soon);
        assert_eq!(covered.until().end(), Some(soon));
        covered.cover_if(|| false, other, late);
        assert_eq!(covered.until().end(), Some(soon), "it has ended");
        covered.forget(other);
        assert_eq!(covered.until().end(), Some(late));
        covered.forget(one);
        assert_eq!(covered.until().end(), None);
    }
}
