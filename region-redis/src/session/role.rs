//! The roles that servers have for a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connections::Connections;
use crate::net::identity::{Pulse, ReportedRole};
use crate::net::role::{Role, Upkeep};
use crate::protocol::prepare::{Counts, Refreshed, forget, prepare, refresh};
use crate::server::Server;
use crate::session::lag::{PrimaryProgress, ReplicaProgress};
use crate::session::recovery::{Recovery, count_lifetime};
use crate::settings::Settings;

/// Takes all writes, and reads that have to see everything.
pub(crate) struct PrimaryRole {
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) progress: Arc<PrimaryProgress>,
}

/// Answers reads that may be a little behind.
pub(crate) struct ReplicaRole {
    pub(crate) primary: Arc<PrimaryProgress>,
    pub(crate) progress: Arc<ReplicaProgress>,
}

#[async_trait]
impl Role for PrimaryRole {
    async fn prepare(
        &self,
        settings: &Settings,
        connections: &mut Connections,
    ) -> Result<(), Failure> {
        connections.identity.check_primary(&connections.server)?;
        self.recovery.prepare(settings, connections).await
    }

    fn to_replay(&self) -> u64 {
        self.recovery.queued()
    }

    fn distrust(&self) {
        self.recovery.distrust();
    }

    fn upkeep_command(&self, connections: &Connections, settings: &Settings) -> Option<Cmd> {
        let lifetime = count_lifetime(settings);
        if connections.is_read_only() {
            let none: [&str; 0] = [];
            return Some(prepare(
                connections.count_names(),
                self.recovery.probe(),
                None,
                &none,
                lifetime,
            ));
        }
        let overdue = self.recovery.overdue();
        let is_due = connections.count_needs_refresh(lifetime / 4) || !overdue.is_empty();
        is_due
            .then(|| refresh(connections.count_names(), &connections.count_key, &overdue, lifetime))
    }

    fn read_upkeep_reply(&self, connections: &Connections, answer: &Value) -> Upkeep {
        if connections.is_read_only() {
            return Counts::parse(answer).map_or(Upkeep::Done, |_| Upkeep::Writable);
        }
        match Refreshed::parse(answer) {
            Some(Refreshed::Kept { overdue }) => {
                self.recovery.note_overdue(overdue);
                connections.count_refreshed();
                Upkeep::Done
            }
            Some(Refreshed::Lost) => Upkeep::Lost,
            None => Upkeep::Done,
        }
    }

    fn cleanup_commands(&self) -> Option<[Cmd; 2]> {
        Some(forget(self.recovery.count_names(), &self.recovery.used_counts()))
    }

    fn note_time(&self, time: Timestamp, asked: Instant) {
        self.progress.clock.note(time, asked);
    }

    fn note_pulse(&self, server: &Server, pulse: &Pulse, asked: Instant) -> Result<(), Failure> {
        if pulse.role == ReportedRole::Replica {
            return Err(Failure::unavailable(server, "has become a replica"));
        }
        pulse.position.iter().for_each(|position| self.progress.note(asked, position));
        Ok(())
    }

    fn disconnected(&self) {
        self.progress.clock.forget();
    }
}

/// A replica is not called at all while invalidations are queued, so it has none to replay.
impl Role for ReplicaRole {
    fn note_pulse(&self, _: &Server, pulse: &Pulse, _: Instant) -> Result<(), Failure> {
        match pulse.role {
            ReportedRole::Primary => self.progress.forget(),
            ReportedRole::Replica => {
                let position = pulse.position.iter().filter(|_| pulse.is_following);
                position.for_each(|position| self.progress.note(&self.primary, position));
            }
        }
        Ok(())
    }

    fn is_current(&self, max_lag: Duration) -> bool {
        self.progress.is_within(&self.primary, max_lag)
    }

    fn disconnected(&self) {
        self.progress.forget();
    }
}
