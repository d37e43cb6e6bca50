//! The part that a server plays, and what follows for its connections.

use std::sync::Arc;

use redis::{Cmd, Value};
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connection::Channel;
use crate::net::identity::{Pulse, ReportedRole};
use crate::protocol::prepare::{Counts, Refreshed, forget, prepare, refresh};
use crate::server::Server;
use crate::session::lag::{PrimaryProgress, ReplicaProgress};
use crate::session::recovery::{Recovery, count_lifetime};
use crate::settings::Settings;

/// The part that a server plays.
pub(crate) enum Role {
    /// All writes, and reads that have to see everything.
    Primary { recovery: Arc<Recovery>, primary: Arc<PrimaryProgress> },
    /// Reads that may be a little behind.
    Replica { primary: Arc<PrimaryProgress>, progress: ReplicaProgress },
}

/// What the answer to an [upkeep](Role::upkeep) command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// The channel can be used as it is.
    Done,
    /// The server takes writes again: the channel has to be prepared for them.
    Writable,
    /// The server has lost what was written over the channel.
    Lost,
}

impl Role {
    /// Makes a new channel fit for use, in steps of bounded time each.
    pub(crate) async fn prepare(
        &self,
        server: &Server,
        settings: &Settings,
        channel: &mut Channel,
    ) -> Result<(), Failure> {
        match self {
            Self::Primary { recovery, .. } => {
                channel.identity.check_primary(server)?;
                recovery.run(server, settings, channel).await
            }
            Self::Replica { .. } => Ok(()),
        }
    }

    /// How many queued invalidations a channel has to have replayed to be used.
    pub(crate) fn to_replay(&self) -> u64 {
        match self {
            Self::Primary { recovery, .. } => recovery.queued(),
            // A replica is not called at all while something is queued.
            Self::Replica { .. } => 0,
        }
    }

    /// Notes that the server has lost what was written to it.
    pub(crate) fn distrust(&self) {
        if let Self::Primary { recovery, .. } = self {
            recovery.distrust();
        }
    }

    /// The command that keeps a channel's count of writes alive, or asks whether the server takes
    /// writes again; `None` if there is nothing to do at present.
    pub(crate) fn upkeep(&self, channel: &Channel, settings: &Settings) -> Option<Cmd> {
        let Self::Primary { recovery, .. } = self else { return None };
        let lifetime = count_lifetime(settings);
        if channel.is_read_only() {
            let none: [&str; 0] = [];
            return Some(prepare(recovery.probe(), &none, lifetime));
        }
        let overdue = recovery.overdue();
        let is_due = channel.count_needs_refresh(lifetime / 4) || !overdue.is_empty();
        is_due.then(|| refresh(&channel.count, &overdue, lifetime))
    }

    /// What the answer to the upkeep command says.
    pub(crate) fn upkept(&self, channel: &Channel, answer: &Value) -> Upkeep {
        let Self::Primary { recovery, .. } = self else { return Upkeep::Done };
        if channel.is_read_only() {
            return Counts::parse(answer).map_or(Upkeep::Done, |_| Upkeep::Writable);
        }
        match Refreshed::parse(answer) {
            Some(Refreshed::Kept { overdue }) => {
                recovery.note_overdue(overdue);
                channel.count_refreshed();
                Upkeep::Done
            }
            Some(Refreshed::Lost) => Upkeep::Lost,
            None => Upkeep::Done,
        }
    }

    /// The commands that take back what keeping connections has left on the server.
    pub(crate) fn farewell(&self) -> Option<[Cmd; 2]> {
        let Self::Primary { recovery, .. } = self else { return None };
        Some(forget(&recovery.used_counts()))
    }

    /// Takes note of what a server's clock shows.
    pub(crate) fn note_time(&self, time: Timestamp, asked: Instant) {
        if let Self::Primary { primary, .. } = self {
            primary.clock.note(time, asked);
        }
    }

    /// Takes note of a sign of life that was asked for at `asked`.
    pub(crate) fn note(
        &self,
        server: &Server,
        pulse: &Pulse,
        asked: Instant,
    ) -> Result<(), Failure> {
        match (self, pulse.role) {
            (Self::Primary { .. }, ReportedRole::Replica) => {
                Err(Failure::unavailable(server, "has become a replica"))
            }
            (Self::Primary { primary, .. }, ReportedRole::Primary) => {
                pulse.position.iter().for_each(|position| primary.note(asked, position));
                Ok(())
            }
            (Self::Replica { progress, .. }, ReportedRole::Primary) => {
                progress.forget();
                Ok(())
            }
            (Self::Replica { primary, progress }, ReportedRole::Replica) => {
                let position = pulse.position.iter().filter(|_| pulse.is_following);
                position.for_each(|position| progress.note(primary, position));
                Ok(())
            }
        }
    }

    /// Whether a replica is known to have all that is older than the bound on its lag.
    pub(crate) fn is_recent(&self, settings: &Settings) -> bool {
        match self {
            Self::Primary { .. } => true,
            Self::Replica { primary, progress } => progress.is_within(primary, settings.max_lag),
        }
    }

    /// Forgets what was known of the server behind connections that are gone.
    pub(crate) fn lost(&self) {
        match self {
            Self::Primary { primary, .. } => primary.clock.forget(),
            Self::Replica { progress, .. } => progress.forget(),
        }
    }
}
