//! Chooses the store of the cache.

use std::ffi::OsStr;

use region_cache::{MemoryStore, RedisStore, RegionCache, Result};

/// Names the store: the URL of a Redis or Valkey server. Nothing or an empty text is the memory.
pub(crate) const URL_VARIABLE: &str = "REGION_CACHE_URL";

/// The name of all this program keeps.
const ROOT: &str = "treecount";

/// About how much the store in memory may hold: some millions of files. Beyond that counts are
/// evicted, and read again when they are asked for.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// About how much of what is on a server may be held in this process, too.
const NEAR_BYTES: u64 = 256 * 1024 * 1024;

/// The cache over the store that `url` names. A server need not be there: without it nothing is
/// cached, and with its return caching begins.
pub(crate) fn open(url: Option<&OsStr>) -> Result<RegionCache> {
    match url {
        Some(url) if !url.is_empty() => {
            let store = RedisStore::builder(&url.to_string_lossy())?.build()?;
            RegionCache::builder(store).root(ROOT).near(NEAR_BYTES).build()
        }
        _ => {
            let store = MemoryStore::builder().max_bytes(MEMORY_BYTES).build();
            RegionCache::builder(store).root(ROOT).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_url_means_memory_and_odd_ones_are_refused() {
        assert!(open(None).is_ok());
        assert!(open(Some(OsStr::new(""))).is_ok());
        assert!(open(Some(OsStr::new("redis://localhost:1"))).is_ok());
        for odd in ["localhost", "memcached://localhost", "redis://:secret@localhost:port"] {
            let refused = open(Some(OsStr::new(odd))).err().unwrap();
            assert!(!refused.to_string().contains("secret"));
        }
    }
}
