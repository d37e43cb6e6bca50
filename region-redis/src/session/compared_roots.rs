//! The roots whose anchors were compared lately with those of other processes.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The most roots whose comparison is remembered. Beyond that all are forgotten.
const MOST_ROOTS: usize = 16 * 1024;

/// The time for which a comparison counts.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// The roots whose anchors have been compared, and when.
#[derive(Debug, Default)]
pub(crate) struct ComparedRoots(Mutex<HashMap<Box<str>, Instant>>);

impl ComparedRoots {
    /// Returns true if a comparison is due, and notes that it is made.
    pub(crate) fn begin(&self, root: &str) -> bool {
        let now = Instant::now();
        let mut roots = self.0.lock();
        let counts = |at: &Instant| now.duration_since(*at) < COUNTS_FOR;
        if roots.get(root).is_some_and(counts) {
            return false;
        }
        if roots.len() == MOST_ROOTS {
            roots.clear();
        }
        roots.insert(root.into(), now);
        true
    }

    /// Says that a comparison is due.
    pub(crate) fn forget(&self, root: &str) {
        self.0.lock().remove(root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_root_is_compared_once_in_a_while() {
        let roots = ComparedRoots::default();
        assert!(roots.begin("a") && roots.begin("b") && !roots.begin("a"));
        roots.forget("a");
        assert!(roots.begin("a") && !roots.begin("b"));
        tokio::time::advance(COUNTS_FOR).await;
        assert!(roots.begin("a") && roots.begin("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_roots_that_are_remembered_are_bounded() {
        let roots = ComparedRoots::default();
        for at in 0..2 * MOST_ROOTS {
            assert!(roots.begin(&at.to_string()));
        }
        assert_eq!(roots.0.lock().len(), MOST_ROOTS);
        assert!(roots.begin("new") && !roots.begin("new"));
        assert_eq!(roots.0.lock().len(), 1);
    }
}
