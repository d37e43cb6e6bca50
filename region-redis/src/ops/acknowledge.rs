//! Waiting until replicas have a change.

use std::time::Duration;

use redis::{Pipeline, Value};
use region_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::link::Response;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::protocol::prepare::{Refreshed, refresh};
use crate::protocol::reply::{Replies, number};
use crate::session::acknowledgements::Round;
use crate::session::recovery::count_lifetime;
use crate::settings::{LONGEST_BLOCK, LONGEST_WAIT};
use crate::topology::shard::Shard;

/// The delay before replicas are asked again after that has failed.
const PAUSE: Duration = Duration::from_millis(10);

impl Shard {
    /// Waits until `replicas` replicas have all that was answered before this call, for at most `within`.
    /// Returns the number of replicas that are known to have it.
    pub(crate) async fn wait_for_replicas(&self, replicas: u32, within: Duration) -> Result<u32> {
        let until = Instant::now() + within.min(LONGEST_WAIT);
        let all = &self.acknowledgements;
        let mut rounds = all.rounds();
        let mut waiter = all.join(replicas);
        let mut last_error = None;
        loop {
            let is_enough = waiter.note(&rounds.borrow_and_update());
            if is_enough || Instant::now() >= until {
                break;
            }
            let mut turn = tokio::select! {
                biased;
                _ = rounds.changed() => continue,
                turn = all.turn() => turn,
                () = tokio::time::sleep_until(until) => break,
            };
            *turn += 1;
            match self.ask_replicas(all.to_ask_for(*turn), until).await {
                Ok(round) => all.publish(round),
                Err(error) if error.can_retry() => {
                    last_error = Some(error);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    last_error = Some(error);
                    break;
                }
            }
        }
        match (waiter.reached, last_error) {
            (Some(reached), _) => Ok(reached),
            (None, Some(error)) => {
                let message = "done, but it is not known whether replicas have it";
                Err(Error::new(ErrorKind::Unavailable, message).with_source(error))
            }
            (None, None) => Ok(0),
        }
    }

    /// Asks for the offsets of the replicas.
    async fn ask_replicas(&self, replicas: u32, until: Instant) -> Result<Round> {
        let left = until.saturating_duration_since(Instant::now());
        // Zero would be without a limit.
        let limit = left.min(LONGEST_BLOCK).as_millis().max(1).to_string();
        let covers = self.acknowledgements.last_ticket();
        let request = |connections: &Connections| {
            let mut commands = Pipeline::with_capacity(4);
            // WAIT makes the replicas report their offsets only if they lack a write of its own connection, so
            // there has to be one. ROLE shows the offset after it, and later those of the replicas.
            let lifetime = count_lifetime(&self.settings);
            let (names, count) = (connections.count_names(), &connections.count_key);
            commands.add_command(refresh::<&str>(names, count, &[], lifetime));
            commands.cmd("ROLE");
            commands.cmd("WAIT").arg(replicas).arg(&limit);
            commands.cmd("ROLE");
            Request::new(commands, Lane::Waiting, Tracking::No, Retry::Safe)
        };
        let Response { values, connections, .. } =
            self.primary.call(self.deadline(), request).await?;
        let mut replies = Replies::new(&connections.server, values);
        let refreshed = Refreshed::parse(&replies.next()?).ok_or_else(|| replies.unexpected())?;
        if refreshed == Refreshed::Lost {
            // Nothing was written: the server has lost the count, and perhaps other keys.
            self.distrust(&connections);
            return Err(self.lost_writes());
        }
        let before = replies.list()?;
        replies.number()?;
        let after = replies.list()?;
        let offset = before.get(1).and_then(number).ok_or_else(|| replies.unexpected())?;
        let acknowledged = acknowledged(&after).ok_or_else(|| replies.unexpected())?;
        Ok(Round { covers, count_id: connections.count_id, offset, acknowledged })
    }
}

/// The offsets that the replicas in an answer to `ROLE` have acknowledged.
pub(crate) fn acknowledged(role: &[Value]) -> Option<Vec<u64>> {
    let Value::Array(replicas) = role.get(2)? else { return None };
    let offset = |replica: &Value| match replica {
        Value::Array(fields) => number(fields.get(2)?),
        _ => None,
    };
    replicas.iter().map(offset).collect()
}
