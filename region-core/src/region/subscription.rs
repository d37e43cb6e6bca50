use std::pin::pin;
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::{Region, RegionExt};

/// The wait before a failed invalidation is tried again; doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Keeps a region bound to a stream of events: see [`RegionExt::invalidate_on`].
///
/// Dropping it unbinds the region; an invalidation that is under way is still completed.
#[derive(Debug)]
#[must_use = "dropping the subscription unbinds the region from its events"]
pub struct Subscription {
    /// Dropped with the subscription, which ends the task.
    _stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Subscription {
    pub(super) fn new<R: Region>(region: R, events: impl Stream + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { _stop: stop, task: tokio::spawn(run(region, events, stopped)) }
    }

    /// Whether the stream has ended, so that nothing invalidates the region any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

async fn run<R: Region>(
    region: R,
    events: impl Stream + Send + 'static,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut events = pin!(events);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            event = events.next() => if event.is_none() { return },
        }
        invalidate(&region).await;
    }
}

/// Invalidates, however often it takes: an event must not be lost to an outage. Events that come
/// meanwhile wait in the stream; the retries' spacing is bounded, so they wait no longer than the
/// outage and one retry.
async fn invalidate<R: Region>(region: &R) {
    let mut wait = FIRST_RETRY;
    while let Err(error) = region.invalidate().await {
        tracing::warn!(region = %region.path(), %error, ?wait, "invalidation failed, trying again");
        if !error.can_retry() && wait == LAST_RETRY {
            tracing::error!(region = %region.path(), %error, "invalidation given up");
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_RETRY);
    }
}
