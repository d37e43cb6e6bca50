//! Which store the cache stands on.

use std::ffi::OsStr;

use region_cache::{MemoryStore, RegionCache, Result};

/// Names the store; nothing or an empty text is the memory.
pub(crate) const URL_VARIABLE: &str = "REGION_CACHE_URL";

/// The name of all this program keeps.
const ROOT: &str = "treecount";

/// About how much the store in memory may hold: some millions of files. Beyond that counts are
/// evicted, and read again when they are asked for.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// Why there is no cache.
#[derive(Debug)]
pub(crate) enum NoCache {
    /// The store that is asked for is not part of this build.
    Unknown(String),
    /// The cache refused to be built.
    Failed(region_cache::Error),
}

/// The cache over the store that `url` names.
pub(crate) fn open(url: Option<&OsStr>) -> Result<RegionCache, NoCache> {
    match url {
        Some(url) if !url.is_empty() => Err(NoCache::Unknown(url.to_string_lossy().into_owned())),
        _ => {
            let store = MemoryStore::builder().max_bytes(MEMORY_BYTES).build();
            RegionCache::builder(store).root(ROOT).build().map_err(NoCache::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_url_means_memory_and_others_are_refused() {
        assert!(open(None).is_ok());
        assert!(open(Some(OsStr::new(""))).is_ok());
        let refused = open(Some(OsStr::new("redis://localhost"))).err();
        assert!(matches!(refused, Some(NoCache::Unknown(url)) if url == "redis://localhost"));
    }
}
