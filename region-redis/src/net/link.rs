//! The way to one server: connects, watches, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use redis::Value;
use region_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::{Failure, Verdict};
use crate::net::connection::{Again, Channel, Request};
use crate::net::keeper::Keeper;
use crate::net::pushes::Pushes;
use crate::protocol::scripts::{is_unknown_script, with_sources};
use crate::server::Server;
use crate::session::role::Duty;
use crate::settings::{OnTimeout, Settings};

/// The way to one server. A task of its own, the keeper, opens the connections, watches them and
/// replaces them; calls only use what is there.
pub(crate) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

/// What calls and the keeper share.
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) settings: Arc<Settings>,
    pub(crate) pushes: Arc<Pushes>,
    pub(crate) duty: Duty,
    pub(crate) state: watch::Sender<State>,
    /// Wakes the keeper.
    pub(crate) trouble: Notify,
    /// Connections that work, to a server that has lost what was written over them.
    pub(crate) forgetful: Mutex<Option<Arc<Channel>>>,
    pub(crate) stats: LinkStats,
    calls: Semaphore,
}

/// Counts what a link did.
#[derive(Debug, Default)]
pub(crate) struct LinkStats {
    pub(crate) connects: AtomicU64,
    pub(crate) timeouts: AtomicU64,
}

/// Whether the server can be asked.
#[derive(Clone)]
pub(crate) enum State {
    /// It will be known soon: calls wait, within their limits.
    Connecting,
    Up(Arc<Channel>),
    /// It cannot, until the keeper's next attempt succeeds: calls fail at once.
    Down(Error),
}

/// Answers, and over which channel they came.
pub(crate) struct Answered {
    pub(crate) values: Vec<Value>,
    pub(crate) channel: Arc<Channel>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(
        server: Server,
        settings: Arc<Settings>,
        pushes: Arc<Pushes>,
        duty: Duty,
    ) -> Self {
        let shared = Arc::new(Shared {
            calls: Semaphore::new(settings.in_flight),
            server,
            settings,
            pushes,
            duty,
            state: watch::Sender::new(State::Connecting),
            trouble: Notify::new(),
            forgetful: Mutex::new(None),
            stats: LinkStats::default(),
        });
        let keeper = tokio::spawn(Keeper::new(Arc::clone(&shared)).run()).abort_handle();
        Self { shared, keeper }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits until the first attempt to connect has ended.
    pub(crate) async fn first_attempt(&self) -> Result<()> {
        let mut states = self.shared.state.subscribe();
        let limit = self.shared.settings.connect * 2;
        let decided = states.wait_for(|state| !matches!(state, State::Connecting));
        match tokio::time::timeout(limit, decided).await {
            Ok(Ok(state)) => match &*state {
                State::Down(error) => Err(error.clone()),
                _ => Ok(()),
            },
            _ => Err(self.shared.no_connection()),
        }
    }

    /// Sends what `request` makes for the channel that is used, and gives back the answers, errors
    /// of the server among them. Takes no longer than until `deadline`.
    pub(crate) async fn call(
        &self,
        deadline: Instant,
        request: impl Fn(&Channel) -> Request,
    ) -> Result<Answered> {
        let _place = self.shared.place(deadline).await?;
        // What had been queued when the call began has to be done before it.
        let to_replay = self.shared.duty.to_replay();
        let mut is_first = true;
        loop {
            let channel = self.shared.channel(deadline).await?;
            if channel.replayed < to_replay {
                self.shared.give_up(&channel, State::Connecting);
                continue;
            }
            let request = request(&channel);
            match self.shared.send(&channel, &request, deadline).await {
                Ok(values) => return Ok(Answered { values, channel }),
                Err(failure) => {
                    self.shared.note(&channel, &failure);
                    // A connection that broke says nothing of the server: the next may be better.
                    let is_worth_it = failure.verdict == Verdict::Broken
                        && failure.error.kind() == ErrorKind::Unavailable;
                    if !(is_first && is_worth_it && request.again == Again::Harmless) {
                        return Err(failure.error);
                    }
                    is_first = false;
                }
            }
        }
    }

    /// The connections, if the server can be asked now.
    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.shared.state.borrow(), State::Up(_))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
        if let State::Up(channel) = &*self.shared.state.borrow() {
            channel.close();
        }
    }
}

