//! The connections to one server, from when they were opened until they fail.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, RedisError, RedisResult, Value};
use region_core::{RegionPath, Source};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::{Concerns, Failure};
use crate::net::counted::CountedWrites;
use crate::net::identity::Identity;
use crate::net::membership::Membership;
use crate::net::on_demand::Closable;
use crate::net::origin::Place;
use crate::net::own_pushes::OwnWrite;
use crate::net::transport::Transport;
use crate::protocol::call::Count;
use crate::protocol::layout::CountNames;
use crate::protocol::reply::answered_count;
use crate::random;
use crate::server::Server;
use crate::settings::Settings;

/// Commands that are sent in one round trip.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) commands: Arc<Pipeline>,
    pub(crate) lane: Lane,
    pub(crate) tracking: Tracking,
    pub(crate) retry: Retry,
    /// The floor, if it is a write that raises the count. Such a one goes over the main connection.
    pub(crate) floor: Option<u64>,
}

impl Request {
    pub(crate) fn new(commands: Pipeline, lane: Lane, tracking: Tracking, retry: Retry) -> Self {
        Self { commands: Arc::new(commands), lane, tracking, retry, floor: None }
    }

    /// The request of a script that was given this count.
    pub(crate) fn counted(mut self, count: Count<'_>) -> Self {
        self.floor = count.receipt.is_none().then_some(count.floor);
        self
    }
}

/// The connection that a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The connection of all ordinary calls.
    Main,
    /// For large requests and answers, so that small ones need not wait behind them. If this connection
    /// cannot be opened the main one is used.
    Large,
    /// For commands that block on the server.
    Waiting,
}

/// Says whether the server tracks the keys that a request reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It tracks them if somebody listens.
    Read,
    /// As `Read`; and the push that tells of the request's own write to the entries of this region is kept back.
    Write(RegionPath),
    No,
}

/// Says whether a request may be sent again when it has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Yes: to do it twice is harmless.
    Safe,
    /// Yes, but not once something else has been sent after it: it takes leases.
    SafeInOrder,
    /// No: others may have written since.
    Unsafe,
}

/// The answers to one request, as they came over a connection.
pub(crate) struct RawResponse {
    pub(crate) values: Vec<Value>,
    /// The connection whose pushes tell of changes to what was read; `None` if nobody tells.
    pub(crate) source: Option<Source>,
    /// The write whose push is kept back, if it is done.
    pub(crate) own_write: Option<OwnWrite>,
}

/// The connections to one server, with the count of the writes that are sent over them. The same sockets
/// can be used again under another count: see [`with_new_count`](Self::with_new_count).
pub(crate) struct Connections {
    /// The random id of the count.
    pub(crate) count_id: u128,
    place: Place,
    /// The key of the count on the server.
    pub(crate) count_key: String,
    /// The count when the connections were ready to be used: all that was done before is below it.
    pub(crate) first_count: u64,
    /// The writes that were sent under this count.
    pub(crate) counted: Arc<CountedWrites>,
    /// When the server was last told how long to keep the count.
    count_refreshed: Mutex<Instant>,
    access: Access,
    /// The server that they lead to.
    pub(crate) server: Arc<Server>,
    /// The number of invalidations that had been queued when the last of them was replayed.
    pub(crate) replayed: u64,
    pub(crate) identity: Identity,
    /// A write, or a call that takes leases, may still be on its way over a further connection: what goes over
    /// the main one could overtake it.
    has_late_write: AtomicBool,
    membership: Arc<Membership>,
    /// The runtime of the store.
    runtime: Handle,
}

/// The operations that connections may be used for.
#[derive(Debug)]
enum Access {
    ReadWrite,
    /// The server refused all writes when the connections were prepared.
    ReadOnly {
        /// A count that is not there. The server deletes the count of a write that it refuses, and that of the
        /// former connections has to stay.
        unprepared_key: String,
    },
}

impl Connections {
    /// Connections to `server`, which still have to be prepared.
    pub(crate) fn new(
        server: Arc<Server>,
        place: Place,
        membership: Arc<Membership>,
        runtime: Handle,
    ) -> Self {
        let identity = membership.transports.identity.clone();
        Self::with_identity(server, place, identity, membership, runtime)
    }

    /// The same sockets with a new count.
    pub(crate) fn with_new_count(&self) -> Self {
        let (server, membership) = (Arc::clone(&self.server), Arc::clone(&self.membership));
        let runtime = self.runtime.clone();
        Self::with_identity(server, self.place, self.identity.clone(), membership, runtime)
    }

