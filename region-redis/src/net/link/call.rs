//! How a call goes over a link: it is sent again where that is harmless.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use region_core::{Error, ErrorKind, Result, Source, has_timers};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::{Link, Shared, State};
use crate::error::{Concerns, Failure};
use crate::net::connections::Connections;
use crate::net::own_pushes::OwnWrite;
use crate::net::request::{RawResponse, Request, Retry};
use crate::net::state::Event;
use crate::protocol::scripts::{
    is_moved, is_refused_as_lost, is_refused_as_moving, is_unknown_script, with_sources,
};
use crate::settings::OnTimeout;

/// The most times that a call is sent again that was refused because the server lacks earlier writes.
const MOST_LOSSES: usize = 8;

/// The most times that a call is sent again that a node of a cluster refused because another has the slot.
const MOST_MOVES: usize = 4;

/// The wait before a call is sent again that was refused because the keys of its slot are being moved.
const MOVING: Duration = Duration::from_millis(20);

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
}

impl Shared {
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
    pub(super) async fn connections(&self, deadline: Instant) -> Result<Arc<Connections>> {
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

    pub(super) fn closed(&self, why: &str) -> Error {
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
    pub(super) fn note(
        &self,
        connections: &Arc<Connections>,
        failure: &Failure,
        time_left: Duration,
    ) {
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
    pub(super) fn count_failed_call(&self, error: &Error) {
        if error.is_outage() {
            self.outage.note_call();
        }
    }
}
