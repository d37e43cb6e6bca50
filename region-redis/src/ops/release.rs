//! Giving leases back, in the background.

use std::time::Duration;

use redis::Pipeline;
use region_core::Result;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::net::connections::Connections;
use crate::net::request::{Lane, Request, Retry, Tracking};
use crate::protocol::release::release;
use crate::topology::releases::Release;
use crate::topology::shard::Shard;

/// The most releases that are sent in one round trip.
const BATCH: usize = 64;

/// The wait before releases that failed are sent again; doubled each time, up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Sends what is given back, in the background, until the shard is gone.
pub(crate) fn start(releases: mpsc::Receiver<Release>, runtime: &Handle) {
    runtime.spawn(run(releases));
}

async fn run(mut releases: mpsc::Receiver<Release>) {
    let mut batch = Vec::new();
    let mut retry = FIRST_RETRY;
    loop {
        if batch.is_empty() && releases.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let Some(shard) = batch.first().map(|release: &Release| release.shard.clone()) else {
            continue;
        };
        match shard.send_releases(&batch).await {
            Ok(()) => {
                batch.clear();
                retry = FIRST_RETRY;
            }
            Err(error) => {
                tracing::debug!(%error, ?retry, "leases are not given back yet");
                tokio::time::sleep(retry).await;
                // Those that have ended by themselves need not be sent again.
                batch.retain(Release::may_be_held);
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

impl Shard {
    async fn send_releases(&self, batch: &[Release]) -> Result<()> {
        let request = |_: &Connections| {
            let mut commands = Pipeline::with_capacity(batch.len());
            for Release { region, keys, token, .. } in batch {
                commands.add_command(release(self.locate(region), keys, *token));
            }
            Request::new(commands, Lane::Main, Tracking::No, Retry::Safe)
        };
        self.primary.call(self.deadline(), request).await.map(drop)
    }
}
