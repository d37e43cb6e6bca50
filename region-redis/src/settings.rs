//! The limits on all that can wait or grow.

use std::time::Duration;

use crate::net::backoff::Backoff;
use crate::server::Server;

/// The longest that any limit on a wait may be set to.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// The longest that one command may leave a connection blocked.
pub(crate) const LONGEST_BLOCK: Duration = Duration::from_millis(20);

/// What happens to the connections when a call times out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// The server is asked for a sign of life; the connections are dropped if it gives none.
    #[default]
    Ask,
    /// All connections are dropped at once, and the store backs off: a server that cannot keep up is
    /// left alone.
    Drop,
}

/// What becomes of an invalidation that cannot reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalidationFailure {
    /// The caller gets the error, and has to try again.
    #[default]
    Error,
    /// It is queued, and done before anything is read from the server again. The caller gets the
    /// error only when the queue is full.
    Queue,
}

/// How many replicas an invalidation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) replicas: u32,
    pub(crate) within: Duration,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) primary: Server,
    pub(crate) replicas: Vec<Server>,
    /// The longest that a call takes, waiting for a connection included.
    pub(crate) call: Duration,
    pub(crate) connect: Duration,
    /// How often a server is asked for a sign of life, and how long it may take.
    pub(crate) watch: Duration,
    pub(crate) silence: Duration,
    pub(crate) on_timeout: OnTimeout,
    pub(crate) backoff: Backoff,
    /// The most calls that wait for one server's answers.
    pub(crate) in_flight: usize,
    /// What is as large as this goes over a connection of its own.
    pub(crate) large: usize,
    pub(crate) max_entry: usize,
    pub(crate) max_lag: Duration,
    pub(crate) on_invalidation_failure: OnInvalidationFailure,
    /// The most regions whose invalidations are queued.
    pub(crate) queue: usize,
    pub(crate) acknowledgement: Option<Acknowledgement>,
    pub(crate) reclaim: bool,
    pub(crate) client_name: String,
}

impl Settings {
    pub(crate) fn new(primary: Server) -> Self {
        Self {
            primary,
            replicas: Vec::new(),
            call: Duration::from_millis(500),
            connect: Duration::from_secs(1),
            watch: Duration::from_millis(500),
            silence: Duration::from_millis(500),
            on_timeout: OnTimeout::default(),
            backoff: Backoff::default(),
            in_flight: 8192,
            large: 64 * 1024,
            max_entry: 64 * 1024 * 1024,
            max_lag: Duration::from_secs(5),
            on_invalidation_failure: OnInvalidationFailure::default(),
            queue: 10_000,
            acknowledgement: None,
            reclaim: true,
            client_name: "region-cache".to_owned(),
        }
    }
}
