//! Waiting until replicas have what was done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, Value};
use region_core::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::net::connection::{Again, Channel, Lane, Request, Tracking};
use crate::net::link::Answered;
use crate::protocol::prepare::{Refreshed, refresh};
use crate::protocol::reply::{Replies, number};
use crate::session::recovery::count_lifetime;
use crate::settings::{LONGEST_BLOCK, LONGEST_WAIT};
use crate::store::Inner;

/// How long to wait before replicas are asked for again after that has failed.
const PAUSE: Duration = Duration::from_millis(10);

/// All who wait for replicas share each `WAIT`: one of them sends it, and all see the answer. Each waits
/// for an offset of its own, which stays the same until replicas have reached it, however long that takes.
#[derive(Debug)]
pub(crate) struct Acknowledgements {
    /// Counts those who began to wait.
    tickets: AtomicU64,
    /// Held by the one that asks.
    turn: tokio::sync::Mutex<u64>,
    latest: watch::Sender<Round>,
    /// The numbers of replicas that are waited for.
    wanted: Mutex<Vec<u32>>,
}

/// What one `WAIT` has shown.
#[derive(Clone, Debug, Default)]
struct Round {
    /// The last ticket that was issued before it was sent.
    covers: u64,
    /// Names the primary's history: offsets of different channels are not compared.
    channel: u128,
    /// The primary's replication offset when it was sent: everything answered before lies below it.
    offset: u64,
    /// The offsets that the replicas have acknowledged.
    acknowledged: Vec<u64>,
}

/// One who waits, until it is dropped.
struct Waiter<'a> {
    all: &'a Acknowledgements,
    replicas: u32,
    ticket: u64,
    /// Over which channel and up to which offset replicas must have the primary's history.
    target: Option<(u128, u64)>,
    /// The number of replicas that have; `None` before the first answer.
    reached: Option<u32>,
}

impl Default for Acknowledgements {
    fn default() -> Self {
        Self {
            tickets: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(0),
            latest: watch::Sender::new(Round::default()),
            wanted: Mutex::default(),
        }
    }
}

impl Acknowledgements {
    fn join(&self, replicas: u32) -> Waiter<'_> {
        self.wanted.lock().push(replicas);
        let ticket = self.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        Waiter { all: self, replicas, ticket, target: None, reached: None }
    }

    /// The number of replicas to ask for. In turns for the least, so that who wants few need not wait
    /// for many, and for the most, so that who wants many is not passed over.
    fn to_ask_for(&self, turn: u64) -> u32 {
        let wanted = self.wanted.lock();
        let replicas =
            if turn.is_multiple_of(2) { wanted.iter().min() } else { wanted.iter().max() };
        replicas.copied().unwrap_or_default()
    }
}

impl Waiter<'_> {
    /// Takes note of an answer; whether enough replicas have what is waited for.
    fn note(&mut self, round: &Round) -> bool {
        // Over another channel this process's changes were done again if they were lost, before this.
        let is_new = self.target.is_none_or(|(channel, _)| channel != round.channel);
        if is_new && round.covers >= self.ticket {
            self.target = Some((round.channel, round.offset));
        }
        if let Some((channel, offset)) = self.target
            && channel == round.channel
        {
            let has = |acknowledged: &&u64| **acknowledged >= offset;
            let reached = round.acknowledged.iter().filter(has).count();
            self.reached = Some(u32::try_from(reached).unwrap_or(u32::MAX));
        }
        self.reached >= Some(self.replicas)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut wanted = self.all.wanted.lock();
        if let Some(at) = wanted.iter().position(|replicas| *replicas == self.replicas) {
            wanted.swap_remove(at);
        }
    }
}

