//! A further connection to the server that the main connection leads to, opened when it is needed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Pipeline;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::{Concerns, Failure};
use crate::net::identity::Identity;
use crate::net::origin::Origin;
use crate::net::transport::Transport;
use crate::net::watched::Watched;
use crate::random;
use crate::server::Server;

/// A connection that fails sooner than this is not opened again at once.
const STEADY: Duration = Duration::from_secs(1);

/// A separate connection for calls that others should not wait behind. A task opens and watches it; its
/// loss concerns no other connection. While it cannot be opened, calls for it fail at once.
pub(crate) struct ExtraConnection {
    origin: Arc<Origin>,
    /// The server that it has to lead to.
    server: Arc<Server>,
    identity: Identity,
    /// The longest that a command may block it on the server.
    blocked: Duration,
    state: Watched<State>,
    keeper: Mutex<Option<AbortHandle>>,
}

enum State {
    Unopened,
    Opening,
    Open { transport: Arc<Transport>, since: Instant, attempt: u32 },
    Failed { failure: Failure, attempt: u32, until: Instant },
    Closed,
}

impl ExtraConnection {
    pub(crate) fn new(
        origin: &Arc<Origin>,
        server: &Arc<Server>,
        identity: &Identity,
        blocked: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            origin: Arc::clone(origin),
            server: Arc::clone(server),
            identity: identity.clone(),
            blocked,
            state: Watched::new(State::Unopened),
            keeper: Mutex::default(),
        })
    }

    /// Returns the connection. Waits until `patience` for it to be opened.
    pub(crate) async fn get(
        self: &Arc<Self>,
        patience: Instant,
    ) -> Result<Arc<Transport>, Failure> {
        if let Some(transport) = self.present() {
            return Ok(transport);
        }
        self.open_if_due();
        let decided = self.state.wait_for(|state| match state {
            State::Open { transport, .. } => Some(Ok(Arc::clone(transport))),
            State::Failed { failure, .. } => Some(Err(failure.clone())),
            State::Opening => None,
            State::Unopened | State::Closed => Some(Err(self.unusable("has been closed"))),
        });
        let late = || self.unusable("has not opened a further connection in time");
        let decided = tokio::time::timeout_at(patience, decided).await;
        decided.unwrap_or_else(|_| Err(late()))
    }

    /// Returns the connection, if it is open.
    pub(crate) fn present(&self) -> Option<Arc<Transport>> {
        match &*self.state.borrow() {
            State::Open { transport, .. } if !transport.is_closed() => Some(Arc::clone(transport)),
            _ => None,
        }
    }

    /// Ends the connection; it is never opened again.
    pub(crate) fn close(&self) {
        if let State::Open { transport, .. } = self.state.send_replace(State::Closed) {
            transport.close();
        }
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }

    /// Begins to open the connection, unless that goes on already or has just failed.
    fn open_if_due(self: &Arc<Self>) {
        let mut due = None;
        self.state.send_if_modified(|state| {
            due = match state {
                State::Unopened => Some(0),
                State::Failed { attempt, until, .. } if *until <= Instant::now() => Some(*attempt),
                State::Open { transport, since, attempt } if transport.is_closed() => {
                    if since.elapsed() >= STEADY {
                        Some(0)
                    } else {
                        let failure = self.unusable("drops a further connection again and again");
                        *state = self.failed(failure, *attempt);
                        return true;
                    }
                }
                _ => None,
            };
            if due.is_some() {
                *state = State::Opening;
            }
            due.is_some()
        });
        if let Some(attempt) = due {
            // On the store's runtime: that of the caller may end before it.
            let keeping = self.origin.runtime.spawn(Arc::clone(self).keep(attempt));
            *self.keeper.lock() = Some(keeping.abort_handle());
            if matches!(&*self.state.borrow(), State::Closed) {
                keeping.abort();
            }
        }
    }

    /// Opens the connection, then watches it until it fails.
    async fn keep(self: Arc<Self>, attempt: u32) {
        let opening = tokio::time::timeout(self.origin.settings.connect, self.open()).await;
        let opened = opening
            .unwrap_or_else(|_| Err(self.unusable("has not opened a further connection in time")))
            .map(Arc::new);
        let transport = opened.as_ref().ok().cloned();
        self.state.send_if_modified(|state| {
            // Dropped with its connection if it was closed meanwhile.
            let State::Opening = state else { return false };
            *state = match opened {
                Ok(transport) => State::Open { transport, since: Instant::now(), attempt },
                Err(failure) => {
                    let (server, error) = (&*self.server, &failure.error);
                    if let Some(left_out) = self.origin.refused_extra.pass() {
                        tracing::warn!(%server, %error, left_out, "no further connection");
                    }
                    self.failed(failure, attempt)
                }
            };
            true
        });
        if let Some(transport) = transport {
            self.watch_over(&transport).await;
        }
    }

    async fn open(&self) -> Result<Transport, Failure> {
        let origin = &self.origin;
        let transport = Transport::open(&self.server, &origin.settings, &origin.pushes).await?;
        let identity =
            Identity::ask(&self.server, &origin.settings, origin.place, &transport).await?;
        if identity.is_unknown() {
            return Err(self.unusable(
                "does not permit INFO, which tells whether two connections lead to one server",
            ));
        }
        if !identity.is_same_process(&self.identity) {
            // The address leads to another server than the main connection does.
            let failure = Failure::unavailable(&*self.server, "is another server than it was");
            return Err(Failure { concerns: Concerns::Server, ..failure });
        }
        Ok(transport)
    }

    async fn watch_over(&self, transport: &Transport) {
        let origin = &self.origin;
        let mut ping = Pipeline::with_capacity(1);
        ping.cmd("PING");
        while !transport.is_closed() {
            tokio::time::sleep(origin.settings.watch).await;
            let silence = origin.settings.silence + self.blocked;
            let alive = transport.send_while_alive(&self.server, &ping, silence).await;
            if let Err(failure) = alive {
                let (server, error) = (&*self.server, &failure.error);
                tracing::debug!(%server, %error, "a further connection is closed");
                transport.close();
                return;
            }
        }
    }

    fn failed(&self, failure: Failure, attempt: u32) -> State {
        let backoff = self.origin.settings.backoff;
        let delay = random::draw(|mut rng| backoff.delay(attempt, &mut rng));
        let until = Instant::now() + delay;
        State::Failed { failure, attempt: attempt.saturating_add(1), until }
    }

    /// A failure that says nothing of the main connection.
    fn unusable(&self, why: &str) -> Failure {
        let failure = Failure::unavailable(&*self.server, why);
        Failure { concerns: Concerns::ExtraConnection, ..failure }
    }
}

impl Drop for ExtraConnection {
    fn drop(&mut self) {
        self.close();
    }
}
