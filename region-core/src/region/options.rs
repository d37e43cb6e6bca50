use std::time::Duration;

/// What differs from the region's policy for one entry.
///
/// ```
/// use std::time::Duration;
/// use region_core::SetOptions;
///
/// let options = SetOptions::new().ttl(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    pub(crate) ttl: Option<Duration>,
}

impl SetOptions {
    /// Everything as the policy says.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry lives this long, rounded up to whole milliseconds. Zero, and more than
    /// [`MAX_LIFETIME`](crate::MAX_LIFETIME), are refused by the write. The region's timeout, if it
    /// has one, still ends it.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}