    fn with_identity(
        server: Arc<Server>,
        place: Place,
        identity: Identity,
        membership: Arc<Membership>,
        runtime: Handle,
    ) -> Self {
        let count_id = random::long_bits();
        Self {
            count_id,
            place,
            count_key: place.count_names().of(count_id),
            first_count: 0,
            counted: Arc::new(CountedWrites::new()),
            count_refreshed: Mutex::new(Instant::now()),
            access: Access::ReadWrite,
            server,
            replayed: 0,
            identity,
            has_late_write: AtomicBool::new(false),
            membership,
            runtime,
        }
    }

    /// The count to send with a write. It is refused by a server that lacks any write that it has answered
    /// under this count.
    pub(crate) fn write_count(&self) -> Count<'_> {
        match &self.access {
            Access::ReadWrite => {
                Count { key: &self.count_key, floor: self.counted.highest(), receipt: None }
            }
            // If the server takes writes again it refuses this one, as the connections are not prepared for it.
            Access::ReadOnly { unprepared_key } => {
                Count { key: unprepared_key, floor: u64::MAX, receipt: None }
            }
        }
    }

    /// The names of the counts of writes to the server.
    pub(crate) fn count_names(&self) -> CountNames {
        self.place.count_names()
    }

    /// Returns whether the server was last told at least `interval` ago how long to keep the count.
    pub(crate) fn count_needs_refresh(&self, interval: Duration) -> bool {
        self.count_refreshed.lock().elapsed() >= interval
    }

    pub(crate) fn count_refreshed(&self) {
        *self.count_refreshed.lock() = Instant::now();
    }

    /// Restricts the connections to reads, which are checked against the count with the id `count_id`, of these writes.
    pub(crate) fn restrict_to_reads(&mut self, count_id: u128, counted: Arc<CountedWrites>) {
        let count_key = self.count_names().of(count_id);
        let unprepared_key = std::mem::replace(&mut self.count_key, count_key);
        self.count_id = count_id;
        self.counted = counted;
        self.access = Access::ReadOnly { unprepared_key };
    }

    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.access, Access::ReadOnly { .. })
    }

    /// Asks the server again for its identity.
    pub(crate) async fn identify(
        &mut self,
        settings: &Settings,
        limit: Duration,
    ) -> Result<(), Failure> {
        let opening = self.place.opening_command();
        let asking = Identity::ask(&self.server, settings, opening.as_ref(), self.main());
        match tokio::time::timeout(limit, asking).await {
            Ok(identity) => self.identity = identity?,
            Err(_) => {
                return Err(Failure::unavailable(&*self.server, "has not said who it is in time"));
            }
        }
        Ok(())
    }

    /// Sends a request and returns the answers, errors of the server among them. Gives up at `deadline`.
    pub(crate) async fn send(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<RawResponse, Failure> {
        let transports = &self.membership.transports;
        // It must not take effect later than what is sent after it.
        let is_ordered = request.retry != Retry::Safe;
        let extra = match request.lane {
            Lane::Main => None,
            Lane::Large if is_ordered && transports.has_late_on_main() => None,
            Lane::Large => match transports.large.get(half_way_to(deadline)).await {
                Ok(transport) => Some(transport),
                // The address leads to another server now: the main connection must be replaced too.
                Err(failure) if failure.concerns == Concerns::Server => return Err(failure),
                Err(_) => None,
            },
            Lane::Waiting => {
                let waiting = transports.waiting(self.place).get(half_way_to(deadline)).await;
                // That it cannot be opened says nothing of the main one, which others may use.
                Some(waiting.map_err(Failure::of_extra)?)
            }
        };
        let Some(extra) = extra else {
            let unanswered = is_ordered.then(|| Unanswered::over(self, Lane::Main));
            let main = &transports.main;
            let answers = match request.floor {
                Some(floor) => self.send_counted(floor, request, deadline).await?,
                None => {
                    let answers = main.send(&request.commands);
                    self.send_over(main, request, deadline, answers).await?
                }
            };
            unanswered.into_iter().for_each(Unanswered::answered);
            return Ok(answers);
        };
        let unanswered = is_ordered.then(|| Unanswered::over(self, request.lane));
        let answers = extra.send(&request.commands);
        match self.send_over(&extra, request, deadline, answers).await {
            Ok(answers) => {
                unanswered.into_iter().for_each(Unanswered::answered);
                Ok(answers)
            }
            Err(failure) => {
                if failure.concerns == Concerns::Connection {
                    extra.close();
                }
                Err(failure.of_extra())
            }
        }
    }

    /// Sends a write that raises the count. Its answer is looked at even if its caller is gone by then.
    async fn send_counted(
        &self,
        floor: u64,
        request: &Request,
        deadline: Instant,
    ) -> Result<RawResponse, Failure> {
        let main = self.main();
        let commands = Arc::clone(&request.commands);
        let sending = async move {
            let (in_flight, has_room) = (self.counted.begin(floor), main.has_room());
            let sending = main.send_shared(commands);
            let answering = Box::pin(async move {
                let answers = sending.await;
                if let Ok(answers) = &answers {
                    in_flight.answered(answered_count(answers));
                }
                answers
            });
            let runtime = has_room.then(|| self.runtime.clone());
            Answering { answering: Some(answering), runtime }.await
        };
        self.send_over(main, request, deadline, sending).await
    }

    /// The main connection.
    pub(crate) fn main(&self) -> &Transport {
        &self.membership.transports.main
    }

    /// The sockets, which others may use too.
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Ends the trust in what was read over the connections: their pushes come too late.
    pub(crate) fn distrust(&self) {
        self.membership.transports.distrust(self.place.group());
    }

    /// Gives the connections up. If nobody else uses them they end, and the calls that wait for them.
    pub(crate) fn close(&self) {
        self.membership.end();
    }

    /// Ends the connections, whoever uses them: they are broken.
    pub(crate) fn break_off(&self) {
        self.membership.transports.close();
    }

    /// Returns whether the connections are given up, or the main one is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.membership.is_closed()
    }

    /// Returns whether a write or a call that takes leases may still be on its way over a further connection: then the connections must
    /// not be used any more under this count.
    pub(crate) fn has_late_write(&self) -> bool {
        self.has_late_write.load(Ordering::Acquire)
    }

    /// Sends a request over a connection: polls `answers`, once what it needs is set up.
    async fn send_over(
        &self,
        transport: &Transport,
        request: &Request,
        deadline: Instant,
        answers: impl Future<Output = RedisResult<Vec<Value>>>,
    ) -> Result<RawResponse, Failure> {
        let server = &*self.server;
        let failed = |error| Failure::client(server, error);
        let sending = async {
            let source = match request.tracking {
                Tracking::Read | Tracking::Write(_) => {
                    self.membership.track(transport).await.map_err(failed)?
                }
                Tracking::No => None,
            };
            let own_write = match &request.tracking {
                Tracking::Write(region) => transport.begin_write(region),
                Tracking::Read | Tracking::No => None,
            };
            let values = answers.await.map_err(failed)?;
            Ok(RawResponse { values, source, own_write })
        };
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(answers) => answers,
            Err(_) => Err(Failure::timed_out(server)),
        }
    }
}

