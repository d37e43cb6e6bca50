//! Chooses the store of the cache.

use std::ffi::OsStr;

use region_cache::{RegionCache, RegionCacheExt, Result};

/// The store if the environment names none: this process, with about as much as some millions of files take.
/// Beyond that counts are evicted, and read again when they are asked for.
const DEFAULT_URL: &str = "memory:?max_bytes=1GiB";

/// The name of all this program keeps.
const ROOT: &str = "treecount";

/// About how much of what is on a server may be held in this process, too.
const NEAR_BYTES: u64 = 256 * 1024 * 1024;

/// The cache over the store that `url` names. A server need not be there: without it nothing is
/// cached, and with its return caching begins.
pub(crate) fn open(url: Option<&OsStr>) -> Result<RegionCache> {
    let url = url.filter(|url| !url.is_empty()).map(OsStr::to_string_lossy);
    let url = url.as_deref().unwrap_or(DEFAULT_URL);
    let builder = RegionCache::builder_from_url(url)?.root(ROOT);
    match url.starts_with("memory:") {
        true => builder.build(),
        false => builder.near(NEAR_BYTES).build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_url_means_memory_and_odd_ones_are_refused() {
        assert!(open(None).is_ok());
        for url in ["", "memory:", "redis://localhost:1", "unix:///no/socket"] {
            assert!(open(Some(OsStr::new(url))).is_ok(), "{url}");
        }
        for odd in ["localhost", "memcached://localhost", "redis://:secret@localhost:port"] {
            let refused = open(Some(OsStr::new(odd))).err().unwrap();
            assert!(!refused.to_string().contains("secret"));
        }
    }
}
