//! A node of a cluster, and the connections to it that the links of its slots share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::error::{Concerns, Failure};
use crate::net::dialer::Dialer;
use crate::net::epoch::NewestEpoch;
use crate::net::membership::{Loss, Membership};
use crate::net::on_demand::{Closable, OnDemand, Opener};
use crate::net::origin::Place;
use crate::net::sign::Sign;
use crate::net::slot_probes::{LostSlot, SlotAnswers, SlotProbes};
use crate::net::transports::{SHARED_WAITING, Transports};
use crate::protocol::layout::Slot;
use crate::server::Server;

/// The most links that prepare the connections of one node at the same time.
const MOST_PREPARING: usize = 32;

/// A node to which the links of several slots lead. It opens one set of connections for all of them, in one attempt
/// at a time, and watches it; each link prepares it for itself.
pub(crate) struct Node {
    sockets: Arc<OnDemand<NodeOpener>>,
    /// A permit for each call that may be in flight.
    pub(crate) calls: Semaphore,
    preparing: Semaphore,
    next: AtomicU64,
}

/// Opens and watches the connections to a node.
pub(crate) struct NodeOpener {
    dialer: Arc<Dialer>,
    server: Arc<Server>,
    members: Mutex<BTreeMap<u64, Member>>,
    latest: Mutex<Option<Sign>>,
    /// Ends the wait before the next request for a sign of life.
    trouble: Notify,
    /// The node answers with its list of slots.
    lists: AtomicBool,
    /// The connections were lost, or not opened, since somebody was told.
    has_failed: AtomicBool,
    connects: Arc<AtomicU64>,
    newest_epoch: Arc<NewestEpoch>,
}

/// A link that uses the connections.
#[derive(Clone)]
struct Member {
    slot: Slot,
    membership: Weak<Membership>,
    link: Weak<dyn NodeUser>,
}

/// What a node tells the links that use its connections.
pub(crate) trait NodeUser: Send + Sync {
    /// The node has shown a sign of life.
    fn hear(&self, membership: &Membership, sign: &Sign);

    /// The connections cannot be used any more, at least not by this link.
    fn lose(&self, membership: &Membership, failure: &Failure, loss: Loss);
}

impl Node {
    /// Attempts to connect are counted in `connects`, and the node's epoch is noted.
    pub(crate) fn new(
        dialer: &Arc<Dialer>,
        server: &Arc<Server>,
        connects: &Arc<AtomicU64>,
        newest_epoch: &Arc<NewestEpoch>,
    ) -> Arc<Self> {
        let sockets = OnDemand::new(NodeOpener {
            dialer: Arc::clone(dialer),
            server: Arc::clone(server),
            members: Mutex::default(),
            latest: Mutex::default(),
            trouble: Notify::new(),
            lists: AtomicBool::new(true),
            has_failed: AtomicBool::new(false),
            connects: Arc::clone(connects),
            newest_epoch: Arc::clone(newest_epoch),
        });
        let calls = Semaphore::new(dialer.settings.in_flight);
        let (preparing, next) = (Semaphore::new(MOST_PREPARING), AtomicU64::new(0));
        Arc::new(Self { sockets, calls, preparing, next })
    }

    /// Gives a link its share of the connections, which are opened if they are not there. From then on the node is
    /// asked whether it still has the slot. It may be dropped at any time.
    pub(crate) async fn join(
        self: &Arc<Self>,
        place: Place,
        slot: Slot,
        link: Weak<dyn NodeUser>,
    ) -> Result<Arc<Membership>, Failure> {
        let patience = Instant::now() + self.sockets.opener.dialer.settings.connect;
        let transports = self.sockets.get(patience).await?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let membership = Arc::new(Membership::of(self, number, transports, place));
        let member = Member { slot, membership: Arc::downgrade(&membership), link };
        self.sockets.opener.members.lock().insert(number, member);
        Ok(membership)
    }

    /// Forgets a link.
    pub(crate) fn leave(&self, number: u64) {
        self.sockets.opener.members.lock().remove(&number);
    }

    /// The last sign of life that the node has shown over the present connections.
    pub(crate) fn latest(&self) -> Option<Sign> {
        self.sockets.opener.latest.lock().clone()
    }

    /// Asks for a sign of life now.
    pub(crate) fn ask_soon(&self) {
        self.sockets.opener.trouble.notify_one();
    }

    /// Returns whether the connections are open.
    pub(crate) fn is_open(&self) -> bool {
        self.sockets.present().is_some()
    }

    /// Returns whether the connections were lost, or not opened, since the last call: of all links that wait for them
    /// one tells others of it.
    pub(crate) fn has_failed_anew(&self) -> bool {
        self.sockets.opener.has_failed.swap(false, Ordering::AcqRel)
    }

