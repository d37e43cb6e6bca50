//! The messages that servers push.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use region_core::{Event, Listener, Listeners, Listening, RegionPath, Source};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::net::covered::Covered;
use crate::net::joint::JointSources;
use crate::net::own_pushes::{OwnPushes, OwnWrite};
use crate::protocol::layout::{self, Anchor, Kind, Slot};

/// The pushes of all connections to all servers, as events.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    listeners: Arc<Listeners>,
    anchor: Anchor,
    joint: JointSources,
    wanted: AtomicBool,
    covered: Covered,
    /// The number of open connections whose servers refuse to push.
    refused: AtomicUsize,
    messages: Notify,
}

/// The pushes of one connection, and whether the server tracks what is read over it.
#[derive(Debug)]
pub(crate) struct PushSource {
    /// A name for each group: see [`Group`].
    names: Mutex<[Name; GROUPS]>,
    pushes: Arc<Pushes>,
    tracking: AtomicU8,
    own: Arc<OwnPushes>,
    /// Its number among the connections that are covered.
    number: u64,
}

/// The name under which the pushes of a connection are known.
#[derive(Clone, Copy, Debug)]
struct Name {
    source: Source,
    is_given_out: bool,
}

/// The links that share the names of their connections' pushes. When one of them gives up a connection that others
/// go on with, the trust of all of its group ends: so the fewer are in a group the better. On the other hand each
/// group is told of a lost connection, and a cache tells only so many losses apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group(usize);

/// The number of groups.
const GROUPS: usize = 8;

impl Group {
    pub(crate) fn of(slot: Slot) -> Self {
        Self(usize::from(slot.number()) % GROUPS)
    }
}

/// The server pushes nothing over this connection, as far as is known.
const UNTRACKED: u8 = 0;
/// It pushes changes to what was read over it.
const TRACKED: u8 = 1;
/// The connection is gone.
const NEVER: u8 = 2;
/// It refuses to.
const REFUSED: u8 = 3;

impl Pushes {
    /// The pushes of servers with these anchors.
    pub(crate) fn new(anchor: Anchor) -> Self {
        Self { anchor, ..Self::default() }
    }

    /// Returns whether anybody has ever listened: from then on what is read is tracked.
    pub(crate) fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Waits for a message of a channel that a connection is subscribed to: one that came since the last call, or
    /// comes now. It may be dropped at any time.
    pub(crate) async fn message(&self) {
        self.messages.notified().await;
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.listeners.tell(event);
    }

    /// Names two connections whose pushes both tell of changes to one answer; `None` if one of them is lost.
    pub(crate) fn joint(&self, one: Source, other: Source) -> Option<Source> {
        self.joint.of(one, other)
    }

    /// Tells that nothing that was read over a connection is covered any more, alone or together with another.
    fn lose(&self, lost: Source) {
        for lost in self.joint.lose(lost).into_iter().chain([lost]) {
            self.tell(&Event::Lost(lost));
        }
    }

    /// Returns whether nobody listens but the one who writes: what one of several caches writes in this
    /// process concerns the others. One that comes later has read nothing of what was kept back.
    pub(crate) fn has_one_listener(&self) -> bool {
        self.listeners.len() == 1
    }

    /// Returns true if somebody listens and would not hear of every change: a server refuses to push, or nothing was
    /// heard of a connection for as long as its pushes may be relied on. What a server does not push that is down is
    /// not meant.
    pub(crate) fn are_lost(&self) -> bool {
        let is_refused = self.refused.load(Ordering::Acquire) > 0;
        !self.listeners.is_empty() && (is_refused || self.covered.until().is_over())
    }

    pub(crate) fn listen(&self, listener: Arc<dyn Listener>) -> Listening {
        let listening = self.listeners.add(listener);
        self.wanted.store(true, Ordering::Release);
        listening.covered_by(Arc::clone(self.covered.until()))
    }
}

impl Name {
    fn new() -> Self {
        Self { source: Source::unique(), is_given_out: false }
    }
}

impl PushSource {
    pub(crate) fn new(pushes: &Arc<Pushes>) -> Self {
        Self {
            names: Mutex::new(std::array::from_fn(|_| Name::new())),
            pushes: Arc::clone(pushes),
            tracking: AtomicU8::new(UNTRACKED),
            own: Arc::default(),
            number: pushes.covered.new_number(),
        }
    }

