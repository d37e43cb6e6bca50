//! The way to one server: connects, watches, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, Value};
use region_core::{Error, ErrorKind, Result, Source};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::{Concerns, Failure};
use crate::net::connections::{Connections, RawResponse, Request, Retry};
use crate::net::keeper::Keeper;
use crate::net::origin::Origin;
use crate::net::outage::Outage;
use crate::net::role::Role;
use crate::net::state::Event;
use crate::protocol::scripts::{is_refused_as_lost, is_unknown_script, with_sources};
use crate::server::Server;
use crate::settings::OnTimeout;
use crate::stats::LastError;

/// Whether the server can be asked.
pub(crate) type State = crate::net::state::State<Connections>;

/// How often a call is sent again that was refused because the server lacks earlier writes.
const MOST_LOSSES: usize = 8;

/// The way to one server. A task of its own, the keeper, opens the connections, watches them and
/// replaces them; calls only use what is there.
pub(crate) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

/// What calls and the keeper share.
pub(crate) struct Shared {
    pub(crate) origin: Arc<Origin>,
    pub(crate) server: Server,
    pub(crate) role: Box<dyn Role>,
    pub(crate) state: watch::Sender<State>,
    /// Wakes the keeper.
    pub(crate) trouble: Notify,
    /// Connections that work, but whose number must not be used any more.
    pub(crate) to_renew: Mutex<Option<Arc<Connections>>>,
    pub(crate) stats: LinkStats,
    pub(crate) outage: Outage,
    calls: Semaphore,
}

/// Counts what a link did.
#[derive(Debug, Default)]
pub(crate) struct LinkStats {
    pub(crate) connects: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) last_error: Mutex<Option<LastError>>,
}

