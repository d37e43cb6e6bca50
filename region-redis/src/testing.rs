//! The parts of a store that a simulation replaces. Only with the feature `testing`: an application has no use for it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream to a server.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// A connection that is being opened.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Opens the connections of a store in the place of the operating system: see
/// [`RedisStoreBuilder::connector`](crate::RedisStoreBuilder::connector).
pub trait Connect: Send + Sync + 'static {
    /// Opens a connection to the server at a host and port. It may be dropped at any time.
    fn connect(&self, host: &str, port: u16) -> Connecting;
}

/// The connector of a store, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Connector(pub(crate) Option<Arc<dyn Connect>>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.0.is_some()).finish()
    }
}

/// The name of the store's script that a command calls, by its digest or its source: the stem of its file, but for
/// `free`, which is `write` for a server that is full.
#[must_use]
pub fn script_name(digest_or_source: &[u8]) -> Option<&'static str> {
    let scripts = &crate::protocol::scripts::SCRIPTS;
    let of_source =
        || scripts.name_of(sha1_smol::Sha1::from(digest_or_source).hexdigest().as_bytes());
    scripts.name_of(digest_or_source).or_else(of_source)
}

/// Has all stores draw their random numbers from this seed, as far as they draw them on the calling thread: ids, jitter,
/// backoff. So a simulation on one thread has the same run again.
pub fn seed_thread(seed: u64) {
    crate::random::seed_thread(seed);
}
