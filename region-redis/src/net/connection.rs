//! The connections to one server, from when they were opened until they fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Pipeline, RedisError, RedisResult, Value};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::identity::Identity;
use crate::net::pushes::Pushes;
use crate::net::transport::Wire;
use crate::protocol::commands::Count;
use crate::protocol::layout;
use crate::server::Server;
use crate::settings::Settings;

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
    /// For what is so large that others should not wait behind it.
    Large,
    /// For what waits on the server.
    Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    Read,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Harmless,
    Unsafe,
}

/// The connections. Clones of the same connections may carry different numbers.
pub(crate) struct Channel {
    /// Names the count of the writes that are sent over this channel.
    pub(crate) number: u128,
    /// The name of that count.
    pub(crate) count: String,
    /// How many invalidations had been queued when the last of them was done over this channel.
    pub(crate) replayed: u64,
    pub(crate) identity: Identity,
    wires: Arc<Wires>,
}

struct Wires {
    main: Wire,
    /// The others are opened when they are needed.
    large: OnceCell<Wire>,
    waiting: OnceCell<Wire>,
    is_closed: AtomicBool,
}

impl Channel {
    pub(crate) async fn open(
        server: &Server,
        settings: &Settings,
        pushes: &Arc<Pushes>,
    ) -> Result<Self, Failure> {
        let main = Wire::open(server, pushes).await?;
        let identity = Identity::ask(server, settings, &main).await?;
        let wires = Wires {
            main,
            large: OnceCell::new(),
            waiting: OnceCell::new(),
            is_closed: AtomicBool::new(false),
        };
        Ok(Self::numbered(identity, Arc::new(wires)))
    }

    /// The same connections under a new number.
    pub(crate) fn renumbered(&self) -> Self {
        Self::numbered(self.identity.clone(), Arc::clone(&self.wires))
    }

    fn numbered(identity: Identity, wires: Arc<Wires>) -> Self {
        let number = rand::random();
        Self { number, count: layout::count(number), replayed: 0, identity, wires }
    }

    /// The count of the writes that are sent over this channel.
    pub(crate) fn write_count(&self) -> Count<'_> {
        Count { key: &self.count, floor: 0 }
    }

    /// Sends a request by `deadline` and gives back the answers, errors of the server among them.
    pub(crate) async fn send(
        &self,
        server: &Server,
        request: &Request,
        pushes: &Arc<Pushes>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let sending = async {
            let wires = &self.wires;
            let wire = match request.lane {
                Lane::Main => &wires.main,
                Lane::Large => self.extra(&wires.large, server, pushes).await?,
                Lane::Waiting => self.extra(&wires.waiting, server, pushes).await?,
            };
            if request.tracking == Tracking::Read {
                wire.track().await.map_err(|error| Failure::client(server, error))?;
            }
            wire.send(&request.commands).await.map_err(|error| Failure::client(server, error))
        };
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(answers) => answers,
            Err(_) => Err(Failure::silent(server)),
        }
    }

    /// Sends over the main connection, without a limit.
    pub(crate) async fn send_unbounded(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.wires.main.send(commands).await
    }

    async fn extra<'w>(
        &self,
        place: &'w OnceCell<Wire>,
        server: &Server,
        pushes: &Arc<Pushes>,
    ) -> Result<&'w Wire, Failure> {
        let wire = place.get_or_try_init(|| Wire::open(server, pushes)).await?;
        if self.wires.is_closed.load(Ordering::Acquire) {
            wire.close();
        }
        Ok(wire)
    }

    /// Ends all connections and the calls that wait for them.
    pub(crate) fn close(&self) {
        self.wires.is_closed.store(true, Ordering::Release);
        self.wires.open().for_each(Wire::close);
    }

    /// Whether a connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.wires.is_closed.load(Ordering::Acquire) || self.wires.open().any(Wire::is_closed)
    }
}

impl Wires {
    fn open(&self) -> impl Iterator<Item = &Wire> {
        std::iter::once(&self.main).chain(self.large.get()).chain(self.waiting.get())
    }
}

/// The first error among the answers.
pub(crate) fn first_error(answers: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    answers.into_iter().map(Value::extract_error).collect()
}
