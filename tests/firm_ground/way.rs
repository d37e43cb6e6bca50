//! A way to a server whose traffic a test rules: chunk by chunk, connection by connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

type Chunks = mpsc::UnboundedSender<(Instant, Vec<u8>)>;

/// Who sent a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

/// The fate of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Pass,
    /// It is lost; what follows is judged anew.
    Swallow,
    /// So many bytes pass; the rest, and what follows, waits for the release. It reaches the server even
    /// if the client has gone.
    Hold(usize),
}

type Rule = Box<dyn FnMut(u64, From, &[u8]) -> Act + Send>;

pub(crate) struct Way {
    port: u16,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    target: AtomicU16,
    rule: Mutex<Option<Rule>>,
    /// Bytes a second and connection, each way; 0: no limit.
    rate: AtomicU64,
    /// The delay of each chunk of the server's.
    delay_ms: AtomicU64,
    releases: watch::Sender<u64>,
    holding: AtomicU64,
    connections: AtomicU64,
    from_server: AtomicU64,
    cut: Notify,
}

impl Way {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            target: AtomicU16::new(port),
            rule: Mutex::new(None),
            rate: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
            releases: watch::Sender::new(0),
            holding: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            from_server: AtomicU64::new(0),
            cut: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Self { port: own, state, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Judges every chunk by `rule` from now on.
    pub(crate) fn rule(&self, rule: impl FnMut(u64, From, &[u8]) -> Act + Send + 'static) {
        *self.state.rule.lock() = Some(Box::new(rule));
    }

    /// Everything passes from now on, and what is held goes on.
    pub(crate) fn release(&self) {
        *self.state.rule.lock() = None;
        self.state.releases.send_modify(|releases| *releases += 1);
    }

    /// Nothing passes on any connection, and none is closed.
    pub(crate) fn silence(&self) {
        self.rule(|_, _, _| Act::Swallow);
    }

    /// The number of chunks that are held.
    pub(crate) fn holding(&self) -> u64 {
        self.state.holding.load(SeqCst)
    }

    /// New connections lead to `port`; open ones stay.
    pub(crate) fn lead_to(&self, port: u16) {
        self.state.target.store(port, SeqCst);
    }

    pub(crate) fn cut(&self) {
        self.state.cut.notify_waiters();
    }

    /// Cuts all connections and refuses new ones, until it leads somewhere again.
    pub(crate) fn close(&self) {
        self.lead_to(1);
        self.cut();
    }

    pub(crate) fn limit_rate(&self, bytes_per_second: u64) {
        self.state.rate.store(bytes_per_second, SeqCst);
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.state.delay_ms.store(delay.as_millis().try_into().unwrap(), SeqCst);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(SeqCst)
    }

    pub(crate) fn bytes_from_server(&self) -> u64 {
        self.state.from_server.load(SeqCst)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = state.connections.fetch_add(1, SeqCst);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let port = state.target.load(SeqCst);
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
                return;
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let both = async {
                tokio::join!(
                    pass(from_client, to_server, number, From::Client, &state),
                    pass(from_server, to_client, number, From::Server, &state),
                )
            };
            tokio::select! {
                _ = both => {}
                () = state.cut.notified() => {}
            }
        });
    }
}

/// Passes on what `state` lets pass until the sender closes, even if nobody takes it any more.
async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, number: u64, side: From, state: &State) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    tokio::join!(take(from, arrived, side, state), give(to, arrivals, number, side, state));
}

async fn take(mut from: OwnedReadHalf, arrived: Chunks, side: From, state: &State) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        if side == From::Server {
            state.from_server.fetch_add(len as u64, SeqCst);
        }
        let _ = arrived.send((Instant::now(), buffer[..len].to_vec()));
    }
}

async fn give(
    mut to: OwnedWriteHalf,
    mut arrivals: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    number: u64,
    side: From,
    state: &State,
) {
    while let Some((arrived, bytes)) = arrivals.recv().await {
        let mut releases = state.releases.subscribe();
        let act = state.rule.lock().as_mut().map_or(Act::Pass, |rule| rule(number, side, &bytes));
        let mut done = 0;
        match act {
            Act::Pass => {}
            Act::Swallow => continue,
            Act::Hold(first) => {
                let _ = to.write_all(&bytes[..first]).await;
                done = first;
                state.holding.fetch_add(1, SeqCst);
                let _ = releases.changed().await;
                state.holding.fetch_sub(1, SeqCst);
            }
        }
        let rate = state.rate.load(SeqCst);
        if rate > 0 {
            tokio::time::sleep(Duration::from_secs_f64(bytes.len() as f64 / rate as f64)).await;
        }
        if side == From::Server {
            let delay = Duration::from_millis(state.delay_ms.load(SeqCst));
            tokio::time::sleep_until(arrived + delay).await;
        }
        let _ = to.write_all(&bytes[done..]).await;
    }
    let _ = to.shutdown().await;
}

/// Returns whether `bytes` hold `part`.
pub(crate) fn holds(bytes: &[u8], part: &str) -> bool {
    position(bytes, part).is_some()
}

pub(crate) fn position(bytes: &[u8], part: &str) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part.as_bytes())
}
