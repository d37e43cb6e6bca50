//! The open connections to one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Failure;
use crate::net::dialer::Dialer;
use crate::net::extra::{ExtraConnection, ExtraOpener};
use crate::net::identity::Identity;
use crate::net::on_demand::{Closable, OnDemand};
use crate::net::origin::Place;
use crate::net::pushes::Group;
use crate::net::transport::Transport;
use crate::server::Server;
use crate::settings::LONGEST_BLOCK;

/// The connections for commands that block, if many links share them: one that waits holds up few others.
pub(crate) const SHARED_WAITING: usize = 4;

/// The connections to one server, which end with this value.
pub(crate) struct Transports {
    /// The server as it was when they were opened.
    pub(crate) identity: Identity,
    pub(crate) main: Transport,
    /// The others are opened when they are needed.
    pub(crate) large: Arc<ExtraConnection>,
    waiting: Box<[Arc<ExtraConnection>]>,
    /// The number of writes over the main connection that were given up, and how many of them the server has done
    /// by now, if it does them at all: while they differ no write may overtake them.
    late_on_main: AtomicU64,
    settled_on_main: AtomicU64,
    has_scripts: AtomicBool,
}

impl Transports {
    /// Opens the main connection. The caller must limit the time.
    pub(crate) async fn open(
        dialer: &Arc<Dialer>,
        server: &Arc<Server>,
        waiting: usize,
    ) -> Result<Self, Failure> {
        let (main, identity) = dialer.dial(server).await?;
        let extra = |blocked| {
            OnDemand::new(ExtraOpener {
                dialer: Arc::clone(dialer),
                server: Arc::clone(server),
                identity: identity.clone(),
                blocked,
            })
        };
        let large = extra(Duration::ZERO);
        let waiting = (0..waiting).map(|_| extra(LONGEST_BLOCK)).collect();
        Ok(Self {
            identity,
            main,
            large,
            waiting,
            late_on_main: AtomicU64::new(0),
            settled_on_main: AtomicU64::new(0),
            has_scripts: AtomicBool::new(false),
        })
    }

    /// The connection for commands of a link in this place that block.
    pub(crate) fn waiting(&self, place: Place) -> &Arc<ExtraConnection> {
        let at = place.slot().map_or(0, |slot| usize::from(slot.number()) % self.waiting.len());
        &self.waiting[at]
    }

    /// Ends the trust in what links of `group` have read over the connections.
    pub(crate) fn distrust(&self, group: Group) {
        self.main.distrust(group);
        self.large.present().into_iter().for_each(|large| large.distrust(group));
    }

    /// Notes a write over the main connection that has been given up.
    pub(crate) fn note_late_on_main(&self) {
        self.late_on_main.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of writes over the main connection that were given up so far.
    pub(crate) fn late_on_main(&self) -> u64 {
        self.late_on_main.load(Ordering::Acquire)
    }

    /// Notes that the server has answered something that was sent over the main connection after `late` writes had
    /// been given up.
    pub(crate) fn settle_on_main(&self, late: u64) {
        self.settled_on_main.fetch_max(late, Ordering::AcqRel);
    }

    pub(crate) fn has_late_on_main(&self) -> bool {
        self.late_on_main() > self.settled_on_main.load(Ordering::Acquire)
    }

    /// Returns whether the server is known to have had all scripts.
    pub(crate) fn has_scripts(&self) -> bool {
        self.has_scripts.load(Ordering::Relaxed)
    }

    pub(crate) fn note_scripts(&self) {
        self.has_scripts.store(true, Ordering::Relaxed);
    }
}

impl Closable for Transports {
    fn is_closed(&self) -> bool {
        self.main.is_closed()
    }

    fn close(&self) {
        self.main.close();
        self.large.close();
        self.waiting.iter().for_each(|waiting| waiting.close());
    }
}

impl Drop for Transports {
    fn drop(&mut self) {
        self.close();
    }
}
