//! The leases that wait to be given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use region_core::{LeaseToken, RegionPath};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::topology::shard::ShardHandle;

/// The most releases that wait. One that finds no room is left to the end of its lease.
const MOST_WAITING: usize = 4096;

/// The leases of one load that are given back.
pub(crate) struct Release {
    /// Keeps the shard alive until the leases are given back, or over: the last user of a store may give
    /// leases back and drop it.
    pub(crate) shard: ShardHandle,
    pub(crate) region: RegionPath,
    pub(crate) keys: Vec<String>,
    pub(crate) token: LeaseToken,
    at: Instant,
}

/// The queue of leases to be given back. Adding to it never waits: a task sends what is queued.
#[derive(Debug)]
pub(crate) struct Releases {
    waiting: mpsc::Sender<Release>,
    /// The longest lease that was taken, in milliseconds: after that nothing is left to give back.
    longest: AtomicU64,
}

impl Releases {
    /// Returns the queue, and the end from which the task takes.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Release>) {
        let (waiting, releases) = mpsc::channel(MOST_WAITING);
        (Self { waiting, longest: AtomicU64::new(0) }, releases)
    }

    /// Notes the duration of leases that are taken.
    pub(crate) fn note(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.longest.fetch_max(millis, Ordering::Relaxed);
    }
}

impl ShardHandle {
    /// Gives the leases of `keys` back that `token` holds, in the background.
    pub(crate) fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        let (shard, at) = (self.clone(), Instant::now());
        let release = Release { shard, region: region.clone(), keys, token, at };
        if self.releases.waiting.try_send(release).is_err() {
            tracing::debug!(%region, "no room to give a lease back: it ends by itself");
        }
    }
}

impl Release {
    /// Returns whether the leases may not be over yet.
    pub(crate) fn may_be_held(&self) -> bool {
        let longest = self.shard.releases.longest.load(Ordering::Relaxed);
        self.at.elapsed() < Duration::from_millis(longest)
    }
}
