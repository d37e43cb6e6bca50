//! The task that frees what invalidations and ended regions leave behind.

use std::sync::{Arc, Weak};
use std::time::Duration;

use region_core::{Result, Timestamp};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::net::connections::{Connections, Lane, Retry};
use crate::ops::one;
use crate::protocol::reclaim::{Work, due, prune, reclaim, remove};
use crate::protocol::reply::{Replies, bytes, list};
use crate::session::roots::UsedRoots;
use crate::topology::shard::Shard;

/// The number of regions that are looked at in one step: it takes the server well under a millisecond.
const STEP: usize = 100;

/// The server's rest after so many regions.
const PAUSE: Duration = Duration::from_millis(1);

/// The number of regions as which each step is counted at least: a step takes the server some time even if it finds
/// nothing.
const LEAST: usize = 10;

/// The time between two looks for work that others have left, or that has become due.
const ROUND: Duration = Duration::from_secs(10);

/// Starts the reclaimer in the background. It runs as long as the shard exists.
pub(crate) fn start(shard: &Arc<Shard>, runtime: &Handle) -> AbortHandle {
    runtime.spawn(run(Arc::downgrade(shard), Arc::clone(&shard.roots))).abort_handle()
}

async fn run(shard: Weak<Shard>, roots: Arc<UsedRoots>) {
    loop {
        // Not held while waiting: the shard ends with its last handle.
        let Some(present) = shard.upgrade() else { return };
        if let Err(error) = present.reclaim().await {
            tracing::debug!(%error, "nothing reclaimed");
        }
        drop(present);
        // Work and the end of the time both mean another round.
        let _ = tokio::time::timeout(ROUND, roots.woken()).await;
    }
}

/// Lets the server rest after each [`STEP`] regions, however many pieces of work they are in: with a rest for each
/// piece, many small regions would be invalidated faster than they are freed.
#[derive(Debug, Default)]
struct Pace {
    /// The number of regions since the last rest.
    regions: usize,
}

impl Pace {
    async fn rest_after(&mut self, looked: u64) {
        self.regions += usize::try_from(looked).unwrap_or(STEP).max(LEAST);
        if self.regions >= STEP {
            self.regions = 0;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Shard {
    /// Frees the memory of dead regions below all roots in use. Returns the number of regions that were looked at.
    pub(crate) async fn reclaim(&self) -> Result<u64> {
        let (mut looked, mut pace) = (0, Pace::default());
        for root in self.roots.all() {
            // Work that becomes due later is for the next round.
            let now = self.now().await?;
            loop {
                let members = self.due(&root, now).await?;
                if members.is_empty() {
                    break;
                }
                for member in members {
                    looked += self.work_off(&root, &member, &mut pace).await?;
                }
            }
        }
        Ok(looked)
    }

    /// Returns the work that is due below a root.
    async fn due(&self, root: &str, now: Timestamp) -> Result<Vec<Vec<u8>>> {
        let mut replies = self.ask_reclaim(|| due(root, now)).await?;
        let members = replies.next_of_type()?.and_then(list).unwrap_or_default();
        Ok(members.into_iter().filter_map(bytes).collect())
    }

    /// Does one piece of work, step by step.
    async fn work_off(&self, root: &str, member: &[u8], pace: &mut Pace) -> Result<u64> {
        let Some(work) = Work::parse(root, member) else {
            // No member that this library wrote: it would be found again and again.
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
            pace.rest_after(done).await;
            let is_over = match &work {
                Work::Tombstone(..) => done == 0,
                Work::Region(_) => done < STEP as u64,
            };
            if is_over {
                return Ok(looked);
            }
        }
    }

    async fn ask_reclaim(&self, command: impl Fn() -> redis::Cmd) -> Result<Replies<'_>> {
        let request = |_: &Connections| one(command(), Lane::Main, Retry::Safe);
        let answered = self.primary.call(self.deadline(), request).await?;
        Ok(Replies::new(&self.primary.shared().server, answered.values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: the server rested after each region that was freed, however small.
    /// Effect: regions of one child were invalidated faster than they were freed, and the work list grew.
    /// Fix: it rests after as many regions as are looked at in one step.
    #[tokio::test(start_paused = true)]
    async fn the_server_rests_after_a_step_of_regions() {
        for (looked, steps) in [(0, 10), (1, 10), (25, 4), (100, 1), (u64::MAX, 1)] {
            let (mut pace, start) = (Pace::default(), tokio::time::Instant::now());
            for _ in 1..steps {
                pace.rest_after(looked).await;
            }
            assert_eq!(start.elapsed(), Duration::ZERO, "{looked}");
            pace.rest_after(looked).await;
            assert!(start.elapsed() >= PAUSE, "{looked}");
        }
    }
}
