//! The log lines of an outage: few, however many calls fail.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use region_core::{Error, ErrorKind};
use tokio::time::Instant;

/// The shortest time between two lines of one kind.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Lets one line pass a second.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Mutex<Option<Instant>>,
    left_out: AtomicU64,
}

impl LogLimit {
    /// Returns the number of lines that were left out since the last one; `None` if this one has to be left
    /// out too.
    pub(crate) fn pass(&self) -> Option<u64> {
        let mut last = self.last.lock();
        if last.is_some_and(|last| last.elapsed() < BETWEEN_LINES) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *last = Some(Instant::now());
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

/// The limits of the lines about outages. Links that fail together share them.
#[derive(Debug, Default)]
pub(crate) struct OutageLines {
    begins: LogLimit,
    between: LogLimit,
    ends: LogLimit,
}

/// The outages of one server: a line when one begins, a line when it ends, and at most one a second
/// between.
#[derive(Debug)]
pub(crate) struct Outage {
    present: Mutex<Option<Present>>,
    failed_calls: AtomicU64,
    lines: Arc<OutageLines>,
}

/// An outage that has begun.
#[derive(Debug)]
struct Present {
    began: Instant,
    failures: u64,
    was_denied: bool,
}

impl Outage {
    pub(crate) fn new(lines: &Arc<OutageLines>) -> Self {
        let (present, failed_calls) = (Mutex::default(), AtomicU64::new(0));
        Self { present, failed_calls, lines: Arc::clone(lines) }
    }

    /// Begins an outage, unless there is one, and counts what went wrong.
    pub(crate) fn note(&self, server: &dyn Display, error: &Error) {
        let is_denied = error.kind() == ErrorKind::Denied;
        let mut present = self.present.lock();
        let is_first = present.is_none();
        let outage = present.get_or_insert_with(|| {
            self.failed_calls.store(0, Ordering::Relaxed);
            Present { began: Instant::now(), failures: 0, was_denied: false }
        });
        outage.failures += 1;
        if is_denied && !std::mem::replace(&mut outage.was_denied, true) {
            // An error: only a person can mend it.
            tracing::error!(%server, %error, "the server refuses this client; trying on");
        } else if is_first {
            if let Some(left_out) = self.lines.begins.pass() {
                tracing::warn!(%server, %error, left_out, "the server cannot be used; trying on");
            }
        } else if outage.failures > 2
            && let Some(left_out) = self.lines.between.pass()
        {
            let lasted = outage.began.elapsed();
            let attempts = outage.failures;
            tracing::warn!(%server, %error, ?lasted, attempts, left_out, "still no connection");
        }
    }

    /// Counts a call that failed because of the outage.
    pub(crate) fn note_call(&self) {
        self.failed_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the outage, if there is one.
    pub(crate) fn end(&self, server: &dyn Display) {
        let Some(Present { began, failures, .. }) = self.present.lock().take() else { return };
        let failed_calls = self.failed_calls.swap(0, Ordering::Relaxed);
        if let Some(left_out) = self.lines.ends.pass() {
            let lasted = began.elapsed();
            tracing::info!(%server, ?lasted, failures, failed_calls, left_out, "connected again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_passes() {
        let limit = LogLimit::default();
        assert_eq!(limit.pass(), Some(0));
        for _ in 0..7 {
            assert_eq!(limit.pass(), None);
        }
        tokio::time::advance(BETWEEN_LINES).await;
        assert_eq!(limit.pass(), Some(7));
        assert_eq!(limit.pass(), None);
    }
}