impl Inner {
    /// Waits until `replicas` replicas have all that was answered before this call, for at most
    /// `within`; how many have, as far as is known.
    pub(crate) async fn wait_for_replicas(&self, replicas: u32, within: Duration) -> Result<u32> {
        let until = Instant::now() + within.min(LONGEST_WAIT);
        let all = &self.acknowledgements;
        let mut rounds = all.latest.subscribe();
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
                turn = all.turn.lock() => turn,
                () = tokio::time::sleep_until(until) => break,
            };
            *turn += 1;
            match self.ask_replicas(all.to_ask_for(*turn), until).await {
                Ok(round) => {
                    all.latest.send_replace(round);
                }
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

    /// Asks how far the replicas are.
    async fn ask_replicas(&self, replicas: u32, until: Instant) -> Result<Round> {
        let left = until.saturating_duration_since(Instant::now());
        // Zero would be without a limit.
        let limit = left.min(LONGEST_BLOCK).as_millis().max(1).to_string();
        let covers = self.acknowledgements.tickets.load(Ordering::SeqCst);
        let request = |channel: &Channel| {
            let mut commands = Pipeline::with_capacity(4);
            // WAIT makes the replicas say how far they are if they lack what was written over its own
            // connection, so something is. ROLE shows where that stands, and then what they said.
            let lifetime = count_lifetime(&self.settings);
            commands.add_command(refresh::<&str>(&channel.count, &[], lifetime));
            commands.cmd("ROLE");
            commands.cmd("WAIT").arg(replicas).arg(&limit);
            commands.cmd("ROLE");
            Request {
                commands,
                lane: Lane::Waiting,
                tracking: Tracking::No,
                again: Again::Harmless,
            }
        };
        let Answered { values, channel, .. } = self.primary.call(self.deadline(), request).await?;
        let mut replies = Replies::new(&self.primary.shared().server, values);
        let refreshed = Refreshed::parse(&replies.next()?).ok_or_else(|| replies.odd())?;
        if refreshed == Refreshed::Lost {
            // Nothing was written: the server has lost the count, and who knows what else.
            self.shows_own(&channel, (channel.number, 1), 0);
            return Err(self.forgets());
        }
        let before = replies.list()?;
        replies.number()?;
        let after = replies.list()?;
        let offset = before.get(1).and_then(number).ok_or_else(|| replies.odd())?;
        let acknowledged = acknowledged(&after).ok_or_else(|| replies.odd())?;
        Ok(Round { covers, channel: channel.number, offset, acknowledged })
    }
}

/// The offsets that the replicas in an answer to `ROLE` have acknowledged.
fn acknowledged(role: &[Value]) -> Option<Vec<u64>> {
    let Value::Array(replicas) = role.get(2)? else { return None };
    let offset = |replica: &Value| match replica {
        Value::Array(fields) => number(fields.get(2)?),
        _ => None,
    };
    replicas.iter().map(offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(covers: u64, channel: u128, offset: u64, acknowledged: &[u64]) -> Round {
        Round { covers, channel, offset, acknowledged: acknowledged.to_vec() }
    }

    #[test]
    fn an_answer_counts_for_those_who_waited_when_it_was_asked_for() {
        let all = Acknowledgements::default();
        let mut first = all.join(1);
        let mut second = all.join(2);
        assert!(first.note(&round(first.ticket, 7, 100, &[100, 100])));
        assert!(!second.note(&round(first.ticket, 7, 100, &[100, 100])));
        assert_eq!(second.reached, None);
        assert!(!second.note(&round(second.ticket, 7, 200, &[200, 199])));
        assert_eq!(second.reached, Some(1));
        assert!(second.note(&round(second.ticket, 7, 300, &[300, 200])));
    }

    /// Bug: each round waited for the offset of its own write, which no replica further away than a round
    /// takes had reached when the next round began. Effect: with such replicas every acknowledged
    /// invalidation failed. Fix: who waits keeps the offset of its first round.
    #[test]
    fn a_distant_replica_is_not_asked_for_ever_more() {
        let all = Acknowledgements::default();
        let mut waiter = all.join(1);
        assert!(!waiter.note(&round(1, 7, 100, &[40])));
        assert!(!waiter.note(&round(1, 7, 150, &[90])));
        assert!(waiter.note(&round(1, 7, 200, &[140])));
    }

    #[test]
    fn offsets_of_different_channels_are_not_compared() {
        let all = Acknowledgements::default();
        let mut waiter = all.join(1);
        assert!(!waiter.note(&round(1, 7, 100, &[40])));
        assert!(!waiter.note(&round(1, 8, 5000, &[4000])), "another history");
        assert!(waiter.note(&round(1, 8, 6000, &[5000])));
    }

    #[test]
    fn few_and_many_replicas_are_asked_for_in_turns() {
        let all = Acknowledgements::default();
        let one = all.join(1);
        let three = all.join(3);
        assert_eq!((all.to_ask_for(0), all.to_ask_for(1)), (1, 3));
        drop(one);
        assert_eq!((all.to_ask_for(0), all.to_ask_for(1)), (3, 3));
        drop(three);
        assert_eq!(all.to_ask_for(0), 0);
    }
}
