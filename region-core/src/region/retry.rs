//! Invalidations that have failed, and the waits before they are tried again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::path::RegionPath;
use crate::random::process_jittered;
use crate::timers::has_timers;

/// The wait before a failed invalidation is tried again. It doubles each time, and each wait is
/// shortened by chance, by half at most.
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The shortest time between two log lines about one kind of error.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The failures in a row, as a [`Subscription`](super::Subscription) shows them.
#[derive(Debug, Default)]
pub(super) struct Failing {
    pub(super) failures: u64,
    pub(super) last_error: Option<Error>,
}

/// Counts the failures in a row, and logs them.
#[derive(Debug)]
pub(crate) struct Failures {
    failing: Arc<Mutex<Failing>>,
    last_line: Option<(ErrorKind, Instant)>,
}

impl Failures {
    pub(super) fn new(failing: Arc<Mutex<Failing>>) -> Self {
        Self { failing, last_line: None }
    }

    /// Adds the failure of an invalidation of `region`.
    pub(crate) fn add(&mut self, region: &RegionPath, error: Error) {
        let failures = {
            let mut failing = self.failing.lock();
            failing.failures += 1;
            failing.last_error = Some(error.clone());
            failing.failures
        };
        let is_due =
            |(kind, at): (_, Instant)| kind != error.kind() || at.elapsed() >= LOG_INTERVAL;
        if self.last_line.is_none_or(is_due) {
            self.last_line = Some((error.kind(), Instant::now()));
            tracing::warn!(%region, %error, failures, "invalidation failed, trying again");
        }
    }

    /// Notes that nothing fails any more.
    pub(crate) fn end(&mut self) {
        *self.failing.lock() = Failing::default();
        self.last_line = None;
    }
}

/// The waits before the next tries.
#[derive(Debug)]
pub(crate) struct Retry {
    wait: Duration,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self { wait: FIRST_RETRY }
    }

    /// The next wait. It works on a runtime without timers too.
    pub(crate) fn pause(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let wait = process_jittered(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_RETRY);
        async move {
            match has_timers() {
                true => tokio::time::sleep(wait).await,
                // It fails if the runtime ends, and then this task ends too.
                false => {
                    drop(tokio::task::spawn_blocking(move || std::thread::sleep(wait)).await);
                }
            }
        }
    }
}
