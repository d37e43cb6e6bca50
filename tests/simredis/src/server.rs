//! A server: its state, and what befalls it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::data::{Data, Entry};
use crate::execution::{Execution, Refusal, Touched};
use crate::link::Link;
use crate::replication::{Batch, Follower, Following};
use crate::reply::{Args, Reply};
use crate::script::Script;
use crate::tracking::{ClientId, Tracking, invalidation};

/// The time that a server's clock shows when it is made, in microseconds.
const START: u64 = 1_700_000_000_000_000;

/// The time between two looks for keys that have expired, in microseconds.
const CYCLE: u64 = 100_000;

/// The kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Redis 7.0: when a script reads anything, all the keys that it was called with are tracked.
    Redis,
    /// Valkey 8: the keys are tracked that a script reads.
    Valkey,
}

/// Sees each command that a server has executed, in order.
pub trait Observer: Send + Sync {
    /// A command of the process with this number has been executed; the server's history is so long after it.
    fn executed(&self, process: usize, args: &[Vec<u8>], reply: &Reply, offset: u64);

    /// An answer has reached this process.
    fn reached(&self, process: usize) {
        let _ = process;
    }
}

/// A server. Clones are the same.
#[derive(Clone)]
pub struct Server(pub(crate) Arc<Mutex<State>>);

/// A server's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    /// How far it is ahead of others, in microseconds.
    ahead: i64,
}

/// The keys of a server at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot(pub(crate) Data);

/// A client's connection, as the server sees it.
pub(crate) struct Client {
    pub(crate) process: usize,
    pub(crate) link: Arc<Link>,
    pub(crate) out: mpsc::UnboundedSender<Vec<u8>>,
}

pub(crate) struct State {
    pub(crate) flavor: Flavor,
    pub(crate) data: Data,
    pub(crate) scripts: BTreeMap<String, Script>,
    pub(crate) tracking: Tracking,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) next_client: ClientId,
    /// Changes when the server is restarted.
    pub(crate) run_id: String,
    /// The replication id.
    pub(crate) history: String,
    pub(crate) offset: u64,
    pub(crate) followers: Vec<Follower>,
    /// `None`: it is a primary.
    pub(crate) following: Option<Following>,
    pub(crate) refusal: Refusal,
    pub(crate) observer: Option<Weak<dyn Observer>>,
    pub(crate) rng: StdRng,
    /// It does nothing until then.
    pub(crate) frozen: watch::Sender<Option<Instant>>,
    pub(crate) clock: Clock,
    last_cycle: u64,
}

impl Server {
    /// An empty primary. All its random numbers follow from the seed.
    #[must_use]
    pub fn new(seed: u64, flavor: Flavor) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let state = State {
            flavor,
            data: Data::new(),
            scripts: BTreeMap::new(),
            tracking: Tracking::default(),
            clients: BTreeMap::new(),
            next_client: 1,
            run_id: new_id(&mut rng),
            history: new_id(&mut rng),
            offset: 0,
            followers: Vec::new(),
            following: None,
            refusal: Refusal::None,
            observer: None,
            rng,
            frozen: watch::Sender::new(None),
            clock: Clock { started: Instant::now(), ahead: 0 },
            last_cycle: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    pub(crate) fn downgrade(&self) -> Weak<Mutex<State>> {
        Arc::downgrade(&self.0)
    }

    /// Has all that is executed from now on shown to an observer, while there is one: it may hold the server. It is
    /// called while the server is locked: it must not ask it anything.
    pub fn observe(&self, observer: Weak<dyn Observer>) {
        self.lock().observer = Some(observer);
    }

    /// How long its history is: of a replica, what has arrived.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.lock().offset
    }

    /// The names of all keys.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.lock().data.keys().cloned().collect()
    }

    /// Evicts keys.
    pub fn evict(&self, keys: &[Vec<u8>]) {
        let mut state = self.lock();
        let present = keys.iter().filter(|key| state.data.contains_key(*key)).cloned();
        let touched: Vec<_> = present.map(Touched::Changed).collect();
        for key in keys {
            state.data.remove(key);
        }
        state.settle(None, &touched);
    }

    /// Loses everything, and says so.
    pub fn flush_all(&self) {
        self.lock().replace(Data::new());
    }

    /// Forgets all scripts.
    pub fn flush_scripts(&self) {
        self.lock().scripts.clear();
    }

    /// What it holds at present.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().data.clone())
    }

    /// Goes back to what it held. Its clients are told that everything has changed; they stay connected.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.lock().replace(snapshot.0.clone());
    }

    /// Ends, and starts again with what it had saved; all connections end.
    pub fn restart(&self, saved: Option<&Snapshot>) {
        self.disconnect_all();
        let mut state = self.lock();
        state.replace(saved.map(|saved| saved.0.clone()).unwrap_or_default());
        state.scripts.clear();
        let State { rng, run_id, history, .. } = &mut *state;
        (*run_id, *history) = (new_id(rng), new_id(rng));
    }

    /// Ends all connections.
    pub fn disconnect_all(&self) {
        let clients = std::mem::take(&mut self.lock().clients);
        clients.values().for_each(|client| client.link.cut(0));
    }

    /// Stands still for a while. What is sent to it meanwhile is executed then.
    pub fn freeze(&self, duration: Duration) {
        self.lock().frozen.send_replace(Some(Instant::now() + duration));
    }

    /// Refuses writes from now on, or takes them again.
    pub fn refuse(&self, refusal: Refusal) {
        self.lock().refusal = refusal;
    }

    /// Sets the clock forward or back, in milliseconds.
    pub fn set_clock(&self, by: i64) {
        self.lock().clock.ahead += by * 1000;
    }
}

