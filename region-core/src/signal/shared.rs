//! Signals of all processes over one store.

mod deliveries;
mod journal;
mod record;
mod rounds;
mod senders;
mod task;
mod wake;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use self::task::Posting;
use super::{Connection, HandlerOutcome, Sent, Signal, SignalSource};
use crate::cache::RegionCache;
use crate::engine::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::path::{RegionPath, SIGNAL_SEGMENT, Segment};
use crate::policy::{NearCache, Policy};
use crate::region::Region;
use crate::timers::has_timers;
use crate::value::serializer::Value;

/// The time for which the store keeps a [`SharedSignal`]'s values: a process that cannot read for as long is told
/// that it may have missed some.
pub const SHARED_SIGNAL_TTL: Duration = Duration::from_secs(600);

/// The most values that the store keeps of one sending process. When there are more, the oldest are dropped.
pub const MAX_SIGNALS_KEPT: usize = 128;

/// The most bytes that the store keeps of one sending process, and that one value may have.
pub const MAX_SIGNAL_BYTES: usize = 16 * 1024;

/// The values that wait to be sent at most; more wait in the callers of `send`.
const MAX_WAITING: usize = 256;

/// What a handler of a [`SharedSignal`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received<T> {
    /// A value, of this process or another. It may come more than once after a failure of the store.
    Value(Sent<T>),
    /// Values may have been missed.
    Missed,
}

impl<T> Received<T> {
    /// Returns the value, or `None` if values may have been missed.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(sent) => Some(sent),
            Self::Missed => None,
        }
    }
}

impl<T> Clone for Received<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Value(sent) => Self::Value(sent.clone()),
            Self::Missed => Self::Missed,
        }
    }
}

/// A named signal of one type that every process over one store can send and handle.
///
/// [`RegionCache::shared_signal`] makes it. Cheap to clone: make it once in a process, for each call makes another
/// sender and receiver. It sends and receives in the background, until its clones and their connections are gone.
///
/// # Promises
///
/// A value whose [`send`](Self::send) has returned `Ok` reaches each handler that was connected when `send` was
/// called, in this process and in every other, at least once; or the handler gets [`Received::Missed`]. In this
/// process it is delivered exactly once. Values of one sending process are delivered in the order in which they
/// were sent. A handler may get values from shortly before it was connected, too.
///
/// A handler gets `Missed` when it cannot be excluded that the store has lost values (it was flushed, it evicted
/// them, a failover went back to an older copy), when more than
/// [`MAX_SIGNALS_KEPT`] values of one process came before they were read, when the store could not be read for
/// nearly [`SHARED_SIGNAL_TTL`], when a value could not be decoded because other code had sent it, or when handlers
/// were too slow.
///
/// The store keeps the values for a while, and each sender watches over its own: what the store has lost, it
/// sends again. So one combination of failures is not noticed: a process sends and ends, and soon afterwards a
/// failover goes back to a copy that never had the value. Wait for replicas where that matters.
///
/// # In the store
///
/// A signal is a region beside the cache's root, so that it outlives what happens there, with one entry for each
/// process that has sent lately: its last values, encoded with the serializer of the root's policy. Nothing is asked of
/// the store beyond what a cache needs. Where it pushes changes, receivers read when there is something new; else
/// once a second.
///
/// ```
/// use region_core::{Received, Region, RegionCache, RegionExt, SharedSignal};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let store = MemoryStore::new();
/// let service = RegionCache::builder(store.client()).root("shop").build()?;
/// let importer = RegionCache::builder(store.client()).root("shop").build()?;
///
/// let changed: SharedSignal<u64> = service.shared_signal("project changed")?;
/// let (log, mut heard) = tokio::sync::mpsc::unbounded_channel();
/// let _connection = changed.connect(move |received: Received<u64>| match received {
///     Received::Value(id) => drop(log.send(*id)),
///     _ => { /* Anything may have changed: read it all again. */ }
/// });
/// importer.shared_signal::<u64>("project changed")?.send(7).await?;
/// assert_eq!(heard.recv().await, Some(7));
/// # Ok(())
/// # }
/// ```
pub struct SharedSignal<T> {
    name: Arc<str>,
    received: Signal<Received<T>>,
    /// The task ends when the last of its senders is gone.
    postings: mpsc::Sender<Posting<T>>,
    sizes: Arc<task::Sizes>,
}

