//! The cache for code without a runtime: each call waits for its result.
//!
//! A [`BlockingCache`] owns a small runtime of tokio, which connections and loads run on. What it and a
//! [`BlockingRegion`] have no method for, [`BlockingCache::wait`] does with the region itself.
//!
//! ```
//! use region_core::blocking::BlockingCache;
//! use region_core::RegionCache;
//! use region_memory::MemoryStore;
//!
//! # fn main() -> region_core::Result<()> {
//! let cache = BlockingCache::open(async { RegionCache::builder(MemoryStore::new()).build() })?;
//! let project = cache.region("org:42.project:7")?;
//! let title = project.get_or_compute("title", || Ok::<_, std::io::Error>("Dolls".to_owned()))?;
//! assert_eq!(*title, "Dolls");
//! cache.region("org:42")?.invalidate()?;
//! assert_eq!(project.get::<String>("title")?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Calls from async code
//!
//! A call blocks its thread. In async code that thread is one of a runtime's, which does nothing else
//! meanwhile: use [`RegionCache`] there, or `spawn_blocking`.

mod listing;
mod region;
mod runtime;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::cache::RegionCache;
use crate::error::Result;
use crate::regioned::{Regioned, TypedPath};
use crate::stats::Stats;

pub use listing::BlockingListing;
pub use region::BlockingRegion;
use runtime::OwnedRuntime;

/// A [`RegionCache`] whose calls block.
///
/// Cheap to clone; clones and regions share the runtime, which ends with the last of them. Loads that run then
/// are dropped.
#[derive(Clone)]
pub struct BlockingCache {
    runtime: Arc<OwnedRuntime>,
    cache: RegionCache,
}

impl BlockingCache {
    /// Starts a runtime, and makes the cache on it: a store that connects does so there.
    ///
    /// # Errors
    /// That of `cache`; [`Unavailable`](crate::ErrorKind::Unavailable) if the threads of the runtime cannot be started.
    pub fn open(cache: impl Future<Output = Result<RegionCache>>) -> Result<Self> {
        let runtime = Arc::new(OwnedRuntime::start()?);
        let cache = runtime.wait(cache)?;
        Ok(Self { runtime, cache })
    }

    /// The root region, which all others lie in.
    #[must_use]
    pub fn root(&self) -> BlockingRegion {
        BlockingRegion::new(&self.runtime, self.cache.root())
    }

    /// The region below the root that `relative` names, such as `"org:42.project:7"`.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    pub fn region(&self, relative: &str) -> Result<BlockingRegion> {
        Ok(BlockingRegion::new(&self.runtime, self.cache.region(relative)?))
    }

    /// The region of `value`.
    ///
    /// # Errors
    /// As [`RegionExt::region_at`](crate::RegionExt::region_at).
    pub fn region_of<T: Regioned>(&self, value: &T) -> Result<BlockingRegion> {
        Ok(BlockingRegion::new(&self.runtime, self.cache.region_of(value)?))
    }

    /// The region at a typed path, built without a value.
    ///
    /// # Errors
    /// As [`RegionExt::region_at`](crate::RegionExt::region_at).
    pub fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<BlockingRegion> {
        Ok(BlockingRegion::new(&self.runtime, self.cache.region_at(path)?))
    }

    /// Returns the statistics of all regions together: see [`RegionCache::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.cache.stats()
    }

    /// The cache itself, for what this one has no method for.
    #[must_use]
    pub fn cache(&self) -> &RegionCache {
        &self.cache
    }

    /// Waits for a future, on the calling thread and within the runtime of this cache.
    ///
    /// ```
    /// # use region_core::blocking::BlockingCache;
    /// # use region_core::{RegionCache, RegionExt};
    /// # use region_memory::MemoryStore;
    /// # fn main() -> region_core::Result<()> {
    /// # let cache = BlockingCache::open(async { RegionCache::builder(MemoryStore::new()).build() })?;
    /// let mut transaction = cache.root().handle().transaction();
    /// transaction.set("a", 1).set("b", 2);
    /// cache.wait(transaction.commit())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.wait(future)
    }
}

impl fmt::Debug for BlockingCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingCache").field("cache", &self.cache).finish_non_exhaustive()
    }
}
