//! Connections by the client library itself, for tools that send servers commands of their own.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo};
use region_core::Result;
use tokio::task::AbortHandle;

use crate::error::{Failure, within};
use crate::net::transport::open_stream;
use crate::server::Server;

/// A connection to a server by the client library, in RESP3. It ends with this value, and is never opened again.
///
/// It is for tools that send commands of their own: to look after a server, say. Nothing that is read over it bears the
/// promises of a [`RedisStore`](crate::RedisStore).
pub struct ServerConnection {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Server {
    /// Opens a connection to the server by the client library. `pushed` gets each message that the server pushes,
    /// and one when the connection is lost; it must return at once.
    ///
    /// Opening takes no longer than `limit`, and neither does any command.
    ///
    /// # Errors
    /// When the server cannot be reached in time, or refuses.
    ///
    /// # Cancel safety
    /// A dropped call leaves no connection behind.
    pub async fn connect(
        &self,
        limit: Duration,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<ServerConnection> {
        let opened = within(limit, self.open(limit, pushed), || self).await;
        opened.map_err(|failure| failure.error)
    }

    async fn open(
        &self,
        limit: Duration,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<ServerConnection, Failure> {
        let stream = open_stream(self, limit).await?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(limit))
            .set_push_sender(move |push: PushInfo| {
                pushed(push);
                Ok::<(), Infallible>(())
            });
        let opened = MultiplexedConnection::new_with_config(self.settings(), stream, config).await;
        let (connection, driver) = opened.map_err(|error| Failure::client(self, error))?;
        Ok(ServerConnection { connection, driver: tokio::spawn(driver).abort_handle() })
    }
}

impl ServerConnection {
    /// Returns the connection, to send commands over: it may be cloned, and ends with this value all the same.
    #[must_use]
    pub fn client(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerConnection")
    }
}
