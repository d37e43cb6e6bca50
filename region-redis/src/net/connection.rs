//! The connections to one server, from when they were opened until they fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, RedisError, Value};
use region_core::Source;
use tokio::time::Instant;

use crate::error::{Concerns, Failure};
use crate::net::extra::ExtraConnection;
use crate::net::identity::Identity;
use crate::net::origin::Origin;
use crate::net::transport::Transport;
use crate::protocol::call::Count;
use crate::protocol::layout;
use crate::server::Server;
use crate::settings::{LONGEST_BLOCK, Settings};

/// Commands for one trip.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) commands: Pipeline,
    pub(crate) lane: Lane,
    /// Whether what is read has to be tracked.
    pub(crate) tracking: Tracking,
    /// Whether it may be sent again when the connection breaks before it was answered.
    pub(crate) again: Again,
}

/// Which of the connections a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// That of all ordinary calls.
    Main,
    /// For what is so large that others should not wait behind it. Where that connection cannot be
    /// opened the main one serves.
    Large,
    /// For what waits on the server.
    Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// Where anybody listens.
    Read,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Harmless,
    Unsafe,
}

/// The answers to one request.
pub(crate) struct Answers {
    pub(crate) values: Vec<Value>,
    /// The connection whose pushes tell of changes to what was read; `None` if nobody tells.
    pub(crate) source: Option<Source>,
}

/// The connections. Clones of the same connections may carry different numbers.
pub(crate) struct Channel {
    /// Names the count of the writes that are sent over this channel.
    pub(crate) number: u128,
    /// The name of that count.
    pub(crate) count: String,
    /// The count when the channel was ready to be used: all that was done before is below it.
    pub(crate) first_count: u64,
    /// The highest count that was answered over this channel.
    counted: AtomicU64,
    /// When the server was last told how long to keep the count.
    count_refreshed: Mutex<Instant>,
    access: Access,
    /// How many invalidations had been queued when the last of them was done over this channel.
    pub(crate) replayed: u64,
    pub(crate) identity: Identity,
    /// A write may still be on its way over a further connection: what is sent over the main one could
    /// overtake it.
    has_late_write: AtomicBool,
    /// How many writes over the main connection were given up, and how many of them the server has done
    /// by now, if it does them at all: while they differ no write may overtake them.
    late_on_main: AtomicU64,
    settled_on_main: AtomicU64,
    connections: Arc<Connections>,
}

struct Connections {
    main: Transport,
    /// The others are opened when they are needed.
    large: Arc<ExtraConnection>,
    waiting: Arc<ExtraConnection>,
}

/// For what a channel may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadWrite,
    /// The server refused all writes when the channel was prepared.
    ReadOnly,
}

impl Channel {
    pub(crate) async fn open(origin: &Arc<Origin>) -> Result<Self, Failure> {
        let main = Transport::open(&origin.server, &origin.pushes).await?;
        let identity = Identity::ask(&origin.server, &origin.settings, &main).await?;
        let connections = Connections {
            main,
            large: ExtraConnection::new(origin, &identity, Duration::ZERO),
            waiting: ExtraConnection::new(origin, &identity, LONGEST_BLOCK),
        };
        Ok(Self::numbered(identity, Arc::new(connections)))
    }

    /// The same connections under a new number.
    pub(crate) fn renumbered(&self) -> Self {
        Self::numbered(self.identity.clone(), Arc::clone(&self.connections))
    }

    fn numbered(identity: Identity, connections: Arc<Connections>) -> Self {
        let number = rand::random();
        Self {
            number,
            count: layout::count(number),
            first_count: 0,
            counted: AtomicU64::new(0),
            count_refreshed: Mutex::new(Instant::now()),
            access: Access::ReadWrite,
            replayed: 0,
            identity,
            has_late_write: AtomicBool::new(false),
            late_on_main: AtomicU64::new(0),
            settled_on_main: AtomicU64::new(0),
            connections,
        }
    }

