//! Callers that wait until replicas have their changes.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};

/// The callers that wait for replicas. They share each `WAIT`: one of them sends it, and all see the answer.
/// Each waits for an offset of its own, which stays the same until replicas have reached it, however long
/// that takes.
#[derive(Debug)]
pub(crate) struct Acknowledgements {
    /// The number of callers that began to wait.
    tickets: AtomicU64,
    /// Held by the caller that asks.
    turn: tokio::sync::Mutex<u64>,
    latest: watch::Sender<Round>,
    /// The numbers of replicas that are waited for.
    wanted: Mutex<Vec<u32>>,
}

/// The result of one `WAIT`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// The last ticket that was issued before it was sent.
    pub(crate) covers: u64,
    /// The count of the connections, which stands for the primary's history: offsets under different counts
    /// are not compared.
    pub(crate) count_id: u128,
    /// The primary's replication offset when it was sent: everything answered before lies below it.
    pub(crate) offset: u64,
    /// The offsets that the replicas have acknowledged.
    pub(crate) acknowledged: Vec<u64>,
}

/// A caller that waits, until it is dropped.
pub(crate) struct Waiter<'a> {
    all: &'a Acknowledgements,
    replicas: u32,
    ticket: u64,
    /// The count of the connections, and the offset that replicas must have reached.
    target: Option<(u128, u64)>,
    /// The number of replicas that have; `None` before the first answer.
    pub(crate) reached: Option<u32>,
}

impl Default for Acknowledgements {
    fn default() -> Self {
        Self {
            tickets: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(0),
            latest: watch::Sender::new(Round::default()),
            wanted: Mutex::default(),
        }
    }
}

impl Acknowledgements {
    /// Begins to wait for `replicas` replicas.
    pub(crate) fn join(&self, replicas: u32) -> Waiter<'_> {
        self.wanted.lock().push(replicas);
        let ticket = self.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        Waiter { all: self, replicas, ticket, target: None, reached: None }
    }

    /// Returns the last ticket that was issued.
    pub(crate) fn last_ticket(&self) -> u64 {
        self.tickets.load(Ordering::SeqCst)
    }

    /// Waits for the turn to ask. Returns the number of turns so far, which the caller raises.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, u64> {
        self.turn.lock().await
    }

    /// Returns the latest answer, and those to come.
    pub(crate) fn rounds(&self) -> watch::Receiver<Round> {
        self.latest.subscribe()
    }

    /// Shows an answer to all who wait.
    pub(crate) fn publish(&self, round: Round) {
        self.latest.send_replace(round);
    }

    /// The number of replicas to ask for. In turns for the least, so that who wants few need not wait
    /// for many, and for the most, so that who wants many is not passed over.
    pub(crate) fn to_ask_for(&self, turn: u64) -> u32 {
        let wanted = self.wanted.lock();
        let replicas =
            if turn.is_multiple_of(2) { wanted.iter().min() } else { wanted.iter().max() };
        replicas.copied().unwrap_or_default()
    }
}

impl Waiter<'_> {
    /// Notes an answer. Returns whether enough replicas have reached the offset.
    pub(crate) fn note(&mut self, round: &Round) -> bool {
        // Before connections are used, the changes of this process that were lost are repeated.
        let is_new = self.target.is_none_or(|(count_id, _)| count_id != round.count_id);
        if is_new && round.covers >= self.ticket {
            self.target = Some((round.count_id, round.offset));
        }
        if let Some((count_id, offset)) = self.target
            && count_id == round.count_id
        {
            let has = |acknowledged: &&u64| **acknowledged >= offset;
            let reached = round.acknowledged.iter().filter(has).count();
            self.reached = Some(u32::try_from(reached).unwrap_or(u32::MAX));
        }
        self.reached >= Some(self.replicas)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut wanted = self.all.wanted.lock();
        if let Some(at) = wanted.iter().position(|replicas| *replicas == self.replicas) {
            wanted.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(covers: u64, count_id: u128, offset: u64, acknowledged: &[u64]) -> Round {
        Round { covers, count_id, offset, acknowledged: acknowledged.to_vec() }
    }

    #[test]
    fn an_answer_counts_for_those_who_waited_when_it_was_asked_for() {
        let all = Acknowledgements::default();
        let mut first = all.join(1);
        let mut second = all.join(2);
        assert!(first.note(&round(first.ticket, 7, 100, &[100, 100])));
        assert!(!second.note(&round(first.ticket, 7, 100, &[100, 100])));
        assert_eq!(second.reached, None);
        assert!(!second.note(&round(second.ticket, 7, 200, &[200, 199])));
        assert_eq!(second.reached, Some(1));
        assert!(second.note(&round(second.ticket, 7, 300, &[300, 200])));
    }

    /// Bug: each round waited for the offset of its own write, which no replica further away than a round
    /// takes had reached when the next round began. Effect: with such replicas every acknowledged
    /// invalidation failed. Fix: who waits keeps the offset of its first round.
    #[test]
    fn a_distant_replica_is_not_asked_for_ever_more() {
        let all = Acknowledgements::default();
        let mut waiter = all.join(1);
        assert!(!waiter.note(&round(1, 7, 100, &[40])));
        assert!(!waiter.note(&round(1, 7, 150, &[90])));
        assert!(waiter.note(&round(1, 7, 200, &[140])));
    }

    #[test]
    fn offsets_of_different_counts_are_not_compared() {
        let all = Acknowledgements::default();
        let mut waiter = all.join(1);
        assert!(!waiter.note(&round(1, 7, 100, &[40])));
        assert!(!waiter.note(&round(1, 8, 5000, &[4000])), "another history");
        assert!(waiter.note(&round(1, 8, 6000, &[5000])));
    }

    #[test]
    fn few_and_many_replicas_are_asked_for_in_turns() {
        let all = Acknowledgements::default();
        let one = all.join(1);
        let three = all.join(3);
        assert_eq!((all.to_ask_for(0), all.to_ask_for(1)), (1, 3));
        drop(one);
        assert_eq!((all.to_ask_for(0), all.to_ask_for(1)), (3, 3));
        drop(three);
        assert_eq!(all.to_ask_for(0), 0);
    }
}
