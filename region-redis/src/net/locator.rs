//! Looking up the server that a link leads to.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use region_core::Error;

use crate::error::Failure;
use crate::server::Server;

/// Finds the server that a link leads to. The link asks before each attempt to connect, so the answer may
/// change while a store lives.
///
/// The answer is only an address. Whatever it leads to is prepared like any new connection before it is
/// used, and one that is another server than before is told of recent changes first.
#[async_trait]
pub(crate) trait Locator: Send + Sync {
    /// Returns the server to connect to. It may be dropped at any time; the caller limits the time, together
    /// with that of the attempt to connect.
    async fn locate(&self) -> Result<Arc<Server>, Failure>;

    /// Notes that the connections to the server that was located last are given up, or that none could be
    /// opened, because of `error`: the next answer should not be a remembered one.
    fn doubt(&self, _error: &Error) {}

    /// The target as long as nothing has been located.
    fn target(&self) -> Target;
}

/// The target of a link, for messages.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The server that was located last.
    Server(Arc<Server>),
    /// The name that a server is looked up by; none has been found yet.
    Name(Arc<str>),
}

impl Target {
    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        match self {
            Self::Server(server) => Some(server),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => server.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A server whose address never changes.
pub(crate) struct Fixed(Arc<Server>);

impl Fixed {
    pub(crate) fn at(server: Arc<Server>) -> Arc<Self> {
        Arc::new(Self(server))
    }
}

#[async_trait]
impl Locator for Fixed {
    async fn locate(&self) -> Result<Arc<Server>, Failure> {
        Ok(Arc::clone(&self.0))
    }

    fn target(&self) -> Target {
        Target::Server(Arc::clone(&self.0))
    }
}
