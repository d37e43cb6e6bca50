//! Pushes: who hears of changes, and over which connection.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::Coverage;
use crate::path::RegionPath;

/// A push: what was read before may have changed.
///
/// A store may leave out what concerns nothing that this client has read since its last push; and, while
/// there is one listener, a write of this client itself whose answer is trusted. Where several listen, one
/// of them may have read what another writes.
///
/// A store that can be called by several caches of a process also tells them of changes that were asked for
/// through it and may not have been made: a cache that serves values in an outage must know of them.
///
/// An event ends trust, it never establishes a value; so repeating one does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The lineage of this region, and so of all below it, has changed.
    Lineage(RegionPath),
    /// Entries of this region have changed.
    Entries(RegionPath),
    /// Leases of this region were taken, extended or given back, or are void. No answer that is trusted
    /// hangs on them: this only wakes loads that wait for a lease. They also ask again from time to time, so
    /// a store may leave it out.
    Leases(RegionPath),
    /// Anything may have changed: the store was flushed, or pushes were lost.
    All,
    /// The connection is gone, or silent: nothing that was read over it is covered any more.
    Lost(Source),
}

/// Names the connection whose pushes tell of changes to what an answer shows. A store never uses a
/// name again for another connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(NonZeroU64);

impl Source {
    /// A name that nothing else in this process has.
    #[must_use]
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        // Zero would follow the last of 2^64 names.
        Self(NonZeroU64::new(next).unwrap_or(NonZeroU64::MIN))
    }
}

bits!(Source(NonZeroU64), "Source({:016x})");

/// Hears a store's pushes: see [`Store::listen`](super::Store::listen).
pub trait Listener: Send + Sync {
    /// Takes one push. Called in the order of the connection, before the replies that follow the push
    /// on that connection resolve; so it must return at once, and must not call the store. While it
    /// blocks, no other listener hears anything.
    fn heard(&self, event: Event);
}

/// A listener that is registered, until this is dropped. It may hear one more push while that
/// happens.
#[must_use = "dropping it ends the listening"]
pub struct Listening {
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
    coverage: Option<Arc<Coverage>>,
}

impl Listening {
    /// Runs `stop` when dropped.
    pub fn new(stop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { stop: Some(Box::new(stop)), coverage: None }
    }

    /// Has the pushes relied on only until the coverage ends, which the store moves on. Without it they
    /// are relied on until a loss is heard. A wrapper that makes a `Listening` of its own passes on the
    /// coverage of the one that it wraps.
    pub fn covered_by(mut self, coverage: Arc<Coverage>) -> Self {
        self.coverage = Some(coverage);
        self
    }

    /// The coverage of the pushes, if it can end without a word.
    #[must_use]
    pub fn coverage(&self) -> Option<&Arc<Coverage>> {
        self.coverage.as_ref()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}

/// A listener, and the number by which it is removed.
type Numbered = (u64, Arc<dyn Listener>);

/// The listeners of one store: a helper for those who write a store.
///
/// ```
/// use std::sync::Arc;
/// use region_core::{Event, Listener, Listeners};
///
/// struct Printer;
///
/// impl Listener for Printer {
///     fn heard(&self, event: Event) {
///         println!("{event:?}");
///     }
/// }
///
/// let listeners = Arc::new(Listeners::default());
/// let listening = listeners.add(Arc::new(Printer));
/// listeners.tell(&Event::All);
/// drop(listening);
/// assert!(listeners.is_empty());
/// ```
#[derive(Default)]
pub struct Listeners {
    /// Replaced as a whole, so that nobody is called under the lock and a listener may end its own
    /// listening.
    all: RwLock<Arc<[Numbered]>>,
    /// Their number, changed under the lock: a store that tells nobody need not lock.
    count: AtomicUsize,
    next: AtomicU64,
}

impl Listeners {
    /// Adds a listener, until the returned value is dropped.
    pub fn add(self: &Arc<Self>, listener: Arc<dyn Listener>) -> Listening {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut all = self.all.write();
        *all = all.iter().cloned().chain([(number, listener)]).collect();
        self.count.store(all.len(), Ordering::SeqCst);
        let this = Arc::downgrade(self);
        Listening::new(move || {
            if let Some(this) = this.upgrade() {
                let mut all = this.all.write();
                *all = all.iter().filter(|(other, _)| *other != number).cloned().collect();
                this.count.store(all.len(), Ordering::SeqCst);
            }
        })
    }

    /// Tells every listener. One that panics keeps nothing from the others; its panic is logged.
    pub fn tell(&self, event: &Event) {
        let all = Arc::clone(&self.all.read());
        for (_, listener) in all.iter() {
            let heard = catch_unwind(AssertUnwindSafe(|| listener.heard(event.clone())));
            if heard.is_err() {
                tracing::error!(?event, "a listener to a store's pushes has panicked");
            }
        }
    }

    /// Returns the number of listeners.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns true if there are no listeners.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("count", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panics;

    impl Listener for Panics {
        fn heard(&self, _: Event) {
            panic!("on purpose");
        }
    }

    #[derive(Default)]
    struct Counts(AtomicU64);

    impl Listener for Counts {
        fn heard(&self, _: Event) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bug: a panic of one listener ended the telling. Effect: a near cache did not hear that something had
    /// changed, nor that the connection was lost with the panic. Fix: all others are told.
    #[test]
    fn a_listener_that_panics_keeps_nothing_from_the_others() {
        let (listeners, counts) = (Arc::new(Listeners::default()), Arc::new(Counts::default()));
        let _panics = listeners.add(Arc::new(Panics));
        let _counts = listeners.add(Arc::clone(&counts) as Arc<dyn Listener>);
        listeners.tell(&Event::All);
        listeners.tell(&Event::Lost(Source::unique()));
        assert_eq!(counts.0.load(Ordering::Relaxed), 2);
    }
}
