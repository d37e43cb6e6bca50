//! The state of a link, and the events that change it.

use std::sync::Arc;

use region_core::Error;

/// The state of a link whose connections are of type `C`.
#[derive(Debug)]
pub(crate) enum State<C> {
    /// The keeper connects: calls wait, within their limits.
    Connecting,
    /// The server can be called over these connections.
    Up(Arc<C>),
    /// The server cannot be called until the keeper's next attempt succeeds: calls fail at once.
    Down(Error),
    /// The store or its runtime has ended: all calls fail for good.
    Closed,
}

/// An event that may change the state.
#[derive(Debug)]
pub(crate) enum Event<C> {
    /// The keeper has opened and prepared new connections.
    Opened(Arc<C>),
    /// The keeper has failed to connect.
    Failed(Error),
    /// Connections broke, or must not be used as they are: the keeper replaces them soon.
    Lost(Arc<C>),
    /// Connections are given up, and the server is left alone for a while.
    GivenUp(Arc<C>, Error),
    /// The keeper waits before its next attempt, or takes long to prepare new connections.
    BackingOff(Error),
    /// The store has ended, or its runtime.
    Ended,
}

impl<C> State<C> {
    /// Returns the state after `event`; `None` if it changes nothing.
    pub(crate) fn after(&self, event: Event<C>) -> Option<Self> {
        match (self, event) {
            (Self::Closed, _) => None,
            (_, Event::Ended) => Some(Self::Closed),
            (_, Event::Opened(connections)) => Some(Self::Up(connections)),
            (_, Event::Failed(error)) => Some(Self::Down(error)),
            // Several calls notice the end of the same connections; those in use may be newer.
            (Self::Up(present), Event::Lost(lost)) if Arc::ptr_eq(present, &lost) => {
                Some(Self::Connecting)
            }
            (Self::Up(present), Event::GivenUp(lost, error)) if Arc::ptr_eq(present, &lost) => {
                Some(Self::Down(error))
            }
            (Self::Connecting, Event::BackingOff(error)) => Some(Self::Down(error)),
            (_, Event::Lost(_) | Event::GivenUp(..) | Event::BackingOff(_)) => None,
        }
    }

    /// Returns the connections, if the server can be called.
    pub(crate) fn up(&self) -> Option<&Arc<C>> {
        match self {
            Self::Up(connections) => Some(connections),
            _ => None,
        }
    }
}

impl<C> Clone for State<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Connecting => Self::Connecting,
            Self::Up(connections) => Self::Up(Arc::clone(connections)),
            Self::Down(error) => Self::Down(error.clone()),
            Self::Closed => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use region_core::ErrorKind;

    /// Each state by a letter, connections by their number.
    fn shown(state: &State<u8>) -> String {
        match state {
            State::Connecting => "connecting".to_owned(),
            State::Up(connections) => format!("up {connections}"),
            State::Down(_) => "down".to_owned(),
            State::Closed => "closed".to_owned(),
        }
    }

    #[test]
    fn every_event_in_every_state() {
        let (one, two) = (Arc::new(1), Arc::new(2));
        let error = || Error::new(ErrorKind::Unavailable, "gone");
        let events = [
            Event::Opened(Arc::clone(&two)),
            Event::Failed(error()),
            Event::Lost(Arc::clone(&one)),
            Event::Lost(Arc::clone(&two)),
            Event::GivenUp(Arc::clone(&one), error()),
            Event::GivenUp(Arc::clone(&two), error()),
            Event::BackingOff(error()),
            Event::Ended,
        ];
        let table = [
            (State::Connecting, ["up 2", "down", "-", "-", "-", "-", "down", "closed"]),
            (State::Up(one), ["up 2", "down", "connecting", "-", "down", "-", "-", "closed"]),
            (State::Down(error()), ["up 2", "down", "-", "-", "-", "-", "-", "closed"]),
            (State::Closed, ["-"; 8]),
        ];
        for (state, expected) in table {
            for (event, expected) in events.iter().zip(expected) {
                let event = match event {
                    Event::Opened(connections) => Event::Opened(Arc::clone(connections)),
                    Event::Failed(error) => Event::Failed(error.clone()),
                    Event::Lost(connections) => Event::Lost(Arc::clone(connections)),
                    Event::GivenUp(connections, error) => {
                        Event::GivenUp(Arc::clone(connections), error.clone())
                    }
                    Event::BackingOff(error) => Event::BackingOff(error.clone()),
                    Event::Ended => Event::Ended,
                };
                let what = format!("{} after {event:?}", shown(&state));
                let next = state.after(event).map_or("-".to_owned(), |next| shown(&next));
                assert_eq!(next, expected, "{what}");
            }
        }
    }
}
