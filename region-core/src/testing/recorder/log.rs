use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::{Call, Outcome, Request};
use crate::path::RegionPath;
use crate::testing::Method;

/// The most calls that a [`Recorder`](super::Recorder) remembers.
pub const MAX_CALLS: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Log(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of the next beginning or end. Never set back, so that the end of a call from
    /// before a `clear` is not taken for another's.
    next: u64,
    calls: VecDeque<Call>,
    counts: HashMap<Method, u64>,
}

impl State {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

impl Log {
    pub(super) fn begin(&self, region: Option<&RegionPath>, request: Request) -> Running<'_> {
        let mut state = self.0.lock();
        let began = state.number();
        *state.counts.entry(request.method()).or_default() += 1;
        if state.calls.len() == MAX_CALLS {
            state.calls.pop_front();
        }
        state.calls.push_back(Call {
            request,
            region: region.cloned(),
            began,
            ended: None,
            outcome: Outcome::Running,
        });
        Running { log: self, began, outcome: Outcome::Dropped }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.0.lock().calls.iter().cloned().collect()
    }

    pub(super) fn count(&self, method: Option<Method>) -> u64 {
        let state = self.0.lock();
        match method {
            Some(method) => state.counts.get(&method).copied().unwrap_or_default(),
            None => state.counts.values().sum(),
        }
    }

    pub(super) fn clear(&self) {
        let mut state = self.0.lock();
        state.calls.clear();
        state.counts.clear();
    }
}

/// A call that runs. Dropped without [`end`](Self::end), it is recorded as dropped.
pub(super) struct Running<'a> {
    log: &'a Log,
    began: u64,
    outcome: Outcome,
}

impl Running<'_> {
    pub(super) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.log.0.lock();
        let ended = state.number();
        if let Ok(place) = state.calls.binary_search_by_key(&self.began, |call| call.began) {
            let call = &mut state.calls[place];
            call.ended = Some(ended);
            call.outcome = self.outcome;
        }
    }
}
