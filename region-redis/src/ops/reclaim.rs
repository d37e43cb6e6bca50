//! The task that frees what invalidations leave behind.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, Value};
use region_core::{RegionPath, Result};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::net::connection::{Again, Channel, Lane, Request, Tracking};
use crate::protocol::commands;
use crate::protocol::layout;
use crate::protocol::reply::{Replies, borrowed};
use crate::store::Inner;

/// How many regions are looked at in one step: a step takes the server well under a millisecond.
const STEP: usize = 100;

/// The server's rest between two steps.
const PAUSE: Duration = Duration::from_millis(1);

/// How often graves are looked for that others have left.
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
    /// Frees what is dead below all roots in use; how many regions were looked at.
    pub(crate) async fn reclaim(&self) -> Result<u64> {
        let roots: Vec<_> = self.reclaimer.roots.lock().iter().cloned().collect();
        let mut looked = 0;
        for root in roots {
            while let Some((id, region)) = self.grave(&root).await? {
                looked += self.empty(&region, &id).await?;
            }
        }
        Ok(looked)
    }

    /// A grave of a root: its id, and the region whose children lie in it.
    async fn grave(&self, root: &str) -> Result<Option<(String, RegionPath)>> {
        let name = layout::graves(root);
        let random = || {
            let mut command = redis::cmd("SRANDMEMBER");
            command.arg(&name);
            command
        };
        let member = self.one_reply(random).await?;
        let Some(text) = borrowed(&member).map(String::from_utf8_lossy) else { return Ok(None) };
        let parsed = text
            .split_once(' ')
            .and_then(|(id, path)| RegionPath::parse(path).ok().map(|path| (id.to_owned(), path)));
        if parsed.is_none() {
            // Not ours: it would be found again and again.
            let remove = || {
                let mut command = redis::cmd("SREM");
                command.arg(&name).arg(borrowed(&member).unwrap_or_default());
                command
            };
            self.one_reply(remove).await?;
        }
        Ok(parsed)
    }

    /// Frees what a grave holds, step by step.
    async fn empty(&self, region: &RegionPath, id: &str) -> Result<u64> {
        let mut looked = 0;
        loop {
            let reply = self.one_reply(|| commands::reclaim(region, id, STEP)).await?;
            let step = crate::protocol::reply::number(&reply).unwrap_or_default();
            if step == 0 {
                return Ok(looked);
            }
            looked += step;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn one_reply(&self, command: impl Fn() -> redis::Cmd) -> Result<Value> {
        let request = |_: &Channel| {
            let mut commands = Pipeline::with_capacity(1);
            commands.add_command(command());
            Request { commands, lane: Lane::Main, tracking: Tracking::No, again: Again::Harmless }
        };
        let answered = self.primary.call(self.deadline(), request).await?;
        Replies::new(&self.primary.shared().server, answered.values).next()
    }
}