    /// Turns what the connection received into events.
    pub(crate) fn receive(&self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection => self.end(),
            PushKind::Invalidate => match push.data.first() {
                Some(Value::Array(names)) => names.iter().for_each(|name| self.changed(name)),
                // Everything: the server was flushed.
                _ => self.pushes.tell(&Event::All),
            },
            PushKind::Message => self.pushes.messages.notify_one(),
            _ => {}
        }
    }

    fn changed(&self, name: &Value) {
        let name = match name {
            Value::BulkString(name) => name.as_slice(),
            Value::SimpleString(name) => name.as_bytes(),
            _ => return self.pushes.tell(&Event::All),
        };
        match layout::parse(name, self.pushes.anchor) {
            Some((Kind::Ids, region)) => self.pushes.tell(&Event::Lineage(region)),
            Some((Kind::Entries, region)) => {
                let is_kept_back = self.own.keeps_back(&region);
                if !(is_kept_back && self.pushes.has_one_listener()) {
                    self.pushes.tell(&Event::Entries(region));
                }
            }
            Some((Kind::Leases, region)) => self.pushes.tell(&Event::Leases(region)),
            // No answer depends on other keys.
            _ => {}
        }
    }

    /// Begins a write to a region's entries whose own push is kept back; `None` if the server does not push.
    pub(crate) fn begin_write(&self, region: &RegionPath) -> Option<OwnWrite> {
        self.is_tracked().then(|| OwnWrite::begin(&self.own, &self.pushes, region))
    }

    /// Returns whether somebody listens and the server has not been asked to track yet.
    pub(crate) fn is_to_be_tracked(&self) -> bool {
        self.pushes.are_wanted() && self.tracking.load(Ordering::Acquire) == UNTRACKED
    }

    /// The server tracks what is read, and its pushes are relied on until `until` for now.
    pub(crate) fn begin(&self, until: Instant) {
        let begin = || {
            self.leave(UNTRACKED, TRACKED);
            self.is_tracked()
        };
        self.pushes.covered.cover_if(begin, self.number, until);
    }

    /// All pushes of a moment ago have been received: those to come are relied on until `until`.
    pub(crate) fn cover(&self, until: Instant) {
        self.pushes.covered.cover_if(|| self.is_tracked(), self.number, until);
    }

    fn is_tracked(&self) -> bool {
        self.tracking.load(Ordering::Acquire) == TRACKED
    }

    /// The server does not permit tracking: what is read is not trusted, but it is read.
    pub(crate) fn refuse(&self) {
        // Counted first: a connection that ends meanwhile takes it back.
        self.pushes.refused.fetch_add(1, Ordering::AcqRel);
        if !self.leave(UNTRACKED, REFUSED) {
            self.pushes.refused.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The connection is gone, or silent: no pushes come any more.
    pub(crate) fn end(&self) {
        let former = self.tracking.swap(NEVER, Ordering::AcqRel);
        if former == REFUSED {
            self.pushes.refused.fetch_sub(1, Ordering::AcqRel);
        }
        if former == TRACKED {
            let lost = self.names.lock().map(|name| name.is_given_out.then_some(name.source));
            lost.into_iter().flatten().for_each(|lost| self.pushes.lose(lost));
            self.pushes.covered.forget(self.number);
        }
    }

    /// Ends the trust in what links of this group have read so far: the connection is alive, and its pushes come too
    /// late. What is read from now on has another source.
    pub(crate) fn distrust(&self, group: Group) {
        if !self.is_tracked() {
            return;
        }
        let former = std::mem::replace(&mut self.names.lock()[group.0], Name::new());
        if former.is_given_out {
            self.pushes.lose(former.source);
        }
    }

    /// Returns the source of what links of this group read from now on.
    pub(crate) fn tracked(&self, group: Group) -> Option<Source> {
        // Under the lock: a connection that ends meanwhile tells of the names that were given out before.
        let mut names = self.names.lock();
        self.is_tracked().then(|| {
            let name = &mut names[group.0];
            name.is_given_out = true;
            name.source
        })
    }

    /// Returns true if that was its state. A connection that has ended meanwhile stays ended.
    fn leave(&self, from: u8, to: u8) -> bool {
        self.tracking.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
