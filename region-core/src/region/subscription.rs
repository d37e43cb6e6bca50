use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::retry::{Failing, Failures, Retry};
use super::{Region, RegionExt};
use crate::error::Error;

/// Keeps a region bound to a stream of events or to a signal: see [`RegionExt::invalidate_on`] and
/// [`SignalExt::invalidate_on_signal`](crate::SignalExt::invalidate_on_signal).
///
/// Dropping it unbinds the region. An invalidation that is under way then is completed, and not
/// tried again if it fails.
#[derive(Debug)]
#[must_use = "dropping the subscription unbinds the region from its events"]
pub struct Subscription {
    /// Dropped with the subscription, which ends the task.
    _stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    failing: Arc<Mutex<Failing>>,
}

impl Subscription {
    pub(super) fn new<R: Region>(region: R, events: impl Stream + Send + 'static) -> Self {
        Self::start(|stopped, failures| run(region, events, stopped, failures))
    }

    /// Starts a task that invalidates, until the receiver that it gets is closed.
    pub(crate) fn start<Fut>(task: impl FnOnce(oneshot::Receiver<()>, Failures) -> Fut) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let failing = Arc::default();
        let task = tokio::spawn(task(stopped, Failures::new(Arc::clone(&failing))));
        Self { _stop: stop, task, failing }
    }

    /// Returns true if the stream has ended, so that nothing invalidates the region any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// The number of times in a row that an invalidation under way has failed; zero once all have
    /// succeeded.
    #[must_use]
    pub fn failures_in_a_row(&self) -> u64 {
        self.failing.lock().failures
    }

    /// The error of the last failure, until all invalidations under way have succeeded.
    #[must_use]
    pub fn last_error(&self) -> Option<Error> {
        self.failing.lock().last_error.clone()
    }
}

async fn run<R: Region>(
    region: R,
    events: impl Stream + Send + 'static,
    mut stopped: oneshot::Receiver<()>,
    mut failures: Failures,
) {
    let mut events = pin!(events);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            event = events.next() => if event.is_none() { return },
        }
        if invalidate(&region, &mut stopped, &mut failures).await == Tried::Stopped {
            return;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    Succeeded,
    Stopped,
}

/// Invalidates, however often it takes and whatever the error: an event must not be lost to an outage,
/// and a permission that is missing may come back. Events that come meanwhile wait in the stream.
async fn invalidate<R: Region>(
    region: &R,
    stopped: &mut oneshot::Receiver<()>,
    failures: &mut Failures,
) -> Tried {
    let mut retry = Retry::new();
    while let Err(error) = region.invalidate().await {
        failures.add(region.path(), error);
        tokio::select! {
            biased;
            _ = &mut *stopped => return Tried::Stopped,
            () = retry.pause() => {}
        }
    }
    failures.end();
    Tried::Succeeded
}
