//! The handlers of one signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use parking_lot::RwLock;

use super::Sent;
use crate::error::BoxError;

/// The result of a handler: nothing, or a `Result` whose error is reported to the sender.
pub trait HandlerOutcome {
    /// Returns the error, if the handler has failed.
    ///
    /// # Errors
    /// The handler's own.
    fn into_result(self) -> Result<(), BoxError>;
}

impl HandlerOutcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> HandlerOutcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// An asynchronous handler that runs.
pub(super) type Outcome = BoxFuture<'static, Result<(), BoxError>>;

/// The function of a handler.
pub(super) enum Call<T> {
    Sync(Box<dyn Fn(Sent<T>) -> Result<(), BoxError> + Send + Sync>),
    Async(Box<dyn Fn(Sent<T>) -> Outcome + Send + Sync>),
}

/// A connected handler.
pub(super) struct Handler<T> {
    pub(super) name: Arc<str>,
    /// The only sender whose values it gets; `None`: it gets those of all.
    pub(super) sender: Option<Arc<str>>,
    pub(super) call: Call<T>,
    is_connected: AtomicBool,
}

impl<T> Handler<T> {
    pub(super) fn new(name: Arc<str>, sender: Option<Arc<str>>, call: Call<T>) -> Self {
        Self { name, sender, call, is_connected: AtomicBool::new(true) }
    }

    /// Returns true if the handler gets values of `sender`. False once it was disconnected: it may be so by a
    /// handler that was called before it.
    pub(super) fn takes(&self, sender: Option<&str>) -> bool {
        self.sender.as_deref().is_none_or(|only| sender == Some(only))
            && self.is_connected.load(Ordering::SeqCst)
    }
}

/// The handlers of a signal, in the order in which they were connected.
pub(super) struct Handlers<T> {
    /// Replaced as a whole, so that none is called under the lock.
    all: RwLock<Arc<[Arc<Handler<T>>]>>,
}

impl<T> Handlers<T> {
    pub(super) fn all(&self) -> Arc<[Arc<Handler<T>>]> {
        Arc::clone(&self.all.read())
    }

    pub(super) fn add(&self, handler: &Arc<Handler<T>>) {
        let mut all = self.all.write();
        *all = all.iter().chain([handler]).map(Arc::clone).collect();
    }

    pub(super) fn remove(&self, handler: &Arc<Handler<T>>) {
        handler.is_connected.store(false, Ordering::SeqCst);
        let mut all = self.all.write();
        let rest =
            all.iter().filter(|other| !Arc::ptr_eq(other, handler)).map(Arc::clone).collect();
        let before = std::mem::replace(&mut *all, rest);
        drop(all);
        // After the lock: what the handler holds may be connected to this signal too.
        drop(before);
    }
}

impl<T> Default for Handlers<T> {
    fn default() -> Self {
        Self { all: RwLock::new(Arc::new([])) }
    }
}
