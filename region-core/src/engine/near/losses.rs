//! Events that end trust everywhere: lost connections, and pushes that concern everything.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crate::sync::Mutex;
use tokio::time::Instant;

use super::word::{Mark, Word};
use crate::store::{Coverage, Source};

/// The number of lost connections that are told apart; trust from before older ones is taken anew.
const MAX_LOST: usize = 64;

/// The epoch of the whole cache, and the reasons why it was raised.
#[derive(Debug, Default)]
pub(super) struct Losses {
    word: Word,
    recent: Mutex<Recent>,
    /// The time until which pushes are relied on, if it can pass unheard.
    coverage: OnceLock<Arc<Coverage>>,
}

#[derive(Debug, Default)]
struct Recent {
    lost: VecDeque<Loss>,
    /// Trust from before this mark has ended, whatever its source.
    floor: Mark,
    /// The mark of the last push that concerned everything.
    lost_all: Mark,
}

/// A lost connection.
#[derive(Debug)]
struct Loss {
    mark: Mark,
    source: Source,
    at: Instant,
}

impl Losses {
    /// The word that changes with everything that ends trust everywhere.
    #[inline]
    pub(super) fn word(&self) -> &Word {
        &self.word
    }

    /// The mark of now. It stands for no trust while the pushes are not known to tell of everything.
    #[inline]
    pub(super) fn mark(&self) -> Mark {
        let mark = self.word.mark();
        if self.is_uncovered() { mark.uncovered() } else { mark }
    }

    /// Relies on pushes only until `coverage` ends.
    pub(super) fn cover(&self, coverage: &Arc<Coverage>) {
        let _ = self.coverage.set(Arc::clone(coverage));
    }

    /// Returns true if pushes are not relied on at present.
    #[inline]
    pub(super) fn is_uncovered(&self) -> bool {
        self.coverage.get().is_some_and(|coverage| coverage.is_over())
    }

    /// The last time, now at most, at which the pushes were known to tell of everything.
    fn covered_until(&self) -> Instant {
        let now = Instant::now();
        let end = self.coverage.get().and_then(|coverage| coverage.end());
        end.map_or(now, |end| end.min(now))
    }

    /// Ends all trust that was taken over `source`.
    pub(super) fn lose(&self, source: Source) {
        let mut recent = self.recent.lock();
        let raised = self.word.raise();
        recent.lost.push_back(Loss { mark: raised, source, at: self.covered_until() });
        if recent.lost.len() > MAX_LOST
            && let Some(dropped) = recent.lost.pop_front()
        {
            recent.floor = dropped.mark;
        }
    }

    /// Ends all trust.
    pub(super) fn lose_all(&self) {
        let mut recent = self.recent.lock();
        recent.floor = self.word.raise();
        recent.lost_all = recent.floor;
    }

    /// Returns true if trust that was taken over `source` at the mark `since` still stands at the mark
    /// `now`: what was lost meanwhile were other connections.
    pub(super) fn spared(&self, source: Source, since: Mark, now: Mark) -> bool {
        if !since.is_settled() || !now.is_settled() {
            return false;
        }
        if since == now {
            return true;
        }
        let recent = self.recent.lock();
        let is_mine = |lost: &Loss| lost.source == source && !since.is_no_earlier_than(lost.mark);
        since.is_no_earlier_than(recent.floor) && !recent.lost.iter().any(is_mine)
    }

    /// Returns true if `source` is known to be lost: an answer that comes late may name it.
    pub(super) fn is_lost(&self, source: Source) -> bool {
        self.recent.lock().lost.iter().any(|lost| lost.source == source)
    }

    /// Returns true if a push has concerned everything since the mark `since`.
    pub(super) fn has_lost_all_since(&self, since: Mark) -> bool {
        !since.is_no_earlier_than(self.recent.lock().lost_all)
    }

    /// Returns the time until which `source` has told of the changes to what was read over it at the mark
    /// `since`; `None`: it was lost so long ago that the time is forgotten.
    pub(super) fn told_until(&self, source: Source, since: Mark) -> Option<Instant> {
        let recent = self.recent.lock();
        match recent.lost.iter().find(|lost| lost.source == source) {
            Some(lost) => Some(lost.at),
            None => since.is_no_earlier_than(recent.floor).then(|| self.covered_until()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_concerns_its_own_source_alone() {
        let losses = Losses::default();
        let (mine, other) = (Source::unique(), Source::unique());
        let since = losses.word().mark();
        losses.lose(other);
        let now = losses.word().mark();
        assert_ne!(since, now);
        assert!(losses.spared(mine, since, now));
        assert!(!losses.spared(other, since, now));
        assert!(losses.is_lost(other) && !losses.is_lost(mine));
        losses.lose(mine);
        assert!(!losses.spared(mine, since, losses.word().mark()));
    }

    #[test]
    fn a_push_of_all_concerns_every_source() {
        let losses = Losses::default();
        let source = Source::unique();
        let since = losses.word().mark();
        losses.lose_all();
        let now = losses.word().mark();
        assert!(!losses.spared(source, since, now));
        assert!(losses.spared(source, now, now));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_ends_trust() {
        let losses = Losses::default();
        let mine = Source::unique();
        let since = losses.word().mark();
        for _ in 0..MAX_LOST {
            losses.lose(Source::unique());
        }
        assert!(losses.spared(mine, since, losses.word().mark()));
        losses.lose(Source::unique());
        assert!(!losses.spared(mine, since, losses.word().mark()));
        assert_eq!(losses.recent.lock().lost.len(), MAX_LOST);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_trusted_while_pushes_are_not_covered_and_all_of_it_is_afterwards() {
        let losses = Losses::default();
        let (source, coverage) = (Source::unique(), Arc::new(Coverage::new()));
        losses.cover(&coverage);
        let since = losses.mark();
        let (start, second) = (Instant::now(), std::time::Duration::from_secs(1));
        coverage.ends_at(Some(start + second));
        tokio::time::advance(second * 3).await;
        assert!(!losses.mark().is_settled() && losses.mark() != Mark::UNSETTLED);
        assert!(!losses.spared(source, since, losses.mark()));
        assert_eq!(losses.told_until(source, since), Some(start + second));
        coverage.ends_at(Some(start + second * 4));
        assert!(losses.spared(source, since, losses.mark()));
        assert_eq!(losses.told_until(source, since), Some(start + second * 3));
    }

    #[test]
    fn nothing_is_spared_while_a_change_is_under_way() {
        let losses = Losses::default();
        let source = Source::unique();
        let settled = losses.word().mark();
        losses.word().begin_change();
        let unsettled = losses.word().mark();
        assert!(!losses.spared(source, settled, unsettled));
        assert!(!losses.spared(source, unsettled, unsettled));
    }
}