/// The answer to a write. If its caller is gone it is still looked at, by a task; unless the write may still have to wait
/// until it is sent: it must not be sent later than what its caller sends after it.
struct Answering<F: Future<Output: Send> + Send + 'static> {
    answering: Option<Pin<Box<F>>>,
    /// Where the task runs; `None` if the write may have to wait.
    runtime: Option<Handle>,
}

impl<F: Future<Output: Send> + Send + 'static> Future for Answering<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answering) = &mut self.answering else { return Poll::Pending };
        let answer = answering.as_mut().poll(context);
        if answer.is_ready() {
            self.answering = None;
        }
        answer
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Answering<F> {
    fn drop(&mut self) {
        if let (Some(answering), Some(runtime)) = (self.answering.take(), self.runtime.take()) {
            runtime.spawn(answering);
        }
    }
}

/// Half of the time that is left: the rest is for another connection.
pub(crate) fn half_way_to(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// Dropped when a write has not been answered: it failed, or its caller is gone.
struct Unanswered<'c> {
    connections: &'c Connections,
    lane: Lane,
    is_answered: bool,
}

impl<'c> Unanswered<'c> {
    fn over(connections: &'c Connections, lane: Lane) -> Self {
        Self { connections, lane, is_answered: false }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        match self.lane {
            _ if self.is_answered => {}
            Lane::Main => {
                self.connections.membership.transports.note_late_on_main();
            }
            Lane::Large | Lane::Waiting => {
                self.connections.has_late_write.store(true, Ordering::Release);
            }
        }
    }
}

/// The first error among the answers.
pub(crate) fn first_error(answers: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    answers.into_iter().map(Value::extract_error).collect()
}
