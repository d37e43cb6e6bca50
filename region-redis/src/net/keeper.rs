//! The task that keeps a link's connections.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::error::{Concerns, Failure, within};
use crate::net::connections::Connections;
use crate::net::identity::Pulse;
use crate::net::link::{Shared, State};
use crate::net::locator::Target;
use crate::net::role::Upkeep;
use crate::net::state::Event;
use crate::protocol::reply::time_of;
use crate::random;

/// After connections that fail sooner than this the next attempt waits longer.
const STEADY: Duration = Duration::from_secs(1);

/// Connects, watches the connections, and connects again: one attempt at a time, with backoff.
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
                Ok(connections) => {
                    self.shared.change(Event::Opened(Arc::clone(&connections)));
                    self.shared.outage.end(&self.shared.target());
                    self.watch_over(&connections).await;
                    self.shared.role.disconnected();
                }
                Err(failure) => {
                    self.shared.stats.note_error(&failure.error);
                    self.shared.outage.note(&self.shared.target(), &failure.error);
                    self.shared.origin.locator.doubt(&failure.error);
                    self.shared.change(Event::Failed(failure.error));
                }
            }
            if self.shared.to_renew.lock().is_some() {
                continue;
            }
            if began.elapsed() >= STEADY && self.shared.is_connecting() {
                self.attempt = 0;
                let backoff = self.shared.origin.settings.backoff;
                let delay = random::draw(|mut rng| backoff.first_delay(&mut rng));
                self.wait(delay).await;
            } else {
                self.back_off().await;
            }
        }
    }

    /// Waits for the next delay of the backoff. Calls fail meanwhile.
    async fn back_off(&mut self) {
        let why = "drops its connections again and again";
        let error = Failure::unavailable(&self.shared.target(), why).error;
        self.shared.change(Event::BackingOff(error));
        let backoff = self.shared.origin.settings.backoff;
        let delay = random::draw(|mut rng| backoff.delay(self.attempt, &mut rng));
        self.attempt = self.attempt.saturating_add(1);
        self.wait(delay).await;
    }

    /// Waits before the next attempt, less long if another server has been found.
    async fn wait(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let relocated = self.shared.relocated.notified();
        if tokio::time::timeout_at(until, relocated).await.is_ok() {
            // Others have heard of it in the same moment.
            let backoff = self.shared.origin.settings.backoff;
            let delay = random::draw(|mut rng| backoff.first_delay(&mut rng));
            tokio::time::sleep_until(until.min(Instant::now() + delay)).await;
        }
    }

    /// Opens and prepares connections.
    async fn establish(&self) -> Result<Arc<Connections>, Failure> {
        let shared = &self.shared;
        let to_renew = shared.to_renew.lock().take().filter(|connections| !connections.is_closed());
        let mut connections = match to_renew {
            Some(connections) => connections.with_new_count(),
            None => {
                shared.stats.connects.fetch_add(1, Ordering::Relaxed);
                within(shared.origin.settings.connect, self.open(), || shared.target()).await?
            }
        };
        if let Err(failure) = self.prepare(&mut connections).await {
            connections.close();
            return Err(failure);
        }
        Ok(Arc::new(connections))
    }

    /// Opens connections to the server that is to be called now.
    async fn open(&self) -> Result<Connections, Failure> {
        let server = self.shared.origin.locator.locate().await?;
        self.shared.set_target(Target::Server(Arc::clone(&server)));
        Connections::open(&self.shared.origin, server).await
    }

    /// Prepares connections. That may take long, for all recent changes may have to be repeated: calls do
    /// not wait for all of it.
    async fn prepare(&self, connections: &mut Connections) -> Result<(), Failure> {
        let shared = &self.shared;
        let (server, settings) = (Arc::clone(&connections.server), &shared.origin.settings);
        let mut preparing = pin!(shared.role.prepare(settings, connections));
        tokio::select! {
            biased;
            prepared = &mut preparing => return prepared,
            () = tokio::time::sleep(settings.connect) => {}
        }
        let why = "is still being told again what it has missed";
        shared.change(Event::BackingOff(Failure::unavailable(&*server, why).error));
        preparing.await
    }

    /// Watches the connections. Returns when they must be replaced.
    async fn watch_over(&mut self, connections: &Arc<Connections>) {
        let shared = &self.shared;
        loop {
            if !shared.is_present(connections) {
                return;
            }
            if connections.is_closed() {
                let server = &*connections.server;
                shared.lose(
                    connections,
                    &Failure::unavailable(server, "has closed the connection").error,
                );
                return;
            }
            if connections.has_late_write() {
                shared.renew_count(connections);
                return;
            }
            // A write whose caller is gone may have told it.
            if connections.counted.has_lost() {
                shared.distrust(connections);
                return;
            }
            match self.ask(connections).await {
                Ok(upkeep) => {
                    self.attempt = self.attempt.saturating_sub(1);
                    match upkeep {
                        Upkeep::Done => {}
                        Upkeep::Writable => return shared.renew_count(connections),
                        Upkeep::Lost => return shared.distrust(connections),
                    }
                }
                Err(failure) if failure.concerns != Concerns::Call => {
                    shared.give_up(connections, failure.error);
                    return;
                }
                Err(failure) => {
                    tracing::debug!(server = %connections.server, error = %failure.error, "no pulse");
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(shared.origin.settings.watch) => {}
                () = shared.trouble.notified() => {}
            }
        }
    }

    /// Asks for a sign of life. A silent connection counts as broken.
    async fn ask(&self, connections: &Connections) -> Result<Upkeep, Failure> {
        let shared = &self.shared;
        let (server, settings) = (&*connections.server, &shared.origin.settings);
        let mut commands = Pipeline::with_capacity(5);
        commands.cmd("TIME");
        commands.cmd("ROLE");
        commands.cmd("INFO").arg("replication");
        let slot = shared.origin.place.slot_command();
        let asks_for_slot = slot.is_some();
        let upkeep = shared.role.upkeep_command(connections, settings);
        let commands = slot.into_iter().chain(upkeep).fold(commands, |mut commands, further| {
            commands.add_command(further);
            commands
        });
        let (asked, late) = (Instant::now(), connections.late_on_main());
        let asking = connections.main().send_while_alive(server, &commands, settings.silence);
        let mut answers = asking.await?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        connections.settle_on_main(late);
        let (time, role, info) = (next(), next(), next());
        let (slot, upkeep) = (if asks_for_slot { next() } else { Value::Nil }, next());
        if let Value::ServerError(error) = slot {
            let failure = Failure::server_error(server, &error);
            if failure.concerns != Concerns::Call {
                return Err(failure);
            }
        }
        if let Some(time) = time_of(&time) {
            shared.role.note_time(time, asked);
        }
        let pulse = Pulse::parse(server, role, &info)?;
        shared.role.note_pulse(server, &pulse, asked)?;
        if !shared.role.is_current(settings.max_lag) {
            connections.distrust();
        }
        Ok(shared.role.read_upkeep_reply(connections, &upkeep))
    }
}

impl Drop for Keeper {
    /// Without its keeper a link cannot be used: the store has ended, or the runtime it was made on.
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Shared {
    fn is_connecting(&self) -> bool {
        matches!(&*self.state.borrow(), State::Connecting)
    }

    fn is_present(&self, connections: &Arc<Connections>) -> bool {
        self.state.borrow().up().is_some_and(|up| Arc::ptr_eq(up, connections))
    }
}
