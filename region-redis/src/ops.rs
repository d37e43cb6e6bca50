//! The operations of the store, a file for each.

use redis::Pipeline;
use tokio::time::Instant;

use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::topology::shard::Shard;

pub(crate) mod above;
pub(crate) mod acknowledge;
pub(crate) mod ask;
pub(crate) mod begin;
pub(crate) mod children;
pub(crate) mod confirm;
pub(crate) mod end;
pub(crate) mod home;
pub(crate) mod read;
pub(crate) mod reclaim;
pub(crate) mod release;
pub(crate) mod scan;
pub(crate) mod write;

impl Shard {
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline_from(None)
    }

    /// Returns the deadline of a call in an operation that began at `started`, or begins now.
    pub(crate) fn deadline_from(&self, started: Option<Instant>) -> Instant {
        started.unwrap_or_else(Instant::now) + self.settings.call
    }
}

fn one(command: redis::Cmd, lane: Lane, retry: Retry) -> Request {
    let mut commands = Pipeline::with_capacity(1);
    commands.add_command(command);
    Request::new(commands, lane, Tracking::No, retry)
}
