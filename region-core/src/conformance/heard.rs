//! A listener that remembers what it heard.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fixture::path;
use crate::path::RegionPath;
use crate::store::{Event, Listener, Listening, Source, Store};

/// The longest time that a push may take.
pub(super) const PUSH_LIMIT: Duration = Duration::from_secs(5);

/// The pushes that one client heard.
pub(super) struct Heard {
    events: Arc<Events>,
    _listening: Listening,
}

#[derive(Default)]
struct Events {
    heard: Mutex<Vec<Event>>,
    more: Notify,
}

impl Listener for Events {
    fn heard(&self, event: Event) {
        self.heard.lock().push(event);
        self.more.notify_one();
    }
}

/// Returns whether `event` ends trust in what was read in `region`.
fn covers(event: &Event, region: &RegionPath) -> bool {
    match event {
        Event::Lineage(changed) => region.is_within(changed),
        Event::Entries(changed) => region == changed,
        Event::Leases(_) => false,
        Event::All | Event::Lost(_) => true,
    }
}

impl Heard {
    /// Listens to the store from now on; `None` if it never pushes.
    pub(super) fn of(store: &impl Store) -> Option<Self> {
        let events = Arc::new(Events::default());
        let listener = Arc::clone(&events) as Arc<dyn Listener>;
        Some(Self { _listening: store.listen(listener)?, events })
    }

    /// The events that were heard and not taken yet.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.heard.lock())
    }

    /// Returns whether a push that concerns `region` was heard and not taken yet.
    pub(super) fn has_heard_of(&self, region: &str) -> bool {
        let region = path(region);
        self.events.heard.lock().iter().any(|event| covers(event, &region))
    }

    /// Waits for an event for which `is_wanted`, and takes what was heard until then; `None` if it does not
    /// come in time.
    pub(super) async fn until(
        &self,
        limit: Duration,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Option<Vec<Event>> {
        let mut taken = Vec::new();
        let heard = async {
            loop {
                taken.extend(self.take());
                if taken.iter().any(&is_wanted) {
                    return;
                }
                self.events.more.notified().await;
            }
        };
        tokio::time::timeout(limit, heard).await.ok()?;
        Some(taken)
    }

    /// Returns whether a push for `region` comes in time.
    pub(super) async fn hears_of(&self, limit: Duration, region: &str) -> bool {
        let region = path(region);
        self.until(limit, |event| covers(event, &region)).await.is_some()
    }

    pub(super) async fn assert_hears_of(&self, region: &str, what: &str) {
        assert!(self.hears_of(PUSH_LIMIT, region).await, "no push for {region} after {what}");
    }

    /// Returns whether an event tells in time that reads over `source` are not covered any more.
    pub(super) async fn hears_the_loss_of(&self, source: Source) -> bool {
        let is_loss = |event: &Event| matches!(event, Event::All) || *event == Event::Lost(source);
        self.until(PUSH_LIMIT, is_loss).await.is_some()
    }
}
