use region_core::{Error, ErrorKind};

/// What a [`RedisStore`](crate::RedisStore) has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// The primary.
    pub primary: ServerStats,
    /// The replicas, in the order in which they were given.
    pub replicas: Vec<ServerStats>,
    /// Whether invalidations wait for the primary.
    pub has_queued: bool,
}

/// What was done with one server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Whether it can be asked now.
    pub is_up: bool,
    /// Whether it is behind by no more than the bound on its lag; a primary always is.
    pub is_recent: bool,
    /// How often it was tried to connect.
    pub connects: u64,
    /// How many calls it has not answered in time.
    pub timeouts: u64,
    /// The last error that made the server unusable, or by which it refused this client. It stays
    /// after the server is back: see [`is_up`](Self::is_up).
    pub last_error: Option<LastError>,
}

/// An error of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What it says.
    pub message: String,
}

impl LastError {
    pub(crate) fn of(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}
