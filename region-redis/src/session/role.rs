//! What a server is there for, and what follows for its connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connection::Channel;
use crate::net::identity::{Pulse, Role};
use crate::server::Server;
use crate::session::clock::PrimaryClock;
use crate::session::recovery::Recovery;
use crate::settings::Settings;

/// How many signs of life of the primary are compared with those of replicas.
const SIGHTINGS: usize = 1024;

/// What a server is there for.
pub(crate) enum Duty {
    /// All writes, and reads that have to see everything.
    Primary { recovery: Arc<Recovery>, primary: Arc<Sightings> },
    /// Reads that may be a little behind.
    Replica { primary: Arc<Sightings>, up_to: Mutex<Option<Instant>> },
}

/// What was seen of the primary, and when.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    /// Moments at which the primary's history was at least so long.
    offsets: Mutex<VecDeque<(Instant, u64)>>,
    pub(crate) clock: PrimaryClock,
}

impl Sightings {
    fn note(&self, asked: Instant, offset: u64) {
        let mut offsets = self.offsets.lock();
        if offsets.len() == SIGHTINGS {
            offsets.pop_front();
        }
        // A shorter history is another one.
        if offsets.back().is_some_and(|(_, last)| *last > offset) {
            offsets.clear();
        }
        offsets.push_back((asked, offset));
    }

    /// The last moment whose history has no more than `offset`.
    fn moment_of(&self, offset: u64) -> Option<Instant> {
        let offsets = self.offsets.lock();
        offsets.iter().rev().find(|(_, had)| *had <= offset).map(|(at, _)| *at)
    }
}

impl Duty {
    /// Makes a new channel fit for use, in steps none of which takes longer than `limit`.
    pub(crate) async fn prepare(
        &self,
        server: &Server,
        channel: &mut Channel,
        limit: Duration,
    ) -> Result<(), Failure> {
        match self {
            Self::Primary { recovery, .. } => {
                channel.identity.check_primary(server)?;
                recovery.run(server, channel, limit).await
            }
            Self::Replica { .. } => Ok(()),
        }
    }

    /// How many queued invalidations a channel has to have replayed to be used.
    pub(crate) fn to_replay(&self) -> u64 {
        match self {
            Self::Primary { recovery, .. } => recovery.queued(),
            // Whether a replica may be read at all is decided before it is called.
            Self::Replica { .. } => 0,
        }
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
        pulse: Pulse,
        asked: Instant,
    ) -> Result<(), Failure> {
        match (self, pulse.role) {
            (Self::Primary { .. }, Role::Replica) => {
                Err(Failure::unavailable(server, "has become a replica"))
            }
            (Self::Primary { primary, .. }, Role::Primary) => {
                primary.note(asked, pulse.offset);
                Ok(())
            }
            (Self::Replica { up_to, .. }, Role::Primary) => {
                *up_to.lock() = None;
                Ok(())
            }
            (Self::Replica { primary, up_to }, Role::Replica) => {
                let moment = primary.moment_of(pulse.offset).filter(|_| pulse.is_following);
                if let Some(moment) = moment {
                    *up_to.lock() = Some(moment);
                }
                Ok(())
            }
        }
    }

    /// Whether a replica is known to have all that is older than the bound on its lag.
    pub(crate) fn is_recent(&self, settings: &Settings) -> bool {
        match self {
            Self::Primary { .. } => true,
            Self::Replica { up_to, .. } => {
                up_to.lock().is_some_and(|moment| moment.elapsed() <= settings.max_lag)
            }
        }
    }

    /// Forgets what was known of the server behind connections that are gone.
    pub(crate) fn lost(&self) {
        match self {
            Self::Primary { primary, .. } => primary.clock.forget(),
            Self::Replica { up_to, .. } => *up_to.lock() = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_replica_is_as_recent_as_what_it_has() {
        let sightings = Sightings::default();
        assert_eq!(sightings.moment_of(100), None);
        let first = Instant::now();
        sightings.note(first, 100);
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = Instant::now();
        sightings.note(second, 200);
        assert_eq!(sightings.moment_of(99), None);
        assert_eq!(sightings.moment_of(199), Some(first));
        assert_eq!(sightings.moment_of(200), Some(second));
    }

    #[tokio::test(start_paused = true)]
    async fn another_history_is_not_compared() {
        let sightings = Sightings::default();
        sightings.note(Instant::now(), 100);
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = Instant::now();
        sightings.note(second, 50);
        assert_eq!(sightings.moment_of(100), Some(second));
        assert_eq!(sightings.moment_of(49), None);
    }
}
