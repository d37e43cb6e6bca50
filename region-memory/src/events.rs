use std::sync::Arc;

use region_core::{Event, Listener, Listeners, Listening, RegionPath};

/// The pushes of one store.
#[derive(Default)]
pub(crate) struct Events(Arc<Listeners>);

impl Events {
    /// Pushes to whoever listens; call it once the change can be seen.
    pub(crate) fn push(&self, event: impl FnOnce(RegionPath) -> Event, path: &RegionPath) {
        if !self.0.is_empty() {
            self.0.tell(&event(path.clone()));
        }
    }

    pub(crate) fn push_all(&self) {
        self.0.tell(&Event::All);
    }

    pub(crate) fn listen(&self, listener: Arc<dyn Listener>) -> Listening {
        self.0.add(listener)
    }
}
