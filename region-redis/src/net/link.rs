//! The link to a server, which keeps its connections and sends calls over them.

mod signs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redis::{Pipeline, Value};
use region_core::{Error, ErrorKind, Result, Source, has_timers};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::{Concerns, Failure};
use crate::net::connections::{Connections, RawResponse, Request, Retry};
use crate::net::keeper::Keeper;
use crate::net::locator::Target;
use crate::net::origin::Origin;
use crate::net::outage::Outage;
use crate::net::own_pushes::OwnWrite;
use crate::net::role::Role;
use crate::net::state::Event;
use crate::net::watched::Watched;
use crate::protocol::scripts::{
    is_moved, is_refused_as_lost, is_refused_as_moving, is_unknown_script, with_sources,
};
use crate::settings::OnTimeout;
use crate::stats::LastError;

/// The state of a link.
pub(crate) type State = crate::net::state::State<Connections>;

/// The most times that a call is sent again that was refused because the server lacks earlier writes.
const MOST_LOSSES: usize = 8;

/// The most times that a call is sent again that a node of a cluster refused because another has the slot.
const MOST_MOVES: usize = 4;

/// The wait before a call is sent again that was refused because the keys of its slot are being moved.
const MOVING: Duration = Duration::from_millis(20);

/// The link to one server at a time: the one that its locator names. A separate task, the keeper, opens, watches and replaces the connections; calls
/// only use them.
pub(crate) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

/// The state that calls and the keeper share.
pub(crate) struct Shared {
    pub(crate) origin: Arc<Origin>,
    target: RwLock<Target>,
    pub(crate) role: Box<dyn Role>,
    pub(crate) state: Watched<State>,
    /// Wakes the keeper.
    pub(crate) trouble: Notify,
    /// Connections that work, but need a new count.
    pub(crate) to_renew: Mutex<Option<Arc<Connections>>>,
    /// Ends the keeper's wait before the next attempt.
    pub(crate) relocated: Notify,
    pub(crate) stats: LinkStats,
    pub(crate) outage: Outage,
    calls: Semaphore,
}

/// Counts of a link.
#[derive(Debug, Default)]
pub(crate) struct LinkStats {
    pub(crate) connects: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) last_error: Mutex<Option<LastError>>,
}

