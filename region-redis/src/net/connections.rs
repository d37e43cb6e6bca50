//! The connections to one server, from when they were opened until they fail.

mod sending;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::counted::CountedWrites;
use crate::net::identity::Identity;
use crate::net::membership::Membership;
use crate::net::on_demand::Closable;
use crate::net::origin::Place;
use crate::net::transport::Transport;
use crate::protocol::call::Count;
use crate::protocol::layout::CountNames;
use crate::random;
use crate::server::Server;
use crate::settings::Settings;

pub(crate) use sending::half_way_to;

/// The connections to one server, with the count of the writes that are sent over them. The same sockets
/// can be used again under another count: see [`with_new_count`](Self::with_new_count).
pub(crate) struct Connections {
    /// The random id of the count.
    pub(crate) count_id: u128,
    place: Place,
    /// The key of the count on the server.
    pub(crate) count_key: String,
    /// The count when the connections were ready to be used: all that was done before is below it.
    pub(crate) first_count: u64,
    /// The writes that were sent under this count.
    pub(crate) counted: Arc<CountedWrites>,
    /// When the server was last told how long to keep the count.
    count_refreshed: Mutex<Instant>,
    access: Access,
    /// The server that they lead to.
    pub(crate) server: Arc<Server>,
    /// The number of invalidations that had been queued when the last of them was replayed.
    pub(crate) replayed: u64,
    pub(crate) identity: Identity,
    /// A write, or a call that takes leases, may still be on its way over a further connection: what goes over
    /// the main one could overtake it.
    has_late_write: AtomicBool,
    membership: Arc<Membership>,
    /// The runtime of the store.
    runtime: Handle,
}

/// The operations that connections may be used for.
#[derive(Debug)]
enum Access {
    ReadWrite,
    /// The server refused all writes when the connections were prepared.
    ReadOnly {
        /// A count that is not there. The server deletes the count of a write that it refuses, and that of the
        /// former connections has to stay.
        unprepared_key: String,
    },
}

impl Connections {
    /// Connections to `server`, which still have to be prepared.
    pub(crate) fn new(
        server: Arc<Server>,
        place: Place,
        membership: Arc<Membership>,
        runtime: Handle,
    ) -> Self {
        let identity = membership.transports.identity.clone();
        Self::with_identity(server, place, identity, membership, runtime)
    }

    /// The same sockets with a new count.
    pub(crate) fn with_new_count(&self) -> Self {
        let (server, membership) = (Arc::clone(&self.server), Arc::clone(&self.membership));
        let runtime = self.runtime.clone();
        Self::with_identity(server, self.place, self.identity.clone(), membership, runtime)
    }

    fn with_identity(
        server: Arc<Server>,
        place: Place,
        identity: Identity,
        membership: Arc<Membership>,
        runtime: Handle,
    ) -> Self {
        let count_id = random::long_bits();
        Self {
            count_id,
            place,
            count_key: place.count_names().of(count_id),
            first_count: 0,
            counted: Arc::new(CountedWrites::new()),
            count_refreshed: Mutex::new(Instant::now()),
            access: Access::ReadWrite,
            server,
            replayed: 0,
            identity,
            has_late_write: AtomicBool::new(false),
            membership,
            runtime,
        }
    }

    /// The count to send with a write. It is refused by a server that lacks any write that it has answered
    /// under this count.
    pub(crate) fn write_count(&self) -> Count<'_> {
        match &self.access {
            Access::ReadWrite => {
                Count { key: &self.count_key, floor: self.counted.highest(), receipt: None }
            }
            // If the server takes writes again it refuses this one, as the connections are not prepared for it.
            Access::ReadOnly { unprepared_key } => {
                Count { key: unprepared_key, floor: u64::MAX, receipt: None }
            }
        }
    }

    /// The names of the counts of writes to the server.
    pub(crate) fn count_names(&self) -> CountNames {
        self.place.count_names()
    }

    /// Returns whether the server was last told at least `interval` ago how long to keep the count.
    pub(crate) fn count_needs_refresh(&self, interval: Duration) -> bool {
        self.count_refreshed.lock().elapsed() >= interval
    }

    pub(crate) fn count_refreshed(&self) {
        *self.count_refreshed.lock() = Instant::now();
    }

    /// Restricts the connections to reads, which are checked against the count with the id `count_id`, of these writes.
    pub(crate) fn restrict_to_reads(&mut self, count_id: u128, counted: Arc<CountedWrites>) {
        let count_key = self.count_names().of(count_id);
        let unprepared_key = std::mem::replace(&mut self.count_key, count_key);
        self.count_id = count_id;
        self.counted = counted;
        self.access = Access::ReadOnly { unprepared_key };
    }

    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.access, Access::ReadOnly { .. })
    }

    /// Asks the server again for its identity.
    pub(crate) async fn identify(
        &mut self,
        settings: &Settings,
        limit: Duration,
    ) -> Result<(), Failure> {
        let opening = self.place.opening_command();
        let asking = Identity::ask(&self.server, settings, opening.as_ref(), self.main());
        match tokio::time::timeout(limit, asking).await {
            Ok(identity) => self.identity = identity?,
            Err(_) => {
                return Err(Failure::unavailable(&*self.server, "has not said who it is in time"));
            }
        }
        Ok(())
    }

    /// The main connection.
    pub(crate) fn main(&self) -> &Transport {
        &self.membership.transports.main
    }

    /// The sockets, which others may use too.
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Ends the trust in what was read over the connections: their pushes come too late.
    pub(crate) fn distrust(&self) {
        self.membership.transports.distrust(self.place.group());
    }

    /// Gives the connections up. If nobody else uses them they end, and the calls that wait for them.
    pub(crate) fn close(&self) {
        self.membership.end();
    }

    /// Ends the connections, whoever uses them: they are broken.
    pub(crate) fn break_off(&self) {
        self.membership.transports.close();
    }

    /// Returns whether the connections are given up, or the main one is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.membership.is_closed()
    }

    /// Returns whether a write or a call that takes leases may still be on its way over a further connection:
    /// then the connections must not be used any more under this count.
    pub(crate) fn has_late_write(&self) -> bool {
        self.has_late_write.load(Ordering::Acquire)
    }
}