impl Shared {
    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.calls.try_acquire() {
            return Ok(place);
        }
        match tokio::time::timeout_at(deadline, self.calls.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => {
                let most = self.settings.in_flight;
                let why = format!("has {most} calls in flight, the most that are allowed");
                Err(Failure::unavailable(&self.server, &why).error)
            }
        }
    }

    /// The connections; waits for them while they are being opened.
    async fn channel(&self, deadline: Instant) -> Result<Arc<Channel>> {
        let present = self.state.borrow().clone();
        match present {
            State::Up(channel) if channel.is_closed() => self.give_up(&channel, State::Connecting),
            State::Up(channel) => return Ok(channel),
            State::Down(error) => return Err(error),
            State::Connecting => {}
        }
        let mut states = self.state.subscribe();
        let decided = states.wait_for(|state| !matches!(state, State::Connecting));
        match tokio::time::timeout_at(deadline, decided).await {
            Ok(Ok(state)) => match &*state {
                State::Up(channel) => Ok(Arc::clone(channel)),
                State::Down(error) => Err(error.clone()),
                State::Connecting => Err(self.no_connection()),
            },
            _ => Err(self.no_connection()),
        }
    }

    fn no_connection(&self) -> Error {
        Failure::unavailable(&self.server, "has not been connected to in time").error
    }

    /// Sends a request; a script that the server does not know goes along in full.
    async fn send(
        &self,
        channel: &Channel,
        request: &Request,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let values = channel.send(&self.server, request, &self.pushes, deadline).await?;
        let values = if values.iter().any(is_unknown_script) {
            let request = Request { commands: with_sources(&request.commands), ..*request };
            channel.send(&self.server, &request, &self.pushes, deadline).await?
        } else {
            values
        };
        for value in &values {
            if let Value::ServerError(error) = value {
                let failure = Failure::server_error(&self.server, error);
                if failure.verdict == Verdict::Broken {
                    return Err(failure);
                }
            }
        }
        Ok(values)
    }

    /// Does what a failed call calls for.
    fn note(&self, channel: &Arc<Channel>, failure: &Failure) {
        if failure.verdict == Verdict::Broken {
            self.give_up(channel, State::Connecting);
        } else if failure.error.kind() == ErrorKind::Timeout {
            self.stats.timeouts.fetch_add(1, Ordering::Relaxed);
            match self.settings.on_timeout {
                OnTimeout::Ask => self.trouble.notify_one(),
                OnTimeout::Drop => self.give_up(channel, State::Down(failure.error.clone())),
            }
        }
    }

    /// Drops all connections of a channel, unless that has been done.
    pub(crate) fn give_up(&self, channel: &Arc<Channel>, next: State) {
        if self.replace(channel, next) {
            channel.close();
        }
    }

    /// Drops whatever connections there are: the next calls wait for new ones.
    pub(crate) fn start_over(&self) {
        let present = self.state.borrow().clone();
        if let State::Up(channel) = present {
            self.give_up(&channel, State::Connecting);
        }
    }

    /// Makes the next calls wait until the server has been told again what it has forgotten.
    pub(crate) fn distrust(&self, channel: &Arc<Channel>) {
        *self.forgetful.lock() = Some(Arc::clone(channel));
        self.replace(channel, State::Connecting);
    }

    fn replace(&self, channel: &Arc<Channel>, next: State) -> bool {
        let replaced = self.state.send_if_modified(|state| {
            let is_present = matches!(state, State::Up(up) if Arc::ptr_eq(up, channel));
            if is_present {
                *state = next;
            }
            is_present
        });
        self.trouble.notify_one();
        replaced
    }
}
