use futures_util::StreamExt;
use futures_util::stream;
use region_core::{Event, EventStream, RegionPath};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many pushes a listener may be behind before it is told that some were lost.
const CAPACITY: usize = 4096;

/// The pushes of one store.
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Pushes to whoever listens; call it after the change can be seen.
    pub(crate) fn push(&self, event: impl FnOnce(RegionPath) -> Event, path: &RegionPath) {
        if self.0.receiver_count() > 0 {
            self.send(event(path.clone()));
        }
    }

    pub(crate) fn push_all(&self) {
        self.send(Event::All);
    }

    fn send(&self, event: Event) {
        // That nobody listens any more is no failure.
        let _ = self.0.send(event);
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        stream::unfold(self.0.subscribe(), |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(RecvError::Lagged(_)) => Some((Event::All, receiver)),
                Err(RecvError::Closed) => None,
            }
        })
        .boxed()
    }
}
