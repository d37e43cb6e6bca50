use std::panic::Location;

use super::{Connection, Sent, Signal};

/// A signal that regions can be bound to: see [`SignalExt`](super::SignalExt).
pub trait SignalSource {
    /// The type of the values.
    type Value;

    /// Has `take` called with each value that is sent, and with `None` when values may have been missed, until
    /// the connection is dropped. It must return at once, and is called before the sender is told that its
    /// value was sent, or on a thread of its own. Nothing that is sent after this returns may be left out without
    /// such a `None`.
    #[track_caller]
    fn connect_each(
        &self,
        take: impl Fn(Option<&Self::Value>) + Send + Sync + 'static,
    ) -> Connection;
}

impl<T: Send + Sync + 'static> SignalSource for Signal<T> {
    type Value = T;

    #[track_caller]
    fn connect_each(&self, take: impl Fn(Option<&T>) + Send + Sync + 'static) -> Connection {
        let name = format!("invalidation bound at {}", Location::caller());
        self.connecting().named(name).connect(move |sent: Sent<T>| take(Some(&sent)))
    }
}
