//! Giving leases back, in the background.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Pipeline;
use region_core::{LeaseToken, RegionPath, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::net::connection::{Again, Channel, Lane, Request, Tracking};
use crate::protocol::release::release;
use crate::store::{Inner, RedisStore};

/// The most releases that wait. One that finds no room is left to the end of its lease.
const MOST_WAITING: usize = 4096;

/// The most that are sent in one trip.
const BATCH: usize = 64;

/// The wait before releases that failed are sent again; doubled each time, up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// The leases of one load that are given back.
struct Released {
    /// Held until they are sent, or over: the last user of a store may give leases back and go.
    store: RedisStore,
    region: RegionPath,
    keys: Vec<String>,
    token: LeaseToken,
    at: Instant,
}

/// Where leases are given back. It never waits: a task sends what it is given.
#[derive(Debug)]
pub(crate) struct Releases {
    waiting: mpsc::Sender<Released>,
    /// The longest lease that was taken, in milliseconds: after that nothing is left to give back.
    longest: AtomicU64,
}

impl Releases {
    /// Where leases are given back, and what the task takes them from.
    pub(crate) fn new() -> (Self, ReleaseTask) {
        let (waiting, releases) = mpsc::channel(MOST_WAITING);
        (Self { waiting, longest: AtomicU64::new(0) }, ReleaseTask(releases))
    }

    /// Notes that leases of this duration are taken.
    pub(crate) fn note(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.longest.fetch_max(millis, Ordering::Relaxed);
    }

    /// Gives the leases of `keys` back that `token` holds.
    pub(crate) fn release(
        store: &RedisStore,
        region: &RegionPath,
        keys: &[&str],
        token: LeaseToken,
    ) {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        let (store, at) = (store.clone(), Instant::now());
        let released = Released { store, region: region.clone(), keys, token, at };
        let waiting = released.store.inner().releases.waiting.clone();
        if waiting.try_send(released).is_err() {
            tracing::debug!(%region, "no room to give a lease back: it ends by itself");
        }
    }
}

impl Released {
    /// Whether the leases may not be over yet.
    fn may_be_held(&self) -> bool {
        let longest = self.store.inner().releases.longest.load(Ordering::Relaxed);
        self.at.elapsed() < Duration::from_millis(longest)
    }
}

/// The task that sends what is given back, until the store is gone.
pub(crate) struct ReleaseTask(mpsc::Receiver<Released>);

impl ReleaseTask {
    pub(crate) fn start(self, runtime: &Handle) {
        runtime.spawn(self.run());
    }

    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut retry = FIRST_RETRY;
        loop {
            if batch.is_empty() && self.0.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            let Some(store) = batch.first().map(|released| released.store.clone()) else {
                continue;
            };
            match store.inner().send_releases(&batch).await {
                Ok(()) => {
                    batch.clear();
                    retry = FIRST_RETRY;
                }
                Err(error) => {
                    tracing::debug!(%error, ?retry, "leases are not given back yet");
                    tokio::time::sleep(retry).await;
                    // Those that have ended by themselves need not be sent again.
                    batch.retain(Released::may_be_held);
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }
}

impl Inner {
    async fn send_releases(&self, batch: &[Released]) -> Result<()> {
        let request = |_: &Channel| {
            let mut commands = Pipeline::with_capacity(batch.len());
            for Released { region, keys, token, .. } in batch {
                commands.add_command(release(region, keys, *token));
            }
            Request { commands, lane: Lane::Main, tracking: Tracking::No, again: Again::Harmless }
        };
        self.primary.call(self.deadline(), request).await.map(drop)
    }
}
