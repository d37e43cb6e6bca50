//! The part that a server plays.

use async_trait::async_trait;
use redis::{Cmd, Value};
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connections::Connections;
use crate::net::identity::Pulse;
use crate::server::Server;
use crate::settings::Settings;

/// The part that a server plays, and what follows for its connections. A link asks it what to send, and
/// tells it what the server shows. By default there is nothing to do: the server takes no writes.
#[async_trait]
pub(crate) trait Role: Send + Sync {
    /// Makes a new channel fit for use, in steps of bounded time each. It may be dropped at any step.
    async fn prepare(
        &self,
        _server: &Server,
        _settings: &Settings,
        _connections: &mut Connections,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// The number of queued invalidations that a channel must have replayed to be used.
    fn to_replay(&self) -> u64 {
        0
    }

    /// Notes that the server has lost what was written to it.
    fn distrust(&self) {}

    /// The command that keeps a channel's count of writes alive, or asks whether the server takes
    /// writes again; `None` if there is nothing to do at present.
    fn upkeep_command(&self, _connections: &Connections, _settings: &Settings) -> Option<Cmd> {
        None
    }

    /// Reads the answer to the upkeep command.
    fn read_upkeep_reply(&self, _connections: &Connections, _answer: &Value) -> Upkeep {
        Upkeep::Done
    }

    /// The commands that take back what keeping connections has left on the server.
    fn cleanup_commands(&self) -> Option<[Cmd; 2]> {
        None
    }

    /// Takes note of what the server's clock showed at some moment after `asked`.
    fn note_time(&self, _time: Timestamp, _asked: Instant) {}

    /// Takes note of a sign of life that was asked for at `asked`.
    ///
    /// # Errors
    /// When the server does not play this part any more.
    fn note_pulse(&self, server: &Server, pulse: &Pulse, asked: Instant) -> Result<(), Failure>;

    /// Forgets what was known of the server behind connections that are gone.
    fn disconnected(&self);
}

/// What the answer to an [upkeep](Role::upkeep_command) command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// The channel can be used as it is.
    Done,
    /// The server takes writes again: the channel has to be prepared for them.
    Writable,
    /// The server has lost what was written over the channel.
    Lost,
}
