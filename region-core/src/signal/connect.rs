use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;

use super::Sent;
use super::handler::{Call, Handler, HandlerOutcome};
use super::local::Inner;

/// A connected handler, until this is dropped.
///
/// A call that is under way at that moment is completed; the drop does not wait for it.
#[must_use = "dropping the connection disconnects its handler"]
pub struct Connection {
    disconnect: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Connection {
    /// Runs `disconnect` when dropped: for implementations of [`SignalSource`](super::SignalSource).
    pub fn new(disconnect: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { disconnect: Some(Box::new(disconnect)) }
    }

    /// Leaves the handler connected for as long as the signal lives. A [`SharedSignal`](super::SharedSignal) then
    /// lives until its runtime ends.
    pub fn detach(mut self) {
        // Dropping it would end what it holds: a connection may be made of others.
        std::mem::forget(self.disconnect.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(disconnect) = self.disconnect.take() {
            disconnect();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// A handler that is about to be connected: made by [`Signal::connecting`](super::Signal::connecting).
#[must_use = "nothing is connected until `connect` or `connect_async` is called"]
pub struct Connecting<'a, T> {
    signal: &'a Arc<Inner<T>>,
    place: &'static Location<'static>,
    name: Option<Arc<str>>,
    sender: Option<Arc<str>>,
}

impl<'a, T: Send + Sync + 'static> Connecting<'a, T> {
    pub(super) fn new(signal: &'a Arc<Inner<T>>, place: &'static Location<'static>) -> Self {
        Self { signal, place, name: None, sender: None }
    }

    /// Sets the name of the handler in reports and in the log.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Has the handler called only with values that were sent [from](super::Signal::send_from) this sender.
    pub fn from_sender(mut self, sender: impl Into<Arc<str>>) -> Self {
        self.sender = Some(sender.into());
        self
    }

    /// Connects a handler that is called within the call to `send`.
    pub fn connect<F, O>(self, handler: F) -> Connection
    where
        F: Fn(Sent<T>) -> O + Send + Sync + 'static,
        O: HandlerOutcome,
    {
        self.add(Call::Sync(Box::new(move |sent| handler(sent).into_result())))
    }

    /// Connects an asynchronous handler.
    pub fn connect_async<F, Fut>(self, handler: F) -> Connection
    where
        F: Fn(Sent<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutcome> + Send + 'static,
    {
        let call = move |sent| {
            let running = handler(sent);
            async move { running.await.into_result() }.boxed()
        };
        self.add(Call::Async(Box::new(call)))
    }

    fn add(self, call: Call<T>) -> Connection {
        let name = self.name.unwrap_or_else(|| self.place.to_string().into());
        let handler = Arc::new(Handler::new(name, self.sender, call));
        self.signal.handlers.add(&handler);
        // Neither keeps the other alive: a handler may hold its own signal.
        let (signal, handler) = (Arc::downgrade(self.signal), Arc::downgrade(&handler));
        Connection::new(move || {
            if let (Some(signal), Some(handler)) = (Weak::upgrade(&signal), handler.upgrade()) {
                signal.handlers.remove(&handler);
            }
        })
    }
}

impl<T> fmt::Debug for Connecting<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("signal", &self.signal.name)
            .field("name", &self.name)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
