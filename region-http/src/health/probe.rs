//! Reads of the store, one at a time.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use region_core::{NearCache, OnOutage, Policy, ReadFrom, Region, RegionCache, Result};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::report::{Condition, HealthReport, StoreReport, word};

/// The key that is looked up. It need not exist.
const KEY: &str = "health";

/// Probes the store of a cache: one probe at a time, which all who ask meanwhile share.
pub(super) struct Prober {
    cache: RegionCache,
    /// The last probe, under way or over.
    last: Mutex<Option<Probe>>,
}

struct Probe {
    task: AbortHandle,
    report: Shared<BoxFuture<'static, HealthReport>>,
}

impl Prober {
    pub(super) fn new(cache: RegionCache) -> Self {
        Self { cache, last: Mutex::new(None) }
    }

    /// The report of a probe that is under way, or of a new one.
    pub(super) async fn report(&self, within: Duration) -> HealthReport {
        let report = self.join(within);
        // The probe's task has the same limit; but a store may keep its thread busy.
        timeout(within, report).await.unwrap_or_else(|_| HealthReport::no_answer(within))
    }

    fn join(&self, within: Duration) -> Shared<BoxFuture<'static, HealthReport>> {
        let mut last = self.last.lock();
        if let Some(probe) = &*last
            && !probe.task.is_finished()
        {
            return probe.report.clone();
        }
        // In a task of its own it ends though nobody waits for it.
        let probing = tokio::spawn(timeout(within, probe(self.cache.clone())));
        let task = probing.abort_handle();
        let report = async move {
            let reported = probing.await.ok().and_then(Result::ok);
            reported.unwrap_or_else(|| HealthReport::no_answer(within))
        };
        let report = report.boxed().shared();
        *last = Some(Probe { task, report: report.clone() });
        report
    }
}

async fn probe(cache: RegionCache) -> HealthReport {
    let started = Instant::now();
    let read = read_store(&cache).await;
    let took = started.elapsed();
    let health = cache.store().health();
    let problems = health.problems();
    let error = read.as_ref().err().map(|error| word(error.kind()));
    let condition = match &read {
        Ok(()) if problems.is_empty() => Condition::Ready,
        Ok(()) => Condition::Degraded,
        // A read as the service makes them: a miss unless the policy says otherwise.
        Err(_) => match cache.root().contains(KEY).await {
            Ok(_) => Condition::Degraded,
            Err(_) => Condition::Down,
        },
    };
    HealthReport::new(condition, StoreReport::new(error, took), problems)
}

/// Reads from the store, and nothing that is held near.
async fn read_store(cache: &RegionCache) -> Result<()> {
    let policy =
        Policy::new().near(NearCache::Off).on_outage(OnOutage::Error).read_from(ReadFrom::Primary);
    cache.root().with_policy(policy)?.contains(KEY).await?;
    Ok(())
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("cache", &self.cache).finish_non_exhaustive()
    }
}