    /// The count of the writes that are sent over this channel. It is refused by a server that lacks any
    /// write that it has answered over this channel.
    pub(crate) fn write_count(&self) -> Count<'_> {
        let floor = match self.access {
            Access::ReadWrite => self.counted(),
            // Should the server take writes again it refuses this one: it has not been prepared for it.
            Access::ReadOnly => u64::MAX,
        };
        Count { key: &self.count, floor }
    }

    /// Takes note of a count that was answered over this channel.
    pub(crate) fn note_count(&self, count: u64) {
        self.counted.fetch_max(count, Ordering::AcqRel);
    }

    /// The highest count that was answered over this channel.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Acquire)
    }

    /// Whether the server has not been told for `interval` how long to keep the count.
    pub(crate) fn count_needs_refresh(&self, interval: Duration) -> bool {
        self.count_refreshed.lock().elapsed() >= interval
    }

    pub(crate) fn count_refreshed(&self) {
        *self.count_refreshed.lock() = Instant::now();
    }

    /// Restricts the channel to reads, which are checked against the count of the channel `number`.
    pub(crate) fn restrict_to_reads(&mut self, number: u128) {
        self.number = number;
        self.count = layout::count(number);
        self.access = Access::ReadOnly;
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    /// Asks the server again who it is.
    pub(crate) async fn identify(
        &mut self,
        server: &Server,
        settings: &Settings,
        limit: Duration,
    ) -> Result<(), Failure> {
        let asking = Identity::ask(server, settings, &self.connections.main);
        match tokio::time::timeout(limit, asking).await {
            Ok(identity) => self.identity = identity?,
            Err(_) => return Err(Failure::unavailable(server, "has not said who it is in time")),
        }
        Ok(())
    }

    /// Sends a request by `deadline` and gives back the answers, errors of the server among them.
    pub(crate) async fn send(
        &self,
        origin: &Origin,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answers, Failure> {
        let is_write = request.again == Again::Unsafe;
        let extra = match request.lane {
            Lane::Main => None,
            Lane::Large if is_write && self.has_late_on_main() => None,
            Lane::Large => match self.connections.large.get(half_way_to(deadline)).await {
                Ok(transport) => Some(transport),
                // The address leads to another server now: the main connection is of no use either.
                Err(failure) if failure.concerns == Concerns::Server => return Err(failure),
                Err(_) => None,
            },
            Lane::Waiting => Some(self.connections.waiting.get(half_way_to(deadline)).await?),
        };
        let Some(extra) = extra else {
            let unanswered = is_write.then(|| Unanswered::over(self, Lane::Main));
            let answers = send_over(&self.connections.main, origin, request, deadline).await?;
            unanswered.into_iter().for_each(Unanswered::answered);
            return Ok(answers);
        };
        let unanswered = is_write.then(|| Unanswered::over(self, request.lane));
        match send_over(&extra, origin, request, deadline).await {
            Ok(answers) => {
                unanswered.into_iter().for_each(Unanswered::answered);
                Ok(answers)
            }
            Err(failure) if failure.concerns == Concerns::Connection => {
                extra.close();
                Err(Failure { concerns: Concerns::ExtraConnection, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }

    /// The main connection.
    pub(crate) fn main(&self) -> &Transport {
        &self.connections.main
    }

    /// Ends all connections and the calls that wait for them.
    pub(crate) fn close(&self) {
        self.connections.close();
    }

    /// Whether the main connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.connections.main.is_closed()
    }

    /// How many writes over the main connection were given up so far.
    pub(crate) fn late_on_main(&self) -> u64 {
        self.late_on_main.load(Ordering::Acquire)
    }

    /// Notes that the server has answered something that was sent over the main connection after `late`
    /// writes had been given up.
    pub(crate) fn settle_on_main(&self, late: u64) {
        self.settled_on_main.fetch_max(late, Ordering::AcqRel);
    }

    fn has_late_on_main(&self) -> bool {
        self.late_on_main() > self.settled_on_main.load(Ordering::Acquire)
    }

    /// Whether the connections must be used under another number: see `has_late_write`.
    pub(crate) fn has_late_write(&self) -> bool {
        self.has_late_write.load(Ordering::Acquire)
    }
}

async fn send_over(
    transport: &Transport,
    origin: &Origin,
    request: &Request,
    deadline: Instant,
) -> Result<Answers, Failure> {
    let server = &origin.server;
    let failed = |error| Failure::client(server, error);
    let sending = async {
        let source = match request.tracking {
            Tracking::Read => transport.track().await.map_err(failed)?,
            Tracking::No => None,
        };
        let values = transport.send(&request.commands).await.map_err(failed)?;
        Ok(Answers { values, source })
    };
    match tokio::time::timeout_at(deadline, sending).await {
        Ok(answers) => answers,
        Err(_) => Err(Failure::silent(server)),
    }
}

/// Time is left to go by another connection.
fn half_way_to(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// Dropped when a write has not been answered: it failed, or its caller is gone.
struct Unanswered<'c> {
    channel: &'c Channel,
    lane: Lane,
    is_answered: bool,
}

impl<'c> Unanswered<'c> {
    fn over(channel: &'c Channel, lane: Lane) -> Self {
        Self { channel, lane, is_answered: false }
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
                self.channel.late_on_main.fetch_add(1, Ordering::AcqRel);
            }
            Lane::Large | Lane::Waiting => {
                self.channel.has_late_write.store(true, Ordering::Release);
            }
        }
    }
}

impl Connections {
    fn close(&self) {
        self.main.close();
        self.large.close();
        self.waiting.close();
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.close();
    }
}

/// The first error among the answers.
pub(crate) fn first_error(answers: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    answers.into_iter().map(Value::extract_error).collect()
}
