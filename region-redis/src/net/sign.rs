//! Signs of life of a server.

use redis::{Pipeline, Value};
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::identity::Pulse;
use crate::protocol::reply::time_of;
use crate::server::Server;

/// The answer of a server that was asked for a sign of life at `asked`.
#[derive(Clone, Debug)]
pub(crate) struct Sign {
    pub(crate) asked: Instant,
    /// The time that the server's clock showed, at some moment after `asked`.
    pub(crate) time: Option<Timestamp>,
    pub(crate) pulse: Result<Pulse, Failure>,
}

impl Sign {
    /// The commands whose answers [`read`](Self::read) takes.
    pub(crate) fn questions() -> Pipeline {
        let mut commands = Pipeline::with_capacity(5);
        commands.cmd("TIME");
        commands.cmd("ROLE");
        commands.cmd("INFO").arg("replication");
        commands
    }

    /// Takes the answers from the first of `answers`.
    pub(crate) fn read(
        server: &Server,
        asked: Instant,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Self {
        let mut next = || answers.next().unwrap_or_default();
        let (time, role, info) = (next(), next(), next());
        let pulse = Pulse::parse(server, role, &info);
        Self { asked, time: time_of(&time), pulse }
    }
}
