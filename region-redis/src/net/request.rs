//! What is sent to a server, and what comes back.

use std::sync::Arc;

use redis::{Pipeline, RedisError, Value};
use region_core::{RegionPath, Source};

use crate::net::own_pushes::OwnWrite;
use crate::protocol::call::Count;

/// Commands that are sent in one round trip.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) commands: Arc<Pipeline>,
    pub(crate) lane: Lane,
    pub(crate) tracking: Tracking,
    pub(crate) retry: Retry,
    /// The floor, if it is a write that raises the count. Such a one goes over the main connection.
    pub(crate) floor: Option<u64>,
}

impl Request {
    pub(crate) fn new(commands: Pipeline, lane: Lane, tracking: Tracking, retry: Retry) -> Self {
        Self { commands: Arc::new(commands), lane, tracking, retry, floor: None }
    }

    /// The request of a script that was given this count.
    pub(crate) fn counted(mut self, count: Count<'_>) -> Self {
        self.floor = count.receipt.is_none().then_some(count.floor);
        self
    }
}

/// The connection that a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The connection of all ordinary calls.
    Main,
    /// For large requests and answers, so that small ones need not wait behind them. If this connection
    /// cannot be opened the main one is used.
    Large,
    /// For commands that block on the server.
    Waiting,
}

/// Says whether the server tracks the keys that a request reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It tracks them if somebody listens.
    Read,
    /// As `Read`; and the push that tells of the request's own write to the entries of this region is kept back.
    Write(RegionPath),
    No,
}

/// Says whether a request may be sent again when it has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Yes: to do it twice is harmless.
    Safe,
    /// Yes, but not once something else has been sent after it: it takes leases.
    SafeInOrder,
    /// No: others may have written since.
    Unsafe,
}

/// The answers to one request, as they came over a connection.
pub(crate) struct RawResponse {
    pub(crate) values: Vec<Value>,
    /// The connection whose pushes tell of changes to what was read; `None` if nobody tells.
    pub(crate) source: Option<Source>,
    /// The write whose push is kept back, if it is done.
    pub(crate) own_write: Option<OwnWrite>,
}

/// The first error among the answers.
pub(crate) fn first_error(answers: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    answers.into_iter().map(Value::extract_error).collect()
}
