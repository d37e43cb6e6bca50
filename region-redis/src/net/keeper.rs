//! The task that keeps a link's connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Pipeline, Value};
use region_core::Timestamp;
use tokio::time::Instant;

use crate::error::{Failure, Verdict};
use crate::net::connection::Channel;
use crate::net::identity::Pulse;
use crate::net::link::{Shared, State};

/// How many times as long as a call the preparation of new connections may take: it may have to
/// replay a whole queue of invalidations.
const PREPARATION: u32 = 20;

/// Connections that fail sooner than this were no good: the next attempt waits longer.
const STEADY: Duration = Duration::from_secs(1);

/// Connects, watches, and connects again; one attempt at a time, further and further apart.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    attempt: u32,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, attempt: 0 }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let began = Instant::now();
            match self.establish().await {
                Ok(channel) => {
                    self.shared.state.send_replace(State::Up(Arc::clone(&channel)));
                    self.watch_over(&channel).await;
                    self.shared.duty.lost();
                }
                Err(failure) => {
                    tracing::warn!(server = %self.shared.server, error = %failure.error, "not connected");
                    self.shared.state.send_replace(State::Down(failure.error));
                }
            }
            if self.shared.forgetful.lock().is_some() {
                continue;
            }
            if began.elapsed() >= STEADY && self.shared.is_connecting() {
                self.attempt = 0;
            } else {
                self.back_off().await;
            }
        }
    }

    /// Waits; calls do not wait along with it.
    async fn back_off(&mut self) {
        if self.shared.is_connecting() {
            let why = "drops its connections again and again";
            let error = Failure::unavailable(&self.shared.server, why).error;
            self.shared.state.send_replace(State::Down(error));
        }
        let delay = self.shared.settings.backoff.delay(self.attempt, &mut rand::rng());
        self.attempt = self.attempt.saturating_add(1);
        tokio::time::sleep(delay).await;
    }

    /// Opens connections and makes them fit for use.
    async fn establish(&self) -> Result<Arc<Channel>, Failure> {
        let shared = &self.shared;
        let forgetful = shared.forgetful.lock().take().filter(|channel| !channel.is_closed());
        let mut channel = match forgetful {
            Some(channel) => channel.renumbered(),
            None => {
                shared.stats.connects.fetch_add(1, Ordering::Relaxed);
                let opening = Channel::open(&shared.server, &shared.settings, &shared.pushes);
                within(shared, shared.settings.connect, opening).await?
            }
        };
        let limit = shared.settings.call * PREPARATION;
        let prepared =
            within(shared, limit, shared.duty.prepare(&shared.server, &mut channel)).await;
        if let Err(failure) = prepared {
            channel.close();
            return Err(failure);
        }
        Ok(Arc::new(channel))
    }

    /// Returns when the channel is of no use any more.
    async fn watch_over(&mut self, channel: &Arc<Channel>) {
        let shared = &self.shared;
        loop {
            if !shared.is_present(channel) {
                return;
            }
            if channel.is_closed() {
                shared.give_up(channel, State::Connecting);
                return;
            }
            match self.ask(channel).await {
                Ok(()) => self.attempt = self.attempt.saturating_sub(1),
                Err(failure) if failure.verdict == Verdict::Broken => {
                    tracing::warn!(server = %shared.server, error = %failure.error, "connections dropped");
                    shared.give_up(channel, State::Down(failure.error));
                    return;
                }
                Err(failure) => {
                    tracing::debug!(server = %shared.server, error = %failure.error, "no pulse");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(shared.settings.watch) => {}
                () = shared.trouble.notified() => {}
            }
        }
    }

    /// Asks for a sign of life. Silence is as good as a broken connection.
    async fn ask(&self, channel: &Channel) -> Result<(), Failure> {
        let shared = &self.shared;
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("TIME");
        commands.cmd("ROLE");
        let asked = Instant::now();
        let asking = async {
            let answers = channel.send_unbounded(&commands).await;
            answers.map_err(|error| Failure::client(&shared.server, error))
        };
        let mut answers = within(shared, shared.settings.silence, asking).await?;
        let role = answers.pop().unwrap_or_default();
        if let Some(time) = answers.pop().and_then(|time| time_of(&time)) {
            shared.duty.note_time(time, asked);
        }
        let pulse = Pulse::parse(&shared.server, role)?;
        shared.duty.note(&shared.server, pulse, asked)
    }
}

async fn within<T>(
    shared: &Shared,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => {
            let why = format!("has not answered within {limit:?}");
            Err(Failure::unavailable(&shared.server, &why))
        }
    }
}

/// Reads the answer to `TIME`.
pub(crate) fn time_of(answer: &Value) -> Option<Timestamp> {
    let Value::Array(parts) = answer else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    let [seconds, micros] = parts.as_slice() else { return None };
    let millis = number(seconds)?.checked_mul(1000)?.checked_add(number(micros)? / 1000)?;
    Some(Timestamp::from_millis(millis))
}

impl Shared {
    fn is_connecting(&self) -> bool {
        matches!(&*self.state.borrow(), State::Connecting)
    }

    fn is_present(&self, channel: &Arc<Channel>) -> bool {
        matches!(&*self.state.borrow(), State::Up(up) if Arc::ptr_eq(up, channel))
    }
}
