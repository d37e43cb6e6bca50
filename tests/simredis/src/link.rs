//! One connection between a client and a server, and what goes wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The turns that what is sent waits at most where it takes no time.
const MOST_TURNS: u32 = 3;

/// The way of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    There,
    /// From the server to the client.
    Back,
}

/// A connection.
pub(crate) struct Link {
    state: Mutex<LinkState>,
    /// The bytes that may still go to the client; `None`: all.
    cut: watch::Sender<Option<usize>>,
    /// The messages that have reached the client, or never will.
    settled: Mutex<u64>,
    /// Wakes who waits for it, in order.
    settles: Notify,
}

struct LinkState {
    rng: StdRng,
    /// The longest time that bytes take.
    latency: Duration,
    there_until: Option<Instant>,
    back_until: Option<Instant>,
    queued: u64,
}

impl Link {
    pub(crate) fn new(seed: u64, latency: Duration) -> Self {
        let state = LinkState {
            rng: StdRng::seed_from_u64(seed),
            latency,
            there_until: None,
            back_until: None,
            queued: 0,
        };
        Self {
            state: Mutex::new(state),
            cut: watch::Sender::new(None),
            settled: Mutex::new(0),
            settles: Notify::new(),
        }
    }

    /// Nothing passes in this way until then.
    pub(crate) fn hold(&self, way: Way, until: Instant) {
        let mut state = self.state.lock();
        match way {
            Way::There => state.there_until = Some(until),
            Way::Back => state.back_until = Some(until),
        }
    }

    /// Ends the connection after so many more bytes to the client.
    pub(crate) fn cut(&self, after: usize) {
        self.cut.send_replace(Some(after));
    }

    /// Waits until the connection is cut.
    pub(crate) async fn cut_off(&self) {
        let mut cut = self.cut.subscribe();
        // The sender is here.
        let _ = cut.wait_for(|left| *left == Some(0)).await;
    }

    /// Takes so many bytes, or as many as may still pass.
    pub(crate) fn take(&self, bytes: usize) -> usize {
        let mut taken = bytes;
        self.cut.send_if_modified(|left| {
            if let Some(left) = left {
                taken = bytes.min(*left);
                *left -= taken;
            }
            false
        });
        taken
    }

    /// The way that bytes take: some turns, or some time.
    pub(crate) async fn pass(&self, way: Way) {
        let (turns, delay) = {
            let mut state = self.state.lock();
            let most = u64::try_from(state.latency.as_micros()).unwrap_or(u64::MAX);
            (state.rng.random_range(0..=MOST_TURNS), state.rng.random_range(0..=most))
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        while let Some(until) = self.held_until(way) {
            tokio::time::sleep_until(until).await;
        }
    }

    fn held_until(&self, way: Way) -> Option<Instant> {
        let state = self.state.lock();
        let until = match way {
            Way::There => state.there_until,
            Way::Back => state.back_until,
        };
        until.filter(|until| *until > Instant::now())
    }

    /// The messages that go to the client together.
    pub(crate) fn draw_messages(&self) -> usize {
        self.state.lock().rng.random_range(1..=4)
    }

    /// A message is on its way to the client.
    pub(crate) fn queued(&self) {
        self.state.lock().queued += 1;
    }

    /// Messages have reached the client.
    pub(crate) fn delivered(&self, messages: usize) {
        let mut settled = self.settled.lock();
        *settled = settled.saturating_add(messages as u64);
        self.settles.notify_waiters();
    }

    /// Nothing will reach the client any more.
    pub(crate) fn ended(&self) {
        *self.settled.lock() = u64::MAX;
        self.settles.notify_waiters();
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.settled.lock() == u64::MAX
    }

    /// Waits until all that is on its way to the client by now has reached it, or never will; `None` if nothing is.
    /// Returns whether it has.
    pub(crate) fn settling(self: &Arc<Self>) -> Option<impl Future<Output = bool> + use<>> {
        let queued = self.state.lock().queued;
        let is_settled = *self.settled.lock() >= queued;
        let link = Arc::clone(self);
        (!is_settled).then_some(async move {
            loop {
                let settles = link.settles.notified();
                let settled = *link.settled.lock();
                if settled >= queued {
                    return settled != u64::MAX;
                }
                settles.await;
            }
        })
    }
}
