//! Replicas, which follow a primary a little later.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::data::Entry;
use crate::execution::Touched;
use crate::server::{Server, State, new_id};

/// How much longer the history becomes with each batch.
const BATCH_BYTES: u64 = 100;

/// The changes of one command.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// Everything else is gone.
    pub(crate) flush: bool,
    /// Keys with their new entries; `None`: removed.
    pub(crate) changes: Vec<(Vec<u8>, Option<Entry>)>,
}

/// A replica, as its primary knows it.
pub(crate) struct Follower {
    server: Weak<Mutex<State>>,
    batches: mpsc::UnboundedSender<(u64, Batch)>,
}

/// How a replica follows.
pub(crate) struct Following {
    task: AbortHandle,
    /// It stands still while this is true.
    held: watch::Sender<bool>,
    /// The longest delay of a batch.
    lag: Duration,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    fn offset(&self) -> Option<u64> {
        self.server.upgrade().map(|state| state.lock().offset)
    }
}

impl Server {
    /// Makes a replica that has all that this server has, and follows it with a lag of up to `lag`. Their
    /// clocks show the same.
    #[must_use]
    pub fn replica(&self, seed: u64, lag: Duration) -> Self {
        let (flavor, clock) = {
            let state = self.lock();
            (state.flavor, state.clock)
        };
        let replica = Self::new(seed, flavor);
        replica.lock().clock = clock;
        replica.follow(self, lag);
        replica
    }

    /// Follows another server from now on, from a copy of what that holds.
    pub fn follow(&self, primary: &Self, lag: Duration) {
        let (sender, batches) = mpsc::unbounded_channel();
        let held = watch::Sender::new(false);
        let follower = Follower { server: self.downgrade(), batches: sender };
        let (data, history, offset) = {
            let mut primary = primary.lock();
            primary.followers.push(follower);
            (primary.data.clone(), primary.history.clone(), primary.offset)
        };
        let task = tokio::spawn(follow(self.downgrade(), batches, held.subscribe())).abort_handle();
        let mut state = self.lock();
        state.replace(data);
        (state.history, state.offset) = (history, offset);
        state.following = Some(Following { task, held, lag });
    }

    /// Makes the replica stand still, or go on.
    pub fn hold(&self, is_held: bool) {
        if let Some(following) = &self.lock().following {
            following.held.send_replace(is_held);
        }
    }

    /// Becomes a primary, with what has arrived here: the rest is lost.
    pub fn promote(&self) {
        let mut state = self.lock();
        let State { rng, history, .. } = &mut *state;
        *history = new_id(rng);
        state.following = None;
    }
}

async fn follow(
    replica: Weak<Mutex<State>>,
    mut batches: mpsc::UnboundedReceiver<(u64, Batch)>,
    mut held: watch::Receiver<bool>,
) {
    while let Some((offset, batch)) = batches.recv().await {
        let Some(state) = replica.upgrade() else { return };
        let delay = state.lock().draw_lag();
        drop(state);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if held.wait_for(|is_held| !is_held).await.is_err() {
            return;
        }
        let Some(state) = replica.upgrade() else { return };
        state.lock().apply(offset, batch);
    }
}

impl State {
    fn draw_lag(&mut self) -> Duration {
        let most = self.following.as_ref().map_or(Duration::ZERO, |following| following.lag);
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.rng.random_range(0..=most))
    }

    fn apply(&mut self, offset: u64, batch: Batch) {
        self.offset = offset;
        if batch.flush {
            let entries = batch.changes.into_iter().filter_map(|(key, entry)| Some((key, entry?)));
            return self.replace(entries.collect::<BTreeMap<_, _>>());
        }
        let mut touched = Vec::with_capacity(batch.changes.len());
        for (key, entry) in batch.changes {
            touched.push(Touched::Changed(key.clone()));
            match entry {
                Some(entry) => drop(self.data.insert(key, entry)),
                None => drop(self.data.remove(&key)),
            }
        }
        self.settle(None, &touched);
    }

    /// Passes changes on to the replicas.
    pub(crate) fn replicate(&mut self, batch: Batch) {
        if self.following.is_none() {
            self.offset += BATCH_BYTES;
        }
        let offset = self.offset;
        self.followers.retain(|follower| follower.batches.send((offset, batch.clone())).is_ok());
    }

    /// The offsets of the replicas.
    pub(crate) fn acknowledged(&self) -> Vec<u64> {
        self.followers.iter().filter_map(Follower::offset).collect()
    }
}
