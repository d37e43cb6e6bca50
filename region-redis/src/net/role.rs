//! The role of a server.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connections::Connections;
use crate::net::identity::Pulse;
use crate::server::Server;
use crate::settings::Settings;

/// The role of a server for the store: primary or replica. A link asks it for the commands to send, and
/// passes it the answers. The default methods do nothing, as for a server that takes no writes.
#[async_trait]
pub(crate) trait Role: Send + Sync {
    /// Prepares new connections before they are used, in steps with a limit of time each. It may be dropped
    /// at any step.
    async fn prepare(
        &self,
        _settings: &Settings,
        _connections: &mut Connections,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the number of queued invalidations that connections must have replayed to be used.
    fn to_replay(&self) -> u64 {
        0
    }

    /// Notes that the server has lost writes.
    fn distrust(&self) {}

    /// Returns the command that keeps the connections' count of writes alive, or asks whether the server
    /// takes writes again; `None` if there is nothing to do at present.
    fn upkeep_command(&self, _connections: &Connections, _settings: &Settings) -> Option<Cmd> {
        None
    }

    /// Reads the answer to the upkeep command.
    fn read_upkeep_reply(&self, _connections: &Connections, _answer: &Value) -> Upkeep {
        Upkeep::Done
    }

    /// Returns the commands that delete the counts of this process from the server.
    fn cleanup_commands(&self) -> Option<[Cmd; 2]> {
        None
    }

    /// Notes the time that the server's clock showed at some moment after `asked`.
    fn note_time(&self, _time: Timestamp, _asked: Instant) {}

    /// Notes a sign of life that was asked for at `asked`.
    ///
    /// # Errors
    /// When the server does not have this role any more.
    fn note_pulse(&self, server: &Server, pulse: &Pulse, asked: Instant) -> Result<(), Failure>;

    /// Returns whether the server has all changes but those of the last `max_lag`, and so pushes them.
    fn is_current(&self, _max_lag: Duration) -> bool {
        true
    }

    /// Forgets the state of the server, for its connections are gone.
    fn disconnected(&self);
}

/// The result of an [upkeep command](Role::upkeep_command).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// The connections can be used as they are.
    Done,
    /// The server takes writes again: the connections have to be prepared for them.
    Writable,
    /// The server has lost writes of these connections.
    Lost,
}
