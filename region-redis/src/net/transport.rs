//! One connection to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

use crate::error::Failure;
use crate::net::pushes::Pushes;
use crate::server::{Address, Server};

/// How many requests the connection takes before it has written them.
const WRITE_QUEUE: usize = 1024;

/// A connection that many calls share. It never comes back: once it fails all its calls do.
pub(crate) struct Wire {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    pushes: Arc<Pushes>,
    /// Whether the server pushes what changes of what was read over it.
    tracks: AtomicBool,
}

impl Wire {
    /// Opens a connection. Bound it: nothing in here has a limit of its own.
    pub(crate) async fn open(server: &Server, pushes: &Arc<Pushes>) -> Result<Self, Failure> {
        match server.address() {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| Failure::client(server, error.into()))?;
                stream.set_nodelay(true).map_err(|error| Failure::client(server, error.into()))?;
                Self::over(server, stream, pushes).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| Failure::client(server, error.into()))?;
                Self::over(server, stream, pushes).await
            }
        }
    }

    async fn over<S>(server: &Server, stream: S, pushes: &Arc<Pushes>) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let receiver = Arc::clone(pushes);
        let config = AsyncConnectionConfig::new()
            // The caller's deadline is over the whole call.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |push: PushInfo| {
                receiver.receive(&push);
                Ok::<(), std::convert::Infallible>(())
            });
        let opened =
            MultiplexedConnection::new_with_config(server.settings(), stream, config).await;
        let (connection, driver) = opened.map_err(|error| Failure::client(server, error))?;
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
            pushes: Arc::clone(pushes),
            tracks: AtomicBool::new(false),
        })
    }

    /// Sends commands and gives back their answers.
    pub(crate) async fn send(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.connection.clone().send_packed_commands(commands, 0, commands.len()).await
    }

    /// Sees to it that what is read over this connection from now on is tracked, if anybody listens.
    pub(crate) async fn track(&self) -> RedisResult<()> {
        if !self.pushes.are_wanted() || self.tracks.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(1);
        // Without NOLOOP: with it a client's own write would end the tracking of a key unsaid.
        commands.cmd("CLIENT").arg("TRACKING").arg("ON");
        for answer in self.send(&commands).await? {
            answer.extract_error()?;
        }
        self.tracks.store(true, Ordering::Release);
        Ok(())
    }

    /// Ends the connection and all calls that wait for it.
    pub(crate) fn close(&self) {
        self.driver.abort();
        if self.tracks.swap(false, Ordering::AcqRel) {
            self.pushes.lost();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.close();
    }
}
