//! One connection to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, RedisResult, Value};
use region_core::{RegionPath, Source};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::own_pushes::OwnWrite;
use crate::net::pushes::{Group, PushSource, Pushes};
use crate::net::traffic::{Observed, Traffic};
use crate::server::{Address, Server};
use crate::settings::Settings;

/// The number of requests that may wait to be written: more than are in flight, unless the server hangs and callers give
/// up.
const WRITE_QUEUE: usize = 16 * 1024;

/// The number of requests without an answer below which another is written, or queued, at once: with some room for those
/// that are sent at the same time.
const ROOM: u64 = 15 * 1024;

/// The number of parts that a silence consists of. A process that was stopped for a while sees one part
/// pass, and then reads what has arrived meanwhile.
const SILENT_PARTS: u32 = 4;

/// The requests over a connection, numbered from one. They are answered in their order.
#[derive(Debug, Default)]
struct Requests {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Requests {
    fn begin(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Notes that a request has been answered, and so all before it.
    fn answered(&self, number: u64) {
        self.answered.fetch_max(number, Ordering::AcqRel);
    }

    fn unanswered(&self) -> u64 {
        self.sent.load(Ordering::Acquire).saturating_sub(self.answered.load(Ordering::Acquire))
    }
}

/// A connection that many calls share. It is never reopened: once it fails, all its calls do.
pub(crate) struct Transport {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    traffic: Arc<Traffic>,
    requests: Arc<Requests>,
    pushes: Arc<PushSource>,
    /// Held while tracking is being armed.
    arming: Mutex<()>,
    /// As in the settings.
    watch: Duration,
    silence: Duration,
}

impl Transport {
    /// Opens a connection. The caller must limit the time: nothing in here has a limit of its own.
    pub(crate) async fn open(
        server: &Server,
        settings: &Settings,
        pushes: &Arc<Pushes>,
    ) -> Result<Self, Failure> {
        #[cfg(feature = "testing")]
        if let (Some(connector), Address::Tcp(host, port)) =
            (&settings.connector.0, server.address())
        {
            let stream = connector.connect(host, *port).await;
            let stream = stream.map_err(|error| Failure::client(server, error.into()))?;
            return Self::over(server, settings, stream, pushes).await;
        }
        match server.address() {
            Address::Tcp(host, port) => {
                let stream = connect_to(server, host, *port).await?;
                Self::over(server, settings, stream, pushes).await
            }
            Address::Tls(host, port) => {
                let stream = connect_to(server, host, *port).await?;
                let stream = secure(server, host, settings.connect, stream).await?;
                Self::over(server, settings, stream, pushes).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| Failure::client(server, error.into()))?;
                Self::over(server, settings, stream, pushes).await
            }
        }
    }