pub(crate) fn new_id(rng: &mut StdRng) -> String {
    format!("{:016x}{:016x}{:08x}", rng.random::<u64>(), rng.random::<u64>(), rng.random::<u32>())
}

impl State {
    /// The time, in microseconds.
    pub(crate) fn now(&self) -> u64 {
        let Clock { started, ahead } = self.clock;
        let elapsed = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        (START + elapsed).saturating_add_signed(ahead)
    }

    /// Executes what works on keys, and tells who has to be told. The pushes that concern `client` itself are
    /// returned: they come after the reply.
    pub(crate) fn run<T>(
        &mut self,
        client: Option<ClientId>,
        run: impl FnOnce(Execution) -> (Execution, T),
    ) -> (T, Vec<Vec<u8>>) {
        let now = self.now();
        self.expire(now);
        let rng = StdRng::seed_from_u64(self.rng.random());
        let execution = Execution {
            data: std::mem::take(&mut self.data),
            now,
            rng,
            is_replica: self.following.is_some(),
            refusal: self.refusal,
            allows_oom: false,
            has_written: false,
            touched: Vec::new(),
            flavor: self.flavor,
            declared: None,
        };
        let (execution, done) = run(execution);
        self.data = execution.data;
        let own = self.settle(client, &execution.touched);
        (done, own)
    }

    /// From time to time a primary removes all keys that have expired.
    fn expire(&mut self, now: u64) {
        if self.following.is_some() || now < self.last_cycle + CYCLE {
            return;
        }
        self.last_cycle = now;
        let is_over = |(_, entry): &(&Vec<u8>, &Entry)| entry.is_over(now / 1000);
        let over: Vec<_> = self.data.iter().filter(is_over).map(|(key, _)| key.clone()).collect();
        let touched: Vec<_> = over.iter().cloned().map(Touched::Changed).collect();
        over.iter().for_each(|key| drop(self.data.remove(key)));
        self.settle(None, &touched);
    }

    /// Tells clients and replicas of changes. Returns the pushes for `client`.
    pub(crate) fn settle(&mut self, client: Option<ClientId>, touched: &[Touched]) -> Vec<Vec<u8>> {
        let mut own = Vec::new();
        for (reader, key) in self.tracking.note(client, touched) {
            let push = encoded(&invalidation(Some(&key)));
            if Some(reader) == client { own.push(push) } else { self.send(reader, push) }
        }
        let changed = changed(touched);
        if !changed.is_empty() {
            let changes =
                changed.into_iter().map(|key| (key.clone(), self.data.get(&key).cloned()));
            let batch = Batch { flush: false, changes: changes.collect() };
            self.replicate(batch);
        }
        own
    }

    /// Holds other data from now on.
    pub(crate) fn replace(&mut self, data: Data) {
        self.data = data;
        for client in self.tracking.flush() {
            self.send(client, encoded(&invalidation(None)));
        }
        let changes = self.data.iter().map(|(key, entry)| (key.clone(), Some(entry.clone())));
        let batch = Batch { flush: true, changes: changes.collect() };
        self.replicate(batch);
    }

    /// Sends bytes to a client, behind what has been sent before.
    pub(crate) fn send(&self, client: ClientId, bytes: Vec<u8>) {
        if let Some(client) = self.clients.get(&client) {
            client.link.queued();
            // A connection that has ended drops them.
            let _ = client.out.send(bytes);
        }
    }

    /// Notes that an answer has reached a process.
    pub(crate) fn reached(&self, process: usize) {
        if let Some(observer) = self.observer.as_ref().and_then(Weak::upgrade) {
            observer.reached(process);
        }
    }

    pub(crate) fn observed(&self, client: ClientId, args: &Args, reply: &Reply) {
        let observer = self.observer.as_ref().and_then(Weak::upgrade);
        if let (Some(observer), Some(client)) = (observer, self.clients.get(&client)) {
            observer.executed(client.process, args, reply, self.offset);
        }
    }
}

fn changed(touched: &[Touched]) -> Vec<Vec<u8>> {
    let mut changed: Vec<Vec<u8>> = Vec::new();
    for touched in touched {
        if let Touched::Changed(key) = touched
            && !changed.contains(key)
        {
            changed.push(key.clone());
        }
    }
    changed
}

pub(crate) fn encoded(reply: &Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    bytes
}
