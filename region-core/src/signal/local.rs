use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::connect::{Connecting, Connection};
use super::handler::{HandlerOutcome, Handlers};
use super::{Sending, Sent};

/// A named signal of one type, within one process.
///
/// Cheap to clone; clones have the same handlers. Make it once, and hand clones to those who send and those who
/// handle it. Regions can be bound to it: see [`SignalExt`](super::SignalExt). A signal of all processes over one
/// store is a [`SharedSignal`](super::SharedSignal).
///
/// ```
/// use region_core::{Sent, Signal};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let renamed: Signal<u64> = Signal::new("project renamed");
/// let _log = renamed.connect(|project: Sent<u64>| assert_eq!(*project, 7));
/// let _mail = renamed.connect_async(|project: Sent<u64>| async move {
///     match *project {
///         7 => Err("the mail server is down"),
///         _ => Ok(()),
///     }
/// });
/// let report = renamed.send(7).await;
/// assert_eq!(report.called, 2);
/// assert_eq!(report.failures[0].error.to_string(), "the mail server is down");
/// # }
/// ```
///
/// # Order and reentrancy
///
/// [`send`](Self::send) calls the synchronous handlers before it returns, one after the other, in the order in which
/// they were connected. The future that it returns runs the asynchronous ones, all at the same time.
///
/// A handler may do what it likes with its signal, for no lock is held while it runs. A handler that it connects
/// gets the next value and not the present one. One that it disconnects is not called any more, unless it is an
/// asynchronous one that has begun. A value that it sends is delivered to all handlers before its own call to
/// `send` returns, so handlers that are called later see the inner value first. A handler that sends at each
/// call never ends.
pub struct Signal<T> {
    inner: Arc<Inner<T>>,
}

pub(super) struct Inner<T> {
    pub(super) name: Arc<str>,
    pub(super) handlers: Handlers<T>,
}

impl<T: Send + Sync + 'static> Signal<T> {
    /// Creates a signal without handlers. The name is for the log and for reports.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { inner: Arc::new(Inner { name: name.into(), handlers: Handlers::default() }) }
    }

    /// Returns the name of the signal.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the number of handlers that are connected.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.inner.handlers.all().len()
    }

    /// Has `handler` called with each value that is sent, until the connection is dropped. It is called within
    /// [`send`](Self::send), so it should not block for long.
    ///
    /// A handler whose result is an error, or that panics, keeps nothing from the others. Reports name it by the
    /// place of this call; [`connecting`](Self::connecting) can give it another name, and a filter.
    #[track_caller]
    pub fn connect<F, O>(&self, handler: F) -> Connection
    where
        F: Fn(Sent<T>) -> O + Send + Sync + 'static,
        O: HandlerOutcome,
    {
        self.connecting().connect(handler)
    }

    /// As [`connect`](Self::connect), for an asynchronous handler. Its future is run by the one that
    /// [`send`](Self::send) returns.
    #[track_caller]
    pub fn connect_async<F, Fut>(&self, handler: F) -> Connection
    where
        F: Fn(Sent<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutcome> + Send + 'static,
    {
        self.connecting().connect_async(handler)
    }

    /// Begins to connect a handler with a name of its own, or with a filter.
    ///
    /// ```
    /// use region_core::{Sent, Signal};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let renamed: Signal<u64> = Signal::new("project renamed");
    /// let audit = |_: Sent<u64>| Err("the disk is full");
    /// let _connection = renamed.connecting().named("audit").from_sender("importer").connect(audit);
    /// assert_eq!(renamed.send(7).await.called, 0);
    /// let report = renamed.send_from("importer", 7).await;
    /// assert_eq!(&*report.failures[0].handler, "audit");
    /// # }
    /// ```
    #[track_caller]
    pub fn connecting(&self) -> Connecting<'_, T> {
        Connecting::new(&self.inner, Location::caller())
    }

    /// Sends `value` to every handler that is connected now. The synchronous ones are called before this
    /// returns; the future runs the asynchronous ones and reports on all.
    ///
    /// # Cancel safety
    /// The synchronous handlers have been called when the future comes to be. If it is dropped, asynchronous
    /// ones that have not ended are dropped at the place where they wait.
    #[must_use = "asynchronous handlers run, and failures are reported, only when this is awaited"]
    pub fn send(&self, value: T) -> Sending {
        self.send_all(Sent::new(Arc::new(value), None))
    }

    /// As [`send`](Self::send), for a sender with a name: handlers may be connected to
    /// [one sender](Connecting::from_sender) alone.
    #[must_use = "asynchronous handlers run, and failures are reported, only when this is awaited"]
    pub fn send_from(&self, sender: impl Into<Arc<str>>, value: T) -> Sending {
        self.send_all(Sent::new(Arc::new(value), Some(sender.into())))
    }

    pub(super) fn send_all(&self, sent: Sent<T>) -> Sending {
        let mut sending = Sending::new(Arc::clone(&self.inner.name));
        for handler in self.inner.handlers.all().iter() {
            if handler.takes(sent.sender()) {
                sending.call(handler, sent.clone());
            }
        }
        sending
    }
}

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("name", &self.inner.name)
            .field("handlers", &self.inner.handlers.all().len())
            .finish()
    }
}
