//! The tasks of one connection at the server's end.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::link::{Link, Way};
use crate::reply::{Reply, take_command};
use crate::server::{Client, Server, encoded};
use crate::tracking::ClientId;

/// The bytes that wait on the way, in each direction.
pub(crate) const BUFFER: usize = 1 << 16;

/// The time between two looks for what replicas have.
const LOOK: Duration = Duration::from_millis(1);

/// Serves a client of the process with this number.
pub(crate) fn serve(server: &Server, process: usize, link: Arc<Link>, stream: DuplexStream) {
    let (out, messages) = mpsc::unbounded_channel();
    let (reading, writing) = tokio::io::split(stream);
    let client = {
        let mut state = server.lock();
        let number = state.next_client;
        state.next_client += 1;
        state.clients.insert(number, Client { process, link: Arc::clone(&link), out });
        number
    };
    let reached = {
        let server = server.downgrade();
        move || {
            if let Some(state) = server.upgrade() {
                state.lock().reached(process);
            }
        }
    };
    tokio::spawn(write(writing, messages, Arc::clone(&link), reached));
    tokio::spawn(read(server.clone(), client, reading, link));
}

/// Executes what arrives, what the client has sent before it went away too.
async fn read(
    server: Server,
    client: ClientId,
    mut stream: ReadHalf<DuplexStream>,
    link: Arc<Link>,
) {
    let mut arrived = Vec::new();
    loop {
        match stream.read_buf(&mut arrived).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        link.pass(Way::There).await;
        loop {
            let args = match take_command(&mut arrived) {
                Ok(Some(args)) => args,
                Ok(None) => break,
                Err(error) => {
                    let error = Reply::error(format!("ERR Protocol error: {error}"));
                    server.lock().send(client, encoded(&error));
                    link.cut(usize::MAX);
                    break;
                }
            };
            server.thawed().await;
            if let Some(wait) = server.execute(client, &args) {
                wait_for_replicas(&server, client, wait).await;
            }
        }
    }
    let mut state = server.lock();
    state.tracking.stop(client);
    state.clients.remove(&client);
}

/// A client that waits for replicas.
pub(crate) struct Wait {
    pub(crate) replicas: usize,
    pub(crate) until: Option<Instant>,
    pub(crate) offset: u64,
}

async fn wait_for_replicas(server: &Server, client: ClientId, wait: Wait) {
    while !server.has_waited(client, &wait) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends what the server says, until the connection is cut.
async fn write(
    mut stream: WriteHalf<DuplexStream>,
    mut messages: mpsc::UnboundedReceiver<Vec<u8>>,
    link: Arc<Link>,
    reached: impl Fn(),
) {
    let sending = async {
        let mut batch = Vec::new();
        loop {
            let most = link.draw_messages();
            if messages.recv_many(&mut batch, most).await == 0 {
                return;
            }
            link.pass(Way::Back).await;
            let (count, bytes) = (batch.len(), batch.concat());
            let has_answer = batch.iter().any(|message| !is_push(message));
            batch.clear();
            let taken = link.take(bytes.len());
            if stream.write_all(&bytes[..taken]).await.is_err() || taken < bytes.len() {
                return;
            }
            link.delivered(count);
            if has_answer {
                reached();
            }
        }
    };
    tokio::select! {
        biased;
        () = link.cut_off() => {}
        () = sending => {}
    }
    let _ = stream.shutdown().await;
    link.ended();
}

fn is_push(message: &[u8]) -> bool {
    message.starts_with(b">")
}

impl Server {
    /// Answers a client that waits for replicas, if it has waited enough.
    fn has_waited(&self, client: ClientId, wait: &Wait) -> bool {
        let state = self.lock();
        let reached = state.acknowledged().into_iter().filter(|at| *at >= wait.offset).count();
        let is_over = wait.until.is_some_and(|until| until <= Instant::now());
        if reached < wait.replicas && !is_over {
            return false;
        }
        state.send(client, encoded(&Reply::count(reached)));
        true
    }

    /// Waits until the server does not stand still.
    async fn thawed(&self) {
        loop {
            let frozen = self.lock().frozen.subscribe();
            let until = *frozen.borrow();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }
}