impl RegionCache {
    /// Opens the signal `name` of all processes that use this root over this store, and begins to receive it:
    /// see [`SharedSignal`]. Its type must be the same everywhere.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`InvalidPath`](ErrorKind::InvalidPath) for an empty name, and for a name or root of more than about 500 bytes;
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) on a runtime without timers.
    pub fn shared_signal<T: Value>(&self, name: &str) -> Result<SharedSignal<T>> {
        if !has_timers() {
            let message = "a shared signal needs a tokio runtime with timers (enable_time)";
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        let root = self.root();
        let region = region_of(root.path(), name)?;
        let (engine, policy) = (root.context().engine(), root.context().given_policy());
        let policy = Policy::new().near(NearCache::Off).within(policy);
        let context = Arc::new(Context::new(Arc::clone(engine), region, policy)?);
        let name: Arc<str> = name.into();
        let received = Signal::new(Arc::clone(&name));
        let (postings, queue) = mpsc::channel(MAX_WAITING);
        let sizes = task::start(&context, &received, queue);
        Ok(SharedSignal { name, received, postings, sizes })
    }
}

/// The region of the signal `name` of caches with this root.
fn region_of(root: &RegionPath, name: &str) -> Result<RegionPath> {
    let beside = Segment::with_id(SIGNAL_SEGMENT, root.as_str())?;
    Ok(RegionPath::parse(beside.as_str())?.child(name)?)
}

impl<T: Value> SharedSignal<T> {
    /// Returns the name of the signal.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has `handler` called with each value that is sent by any process, this one included, and with
    /// [`Received::Missed`] when some may have been missed, until the connection is dropped.
    ///
    /// Handlers are called in a task, one value after the other. One whose result is an error, or that panics,
    /// keeps nothing from the others; it is logged.
    #[track_caller]
    pub fn connect<F, O>(&self, handler: F) -> Connection
    where
        F: Fn(Received<T>) -> O + Send + Sync + 'static,
        O: HandlerOutcome,
    {
        let place = Location::caller().to_string();
        let handler = move |received: Sent<Received<T>>| handler((*received).clone());
        self.keep(self.received.connecting().named(place).connect(handler))
    }

    /// As [`connect`](Self::connect), for an asynchronous handler. Its calls for several values may run at the
    /// same time; while many do, later values wait. So it must end.
    #[track_caller]
    pub fn connect_async<F, Fut>(&self, handler: F) -> Connection
    where
        F: Fn(Received<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HandlerOutcome> + Send + 'static,
    {
        let place = Location::caller().to_string();
        let handler = move |received: Sent<Received<T>>| handler((*received).clone());
        self.keep(self.received.connecting().named(place).connect_async(handler))
    }

    /// Sends `value` to the handlers of all processes. Returns when the store has it; handlers run later.
    ///
    /// # Errors
    /// [`Encode`](ErrorKind::Encode); [`TooLarge`](ErrorKind::TooLarge) beyond [`MAX_SIGNAL_BYTES`]; the store's.
    /// After [`Timeout`](ErrorKind::Timeout), [`Store`](ErrorKind::Store) and [`Protocol`](ErrorKind::Protocol) it
    /// is not known if the store has the value: it is sent again in the background, until that succeeds,
    /// [`SHARED_SIGNAL_TTL`] is over, or the signal has no handles any more. After any other error nothing was sent.
    ///
    /// # Cancel safety
    /// If the future is dropped, the value is sent or not.
    pub async fn send(&self, value: T) -> Result<()> {
        self.post(Sent::new(Arc::new(value), None)).await
    }

    /// As [`send`](Self::send), for a sender with a name: see [`Sent::sender`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_from(&self, sender: impl Into<Arc<str>>, value: T) -> Result<()> {
        self.post(Sent::new(Arc::new(value), Some(sender.into()))).await
    }

    async fn post(&self, sent: Sent<T>) -> Result<()> {
        let bytes = self.sizes.of(&sent)?;
        let (reply, replied) = oneshot::channel();
        let posting = Posting { sent, bytes, reply };
        // Both fail only if the runtime that the signal was made in has ended.
        let ended =
            || Error::new(ErrorKind::Unavailable, "the signal's runtime has ended").permanent();
        self.postings.send(posting).await.map_err(|_| ended())?;
        replied.await.map_err(|_| ended())?
    }

    /// A connection that keeps the signal alive.
    fn keep(&self, connection: Connection) -> Connection {
        let postings = self.postings.clone();
        Connection::new(move || drop((connection, postings)))
    }
}

impl<T: Value> SignalSource for SharedSignal<T> {
    type Value = T;

    #[track_caller]
    fn connect_each(&self, take: impl Fn(Option<&T>) + Send + Sync + 'static) -> Connection {
        let name = format!("invalidation bound at {}", Location::caller());
        let handler = move |received: Sent<Received<T>>| take(Received::value(&received));
        self.keep(self.received.connecting().named(name).connect(handler))
    }
}

impl<T> Clone for SharedSignal<T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            received: self.received.clone(),
            postings: self.postings.clone(),
            sizes: Arc::clone(&self.sizes),
        }
    }
}

impl<T> fmt::Debug for SharedSignal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSignal").field("name", &self.name).finish_non_exhaustive()
    }
}
