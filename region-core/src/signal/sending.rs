use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::Sent;
use super::handler::{Call, Handler, Outcome};
use crate::error::{BoxError, catch_panic, panic_message};

/// The report on one value that was sent.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SendReport {
    /// The number of handlers that were called, those that have failed included.
    pub called: usize,
    /// The failures, in the order in which they came to be known.
    pub failures: Vec<HandlerFailure>,
}

impl SendReport {
    /// Returns true if no handler has failed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A handler that has failed: it returned an error, or panicked.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerFailure {
    /// The handler's name, or the place where it was connected.
    pub handler: Arc<str>,
    /// Its error. That of a panic says so, with the panic's message.
    pub error: BoxError,
}

impl fmt::Display for HandlerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.handler, self.error)
    }
}

/// A handler that runs, and in the end its result.
type Running = BoxFuture<'static, (Arc<str>, Result<(), BoxError>)>;

/// A value that is being sent: see [`Signal::send`](super::Signal::send).
#[must_use = "asynchronous handlers run only when this is awaited"]
pub struct Sending {
    signal: Arc<str>,
    running: FuturesUnordered<Running>,
    report: SendReport,
}

impl Sending {
    pub(super) fn new(signal: Arc<str>) -> Self {
        Self { signal, running: FuturesUnordered::new(), report: SendReport::default() }
    }

    /// Calls a handler, or begins to.
    pub(super) fn call<T>(&mut self, handler: &Handler<T>, sent: Sent<T>) {
        self.report.called += 1;
        let name = &handler.name;
        match &handler.call {
            Call::Sync(call) => {
                let result = catch_panic(|| call(sent)).flatten();
                self.note(name, result);
            }
            Call::Async(call) => match catch_panic(|| call(sent)) {
                Ok(running) => self.run(name, running),
                Err(panic) => self.note(name, Err(panic)),
            },
        }
    }

    fn run(&self, handler: &Arc<str>, running: Outcome) {
        let handler = Arc::clone(handler);
        let running = async move {
            // What the handler was working on is its own.
            let result = AssertUnwindSafe(running).catch_unwind().await;
            let panicked = |panic: Box<dyn std::any::Any + Send>| {
                Err(format!("panicked: {}", panic_message(&*panic)).into())
            };
            (handler, result.unwrap_or_else(panicked))
        };
        self.running.push(running.boxed());
    }

    fn note(&mut self, handler: &Arc<str>, result: Result<(), BoxError>) {
        if let Err(error) = result {
            tracing::warn!(signal = %self.signal, %handler, %error, "a handler of a signal has failed");
            self.report.failures.push(HandlerFailure { handler: Arc::clone(handler), error });
        }
    }
}

impl Future for Sending {
    type Output = SendReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<SendReport> {
        while let Some((handler, result)) = ready!(self.running.poll_next_unpin(cx)) {
            self.note(&handler, result);
        }
        Poll::Ready(std::mem::take(&mut self.report))
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("signal", &self.signal)
            .field("running", &self.running.len())
            .field("report", &self.report)
            .finish()
    }
}
