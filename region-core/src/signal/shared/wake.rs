//! The pushes that concern a signal.

use tokio::sync::Notify;

use crate::path::RegionPath;
use crate::store::{Event, Listener};

/// Wakes the task of a signal at each push that may concern its region.
pub(super) struct Wake {
    region: RegionPath,
    woken: Notify,
}

impl Wake {
    pub(super) fn new(region: RegionPath) -> Self {
        Self { region, woken: Notify::new() }
    }

    /// Wakes the task as a push does.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Waits for a push that was not waited for yet.
    ///
    /// # Cancel safety
    /// A push is lost to no later wait.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Listener for Wake {
    fn heard(&self, event: Event) {
        let concerns = match &event {
            Event::Entries(region) => *region == self.region,
            Event::Lineage(region) => self.region.is_within(region),
            Event::Leases(_) => false,
            Event::All | Event::Lost(_) => true,
        };
        if concerns {
            self.woken.notify_one();
        }
    }
}