    /// Waits until the connections are open. It may be dropped at any time.
    pub(crate) async fn opened(&self) {
        self.sockets.opened().await;
    }

    /// Waits until a link may prepare the connections. It may be dropped at any time.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.preparing.acquire().await.ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.sockets.close();
    }
}

#[async_trait]
impl Opener for NodeOpener {
    type Opened = Transports;

    fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    async fn open(&self) -> Result<Transports, Failure> {
        *self.latest.lock() = None;
        self.connects.fetch_add(1, Ordering::Relaxed);
        Transports::open(&self.dialer, &self.server, SHARED_WAITING).await
    }

    async fn watch_over(&self, transports: &Arc<Transports>) {
        let settings = &self.dialer.settings;
        loop {
            if transports.is_closed() {
                let why = "has closed the connection";
                let failure = Failure::unavailable(&*self.server, why);
                self.has_failed.store(true, Ordering::Release);
                return self.lose(transports, |_| true, &failure, Loss::Broken);
            }
            if let Err(failure) = self.ask(transports).await {
                transports.close();
                self.has_failed.store(true, Ordering::Release);
                return self.lose(transports, |_| true, &failure, Loss::GivenUp);
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(settings.watch) => {}
                () = self.trouble.notified() => {}
            }
        }
    }

    fn note_refused(&self, failure: &Failure) {
        self.has_failed.store(true, Ordering::Release);
        tracing::debug!(server = %self.server, error = %failure.error, "a node is not reached");
    }

    fn unusable(&self, why: &str) -> Failure {
        Failure::unavailable(&*self.server, why)
    }
}

impl NodeOpener {
    /// Asks for a sign of life and for the slots that are in use, and tells the links.
    ///
    /// # Errors
    /// When the connections must not be used any more.
    async fn ask(&self, transports: &Arc<Transports>) -> Result<(), Failure> {
        let server = &*self.server;
        let slots = self.members.lock().values().map(|member| member.slot).collect();
        let probes = SlotProbes::new(slots, self.lists.load(Ordering::Relaxed));
        let mut commands = Sign::questions();
        commands.cmd("CLUSTER").arg("INFO");
        probes.add_to(&mut commands);
        let (asked, late) = (Instant::now(), transports.late_on_main());
        let silence = self.dialer.settings.silence;
        let answers = transports.main.send_while_alive(server, &commands, silence).await?;
        transports.settle_on_main(late);
        let mut answers = answers.into_iter();
        let sign = Sign::read(server, asked, &mut answers);
        self.newest_epoch.note(&answers.next().unwrap_or_default());
        match probes.read(server, &mut answers) {
            SlotAnswers::Lost(lost) => {
                for LostSlot { slot, failure, loss } in lost {
                    self.lose(transports, |other| other == slot, &failure, loss);
                }
            }
            SlotAnswers::NoList => {
                self.lists.store(false, Ordering::Relaxed);
                tracing::warn!(%server, "CLUSTER NODES is refused or not understood: asking for each slot");
                self.trouble.notify_one();
            }
        }
        if let Err(failure) = &sign.pulse {
            if failure.concerns != Concerns::Call {
                return Err(failure.clone());
            }
            tracing::debug!(%server, error = %failure.error, "no pulse");
        }
        *self.latest.lock() = Some(sign.clone());
        for (membership, link) in self.users_of(transports, |_| true) {
            link.hear(&membership, &sign);
        }
        Ok(())
    }

    /// Tells links that they have lost the connections.
    fn lose(
        &self,
        transports: &Arc<Transports>,
        is_lost: impl Fn(Slot) -> bool,
        failure: &Failure,
        loss: Loss,
    ) {
        for (membership, link) in self.users_of(transports, is_lost) {
            link.lose(&membership, failure, loss);
            // In any case, also of a link that does not use them at present.
            membership.end();
        }
    }

    /// The links that use these connections for one of some slots. They are called without the lock: they have
    /// listeners, and leave.
    fn users_of(
        &self,
        transports: &Arc<Transports>,
        is_meant: impl Fn(Slot) -> bool,
    ) -> Vec<(Arc<Membership>, Arc<dyn NodeUser>)> {
        // First out of the lock: the last owner of a share leaves.
        let meant: Vec<_> = {
            let members = self.members.lock();
            members.values().filter(|member| is_meant(member.slot)).cloned().collect()
        };
        let users = meant
            .into_iter()
            .filter_map(|member| member.membership.upgrade().zip(member.link.upgrade()));
        // Others may use newer ones already.
        users.filter(|(membership, _)| Arc::ptr_eq(&membership.transports, transports)).collect()
    }
}
