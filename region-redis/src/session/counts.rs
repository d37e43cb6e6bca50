//! The counts of writes that this process has used, one a connection.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The most counts that are kept. A process that replaces its connections ten times a second has used
/// fewer within the lifetime of a count.
const MOST: usize = 8192;

/// The names of counts that may still be on a server.
///
/// A write that was given up may still be on its way when a new connection is in use. It must not take
/// effect after a newer write, so its count is deleted from the server before the new connection is used:
/// a write without its count is refused. The name is kept until the server has let the key expire, for
/// after a failover it may be there again, or the former primary may come back with it. A write that
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
    /// Begins to use `name` in the place of all others, each of which the server keeps for `lifetime` at
    /// most after its connection was given up. Gives back those that have to be deleted first.
    pub(crate) fn begin(&mut self, name: &str, lifetime: Duration) -> Vec<String> {
        let now = Instant::now();
        self.names.iter_mut().for_each(|used| {
            used.given_up.get_or_insert(now);
        });
        // Twice, for the server's clock is not this one.
        let is_over = |used: &Used| used.given_up.is_some_and(|at| now - at > lifetime * 2);
        while self.names.len() >= MOST || self.names.front().is_some_and(is_over) {
            self.names.pop_front();
        }
        let earlier = self.names.iter().map(|used| used.name.clone()).collect();
        self.names.push_back(Used { name: name.to_owned(), given_up: None });
        earlier
    }

    /// All of them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.iter().map(|used| used.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn earlier_counts_are_deleted_until_no_server_can_have_them() {
        let mut counts = UsedCounts::default();
        assert!(counts.begin("a", LIFETIME).is_empty());
        tokio::time::advance(LIFETIME * 100).await;
        assert_eq!(counts.begin("b", LIFETIME), ["a"], "used until now");
        tokio::time::advance(LIFETIME).await;
        assert_eq!(counts.begin("c", LIFETIME), ["a", "b"]);
        tokio::time::advance(LIFETIME * 3 / 2).await;
        assert_eq!(counts.begin("d", LIFETIME), ["b", "c"]);
        tokio::time::advance(LIFETIME * 3).await;
        assert_eq!(counts.begin("e", LIFETIME), ["d"]);
        assert_eq!(counts.names(), ["d", "e"]);
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_bounded() {
        let mut counts = UsedCounts::default();
        for n in 0..MOST + 10 {
            counts.begin(&n.to_string(), LIFETIME);
        }
        assert_eq!(counts.names().len(), MOST);
    }
}
