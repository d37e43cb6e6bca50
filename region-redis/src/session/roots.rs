//! The roots below which something may have to be freed.

use std::collections::HashSet;

use parking_lot::Mutex;
use region_core::RegionPath;
use tokio::sync::Notify;

/// The most roots that are looked after.
const MOST_ROOTS: usize = 1024;

/// The roots of the regions that this process has changed.
#[derive(Debug, Default)]
pub(crate) struct UsedRoots {
    names: Mutex<HashSet<Box<str>>>,
    work: Notify,
}

impl UsedRoots {
    /// Notes a region that is in use.
    pub(crate) fn note(&self, region: &RegionPath) {
        let Some(root) = region.prefixes().next() else { return };
        let mut names = self.names.lock();
        if !names.contains(root) && names.len() < MOST_ROOTS {
            names.insert(root.into());
            // Others may have left something there.
            self.work.notify_one();
        }
    }

    /// Says that there may be something to free.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until there may be something to free. It may be dropped at any time.
    pub(crate) async fn woken(&self) {
        self.work.notified().await;
    }

    /// All roots.
    pub(crate) fn all(&self) -> Vec<Box<str>> {
        self.names.lock().iter().cloned().collect()
    }
}
