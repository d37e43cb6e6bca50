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
