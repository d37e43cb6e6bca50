//! Connections of browsers, bounded in number and in what they hold.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use crate::exit::Failure;

/// The most connections at a time. More wait.
const MOST_CONNECTIONS: usize = 64;

/// The most connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// The longest that a client takes to send the head of a request, or lets a connection idle.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// The most bytes of a request's head, and the most of a response that wait to be sent: whoever reads slowly is told
/// what was left out, not what was.
const MOST_BUFFERED: usize = 64 * 1024;

/// The time until the next attempt to accept a connection, when this process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens on this address.
pub(crate) fn listen(address: Ipv4Addr, port: u16) -> Result<TcpListener, Failure> {
    let open = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(MOST_BUFFERED as u32)?;
        socket.bind(SocketAddr::from((address, port)))?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error| {
        let advice = "Name another --port, or none: then it takes a free one.";
        Failure::wrong(format!("{address}:{port} cannot be listened on: {error}\n  {advice}"))
    })
}

/// Serves connections for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, app: Router) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Nobody closes the semaphore.
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let app = app.clone();
        tokio::spawn(async move {
            converse(stream, app).await;
            drop(permit);
        });
    }
}

/// Answers the requests of one connection. How it ends is the client's business.
async fn converse(stream: TcpStream, app: Router) {
    // Without it a line would wait for the next one.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MOST_BUFFERED);
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)).await;
}
