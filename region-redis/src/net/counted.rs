//! The counted writes over one set of connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::net::answered::AnsweredCounts;

/// The counts that writes were answered with, and the writes that have not been answered.
///
/// A server that shows the count of a write shows the write: unless it was put back to an earlier state, unsaid, and
/// a write that was in flight got the same count again. So long as no write is in flight whose floor is below a count,
/// none can have reached that count a second time unseen. Therefore a count is believed only then, and
/// each answer is looked at, though its caller may be gone.
#[derive(Debug)]
pub(crate) struct CountedWrites {
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug)]
struct State {
    answered: AnsweredCounts,
    /// The number of writes in flight with each floor.
    in_flight: BTreeMap<u64, usize>,
    /// The lowest floor of those that will not be answered any more.
    lowest_unanswered: u64,
    /// The server is known to have lost writes that it had answered.
    has_lost: bool,
}

/// A write that has not been answered. Dropped when it never will be.
pub(crate) struct InFlight {
    writes: Arc<CountedWrites>,
    floor: u64,
    is_settled: bool,
}

impl CountedWrites {
    pub(crate) fn new() -> Self {
        let state = State {
            answered: AnsweredCounts::new(),
            in_flight: BTreeMap::new(),
            lowest_unanswered: u64::MAX,
            has_lost: false,
        };
        Self { state: Mutex::new(state), settled: Notify::new() }
    }

    /// The highest count that was answered.
    pub(crate) fn highest(&self) -> u64 {
        self.state.lock().answered.highest()
    }

    /// Goes on from `count`, which was answered when nothing was in flight.
    pub(crate) fn go_on_from(&self, count: u64) {
        self.state.lock().answered.go_on_from(count);
    }

    /// Notes that the server has lost writes: its count may have reached again what it had been, and shows nothing any
    /// more.
    pub(crate) fn note_lost(&self) {
        self.state.lock().has_lost = true;
        self.settled.notify_waiters();
    }

    /// Returns whether the server is known to have lost writes.
    pub(crate) fn has_lost(&self) -> bool {
        self.state.lock().has_lost
    }

    /// Begins a write with this floor. To be called before it is sent.
    pub(crate) fn begin(self: &Arc<Self>, floor: u64) -> InFlight {
        *self.state.lock().in_flight.entry(floor).or_default() += 1;
        InFlight { writes: Arc::clone(self), floor, is_settled: false }
    }

    /// Returns whether a server that shows the count `count`, or a higher one, is believed to have what was answered
    /// with it. Waits for writes in flight that could have reached the count again.
    pub(crate) async fn is_believed(&self, count: u64) -> bool {
        loop {
            let settled = self.settled.notified();
            if let Some(is_believed) = self.state.lock().is_believed(count) {
                return is_believed;
            }
            settled.await;
        }
    }

    /// As [`is_believed`](Self::is_believed), but no while it is open.
    pub(crate) fn is_believed_now(&self, count: u64) -> bool {
        self.state.lock().is_believed(count) == Some(true)
    }

    fn settle(&self, floor: u64, settle: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        if let Some(writes) = state.in_flight.get_mut(&floor) {
            *writes -= 1;
            if *writes == 0 {
                state.in_flight.remove(&floor);
            }
        }
        settle(&mut state);
        drop(state);
        self.settled.notify_waiters();
    }
}

impl State {
    /// `None` while a write in flight leaves it open.
    fn is_believed(&self, count: u64) -> Option<bool> {
        if self.has_lost || self.lowest_unanswered < count {
            return Some(false);
        }
        let is_open = self.in_flight.first_key_value().is_some_and(|(floor, _)| *floor < count);
        (!is_open).then_some(true)
    }
}

impl InFlight {
    /// Notes the answer: the write's count, or nothing if the server has not counted it.
    pub(crate) fn answered(mut self, count: Option<u64>) {
        self.is_settled = true;
        self.writes.settle(self.floor, |state| {
            // A second answer with one count: the server has lost what it answered first.
            state.has_lost |= count.is_some_and(|count| !state.answered.note(count));
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_settled {
            self.writes.settle(self.floor, |state| {
                state.lowest_unanswered = state.lowest_unanswered.min(self.floor);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn writes() -> Arc<CountedWrites> {
        let writes = Arc::new(CountedWrites::new());
        writes.go_on_from(3);
        writes
    }

    fn is_believed(writes: &CountedWrites, count: u64) -> Option<bool> {
        writes.is_believed(count).now_or_never()
    }

    #[test]
    fn a_count_is_open_while_a_write_with_a_lower_floor_is_in_flight() {
        let writes = writes();
        let (first, second) = (writes.begin(3), writes.begin(3));
        first.answered(Some(4));
        let third = writes.begin(4);
        assert_eq!(is_believed(&writes, 3), Some(true));
        assert_eq!(is_believed(&writes, 4), None);
        second.answered(Some(5));
        assert_eq!(is_believed(&writes, 4), Some(true));
        assert_eq!(is_believed(&writes, 5), None);
        third.answered(None);
        assert_eq!(is_believed(&writes, 5), Some(true));
    }

    #[test]
    fn two_writes_with_one_count_are_a_loss() {
        let writes = writes();
        let (first, second) = (writes.begin(3), writes.begin(3));
        first.answered(Some(4));
        assert!(!writes.has_lost());
        second.answered(Some(4));
        assert!(writes.has_lost());
        assert_eq!(is_believed(&writes, 3), Some(false));
    }

    #[test]
    fn what_is_never_answered_may_have_reached_a_count_again() {
        let writes = writes();
        let (first, second) = (writes.begin(3), writes.begin(3));
        first.answered(Some(4));
        drop(second);
        assert_eq!(is_believed(&writes, 3), Some(true));
        assert_eq!(is_believed(&writes, 4), Some(false));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let writes = writes();
        let (first, second) = (writes.begin(3), writes.begin(3));
        first.answered(Some(4));
        let answer = async {
            tokio::task::yield_now().await;
            second.answered(Some(5));
        };
        assert!(tokio::join!(writes.is_believed(4), answer).0);
    }
}
