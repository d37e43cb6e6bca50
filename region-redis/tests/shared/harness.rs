//! Parts of the harnesses of the conformance suite.

use std::time::Duration;

use region_core::RegionPath;
use region_redis::RedisStoreBuilder;

/// Settings for a machine on which many tests run at once.
pub(crate) fn patient(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    builder
        .call_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10))
        .watch(Duration::from_millis(20), Duration::from_secs(10))
}

/// The name of the key that holds a region's ids.
pub(crate) fn ids_key(region: &RegionPath) -> String {
    let (root, below) = region.as_str().split_once('.').unwrap_or((region.as_str(), ""));
    let dot = if below.is_empty() { "" } else { "." };
    format!("rc1:i{{{root}}}{dot}{below}")
}
