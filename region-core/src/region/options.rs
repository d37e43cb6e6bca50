use std::time::Duration;

use super::Dependency;

/// Options of one entry that take precedence over the region's policy.
///
/// A value that is set depends on no other region: it was made before the call, so nothing could tell what
/// became of that region since. A value that is to depend on one is loaded, with
/// [`LoadOptions::depends_on`], by [`reload`](LoadOptions::reload) if it is there already.
///
/// ```
/// use std::time::Duration;
/// use region_core::SetOptions;
///
/// let options = SetOptions::new().ttl(Duration::from_secs(5));
/// assert_eq!(options.entry_ttl(), Some(Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    pub(crate) ttl: Option<Duration>,
}

impl SetOptions {
    /// Creates options that follow the policy in everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the lifetime of the entry, rounded up to whole milliseconds.
    ///
    /// The write refuses zero, and more than [`MAX_LIFETIME`](crate::MAX_LIFETIME). The region's TTL,
    /// if it has one, still ends the entry.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Returns the lifetime that [`ttl`](Self::ttl) has set, for implementations of
    /// [`Region`](crate::Region).
    #[must_use]
    pub fn entry_ttl(&self) -> Option<Duration> {
        self.ttl
    }
}

/// Options of [`Region::get_or_compute_with`](crate::Region::get_or_compute_with) and
/// [`Region::get_or_compute_many_with`](crate::Region::get_or_compute_many_with).
///
/// ```
/// use region_core::LoadOptions;
///
/// assert!(LoadOptions::new().reload().is_reload());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    mode: LoadMode,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LoadMode {
    #[default]
    IfMissing,
    Reload,
}

impl LoadOptions {
    /// Creates options that load what is missing.
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: LoadMode::IfMissing, dependencies: Vec::new() }
    }

    /// Loads although there is a fresh value: see [`RegionExt::reload`](crate::RegionExt::reload).
    #[must_use]
    pub fn reload(self) -> Self {
        Self { mode: LoadMode::Reload, ..self }
    }

    /// Makes the value that is loaded depend on `region` too, beside its own: a handle, a path or a typed
    /// path. May be called several times, for at most
    /// [`MAX_DEPENDENCIES`](crate::MAX_DEPENDENCIES) regions.
    ///
    /// Once that region, or one around it, is invalidated, the value is a miss. Once it is expired, the
    /// value is stale. Once it is touched, or a region in it is, the value is a miss: `touch` drops the
    /// entries of a region, and what depends on it counts among them. This holds from before the load
    /// begins, as the fence of the value's own region does. A `set` or `remove` in that region ends
    /// nothing.
    ///
    /// The list is stored with the value, and goes with it to all readers. It is that of the load which
    /// brought the value: a value that is there already is returned as it was stored. A value does not
    /// depend on what the values depend on that its load function reads from the cache.
    ///
    /// A read of such a value reads something of each region that it depends on, in one further trip for
    /// all. A call with this option does so in the same trip. Where values are held near, there is no
    /// trip while all these regions are trusted. The first load that depends on a region writes a small
    /// entry to it, its *marker*; that entry is neither listed nor counted, and
    /// [`children`](crate::Region::children) does not list a region for its sake.
    ///
    /// ```
    /// use region_core::{LoadOptions, Loaded, Region, RegionCache, RegionExt, Result};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
    /// let (product, prices) = (cache.region("product:1")?, cache.region("prices")?);
    /// let page = || {
    ///     let options = LoadOptions::new().depends_on(&prices);
    ///     let load = |_old| async { Ok::<_, std::io::Error>(Loaded::new("a page".to_owned())) };
    ///     product.get_or_compute_with("page", options, load)
    /// };
    /// page().await?;
    /// assert!(product.contains("page").await?);
    /// prices.invalidate().await?;
    /// assert!(!product.contains("page").await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn depends_on(mut self, region: impl Into<Dependency>) -> Self {
        self.dependencies.push(region.into());
        self
    }

    /// Returns the regions of [`depends_on`](Self::depends_on), for implementations of
    /// [`Region`](crate::Region).
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// Returns true if [`reload`](Self::reload) was called, for implementations of
    /// [`Region`](crate::Region).
    #[must_use]
    pub const fn is_reload(&self) -> bool {
        matches!(self.mode, LoadMode::Reload)
    }
}
