//! What a task opens when it is needed, and opens again when it has failed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::dialer::Dialer;
use crate::net::watched::Watched;
use crate::random;

/// What fails sooner than this is not opened again at once.
const STEADY: Duration = Duration::from_secs(1);

/// Opens something, and watches it.
#[async_trait]
pub(crate) trait Opener: Send + Sync + 'static {
    type Opened: Closable;

    fn dialer(&self) -> &Dialer;

    /// Opens it. The caller limits the time.
    async fn open(&self) -> Result<Self::Opened, Failure>;

    /// Watches what was opened. Returns when it is closed.
    async fn watch_over(&self, opened: &Arc<Self::Opened>);

    /// Notes that it could not be opened.
    fn note_refused(&self, failure: &Failure);

    /// The failure of a call that cannot have it, because of `why`.
    fn unusable(&self, why: &str) -> Failure;
}

/// A connection, or several.
pub(crate) trait Closable: Send + Sync + 'static {
    fn is_closed(&self) -> bool;

    /// Ends the connections and all calls that wait for them.
    fn close(&self);
}

/// A task opens and watches it; there is one attempt at a time, with backoff. While it cannot be opened, those who
/// ask for it get the failure at once.
pub(crate) struct OnDemand<O: Opener> {
    pub(crate) opener: O,
    state: Watched<State<O::Opened>>,
    task: Mutex<Option<AbortHandle>>,
}

enum State<T> {
    Unopened,
    Opening,
    Open { opened: Arc<T>, since: Instant, attempt: u32 },
    Failed { failure: Failure, attempt: u32, until: Instant },
    Closed,
}

impl<O: Opener> OnDemand<O> {
    pub(crate) fn new(opener: O) -> Arc<Self> {
        let state = Watched::new(State::Unopened);
        Arc::new(Self { opener, state, task: Mutex::default() })
    }

    /// Returns what is open. Waits until `patience` for it to be opened.
    pub(crate) async fn get(
        self: &Arc<Self>,
        patience: Instant,
    ) -> Result<Arc<O::Opened>, Failure> {
        if let Some(opened) = self.present() {
            return Ok(opened);
        }
        self.open_if_due();
        let decided = self.state.wait_for(|state| match state {
            State::Open { opened, .. } => Some(Ok(Arc::clone(opened))),
            State::Failed { failure, .. } => Some(Err(failure.clone())),
            State::Opening => None,
            State::Unopened | State::Closed => Some(Err(self.unusable("has been closed"))),
        });
        let decided = tokio::time::timeout_at(patience, decided).await;
        decided.unwrap_or_else(|_| Err(self.late()))
    }

    /// Returns it, if it is open.
    pub(crate) fn present(&self) -> Option<Arc<O::Opened>> {
        self.state.borrow().present()
    }

    /// Waits until it is open. It may be dropped at any time.
    pub(crate) async fn opened(&self) {
        self.state.wait_for(State::present).await;
    }

    /// Ends it; it is never opened again.
    pub(crate) fn close(&self) {
        if let State::Open { opened, .. } = self.state.send_replace(State::Closed) {
            opened.close();
        }
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    /// Begins to open it, unless that goes on already or has just failed.
    fn open_if_due(self: &Arc<Self>) {
        let mut due = None;
        self.state.send_if_modified(|state| {
            due = match state {
                State::Unopened => Some(0),
                State::Failed { attempt, until, .. } if *until <= Instant::now() => Some(*attempt),
                State::Open { opened, since, attempt } if opened.is_closed() => {
                    if since.elapsed() >= STEADY {
                        Some(0)
                    } else {
                        let failure =
                            self.unusable("drops its connections soon after they are opened");
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
            let task = self.opener.dialer().runtime.spawn(Arc::clone(self).keep(attempt));
            *self.task.lock() = Some(task.abort_handle());
            if matches!(&*self.state.borrow(), State::Closed) {
                task.abort();
            }
        }
    }

    /// Opens it, then watches it until it fails.
    async fn keep(self: Arc<Self>, attempt: u32) {
        let limit = self.opener.dialer().settings.connect;
        let opening = tokio::time::timeout(limit, self.opener.open()).await;
        let opened = opening.unwrap_or_else(|_| Err(self.late())).map(Arc::new);
        let present = opened.as_ref().ok().cloned();
        self.state.send_if_modified(|state| {
            // Dropped with its connections if it was closed meanwhile.
            let State::Opening = state else { return false };
            *state = match opened {
                Ok(opened) => State::Open { opened, since: Instant::now(), attempt },
                Err(failure) => {
                    self.opener.note_refused(&failure);
                    self.failed(failure, attempt)
                }
            };
            true
        });
        if let Some(opened) = present {
            self.opener.watch_over(&opened).await;
        }
    }

    fn failed(&self, failure: Failure, attempt: u32) -> State<O::Opened> {
        let backoff = self.opener.dialer().settings.backoff;
        let delay = random::draw(|mut rng| backoff.delay(attempt, &mut rng));
        let until = Instant::now() + delay;
        State::Failed { failure, attempt: attempt.saturating_add(1), until }
    }

    fn unusable(&self, why: &str) -> Failure {
        self.opener.unusable(why)
    }

    fn late(&self) -> Failure {
        self.unusable("has not opened a connection in time")
    }
}

impl<T: Closable> State<T> {
    fn present(&self) -> Option<Arc<T>> {
        match self {
            Self::Open { opened, .. } if !opened.is_closed() => Some(Arc::clone(opened)),
            _ => None,
        }
    }
}

impl<O: Opener> Drop for OnDemand<O> {
    fn drop(&mut self) {
        self.close();
    }
}
