//! Rate-limited logging of failures: one line when an outage begins, one when it has ended, and at most
//! one a second in between.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Context;
use crate::error::{Error, ErrorKind};
use crate::path::RegionPath;

/// The shortest time between two log lines of one kind. An outage has ended when a call succeeds and none
/// has failed for this long.
const INTERVAL: Duration = Duration::from_secs(1);

/// The current outages of a cache's store, one for each kind of error.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    /// The number of current outages: while it is zero, a success costs one atomic load.
    current: AtomicUsize,
    outages: Mutex<Vec<Outage>>,
}

#[derive(Debug)]
struct Outage {
    kind: ErrorKind,
    began: Instant,
    last_failure: Instant,
    last_line: Instant,
    failures: u64,
}

/// A log line that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Began,
    GoesOn { failures: u64 },
    Ended { failures: u64, lasted: Duration },
}

impl FailureLog {
    /// Records a failed call, and logs it if a line is due.
    pub(super) fn failed(&self, region: &RegionPath, error: &Error, now: Instant) {
        match self.note_failure(error.kind(), now) {
            Some(Line::Began) => {
                // Wrong credentials and missing permissions need an operator.
                if error.kind() == ErrorKind::Denied {
                    tracing::error!(%region, %error, "the store fails");
                } else {
                    tracing::warn!(%region, %error, "the store fails");
                }
            }
            Some(Line::GoesOn { failures }) => {
                tracing::warn!(%region, %error, failures, "the store still fails");
            }
            Some(Line::Ended { .. }) | None => {}
        }
    }

    /// Records a successful call, and logs the outages that have ended.
    #[inline]
    pub(super) fn succeeded(&self, now: impl FnOnce() -> Instant) {
        if self.current.load(Ordering::Relaxed) > 0 {
            self.end_outages(now());
        }
    }

    #[cold]
    fn end_outages(&self, now: Instant) {
        for (kind, line) in self.note_success(now) {
            if let Line::Ended { failures, lasted } = line {
                tracing::warn!(?kind, failures, ?lasted, "the store works again");
            }
        }
    }

    fn note_failure(&self, kind: ErrorKind, now: Instant) -> Option<Line> {
        let mut outages = self.outages.lock();
        let Some(outage) = outages.iter_mut().find(|outage| outage.kind == kind) else {
            let (began, last_failure, last_line) = (now, now, now);
            outages.push(Outage { kind, began, last_failure, last_line, failures: 1 });
            self.current.store(outages.len(), Ordering::Relaxed);
            return Some(Line::Began);
        };
        outage.failures += 1;
        outage.last_failure = now;
        if now.saturating_duration_since(outage.last_line) < INTERVAL {
            return None;
        }
        outage.last_line = now;
        Some(Line::GoesOn { failures: outage.failures })
    }

    fn note_success(&self, now: Instant) -> Vec<(ErrorKind, Line)> {
        let mut lines = Vec::new();
        let mut outages = self.outages.lock();
        outages.retain(|outage| {
            let is_over = now.saturating_duration_since(outage.last_failure) >= INTERVAL;
            if is_over {
                let lasted = outage.last_failure.saturating_duration_since(outage.began);
                lines.push((outage.kind, Line::Ended { failures: outage.failures, lasted }));
            }
            !is_over
        });
        self.current.store(outages.len(), Ordering::Relaxed);
        lines
    }
}

/// Limits log lines to one of each kind in an interval.
#[derive(Debug, Default)]
pub(super) struct LogLimiter(Mutex<HashMap<&'static str, Limited>>);

#[derive(Debug)]
struct Limited {
    last_line: Instant,
    unlogged: u64,
}

impl LogLimiter {
    /// Returns the number of suppressed lines of `kind` if one may be written now, otherwise `None`.
    pub(super) fn allow(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock();
        let Some(limited) = kinds.get_mut(kind) else {
            kinds.insert(kind, Limited { last_line: now, unlogged: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(limited.last_line) < INTERVAL {
            limited.unlogged += 1;
            return None;
        }
        limited.last_line = now;
        Some(std::mem::take(&mut limited.unlogged))
    }
}

impl Context {
    /// Logs that a load failed and its callers get a stale value.
    pub(crate) fn serving_stale(&self, key: &str, error: &Error) {
        if let Some(unlogged) = self.engine.limiter.allow("stale", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "serving stale");
        }
    }

    /// Logs that a load in the background failed. Its callers got the stale value when it began.
    pub(crate) fn refresh_failed(&self, key: &str, error: &Error) {
        if let Some(unlogged) = self.engine.limiter.allow("refresh", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "a refresh failed");
        }
    }

    /// Counts and logs that the value of a load was not stored because the store refused it.
    pub(crate) fn not_stored(&self, key: &str, error: &Error) {
        self.counters().store_failures.add(1);
        if let Some(unlogged) = self.engine.limiter.allow("not stored", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "a load was not stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Duration = Duration::from_millis(100);

    #[test]
    fn an_outage_has_a_first_line_a_line_a_second_and_a_last() {
        let log = FailureLog::default();
        let start = Instant::now();
        assert_eq!(log.note_failure(ErrorKind::Timeout, start), Some(Line::Began));
        let lines =
            (1..=35).filter_map(|n| log.note_failure(ErrorKind::Timeout, start + TENTH * n));
        let lines: Vec<_> = lines.collect();
        let expected = [11, 21, 31].map(|failures| Line::GoesOn { failures });
        assert_eq!(lines, expected);
        assert_eq!(log.note_success(start + TENTH * 36), [], "others may still fail");
        let lasted = TENTH * 35;
        let ended = (ErrorKind::Timeout, Line::Ended { failures: 36, lasted });
        assert_eq!(log.note_success(start + TENTH * 50), [ended]);
        assert_eq!(log.note_success(start + TENTH * 51), []);
    }

    #[test]
    fn each_kind_has_its_own_lines() {
        let log = FailureLog::default();
        let start = Instant::now();
        for kind in [ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::Denied] {
            assert_eq!(log.note_failure(kind, start), Some(Line::Began));
            assert_eq!(log.note_failure(kind, start), None);
        }
        assert_eq!(log.note_success(start + INTERVAL).len(), 3);
    }

    #[test]
    fn a_store_that_fails_now_and_then_does_not_flood_the_log() {
        let log = FailureLog::default();
        let start = Instant::now();
        let mut lines = 0;
        for call in 0..10_000 {
            let now = start + Duration::from_millis(call);
            lines += usize::from(log.note_failure(ErrorKind::Unavailable, now).is_some());
            lines += log.note_success(now).len();
        }
        assert!(lines <= 10, "{lines} lines in ten seconds");
    }

    #[test]
    fn repeated_lines_are_counted_not_written() {
        let limiter = LogLimiter::default();
        let start = Instant::now();
        assert_eq!(limiter.allow("type", start), Some(0));
        assert_eq!(limiter.allow("type", start + TENTH), None);
        assert_eq!(limiter.allow("seal", start + TENTH), Some(0));
        assert_eq!(limiter.allow("type", start + INTERVAL), Some(1));
        assert_eq!(limiter.allow("type", start + INTERVAL * 2), Some(0));
    }
}
