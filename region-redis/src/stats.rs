use region_core::{Error, ErrorKind, StoreProblem};

/// Counts of a [`RedisStore`](crate::RedisStore), and the state of its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// The primary. Of a cluster: the sum over all primaries, under the cluster's name; it is up if all are whose slots
    /// are in use.
    pub primary: ServerStats,
    /// The primaries of a cluster that have slots in use, each with the sum over these slots; none otherwise.
    pub nodes: Vec<ServerStats>,
    /// The present replicas. Of a cluster: as the nodes.
    pub replicas: Vec<ServerStats>,
    /// True while queued invalidations wait for the primary.
    pub has_queued: bool,
}

/// Counts of one server, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// The server's address, without a password. For a server that is looked up, as by Sentinel: the present one, or
    /// the name that it is looked up by until one has been found.
    pub server: String,
    /// True if the server can be called now.
    pub is_up: bool,
    /// True if the replica lag is within `max_lag`. Always true of a primary.
    pub is_recent: bool,
    /// The number of attempts to connect.
    pub connects: u64,
    /// The number of calls that timed out.
    pub timeouts: u64,
    /// The last error that made the server unusable, or by which it refused this client. It is kept
    /// after the server is back: see [`is_up`](Self::is_up).
    pub last_error: Option<LastError>,
}

/// An error of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// The error's message.
    pub message: String,
}

impl StoreStats {
    /// The problems that they show.
    pub(crate) fn problems(&self) -> impl Iterator<Item = StoreProblem> {
        let primary = (!self.primary.is_up).then_some(StoreProblem::PrimaryDown);
        let queued = self.has_queued.then_some(StoreProblem::InvalidationsQueued);
        let replicas = self.replicas.iter().filter_map(|replica| match replica {
            replica if !replica.is_up => Some(StoreProblem::ReplicaDown),
            replica if !replica.is_recent => Some(StoreProblem::ReplicaLags),
            _ => None,
        });
        primary.into_iter().chain(replicas).chain(queued)
    }
}

impl LastError {
    pub(crate) fn of(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}
