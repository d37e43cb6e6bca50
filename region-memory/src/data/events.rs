use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use region_core::{Event, Listener, Listeners, Listening, RegionPath, Source};

/// The pushes of one store. Each is told before anyone can see what it tells of.
pub(crate) struct Events {
    listeners: Arc<Listeners>,
    /// The bits of a source.
    source: AtomicU64,
}

impl Events {
    pub(crate) fn push(&self, event: impl FnOnce(RegionPath) -> Event, path: &RegionPath) {
        if !self.listeners.is_empty() {
            self.listeners.tell(&event(path.clone()));
        }
    }

    /// Tells that nothing read so far is covered any more.
    #[cfg(feature = "testing")]
    pub(crate) fn push_all(&self) {
        self.listeners.tell(&Event::All);
    }

    pub(crate) fn listen(&self, listener: Arc<dyn Listener>) -> Listening {
        self.listeners.add(listener)
    }

    /// Names the connection, so to speak, that pushes come over.
    pub(crate) fn source(&self) -> Source {
        source_of(self.source.load(Ordering::SeqCst))
    }

    /// As if that connection broke, and another took its place.
    #[cfg(feature = "testing")]
    pub(crate) fn cut(&self) {
        let lost = self.source.swap(Source::unique().to_bits().get(), Ordering::SeqCst);
        self.listeners.tell(&Event::Lost(source_of(lost)));
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { listeners: Arc::default(), source: AtomicU64::new(Source::unique().to_bits().get()) }
    }
}

fn source_of(bits: u64) -> Source {
    Source::from_bits(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
}
