use std::time::Duration;

/// The result of a load function of [`Region::get_or_compute_with`](crate::Region::get_or_compute_with).
///
/// A ttl of its own takes precedence over the policy's, as by [`SetOptions::ttl`](crate::SetOptions::ttl).
/// It is rounded up to whole milliseconds. Zero stores nothing, and more than
/// [`MAX_LIFETIME`](crate::MAX_LIFETIME) is that.
///
/// ```
/// use std::time::Duration;
/// use region_core::Loaded;
///
/// let minute = Duration::from_secs(60);
/// assert_eq!(Loaded::new(7).ttl(minute), Loaded::Value { value: 7, ttl: Some(minute) });
/// let row: Option<u32> = None;
/// assert_eq!(Loaded::from(row), Loaded::Absent { ttl: None });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loaded<V> {
    /// A value, to be stored.
    Value {
        /// The value.
        value: V,
        /// Its ttl; `None`: the policy's, [`Policy::ttl`](crate::Policy::ttl).
        ttl: Option<Duration>,
    },
    /// There is no value, and it is to be remembered that there is none.
    Absent {
        /// The time for which it is remembered; `None`: the policy's,
        /// [`Policy::absent_ttl`](crate::Policy::absent_ttl).
        ttl: Option<Duration>,
    },
    /// The value that the load function got is still right, and is fresh again.
    ///
    /// It is an error if it got none.
    NotModified {
        /// The ttl from now on; `None`: the policy's, [`Policy::ttl`](crate::Policy::ttl).
        ttl: Option<Duration>,
    },
    /// A value for those who wait for it, which is not stored. An older value stays.
    DontStore(V),
}

impl<V> Loaded<V> {
    /// Creates a value with the policy's ttl.
    #[must_use]
    pub const fn new(value: V) -> Self {
        Self::Value { value, ttl: None }
    }

    /// Creates an absence with the policy's ttl for absences.
    #[must_use]
    pub const fn absent() -> Self {
        Self::Absent { ttl: None }
    }

    /// Says that the value is fresh again, with the policy's ttl.
    #[must_use]
    pub const fn not_modified() -> Self {
        Self::NotModified { ttl: None }
    }

    /// Sets the ttl of what is stored. It changes nothing of [`DontStore`](Self::DontStore).
    #[must_use]
    pub fn ttl(mut self, new: Duration) -> Self {
        match &mut self {
            Self::Value { ttl, .. } | Self::Absent { ttl } | Self::NotModified { ttl } => {
                *ttl = Some(new);
            }
            Self::DontStore(_) => {}
        }
        self
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(Self::absent, Self::new)
    }
}
