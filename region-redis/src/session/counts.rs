//! The counts of writes that this process has used, one for each set of connections.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The most counts that are remembered.
const MOST: usize = 8192;

/// For how long a count is remembered after its connection was given up: longer than a write can be on
/// its way, to a server that is stopped meanwhile.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The names of counts that may still be on a server.
///
/// A write that was given up may still be on its way when a new connection is in use. It must not take
/// effect after a newer write, so its count is deleted from the server before the new connection is used:
/// a write without its count is refused. The name is remembered, for after a failover the count may be
/// there again, or the former primary may come back with it. A write that
/// arrives at a server that is not in use has nothing to override there: if it is a replica it refuses the
/// write, and before it is used as a primary the names are deleted from it.
#[derive(Debug, Default)]
pub(crate) struct UsedCounts {
    /// Oldest first. Only the last is not given up.
    names: VecDeque<Used>,
}

#[derive(Debug)]
struct Used {
    name: String,
    given_up: Option<Instant>,
}

impl UsedCounts {
    /// Begins to use `name` in the place of all others. Returns the names that have to be deleted first.
    pub(crate) fn begin(&mut self, name: &str) -> Vec<String> {
        let now = Instant::now();
        self.names.iter_mut().for_each(|used| {
            used.given_up.get_or_insert(now);
        });
        let is_over = |used: &Used| used.given_up.is_some_and(|at| now - at > REMEMBERED);
        while self.names.len() >= MOST || self.names.front().is_some_and(is_over) {
            self.names.pop_front();
        }
        let earlier = self.names.iter().map(|used| used.name.clone()).collect();
        self.names.push_back(Used { name: name.to_owned(), given_up: None });
        earlier
    }

    /// Returns all names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.iter().map(|used| used.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn earlier_counts_are_deleted_until_no_server_can_have_them() {
        let mut counts = UsedCounts::default();
        assert!(counts.begin("a").is_empty());
        tokio::time::advance(REMEMBERED * 100).await;
        assert_eq!(counts.begin("b"), ["a"], "used until now");
        tokio::time::advance(REMEMBERED / 2).await;
        assert_eq!(counts.begin("c"), ["a", "b"]);
        tokio::time::advance(REMEMBERED * 3 / 4).await;
        assert_eq!(counts.begin("d"), ["b", "c"]);
        tokio::time::advance(REMEMBERED * 3).await;
        assert_eq!(counts.begin("e"), ["d"]);
        assert_eq!(counts.names(), ["d", "e"]);
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_bounded() {
        let mut counts = UsedCounts::default();
        for n in 0..MOST + 10 {
            counts.begin(&n.to_string());
        }
        assert_eq!(counts.names().len(), MOST);
    }
}
