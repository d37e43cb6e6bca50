//! Serves the metrics of a cache to Prometheus.
//!
//! ```text
//! cargo run --example prometheus --features metrics -- 127.0.0.1:9000
//! curl http://127.0.0.1:9000/metrics
//! ```
//!
//! It reads pages of a shop through the cache, some of them again and again, and changes one now and then, until
//! it is stopped.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use region_cache::{MemoryStore, NearCache, Policy, Region, RegionCache, RegionExt};

/// The limits of the histograms' buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The time between two publications: shorter than that between two scrapes.
const PUBLISHED_EVERY: Duration = Duration::from_millis(500);

const PAUSE: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let address: SocketAddr = address.parse()?;
    // The recorder comes first: what is recorded before it is installed is lost.
    PrometheusBuilder::new().with_http_listener(address).set_buckets(&BUCKETS)?.install()?;

    let policy = Policy::new().ttl(Duration::from_secs(2)).near(NearCache::On);
    let cache = RegionCache::builder(MemoryStore::new()).root("shop").policy(policy).build()?;
    let published = cache.clone();
    tokio::spawn(async move { published.publish_metrics_every(PUBLISHED_EVERY).await });

    for round in 0_u64.. {
        let product = cache.root().child_with_id("product", &(round % 10).to_string())?;
        product.get_or_compute("page", || render(PAUSE)).await?;
        if round % 50 == 49 {
            product.invalidate().await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Stands for what is slow.
async fn render(time: Duration) -> Result<String, std::io::Error> {
    tokio::time::sleep(time).await;
    Ok("a page".to_owned())
}
