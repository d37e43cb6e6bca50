//! Publishes the statistics of a cache as metrics.

use std::convert::Infallible;
use std::time::Duration;

use metrics::{counter, gauge};

use super::RegionCache;
use crate::metric::{Metric, NEAR_BYTES, NEAR_ENTRIES, NEAR_REGIONS};
use crate::stats::Counted;

impl RegionCache {
    /// Publishes the present statistics to the recorder that is installed: the counters and gauges of
    /// [`Metric`]. The histograms are recorded as loads and calls to the store happen.
    ///
    /// The counters are those of [`stats`](Self::stats): nothing is counted twice. Caches of one process that have
    /// the same root are told apart by nothing, so give each a root of its own.
    pub fn publish_metrics(&self) {
        let (stats, near) = (self.stats(), self.near_use());
        let cache = &self.engine().metrics.cache;
        for Counted { metric, of, .. } in Counted::ALL {
            counter!(*metric, "cache" => cache.clone()).absolute(of(&stats));
        }
        let gauges =
            [(NEAR_BYTES, near.bytes), (NEAR_ENTRIES, near.entries), (NEAR_REGIONS, near.regions)];
        for (name, value) in gauges {
            // A gauge is a float. Amounts beyond 2^53 would be rounded.
            gauge!(name, "cache" => cache.clone()).set(value as f64);
        }
    }

    /// [Describes](Metric::describe_all) the metrics, and [publishes](Self::publish_metrics) them again and
    /// again, `every` so long. It never returns: spawn it.
    ///
    /// Must be called within a tokio runtime that has timers.
    ///
    /// # Cancel safety
    /// Dropping the future ends the publishing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use region_core::RegionCache;
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
    /// let published = cache.clone();
    /// let publishing = tokio::spawn(async move {
    ///     published.publish_metrics_every(Duration::from_secs(5)).await
    /// });
    /// # publishing.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish_metrics_every(&self, every: Duration) -> Infallible {
        Metric::describe_all();
        loop {
            self.publish_metrics();
            tokio::time::sleep(every).await;
        }
    }
}
