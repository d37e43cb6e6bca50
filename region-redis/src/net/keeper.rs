//! The task that keeps a link's connections.

mod sharing;

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Concerns, Failure, within};
use crate::net::connections::Connections;
use crate::net::link::{Shared, State};
use crate::net::locator::Target;
use crate::net::membership::Membership;
use crate::net::node::{Node, NodeUser};
use crate::net::origin::Origin;
use crate::net::role::Upkeep;
use crate::net::sign::Sign;
use crate::net::state::Event;
use crate::net::transports::Transports;
use crate::random;

/// After connections that fail sooner than this the next attempt waits longer.
const STEADY: Duration = Duration::from_secs(1);

/// Connects, watches the connections, and connects again: one attempt at a time, with backoff.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    attempt: u32,
    /// The node that was located last, if its connections are shared. It is kept between two attempts: all who wait
    /// for it share these.
    node: Option<Arc<Node>>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, attempt: 0, node: None }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let began = Instant::now();
            match self.establish().await {
                Ok(connections) => {
                    self.shared.change(Event::Opened(Arc::clone(&connections)));
                    self.shared.outage.end(&self.shared.target());
                    match connections.membership().node() {
                        Some(node) => self.share(node, &connections).await,
                        None => self.watch_over(&connections).await,
                    }
                    self.shared.role.disconnected();
                }
                Err(failure) => {
                    self.shared.stats.note_error(&failure.error);
                    self.shared.outage.note(&self.shared.target(), &failure.error);
                    if self.is_news() {
                        self.shared.origin.locator.doubt(&failure.error);
                    }
                    self.shared.change(Event::Failed(failure.error));
                }
            }
            if self.shared.to_renew.lock().is_some() {
                continue;
            }
            if began.elapsed() >= STEADY && self.shared.is_connecting() {
                self.attempt = 0;
                let backoff = self.shared.origin.dialer.settings.backoff;
                let delay = random::draw(|mut rng| backoff.first_delay(&mut rng));
                self.wait(delay).await;
            } else {
                self.back_off().await;
            }
        }
    }

    /// Returns whether others do not know yet that the node cannot be reached.
    fn is_news(&self) -> bool {
        let absent = self.node.as_ref().filter(|node| !node.is_open());
        absent.is_none_or(|node| node.has_failed_anew())
    }

    /// Waits for the next delay of the backoff. Calls fail meanwhile.
    async fn back_off(&mut self) {
        let why = "drops its connections soon after they are opened";
        let error = Failure::unavailable(&self.shared.target(), why).error;
        self.shared.change(Event::BackingOff(error));
        let backoff = self.shared.origin.dialer.settings.backoff;
        let delay = random::draw(|mut rng| backoff.delay(self.attempt, &mut rng));
        self.attempt = self.attempt.saturating_add(1);
        self.wait(delay).await;
    }

    /// Waits before the next attempt, less long if another server has been found, or the node is there again.
    async fn wait(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let absent = self.node.as_ref().filter(|node| !node.is_open());
        let changed = async {
            match absent {
                Some(node) => tokio::select! {
                    biased;
                    () = self.shared.relocated.notified() => {}
                    () = node.opened() => {}
                },
                None => self.shared.relocated.notified().await,
            }
        };
        if tokio::time::timeout_at(until, changed).await.is_ok() {
            // Others have heard of it in the same moment.
            let backoff = self.shared.origin.dialer.settings.backoff;
            let delay = random::draw(|mut rng| backoff.first_delay(&mut rng));
            tokio::time::sleep_until(until.min(Instant::now() + delay)).await;
        }
    }

    /// Opens and prepares connections.
    async fn establish(&mut self) -> Result<Arc<Connections>, Failure> {
        let shared = Arc::clone(&self.shared);
        let to_renew = shared.to_renew.lock().take().filter(|connections| !connections.is_closed());
        let mut connections = match to_renew {
            Some(connections) => connections.with_new_count(),
            None => {
                within(shared.origin.dialer.settings.connect, self.open(), || shared.target())
                    .await?
            }
        };
        if let Err(failure) = self.prepare(&mut connections).await {
            connections.close();
            return Err(failure);
        }
        Ok(Arc::new(connections))
    }

    /// Opens connections to the server that is to be called now.
    async fn open(&mut self) -> Result<Connections, Failure> {
        let Shared { origin, stats, .. } = &*self.shared;
        let Origin { locator, dialer, place, pool, .. } = &**origin;
        if pool.is_none() {
            // Those to a node that others use too it counts itself.
            stats.connects.fetch_add(1, Ordering::Relaxed);
        }
        let server = locator.locate().await?;
        self.shared.set_target(Target::Server(Arc::clone(&server)));
        let membership = match pool.as_ref().zip(place.slot()) {
            None => Membership::alone(Transports::open(dialer, &server, 1).await?, *place),
            Some((pool, slot)) => {
                let node = self.node.insert(pool.node(&server, *place));
                let link = Arc::downgrade(&self.shared) as Weak<dyn NodeUser>;
                node.join(*place, slot, link).await?
            }
        };
        Ok(Connections::new(server, *place, membership, dialer.runtime.clone()))
    }

    /// Prepares connections. That may take long, for all recent changes may have to be repeated: calls do
    /// not wait for all of it.
    async fn prepare(&self, connections: &mut Connections) -> Result<(), Failure> {
        let shared = &self.shared;
        let (server, settings) = (Arc::clone(&connections.server), &shared.origin.dialer.settings);
        let membership = Arc::clone(connections.membership());
        let mut preparing = pin!(async {
            let _turn = membership.turn().await;
            shared.role.prepare(settings, connections).await
        });
        tokio::select! {
            biased;
            prepared = &mut preparing => return prepared,
            () = tokio::time::sleep(settings.connect) => {}
        }
        let why = "is not ready yet: it may still have to be told again what it has missed";
        shared.change(Event::BackingOff(Failure::unavailable(&*server, why).error));
        preparing.await
    }

    /// Watches the connections. Returns when they must be replaced.
    async fn watch_over(&mut self, connections: &Arc<Connections>) {
        let shared = &self.shared;
        while shared.are_usable(connections) {
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
                () = tokio::time::sleep(shared.origin.dialer.settings.watch) => {}
                () = shared.trouble.notified() => {}
            }
        }
    }

    /// Asks for a sign of life. A silent connection counts as broken.
    async fn ask(&self, connections: &Connections) -> Result<Upkeep, Failure> {
        let shared = &self.shared;
        let (server, settings) = (&*connections.server, &shared.origin.dialer.settings);
        let mut commands = Sign::questions();
        let upkeep = shared.role.upkeep_command(connections, settings);
        upkeep.into_iter().for_each(|upkeep| {
            commands.add_command(upkeep);
        });
        let transports = &connections.membership().transports;
        let (asked, late) = (Instant::now(), transports.late_on_main());
        let asking = connections.main().send_while_alive(server, &commands, settings.silence);
        let mut answers = asking.await?.into_iter();
        transports.settle_on_main(late);
        shared.note_sign(connections, &Sign::read(server, asked, &mut answers))?;
        Ok(shared.role.read_upkeep_reply(connections, &answers.next().unwrap_or_default()))
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

    /// Returns whether connections may still be used as they are. If not, they are given up.
    fn are_usable(&self, connections: &Arc<Connections>) -> bool {
        if !self.is_present(connections) {
            return false;
        }
        if connections.is_closed() {
            let why = "has closed the connection";
            self.lose(connections, &Failure::unavailable(&*connections.server, why).error);
            return false;
        }
        if connections.has_late_write() {
            self.renew_count(connections);
            return false;
        }
        // A write whose caller is gone may have told it.
        if connections.counted.has_lost() {
            self.distrust(connections);
            return false;
        }
        true
    }

    fn is_present(&self, connections: &Arc<Connections>) -> bool {
        self.state.borrow().up().is_some_and(|up| Arc::ptr_eq(up, connections))
    }
}
