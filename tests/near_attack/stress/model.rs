//! The versions of all keys, and what a read may return.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub(super) const REGIONS: [&str; 4] = ["", "a", "a.b", "a.c"];
pub(super) const KEYS: [&str; 3] = ["x", "y", "z"];

/// The number of changes of a key that a failure shows.
const SHOWN: usize = 12;

/// A key, by the numbers of its region and its name.
pub(super) type Place = (usize, usize);

/// One number for each key.
pub(super) type Versions = [[AtomicU64; KEYS.len()]; REGIONS.len()];

/// The history of one key.
#[derive(Default)]
struct Key {
    /// The version that a load would find.
    truth: AtomicU64,
    changes: Mutex<Vec<Change>>,
}

/// A change of one key.
pub(super) struct Change {
    pub(super) version: u64,
    /// Describes it.
    pub(super) what: String,
    /// `None`: nobody knows whether it was done.
    pub(super) completed: Option<Instant>,
}

/// After a change has completed its own client sees nothing older, and the others see nothing older once
/// they have heard of it.
pub(super) struct Model {
    keys: [[Key; KEYS.len()]; REGIONS.len()],
    /// The time in which others have heard of a change.
    heard_within: Duration,
    /// Held while something changes, so that the versions have an order.
    pub(super) changing: tokio::sync::Mutex<()>,
    pub(super) is_over: AtomicBool,
}

impl Model {
    pub(super) fn new(heard_within: Duration) -> Self {
        let (keys, changing) = (Default::default(), tokio::sync::Mutex::default());
        Self { keys, heard_within, changing, is_over: AtomicBool::new(false) }
    }

    pub(super) fn truth(&self, (region, key): Place) -> u64 {
        self.keys[region][key].truth.load(SeqCst)
    }

    /// The next version of a key, which a load finds from now on.
    pub(super) fn next_version(&self, (region, key): Place) -> u64 {
        self.keys[region][key].truth.fetch_add(1, SeqCst) + 1
    }

    pub(super) fn note(&self, (region, key): Place, change: Change) {
        self.keys[region][key].changes.lock().push(change);
    }

    /// The least version that others than the one who made it may still read now.
    pub(super) fn heard(&self, (region, key): Place) -> u64 {
        let Some(heard) = Instant::now().checked_sub(self.heard_within) else { return 0 };
        let changes = self.keys[region][key].changes.lock();
        let is_heard = |change: &&Change| change.completed.is_some_and(|at| at < heard);
        changes.iter().rev().find(is_heard).map_or(0, |change| change.version)
    }

    /// The least version that anybody may read in the end.
    pub(super) fn completed(&self, (region, key): Place) -> u64 {
        let changes = self.keys[region][key].changes.lock();
        let is_completed = |change: &&Change| change.completed.is_some();
        changes.iter().rev().find(is_completed).map_or(0, |change| change.version)
    }

    /// Fails, with the last changes of the key.
    pub(super) fn refuse(&self, (region, key): Place, what: &str) -> ! {
        let changes = self.keys[region][key].changes.lock();
        let first = changes.len().saturating_sub(SHOWN);
        let (at, now) = (REGIONS[region], Instant::now());
        let shown =
            changes[first..].iter().map(|change| format!("\n{}: {}", change.version, change.what));
        panic!("{what} {at:?} {}, at {now:?}, after{}", KEYS[key], shown.collect::<String>());
    }
}