    async fn over<S>(
        server: &Server,
        settings: &Settings,
        stream: S,
        pushes: &Arc<Pushes>,
    ) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pushes = Arc::new(PushSource::new(pushes));
        let receiver = Arc::clone(&pushes);
        let traffic = Arc::new(Traffic::default());
        let stream = Observed::new(stream, Arc::clone(&traffic));
        let config = AsyncConnectionConfig::new()
            // The caller's deadline covers the whole call.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |push: PushInfo| {
                receiver.receive(&push);
                Ok::<(), std::convert::Infallible>(())
            });
        let opened =
            MultiplexedConnection::new_with_config(server.settings(), stream, config).await;
        let (connection, driver) = opened.map_err(|error| match traffic.refusal() {
            // The client library tells of the closed connection alone.
            Some((code, details)) if error.is_io_error() => {
                Failure::refused(server, code, Some(details))
            }
            _ => Failure::client(server, error),
        })?;
        let arming = Mutex::default();
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
            traffic,
            requests: Arc::default(),
            pushes,
            arming,
            watch: settings.watch,
            silence: settings.silence,
        })
    }

    /// Sends commands and returns their answers.
    pub(crate) async fn send(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let number = self.requests.begin();
        let answers =
            self.connection.clone().send_packed_commands(commands, 0, commands.len()).await;
        self.requests.answered(number);
        answers
    }

    /// Returns whether what is sent now is queued before anything that is sent later, even if it is not waited for.
    pub(crate) fn has_room(&self) -> bool {
        self.requests.unanswered() < ROOM
    }

    /// As [`send`](Self::send), without a hold on this.
    pub(crate) fn send_shared(
        &self,
        commands: Arc<Pipeline>,
    ) -> impl Future<Output = RedisResult<Vec<Value>>> + Send + 'static {
        let (mut connection, requests) = (self.connection.clone(), Arc::clone(&self.requests));
        async move {
            let number = requests.begin();
            let answers = connection.send_packed_commands(&commands, 0, commands.len()).await;
            requests.answered(number);
            answers
        }
    }

    /// As [`send`](Self::send), but gives up once the peer has shown no sign of life for `silence`. Bytes of
    /// another call's answer are a sign of life too.
    pub(crate) async fn send_while_alive(
        &self,
        server: &Server,
        commands: &Pipeline,
        silence: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let asked = Instant::now();
        let sending = self.send(commands);
        tokio::pin!(sending);
        let (mut silent_parts, mut signs) = (0, self.traffic.signs());
        while silent_parts < SILENT_PARTS {
            match tokio::time::timeout(silence / SILENT_PARTS, &mut sending).await {
                Ok(Ok(answers)) => {
                    self.pushes.cover(self.covered_until(asked));
                    return Ok(answers);
                }
                Ok(Err(error)) => return Err(Failure::client(server, error)),
                Err(_) if self.traffic.signs() == signs => silent_parts += 1,
                Err(_) => (silent_parts, signs) = (0, self.traffic.signs()),
            }
        }
        Err(Failure::unavailable(server, &format!("has not answered within {silence:?}")))
    }

    /// The time until which pushes are relied on after the server has answered a question that was asked at
    /// `asked`. Until then the next one is answered, or the connection counts as silent.
    ///
    /// All pushes of before that question have been received, and not all of before its answer: that may have
    /// waited here for long.
    fn covered_until(&self, asked: Instant) -> Instant {
        Instant::now().min(asked + self.silence) + self.watch + self.silence
    }

    /// Makes the server track what is read over this connection from now on, if anybody listens. Returns the
    /// source of its pushes, for links of this group.
    pub(crate) async fn track(&self, group: Group) -> RedisResult<Option<Source>> {
        if self.pushes.is_to_be_tracked() {
            // The calls of a moment wait for one answer.
            let _arming = self.arming.lock().await;
            if !self.pushes.is_to_be_tracked() {
                return Ok(self.pushes.tracked(group));
            }
            let mut commands = Pipeline::with_capacity(1);
            // Without NOLOOP: with it a key that is evicted for a command of this client is forgotten unsaid.
            commands.cmd("CLIENT").arg("TRACKING").arg("ON");
            let asked = Instant::now();
            for answer in self.send(&commands).await? {
                match answer.extract_error() {
                    Ok(_) => self.pushes.begin(self.covered_until(asked)),
                    Err(error) => {
                        tracing::debug!(%error, "the server does not track what is read");
                        self.pushes.refuse();
                    }
                }
            }
        }
        Ok(self.pushes.tracked(group))
    }

    /// Begins a write to a region's entries whose own push is kept back; `None` if the server does not push.
    pub(crate) fn begin_write(&self, region: &RegionPath) -> Option<OwnWrite> {
        self.pushes.begin_write(region)
    }

    /// Ends the trust in what links of this group have read over the connection: its pushes come too late.
    pub(crate) fn distrust(&self, group: Group) {
        self.pushes.distrust(group);
    }

    /// Ends the connection and all calls that wait for it.
    pub(crate) fn close(&self) {
        self.driver.abort();
        self.pushes.end();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.close();
    }
}

/// A stream of either kind.
#[cfg(feature = "client")]
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

#[cfg(feature = "client")]
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Opens a stream to a server, without a word of the protocol. The caller must limit the time: `connecting` is a part of
/// that for which a server that does not speak TLS is waited for.
#[cfg(feature = "client")]
pub(crate) async fn open_stream(
    server: &Server,
    connecting: Duration,
) -> Result<Box<dyn Stream>, Failure> {
    Ok(match server.address() {
        Address::Tcp(host, port) => Box::new(connect_to(server, host, *port).await?),
        Address::Tls(host, port) => {
            let stream = connect_to(server, host, *port).await?;
            Box::new(secure(server, host, connecting, stream).await?)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            Box::new(stream.map_err(|error| Failure::client(server, error.into()))?)
        }
    })
}

async fn connect_to(server: &Server, host: &str, port: u16) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| Failure::client(server, error.into()))?;
    stream.set_nodelay(true).map_err(|error| Failure::client(server, error.into()))?;
    Ok(stream)
}

/// Shakes hands over TLS, within a part of the time that `connecting` may take.
#[cfg(feature = "tls")]
async fn secure(
    server: &Server,
    host: &str,
    connecting: Duration,
    stream: TcpStream,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Failure> {
    let Some(tls) = server.tls() else {
        return Err(Failure::unavailable(server, "has no settings for TLS"));
    };
    // A server that does not speak TLS waits for more, in silence. So this ends before the whole attempt does.
    let limit = connecting / 4 * 3;
    match tokio::time::timeout(limit, tls.connect(host, stream)).await {
        Ok(secured) => secured.map_err(|error| Failure::tls(server, error)),
        Err(_) => {
            Err(Failure::tls(server, std::io::Error::other("no answer: is it its TLS port?")))
        }
    }
}

/// Without the feature no URL that asks for TLS is accepted.
#[cfg(not(feature = "tls"))]
async fn secure(server: &Server, _: &str, _: Duration, _: TcpStream) -> Result<TcpStream, Failure> {
    Err(Failure::unavailable(server, "needs TLS, which was not built in"))
}
