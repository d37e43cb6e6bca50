//! Progress of long work, on the standard error.

use std::time::{Duration, Instant};

use crate::output::say;

/// The time between two lines, and until the first.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Tells of progress, once a second at most. Short work tells nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    /// `None`: it never tells.
    last: Option<Instant>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self { last: Some(Instant::now()) }
    }

    /// Progress of work that nobody at the terminal has asked for.
    pub(crate) fn untold() -> Self {
        Self { last: None }
    }

    /// Prints the line, if it is time for one.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.last.is_some_and(|last| last.elapsed() >= INTERVAL) {
            say(&line());
            self.last = Some(Instant::now());
        }
    }
}
