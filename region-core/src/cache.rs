//! The cache as a whole: a store, a root and what applies to all regions.

mod builder;
#[cfg(feature = "metrics")]
mod publish;

use std::fmt;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Result;
use crate::handle::RegionHandle;
use crate::region::{Region, RegionExt, get_across};
use crate::regioned::{Regioned, TypedPath};
use crate::stats::{NearUse, RegionStats, Stats};
use crate::store::SharedStore;
use crate::value::serializer::Value;

pub use builder::RegionCacheBuilder;

/// A cache over a store: where handles to regions come from.
///
/// Cheap to clone; clones and all handles share the loads under way and the statistics. The type
/// names neither the store nor the serializer, so that a test swaps the store in one line.
///
/// ```
/// use std::time::Duration;
/// use region_core::{Policy, Region, RegionCache, RegionExt};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new())
///     .root("shop")
///     .policy(Policy::new().ttl(Duration::from_secs(600)))
///     .build()?;
/// let project = cache.region("org:42.project:7")?;
/// project.set("title", &"Russian dolls".to_owned()).await?;
/// cache.region("org:42")?.invalidate().await?;
/// assert_eq!(project.get::<String>("title").await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RegionCache {
    root: RegionHandle,
}

impl RegionCache {
    /// The root region, which all others lie in.
    #[must_use]
    pub fn root(&self) -> RegionHandle {
        self.root.clone()
    }

    /// The region below the root that `relative` names, such as `"org:42.project:7"`.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    pub fn region(&self, relative: &str) -> Result<RegionHandle> {
        self.root.region(relative)
    }

    /// The region of `value`.
    ///
    /// # Errors
    /// As [`RegionExt::region_at`].
    pub fn region_of<T: Regioned>(&self, value: &T) -> Result<RegionHandle> {
        self.root.region_of(value)
    }

    /// The region at a typed path, built without a value.
    ///
    /// # Errors
    /// As [`RegionExt::region_at`].
    pub fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<RegionHandle> {
        self.root.region_at(path)
    }

    /// Returns the fresh values at keys of several regions, all asked at the same time: see [`get_across`].
    ///
    /// # Errors
    /// As [`get_across`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn get_across<V: Value>(
        &self,
        places: &[(&RegionHandle, &str)],
    ) -> Result<Vec<Option<Arc<V>>>> {
        get_across(places).await
    }

    /// Returns the statistics of all regions together, since the cache was built.
    ///
    /// It adds up the counters of each region in use, so its cost grows with their number.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine().counters.total()
    }

    /// Returns the statistics of the busiest regions, and of all others together. Their sum is what
    /// [`stats`](Self::stats) returns.
    ///
    /// Busy is a region with many reads and loads. The number of regions that are told apart is bounded
    /// by [`max_region_stats`](RegionCacheBuilder::max_region_stats). A region keeps its statistics while there
    /// are handles to it, or it was opened lately; after that it keeps them while it is among the busiest. What
    /// a region had counted before it lost them is part of the others.
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).build()?;
    /// cache.region("org:42")?.get::<String>("name").await?;
    /// let stats = cache.region_stats();
    /// let (path, of_org) = &stats.regions[0];
    /// assert_eq!((path.as_str(), of_org.misses), ("root.org:42", 1));
    /// assert_eq!(stats.total(), cache.stats());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn region_stats(&self) -> RegionStats {
        self.engine().counters.by_region()
    }

    /// Returns the memory that the near cache uses.
    #[must_use]
    pub fn near_use(&self) -> NearUse {
        self.engine().near.memory_use()
    }

    /// The store underneath.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.engine().store
    }

    fn engine(&self) -> &Engine {
        self.root.context().engine()
    }
}

impl fmt::Debug for RegionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionCache")
            .field("root", self.root.path())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
