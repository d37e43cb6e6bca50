use std::time::Duration;

/// Options of one entry that take precedence over the region's policy.
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

/// Options of [`Region::get_or_compute_with`](crate::Region::get_or_compute_with).
///
/// ```
/// use region_core::LoadOptions;
///
/// assert!(LoadOptions::new().reload().is_reload());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    mode: LoadMode,
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
        Self { mode: LoadMode::IfMissing }
    }

    /// Loads although there is a fresh value: see [`RegionExt::reload`](crate::RegionExt::reload).
    #[must_use]
    pub const fn reload(self) -> Self {
        Self { mode: LoadMode::Reload }
    }

    /// Returns true if [`reload`](Self::reload) was called, for implementations of
    /// [`Region`](crate::Region).
    #[must_use]
    pub const fn is_reload(self) -> bool {
        matches!(self.mode, LoadMode::Reload)
    }
}