/// The answers to one request, and the connections that they came over.
pub(crate) struct Response {
    pub(crate) values: Vec<Value>,
    pub(crate) connections: Arc<Connections>,
    /// The connection whose pushes tell of changes to what was read; `None` if nobody tells.
    pub(crate) source: Option<Source>,
    /// The write whose push is kept back, if it is done.
    pub(crate) own_write: Option<OwnWrite>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(origin: Origin, role: impl Role + 'static) -> Self {
        let origin = Arc::new(origin);
        let shared = Arc::new(Shared {
            calls: Semaphore::new(origin.dialer.settings.in_flight),
            target: RwLock::new(origin.locator.target()),
            role: Box::new(role),
            state: Watched::new(State::Connecting),
            trouble: Notify::new(),
            to_renew: Mutex::new(None),
            relocated: Notify::new(),
            stats: LinkStats::default(),
            outage: Outage::new(&origin.lines),
            origin,
        });
        let keeper = Keeper::new(Arc::clone(&shared));
        let keeper = shared.origin.dialer.runtime.spawn(keeper.run()).abort_handle();
        Self { shared, keeper }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits until the first attempt to connect has ended.
    pub(crate) async fn first_attempt(&self) -> Result<()> {
        let limit = self.shared.origin.dialer.settings.connect * 2;
        self.shared.connections(Instant::now() + limit).await.map(drop)
    }

    /// Sends the request that `request` makes for the present connections, and returns the answers, errors
    /// of the server among them. Gives up at `deadline`.
    pub(crate) async fn call(
        &self,
        deadline: Instant,
        request: impl Fn(&Connections) -> Request,
    ) -> Result<Response> {
        let shared = &self.shared;
        let Ok(runtime) = Handle::try_current() else {
            return Err(shared.closed("is called from outside of a Tokio runtime"));
        };
        // The store's own runtime had timers when the store was made.
        if runtime.id() != shared.origin.dialer.runtime.id() && !has_timers() {
            let why =
                "is called from a Tokio runtime that has no timers: build it with enable_time";
            return Err(shared.closed(why));
        }
        let _permit = shared.permit(&shared.calls, deadline).await?;
        // Invalidations that had been queued when the call began are replayed before it.
        let to_replay = shared.role.to_replay();
        let (mut is_first, mut losses, mut moves) = (true, 0, 0);
        loop {
            let connections = shared
                .connections(deadline)
                .await
                .inspect_err(|error| shared.count_failed_call(error))?;
            if connections.replayed < to_replay {
                shared.change(Event::Lost(Arc::clone(&connections)));
                connections.close();
                continue;
            }
            let request = request(&connections);
            let (answered, time_left) = {
                // Those who share the connections share the limit.
                let _permit = match connections.membership().node() {
                    Some(node) => Some(shared.permit(&node.calls, deadline).await?),
                    None => None,
                };
                let time_left = deadline.saturating_duration_since(Instant::now());
                (shared.send(&connections, &request, deadline).await, time_left)
            };
            match answered {
                // The server has changed nothing, so it is harmless to send it again.
                Ok(answers)
                    if losses < MOST_LOSSES && answers.values.iter().any(is_refused_as_lost) =>
                {
                    losses += 1;
                    shared.refused_as_lost(&connections);
                }
                // Nor has a node that the slot has been moved from.
                Ok(answers) if moves < MOST_MOVES && is_moved(&answers.values) => {
                    moves += 1;
                    let why = "has not got the slot any more";
                    let error = Failure::unavailable(&*connections.server, why).error;
                    shared.lose(&connections, &error);
                }
                // Nor has one that its keys are being moved from.
                Ok(answers)
                    if answers.values.iter().any(is_refused_as_moving)
                        && Instant::now() + MOVING < deadline =>
                {
                    drop(answers);
                    tokio::time::sleep(MOVING).await;
                }
                Ok(RawResponse { values, source, own_write }) => {
                    return Ok(Response { values, connections, source, own_write });
                }
                Err(failure) => {
                    shared.note(&connections, &failure, time_left);
                    // A broken connection says nothing about the server: the next one may work.
                    let may_succeed = failure.concerns != Concerns::Call
                        && failure.error.kind() == ErrorKind::Unavailable;
                    if !(is_first && may_succeed && request.retry != Retry::Unsafe) {
                        return Err(failure.error);
                    }
                    is_first = false;
                }
            }
        }
    }

    /// Replaces the connections, as the locator has found another server: the next calls wait for new ones.
    pub(crate) fn relocate(&self) {
        let error =
            Failure::unavailable(&self.target(), "is not the server to call any more").error;
        self.shared.start_over(&error);
        self.shared.relocated.notify_one();
    }

    /// Ends the wait before the next attempt to connect: the server may be there again.
    pub(crate) fn hurry(&self) {
        if !self.is_up() {
            self.shared.relocated.notify_one();
        }
    }

    /// The server that was located last, or the name that it is looked up by.
    pub(crate) fn target(&self) -> Target {
        self.shared.target()
    }

    /// Returns whether the server can be called now.
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
    /// Deletes the counts of this process from the server, and ends the connections.
    fn clean_up_and_close(&self, connections: Arc<Connections>) {
        let Some(cleanup) = self.shared.role.cleanup_commands() else { return connections.close() };
        let limit = self.shared.origin.dialer.settings.call;
        // If the runtime has ended this is dropped at once, and the connections with it.
        self.shared.origin.dialer.runtime.spawn(async move {
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
    /// Returns the number of calls that are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.origin.dialer.settings.in_flight.saturating_sub(self.calls.available_permits())
    }

    /// The server that was located last, or the name that it is looked up by.
    pub(crate) fn target(&self) -> Target {
        self.target.read().clone()
    }

    /// Notes the server that was located.
    pub(crate) fn set_target(&self, target: Target) {
        *self.target.write() = target;
    }

    async fn permit<'s>(
        &self,
        calls: &'s Semaphore,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'s>> {
        if let Ok(permit) = calls.try_acquire() {
            return Ok(permit);
        }
        match tokio::time::timeout_at(deadline, calls.acquire()).await {
            // A permit that comes too late is passed on: nothing could be answered in time.
            Ok(Ok(permit)) if Instant::now() < deadline => Ok(permit),
            _ => {
                let most = self.origin.dialer.settings.in_flight;
                let message = format!(
                    "{most} calls to {} are in flight, as many as max_in_flight allows",
                    self.target()
                );
                Err(Error::new(ErrorKind::Overloaded, message))
            }
        }
    }

    /// Returns the connections; waits for them while they are being opened.
    async fn connections(&self, deadline: Instant) -> Result<Arc<Connections>> {
        let present = self.state.borrow().clone();
        match present {
            State::Up(connections) if connections.is_closed() => {
                let error = Failure::unavailable(&self.target(), "has closed the connection");
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
        let decided = self.state.wait_for(|state| match state {
            State::Up(connections) => Some(Ok(Arc::clone(connections))),
            State::Down(error) => Some(Err(error.clone())),
            State::Connecting => None,
            State::Closed => Some(Err(self.ended())),
        });
        let decided = tokio::time::timeout_at(deadline, decided).await;
        decided.unwrap_or_else(|_| Err(self.no_connection()))
    }

    fn no_connection(&self) -> Error {
        Failure::unavailable(&self.target(), "has not been connected to in time").error
    }

    fn ended(&self) -> Error {
        self.closed("cannot be called any more: the runtime that the store was made on has ended")
    }

    fn closed(&self, why: &str) -> Error {
        Failure::unavailable(&self.target(), why).error.permanent()
    }

    /// Sends a request; a script that the server does not know goes along in full.
    async fn send(
        &self,
        connections: &Connections,
        request: &Request,
        deadline: Instant,
    ) -> Result<RawResponse, Failure> {
        let answers = connections.send(request, deadline).await?;
        let answers = if answers.values.iter().any(is_unknown_script) {
            drop(answers);
            let commands = Arc::new(with_sources(&request.commands));
            let request = Request { commands, tracking: request.tracking.clone(), ..*request };
            connections.send(&request, deadline).await?
        } else {
            answers
        };
        if is_moved(&answers.values) {
            return Ok(answers);
        }
        for value in &answers.values {
            if let Value::ServerError(error) = value {
                let failure = Failure::server_error(&connections.server, error);
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

    /// Reacts to a failed call; the server had `time_left` to answer it.
    fn note(&self, connections: &Arc<Connections>, failure: &Failure, time_left: Duration) {
        match failure.concerns {
            Concerns::Connection => {
                connections.break_off();
                self.lose(connections, &failure.error);
            }
            Concerns::Server => self.lose(connections, &failure.error),
            Concerns::ExtraConnection => self.trouble.notify_one(),
            Concerns::Call if failure.error.kind() == ErrorKind::Timeout => {
                self.stats.timeouts.fetch_add(1, Ordering::Relaxed);
                // A call that waited long for its permit in this process says little about the server.
                let is_telling = time_left >= self.origin.dialer.settings.call / 2;
                match self.origin.dialer.settings.on_timeout {
                    OnTimeout::Drop if is_telling => {
                        self.give_up(connections, failure.error.clone());
                    }
                    OnTimeout::Drop | OnTimeout::Ask => self.ask_soon(connections),
                }
            }
            Concerns::Call => {}
        }
    }

    /// Counts a call that could not be sent.
    fn count_failed_call(&self, error: &Error) {
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
            self.outage.note(&self.target(), error);
            self.origin.locator.doubt(error);
        }
    }

    /// Drops the present connections: the next calls wait for new ones.
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

    /// Makes the next calls wait until the connections have a new count and have been prepared.
    pub(crate) fn renew_count(&self, connections: &Arc<Connections>) {
        self.change_with(Event::Lost(Arc::clone(connections)), || {
            *self.to_renew.lock() = Some(Arc::clone(connections));
        });
    }

    /// As [`renew_count`](Self::renew_count), for a server that has lost writes: recent changes are repeated
    /// on it first. Connections that are not in use any more tell nothing about the server.
    pub(crate) fn distrust(&self, connections: &Arc<Connections>) {
        connections.counted.note_lost();
        self.change_with(Event::Lost(Arc::clone(connections)), || {
            self.role.distrust();
            *self.to_renew.lock() = Some(Arc::clone(connections));
        });
    }

    /// Reacts to a write that was refused because the server lacks earlier ones, or because the connections
    /// were not prepared for writes.
    fn refused_as_lost(&self, connections: &Arc<Connections>) {
        if connections.is_read_only() {
            self.renew_count(connections)
        } else {
            self.distrust(connections)
        }
    }

    /// Changes the state. Returns whether it was another before.
    pub(crate) fn change(&self, event: Event<Connections>) -> bool {
        self.change_with(event, || {})
    }

    /// Changes the state, and calls `then` if it was another, before anybody can see the new state.
    fn change_with(&self, event: Event<Connections>, then: impl FnOnce()) -> bool {
        let mut former = None;
        self.state.send_if_modified(|state| {
            former = state.after(event).map(|next| std::mem::replace(state, next));
            if former.is_some() {
                then();
            }
            former.is_some()
        });
        self.trouble.notify_one();
        // Dropped here, without the lock: with its last owner a connection ends, and listeners are called.
        former.is_some()
    }
}

impl LinkStats {
    pub(crate) fn note_error(&self, error: &Error) {
        *self.last_error.lock() = Some(LastError::of(error));
    }
}
