//! A value whose changes tasks wait for.

use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

/// A value that tasks wait for. They are woken in the order in which they began to wait: with the channel `watch` of
/// tokio that would hang on a random number, and a simulation could not be repeated.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: RwLock<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: RwLock::new(value), changed: Notify::new() }
    }

    pub(crate) fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.value.read()
    }

    /// Changes the value, and wakes all who wait if `change` says that it has.
    pub(crate) fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        if change(&mut self.value.write()) {
            self.changed.notify_waiters();
        }
    }

    /// Replaces the value and returns the former one.
    pub(crate) fn send_replace(&self, value: T) -> T {
        let former = std::mem::replace(&mut *self.value.write(), value);
        self.changed.notify_waiters();
        former
    }

    /// Waits until `decide` makes something of the value. It may be dropped at any time.
    pub(crate) async fn wait_for<D>(&self, decide: impl Fn(&T) -> Option<D>) -> D {
        loop {
            // Before the look: a change after it wakes.
            let changed = self.changed.notified();
            if let Some(decided) = decide(&self.value.read()) {
                return decided;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_in_order() {
        let watched = Arc::new(Watched::new(0));
        let woken = Arc::new(Mutex::new(Vec::new()));
        let wait = |number| {
            let (watched, woken) = (Arc::clone(&watched), Arc::clone(&woken));
            tokio::spawn(async move {
                watched.wait_for(|value| (*value > 0).then_some(())).await;
                woken.lock().push(number);
            })
        };
        let tasks: Vec<_> = (0..20).map(wait).collect();
        tokio::task::yield_now().await;
        watched.send_if_modified(|_| false);
        assert_eq!(watched.send_replace(1), 0);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*woken.lock(), (0..20).collect::<Vec<_>>());
    }
}
