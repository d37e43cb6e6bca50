//! The task that frees what invalidations and ended regions leave behind.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use region_core::{RegionPath, Result, Timestamp};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::net::connection::{Again, Channel, Lane};
use crate::ops::one;
use crate::protocol::reclaim::{Work, due, prune, reclaim, remove};
use crate::protocol::reply::{Replies, bytes, list};
use crate::store::Inner;

/// How many regions are looked at in one step: a step takes the server well under a millisecond.
const STEP: usize = 100;

/// The server's rest between two steps.
const PAUSE: Duration = Duration::from_millis(1);

/// How often work is looked for that others have left, or that has become due.
const ROUND: Duration = Duration::from_secs(10);

/// The most roots that are looked after.
const MOST_ROOTS: usize = 1024;

/// Knows where to look, and when.
#[derive(Debug, Default)]
pub(crate) struct Reclaimer {
    roots: Mutex<HashSet<Box<str>>>,
    work: Arc<Notify>,
}

impl Reclaimer {
    /// Takes note of a region that is in use.
    pub(crate) fn note(&self, region: &RegionPath) {
        let Some(root) = region.prefixes().next() else { return };
        let mut roots = self.roots.lock();
        if !roots.contains(root) && roots.len() < MOST_ROOTS {
            roots.insert(root.into());
            // Others may have left something there.
            self.work.notify_one();
        }
    }

    /// There may be something to free.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Begins to free what is dead, in the background, for as long as the store is there.
    pub(crate) fn start(&self, store: Weak<Inner>) -> AbortHandle {
        tokio::spawn(run(store, Arc::clone(&self.work))).abort_handle()
    }
}

async fn run(store: Weak<Inner>, work: Arc<Notify>) {
    loop {
        // Not held while waiting: the store ends with its last clone.
        let Some(inner) = store.upgrade() else { return };
        if let Err(error) = inner.reclaim().await {
            tracing::debug!(%error, "nothing reclaimed");
        }
        drop(inner);
        // Whether there is work or the time has come: both mean another round.
        let _ = tokio::time::timeout(ROUND, work.notified()).await;
    }
}

impl Inner {
    /// Frees what is dead below all roots in use; answers how many regions were looked at.
    pub(crate) async fn reclaim(&self) -> Result<u64> {
        let roots: Vec<_> = self.reclaimer.roots.lock().iter().cloned().collect();
        let mut looked = 0;
        for root in roots {
            // All that becomes due later is for the next round.
            let now = self.now().await?;
            loop {
                let members = self.due(&root, now).await?;
                if members.is_empty() {
                    break;
                }
                for member in members {
                    looked += self.work_off(&root, &member).await?;
                }
            }
        }
        Ok(looked)
    }

    /// What has to be looked at below a root.
    async fn due(&self, root: &str, now: Timestamp) -> Result<Vec<Vec<u8>>> {
        let mut replies = self.ask_reclaim(|| due(root, now)).await?;
        let members = replies.next_of_type()?.and_then(list).unwrap_or_default();
        Ok(members.into_iter().filter_map(bytes).collect())
    }

    /// Does one piece of work, step by step.
    async fn work_off(&self, root: &str, member: &[u8]) -> Result<u64> {
        let Some(work) = Work::parse(root, member) else {
            // Not ours: it would be found again and again.
            self.ask_reclaim(|| remove(root, member)).await?.next()?;
            return Ok(0);
        };
        let step = || match &work {
            Work::Tombstone(id, region) => reclaim(region, id, STEP),
            Work::Region(region) => prune(region, STEP),
        };
        let mut looked = 0;
        loop {
            let done = self.ask_reclaim(step).await?.number()?;
            looked += done;
            let is_over = match &work {
                Work::Tombstone(..) => done == 0,
                Work::Region(_) => done < STEP as u64,
            };
            if is_over {
                return Ok(looked);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_reclaim(&self, command: impl Fn() -> redis::Cmd) -> Result<Replies<'_>> {
        let request = |_: &Channel| one(command(), Lane::Main, Again::Harmless);
        let answered = self.primary.call(self.deadline(), request).await?;
        Ok(Replies::new(&self.primary.shared().server, answered.values))
    }
}