/// RawResponse, and over which channel they came.
pub(crate) struct Response {
    pub(crate) values: Vec<Value>,
    pub(crate) connections: Arc<Connections>,
    /// The connection whose pushes tell of changes to what was read; `None` if nobody tells.
    pub(crate) source: Option<Source>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(origin: Origin, role: impl Role + 'static) -> Self {
        let origin = Arc::new(origin);
        let shared = Arc::new(Shared {
            calls: Semaphore::new(origin.settings.in_flight),
            server: origin.server.clone(),
            role: Box::new(role),
            state: watch::Sender::new(State::Connecting),
            trouble: Notify::new(),
            to_renew: Mutex::new(None),
            stats: LinkStats::default(),
            outage: Outage::default(),
            origin,
        });
        let keeper = Keeper::new(Arc::clone(&shared));
        let keeper = shared.origin.runtime.spawn(keeper.run()).abort_handle();
        Self { shared, keeper }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits until the first attempt to connect has ended.
    pub(crate) async fn first_attempt(&self) -> Result<()> {
        let limit = self.shared.origin.settings.connect * 2;
        self.shared.connections(Instant::now() + limit).await.map(drop)
    }

    /// Sends what `request` makes for the channel that is used, and gives back the answers, errors
    /// of the server among them. Takes no longer than until `deadline`.
    pub(crate) async fn call(
        &self,
        deadline: Instant,
        request: impl Fn(&Connections) -> Request,
    ) -> Result<Response> {
        let shared = &self.shared;
        if Handle::try_current().is_err() {
            return Err(shared.closed("is called from outside of a Tokio runtime"));
        }
        let _place = shared.place(deadline).await?;
        // What had been queued when the call began has to be done before it.
        let to_replay = shared.role.to_replay();
        let (mut is_first, mut losses) = (true, 0);
        loop {
            let connections =
                shared.connections(deadline).await.inspect_err(|error| shared.failed(error))?;
            if connections.replayed < to_replay {
                shared.change(Event::Lost(Arc::clone(&connections)));
                connections.close();
                continue;
            }
            let request = request(&connections);
            let had = deadline.saturating_duration_since(Instant::now());
            match shared.send(&connections, &request, deadline).await {
                // The server has changed nothing, so it is harmless to send it again.
                Ok(answers)
                    if losses < MOST_LOSSES && answers.values.iter().any(is_refused_as_lost) =>
                {
                    losses += 1;
                    shared.refused_as_lost(&connections);
                }
                Ok(RawResponse { values, source }) => {
                    return Ok(Response { values, connections, source });
                }
                Err(failure) => {
                    shared.note(&connections, &failure, had);
                    // A connection that broke says nothing of the server: the next may be better.
                    let is_worth_it = failure.concerns != Concerns::Call
                        && failure.error.kind() == ErrorKind::Unavailable;
                    if !(is_first && is_worth_it && request.retry == Retry::Safe) {
                        return Err(failure.error);
                    }
                    is_first = false;
                }
            }
        }
    }

    /// Whether the server can be asked now.
    pub(crate) fn is_up(&self) -> bool {
        self.shared.state.borrow().up().is_some()
    }

    /// Ends the connections for good, and the calls that wait for them.
    pub(crate) fn close(&self) {
        let present = self.shared.state.borrow().up().cloned();
        // Before the keeper ends, which would close the connections at once.
        self.shared.change(Event::Ended);
        self.keeper.abort();
        present.into_iter().for_each(|connections| self.clean_up_and_close(connections));
    }
}

impl Link {
    /// Takes back what keeping the connections has left on the server, and ends them.
    fn clean_up_and_close(&self, connections: Arc<Connections>) {
        let Some(cleanup) = self.shared.role.cleanup_commands() else { return connections.close() };
        let limit = self.shared.origin.settings.call;
        // Where the runtime has ended this is dropped at once, and the connections with it.
        self.shared.origin.runtime.spawn(async move {
            let mut commands = Pipeline::with_capacity(cleanup.len());
            for command in cleanup {
                commands.add_command(command);
            }
            // Without an answer others retire the counts when they are overdue.
            let _ = tokio::time::timeout(limit, connections.main().send(&commands)).await;
            connections.close();
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.calls.try_acquire() {
            return Ok(place);
        }
        match tokio::time::timeout_at(deadline, self.calls.acquire()).await {
            // One that comes too late is passed on: nothing could be answered in time.
            Ok(Ok(place)) if Instant::now() < deadline => Ok(place),
            _ => {
                let most = self.origin.settings.in_flight;
                let message = format!(
                    "{most} calls to {} are in flight, as many as max_in_flight allows",
                    self.origin.server
                );
                Err(Error::new(ErrorKind::Overloaded, message))
            }
        }
    }

    /// The connections; waits for them while they are being opened.
    async fn connections(&self, deadline: Instant) -> Result<Arc<Connections>> {
        let present = self.state.borrow().clone();
        match present {
            State::Up(connections) if connections.is_closed() => {
                let error = Failure::unavailable(&self.origin.server, "has closed the connection");
                self.lose(&connections, &error.error);
            }
            State::Up(connections) if connections.has_late_write() => {
                self.renew_count(&connections)
            }
            State::Up(connections) => return Ok(connections),
            State::Down(error) => return Err(error),
            State::Closed => return Err(self.ended()),
            State::Connecting => {}
        }
        let mut states = self.state.subscribe();
        let decided = states.wait_for(|state| !matches!(state, State::Connecting));
        match tokio::time::timeout_at(deadline, decided).await {
            Ok(Ok(state)) => match &*state {
                State::Up(connections) => Ok(Arc::clone(connections)),
                State::Down(error) => Err(error.clone()),
                State::Connecting => Err(self.no_connection()),
                State::Closed => Err(self.ended()),
            },
            _ => Err(self.no_connection()),
        }
    }

    fn no_connection(&self) -> Error {
        Failure::unavailable(&self.origin.server, "has not been connected to in time").error
    }

    fn ended(&self) -> Error {
        self.closed("cannot be called any more: the runtime that the store was made on has ended")
    }

    fn closed(&self, why: &str) -> Error {
        Failure::unavailable(&self.origin.server, why).error.permanent()
    }

    /// Sends a request; a script that the server does not know goes along in full.
    async fn send(
        &self,
        connections: &Connections,
        request: &Request,
        deadline: Instant,
    ) -> Result<RawResponse, Failure> {
        let answers = connections.send(&self.origin, request, deadline).await?;
        let answers = if answers.values.iter().any(is_unknown_script) {
            let request = Request { commands: with_sources(&request.commands), ..*request };
            connections.send(&self.origin, &request, deadline).await?
        } else {
            answers
        };
        for value in &answers.values {
            if let Value::ServerError(error) = value {
                let failure = Failure::server_error(&self.origin.server, error);
                if failure.concerns != Concerns::Call {
                    return Err(failure);
                }
                if failure.error.kind() == ErrorKind::Denied {
                    self.stats.note_error(&failure.error);
                }
            }
        }
        Ok(answers)
    }

    /// Does what a failed call calls for, which the server had so long to answer.
    fn note(&self, connections: &Arc<Connections>, failure: &Failure, had: Duration) {
        match failure.concerns {
            Concerns::Connection | Concerns::Server => self.lose(connections, &failure.error),
            Concerns::ExtraConnection => self.trouble.notify_one(),
            Concerns::Call if failure.error.kind() == ErrorKind::Timeout => {
                self.stats.timeouts.fetch_add(1, Ordering::Relaxed);
                // A call that waited long for its place in this process says little of the server.
                let is_telling = had >= self.origin.settings.call / 2;
                match self.origin.settings.on_timeout {
                    OnTimeout::Drop if is_telling => {
                        self.give_up(connections, failure.error.clone());
                    }
                    OnTimeout::Drop | OnTimeout::Ask => self.trouble.notify_one(),
                }
            }
            Concerns::Call => {}
        }
    }

    /// Counts a call that could not be sent.
    fn failed(&self, error: &Error) {
        if error.is_outage() {
            self.outage.note_call();
        }
    }

    /// Drops connections that broke, unless that has been done: the next calls wait for new ones.
    pub(crate) fn lose(&self, connections: &Arc<Connections>, error: &Error) {
        self.drop_connections(connections, error, Event::Lost(Arc::clone(connections)));
    }

    /// Drops connections and leaves the server alone for a while.
    pub(crate) fn give_up(&self, connections: &Arc<Connections>, error: Error) {
        let given_up = Event::GivenUp(Arc::clone(connections), error.clone());
        self.drop_connections(connections, &error, given_up);
    }

    fn drop_connections(
        &self,
        connections: &Arc<Connections>,
        error: &Error,
        event: Event<Connections>,
    ) {
        if self.change(event) {
            connections.close();
            self.stats.note_error(error);
            self.outage.note(&self.origin.server, error);
        }
    }

    /// Drops whatever connections there are: the next calls wait for new ones.
    pub(crate) fn start_over(&self, error: &Error) {
        let present = self.state.borrow().up().cloned();
        present.into_iter().for_each(|connections| self.lose(&connections, error));
    }

    /// Ends the connections for good.
    pub(crate) fn end(&self) {
        let present = self.state.borrow().up().cloned();
        self.change(Event::Ended);
        present.into_iter().for_each(|connections| connections.close());
    }

    /// Makes the next calls wait until the connections have another number and the server has been
    /// prepared for it.
    pub(crate) fn renew_count(&self, connections: &Arc<Connections>) {
        self.change_with(Event::Lost(Arc::clone(connections)), || {
            *self.to_renew.lock() = Some(Arc::clone(connections));
        });
    }

    /// As [`renew_count`](Self::renew_count), for a server that has lost what was written over the channel: it
    /// is told again first. A channel that is not in use any more says nothing of the server.
    pub(crate) fn distrust(&self, connections: &Arc<Connections>) {
        self.change_with(Event::Lost(Arc::clone(connections)), || {
            self.role.distrust();
            *self.to_renew.lock() = Some(Arc::clone(connections));
        });
    }

    /// Does what is called for by a write that was refused because the server lacks earlier ones, or
    /// because the channel was not prepared for writes.
    fn refused_as_lost(&self, connections: &Arc<Connections>) {
        if connections.is_read_only() {
            self.renew_count(connections)
        } else {
            self.distrust(connections)
        }
    }

    /// Changes the state; whether that was necessary.
    pub(crate) fn change(&self, event: Event<Connections>) -> bool {
        self.change_with(event, || {})
    }

    /// Changes the state and calls `and` if that was necessary, before anybody can see the new state.
    fn change_with(&self, event: Event<Connections>, and: impl FnOnce()) -> bool {
        let mut former = None;
        self.state.send_if_modified(|state| {
            former = state.after(event).map(|next| std::mem::replace(state, next));
            if former.is_some() {
                and();
            }
            former.is_some()
        });
        self.trouble.notify_one();
        // Dropped out here: with the last of its owners a connection ends, and listeners hear of it.
        former.is_some()
    }
}

impl LinkStats {
    pub(crate) fn note_error(&self, error: &Error) {
        *self.last_error.lock() = Some(LastError::of(error));
    }
}
