//! The task that frees what invalidations and ended regions leave behind.

mod anchors;
mod pace;
mod stages;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use region_core::{RegionPath, Result};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::net::connections::Connections;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::ops::reclaim::pace::Pace;
use crate::ops::reclaim::stages::Stages;
use crate::protocol::reply::Replies;
use crate::session::tags::UsedTags;
use crate::topology::shard::Shard;

/// The time between two looks for work that others have left, or that has become due.
const ROUND: Duration = Duration::from_secs(10);

/// The time in which work gathers before it is done, so that a trip carries more of it.
const GATHERING: Duration = Duration::from_millis(10);

/// The number of trips after which the hash tags take turns, and the number of workers is judged anew.
const TURN: usize = 32;

/// Starts the reclaimer in the background. It runs as long as the shard exists.
pub(crate) fn start(shard: &Arc<Shard>, runtime: &Handle) -> AbortHandle {
    runtime.spawn(run(Arc::downgrade(shard), Arc::clone(&shard.tags))).abort_handle()
}

async fn run(shard: Weak<Shard>, tags: Arc<UsedTags>) {
    let mut round = Instant::now();
    loop {
        // Not held while waiting: the shard ends with its last handle.
        let Some(present) = shard.upgrade() else { return };
        let is_due = Instant::now() >= round;
        let looked_at = if is_due { tags.all() } else { tags.with_work() };
        if is_due {
            round = Instant::now() + ROUND;
        }
        if let Err(error) = present.reclaim_below(looked_at).await {
            tracing::debug!(%error, "not all is reclaimed");
        }
        drop(present);
        tokio::time::sleep(GATHERING).await;
        // Work and the end of the time both mean another look.
        let _ = tokio::time::timeout_at(round, tags.woken()).await;
    }
}

/// The work of one turn.
struct Turn {
    looked: u64,
    /// Whether there may be more work.
    has_more: bool,
}

impl Shard {
    /// Frees the memory of dead regions under all hash tags in use. Returns the number of regions that were looked at.
    pub(crate) async fn reclaim(&self) -> Result<u64> {
        self.reclaim_below(self.tags.all()).await
    }

    /// As [`reclaim`](Self::reclaim), under the hash tag of a region, and looks after that one from now on.
    pub(crate) async fn reclaim_around(&self, region: &RegionPath) -> Result<u64> {
        let at = self.locate(region);
        self.tags.note(at.tag());
        self.reclaim_below(vec![at.tag().into()]).await
    }

    async fn reclaim_below(&self, tags: Vec<Box<str>>) -> Result<u64> {
        let mut looked = 0;
        let mut tags: Vec<_> = tags.into_iter().map(|tag| (tag, Pace::default())).collect();
        while !tags.is_empty() {
            let mut with_more = Vec::new();
            for (tag, pace) in tags {
                let turn = self.reclaim_for_a_turn(&tag, &pace).await?;
                looked += turn.looked;
                if turn.has_more {
                    with_more.push((tag, pace));
                }
            }
            tags = with_more;
        }
        Ok(looked)
    }

    /// Does what is due under a hash tag, or as much of it as one turn takes, by as many workers as it needs.
    async fn reclaim_for_a_turn(&self, tag: &str, pace: &Pace) -> Result<Turn> {
        let workers = pace.workers(self.primary.shared().in_flight());
        let turns = join_all((0..workers).map(|_| self.work_for_a_turn(tag, pace))).await;
        turns.into_iter().try_fold(Turn { looked: 0, has_more: false }, |sum, turn| {
            let turn = turn?;
            let has_more = sum.has_more || turn.has_more;
            Ok(Turn { looked: sum.looked + turn.looked, has_more })
        })
    }

    /// Does what is due, as one of the workers. It never takes work without doing it, unless it is dropped or
    /// fails: then that work is due again after a while.
    async fn work_for_a_turn(&self, tag: &str, pace: &Pace) -> Result<Turn> {
        let (mut stages, mut looked) = (Stages::new(self.settings.servers.anchor()), 0);
        for trip in 0.. {
            let (start, takes_more) = (Instant::now(), trip < TURN);
            let claim = if stages.needs_claim() { self.claim_under(tag).await? } else { None };
            let request = |_: &Connections| {
                let commands = stages.commands(tag, claim.as_ref(), takes_more);
                Request::new(commands, Lane::Main, Tracking::No, Retry::Safe)
            };
            let answered = self.primary.call(self.deadline(), request).await?;
            let mut replies = Replies::new(&answered.connections.server, answered.values);
            let progress = stages.answered(tag, takes_more, &mut replies)?;
            looked += progress.looked;
            for mut tombstone in stages.take_of_anchors() {
                let anchors = std::mem::take(&mut tombstone.found.children);
                looked += anchors.len() as u64;
                // What fails is due again after a while, and so is the rest of its tombstone.
                if let Some(done) = self.reclaim_anchors(anchors).await {
                    tombstone.found.others.extend(done);
                    stages.put_back(tombstone);
                }
            }
            self.unlist_dead(&stages.take_anchors()).await;
            progress.left.into_iter().for_each(|left| pace.note_left(left));
            if stages.is_empty() {
                return Ok(Turn { looked, has_more: !takes_more });
            }
            pace.rest(start.elapsed()).await;
        }
        Ok(Turn { looked, has_more: true })
    }
}
