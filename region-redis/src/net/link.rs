//! The link to a server, which keeps its connections and sends calls over them.

mod call;
mod losing;
mod signs;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use redis::Pipeline;
use region_core::{Error, Result};
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connections::Connections;
use crate::net::keeper::Keeper;
use crate::net::locator::Target;
use crate::net::origin::Origin;
use crate::net::outage::Outage;
use crate::net::role::Role;
use crate::net::state::Event;
use crate::net::watched::Watched;
use crate::stats::LastError;

pub(crate) use call::Response;

/// The state of a link.
pub(crate) type State = crate::net::state::State<Connections>;

/// The link to one server at a time: the one that its locator names. A separate task, the keeper, opens, watches and
/// replaces the connections; calls only use them.
pub(crate) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

/// The state that calls and the keeper share.
pub(crate) struct Shared {
    pub(crate) origin: Arc<Origin>,
    target: RwLock<Target>,
    pub(crate) role: Box<dyn Role>,
    pub(crate) state: Watched<State>,
    /// Wakes the keeper.
    pub(crate) trouble: Notify,
    /// Connections that work, but need a new count.
    pub(crate) to_renew: Mutex<Option<Arc<Connections>>>,
    /// Ends the keeper's wait before the next attempt.
    pub(crate) relocated: Notify,
    pub(crate) stats: LinkStats,
    pub(crate) outage: Outage,
    calls: Semaphore,
}

/// Counts of a link.
#[derive(Debug, Default)]
pub(crate) struct LinkStats {
    pub(crate) connects: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) last_error: Mutex<Option<LastError>>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(origin: Origin, role: impl Role + 'static) -> Self {
        let origin = Arc::new(origin);
        let shared = Arc::new(Shared {
            calls: Semaphore::new(origin.dialer.settings.in_flight),
            target: RwLock::new(origin.locator.target()),
            role: Box::new(role),
            state: Watched::new(State::Connecting),
            trouble: Notify::new(),
            to_renew: Mutex::new(None),
            relocated: Notify::new(),
            stats: LinkStats::default(),
            outage: Outage::new(&origin.lines),
            origin,
        });
        let keeper = Keeper::new(Arc::clone(&shared));
        let keeper = shared.origin.dialer.runtime.spawn(keeper.run()).abort_handle();
        Self { shared, keeper }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits until the first attempt to connect has ended.
    pub(crate) async fn first_attempt(&self) -> Result<()> {
        let limit = self.shared.origin.dialer.settings.connect * 2;
        self.shared.connections(Instant::now() + limit).await.map(drop)
    }

    /// Replaces the connections, as the locator has found another server: the next calls wait for new ones.
    pub(crate) fn relocate(&self) {
        let error =
            Failure::unavailable(&self.target(), "is not the server to call any more").error;
        self.shared.start_over(&error);
        self.shared.relocated.notify_one();
    }

    /// Ends the wait before the next attempt to connect: the server may be there again.
    pub(crate) fn hurry(&self) {
        if !self.is_up() {
            self.shared.relocated.notify_one();
        }
    }

    /// The server that was located last, or the name that it is looked up by.
    pub(crate) fn target(&self) -> Target {
        self.shared.target()
    }

    /// Returns whether the server can be called now.
    pub(crate) fn is_up(&self) -> bool {
        self.shared.state.borrow().up().is_some()
    }

    /// Ends the connections for good, and the calls that wait for them.
    pub(crate) fn close(&self) {
        let present = self.shared.state.borrow().up().cloned();
        // Before the keeper ends, which would close the connections at once.
        self.shared.change(Event::Ended);
        self.keeper.abort();
        present.into_iter().for_each(|connections| self.clean_up_and_close(connections));
    }

    /// Deletes the counts of this process from the server, and ends the connections.
    fn clean_up_and_close(&self, connections: Arc<Connections>) {
        let Some(cleanup) = self.shared.role.cleanup_commands() else { return connections.close() };
        let limit = self.shared.origin.dialer.settings.call;
        // If the runtime has ended this is dropped at once, and the connections with it.
        self.shared.origin.dialer.runtime.spawn(async move {
            let mut commands = Pipeline::with_capacity(cleanup.len());
            for command in cleanup {
                commands.add_command(command);
            }
            // Without an answer others retire the counts when they are overdue.
            let _ = tokio::time::timeout(limit, connections.main().send(&commands)).await;
            connections.close();
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Returns the number of calls that are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.origin.dialer.settings.in_flight.saturating_sub(self.calls.available_permits())
    }

    /// The server that was located last, or the name that it is looked up by.
    pub(crate) fn target(&self) -> Target {
        self.target.read().clone()
    }

    /// Notes the server that was located.
    pub(crate) fn set_target(&self, target: Target) {
        *self.target.write() = target;
    }
}

impl LinkStats {
    pub(crate) fn note_error(&self, error: &Error) {
        *self.last_error.lock() = Some(LastError::of(error));
    }
}
