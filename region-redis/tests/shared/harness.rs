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

/// The name of the key that holds a region's ids, where the anchors are this deep.
pub(crate) fn ids_key(region: &RegionPath, anchor: usize) -> String {
    let tag = if region.depth() < anchor { 1 } else { anchor };
    let (text, end) = (region.as_str(), region.prefixes().nth(tag - 1).expect("a tag").len());
    format!("rc1:i{{{}}}{}", &text[..end], &text[end..])
}
