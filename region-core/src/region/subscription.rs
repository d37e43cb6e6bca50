use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Region, RegionExt};
use crate::error::{Error, ErrorKind};
use crate::random::process_jittered;
use crate::timers::has_timers;

/// The wait before a failed invalidation is tried again. It doubles each time, and each wait is
/// shortened by chance, by half at most.
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The shortest time between two log lines about one kind of error.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps a region bound to a stream of events: see [`RegionExt::invalidate_on`].
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

/// The failures of the invalidation that is being tried.
#[derive(Debug, Default)]
struct Failing {
    failures: u64,
    last_error: Option<Error>,
}

impl Subscription {
    pub(super) fn new<R: Region>(region: R, events: impl Stream + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let failing = Arc::default();
        let task = tokio::spawn(run(region, events, stopped, Arc::clone(&failing)));
        Self { _stop: stop, task, failing }
    }

    /// Returns true if the stream has ended, so that nothing invalidates the region any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// The number of times in a row that the invalidation under way has failed; zero once it has
    /// succeeded.
    #[must_use]
    pub fn failures_in_a_row(&self) -> u64 {
        self.failing.lock().failures
    }

    /// The error of the last failure, until an invalidation succeeds.
    #[must_use]
    pub fn last_error(&self) -> Option<Error> {
        self.failing.lock().last_error.clone()
    }
}

async fn run<R: Region>(
    region: R,
    events: impl Stream + Send + 'static,
    mut stopped: oneshot::Receiver<()>,
    failing: Arc<Mutex<Failing>>,
) {
    let mut events = pin!(events);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            event = events.next() => if event.is_none() { return },
        }
        if invalidate(&region, &mut stopped, &failing).await == Tried::Stopped {
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
    failing: &Mutex<Failing>,
) -> Tried {
    let mut wait = FIRST_RETRY;
    let mut last_line: Option<(ErrorKind, Instant)> = None;
    while let Err(error) = region.invalidate().await {
        let failures = {
            let mut failing = failing.lock();
            failing.failures += 1;
            failing.last_error = Some(error.clone());
            failing.failures
        };
        let is_due =
            |(kind, at): (_, Instant)| kind != error.kind() || at.elapsed() >= LOG_INTERVAL;
        if last_line.is_none_or(is_due) {
            last_line = Some((error.kind(), Instant::now()));
            let region = region.path();
            tracing::warn!(%region, %error, failures, "invalidation failed, trying again");
        }
        tokio::select! {
            biased;
            _ = &mut *stopped => return Tried::Stopped,
            () = pause(process_jittered(wait)) => {}
        }
        wait = (wait * 2).min(LONGEST_RETRY);
    }
    *failing.lock() = Failing::default();
    Tried::Succeeded
}

/// Waits so long, on a runtime without timers too.
async fn pause(wait: Duration) {
    match has_timers() {
        true => tokio::time::sleep(wait).await,
        // It fails if the runtime ends, and then this task ends too.
        false => drop(tokio::task::spawn_blocking(move || std::thread::sleep(wait)).await),
    }
}
