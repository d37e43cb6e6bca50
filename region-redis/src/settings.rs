//! The settings of a store.

mod table;

use std::time::Duration;

use serde::Deserialize;

pub(crate) use table::{ROWS, Settings, each_setting};

/// The longest that any limit on a wait may be set to.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// The longest that one command may leave a connection blocked.
pub(crate) const LONGEST_BLOCK: Duration = Duration::from_millis(20);

/// The action on the connections when a call times out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// The server is asked for a sign of life; the connections are dropped if it gives none.
    #[default]
    Ask,
    /// All connections are dropped at once, and the store backs off, so that an overloaded server can
    /// recover.
    Drop,
}

/// The action on an invalidation that cannot reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalidationFailure {
    /// The caller gets the error, and has to retry.
    #[default]
    Error,
    /// It is queued, and replayed before anything is read from the server again. The caller gets the
    /// error only when the queue is full.
    Queue,
}

/// One setting of a [`RedisStoreBuilder`](crate::RedisStoreBuilder), for documentation and tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSetting {
    /// The name, as errors have it: that of the builder's method, and of the argument if it has several.
    pub name: &'static str,
    /// The default, in words.
    pub default: &'static str,
    /// The first line of its documentation.
    pub summary: &'static str,
}

/// The number of replicas that an invalidation waits for, and the longest that it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) replicas: u32,
    pub(crate) within: Duration,
}
