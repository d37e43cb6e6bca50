use bytes::Bytes;

use super::Freshness;

/// The position at which a listing continues. Only the store that returned it can interpret it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// Creates a cursor from the store's own bytes.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the store's own bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A part of a listing. It may hold no items even though more follow.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The position at which the next page begins; `None` if this was the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Creates a page of these items; the next page begins at `next`.
    #[must_use]
    pub const fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }

    /// Creates a last page without items.
    #[must_use]
    pub const fn end() -> Self {
        Self::new(Vec::new(), None)
    }
}

/// A valid entry with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanItem {
    /// The key.
    pub key: String,
    /// Fresh or stale, and the remaining time.
    pub freshness: Freshness,
    /// The bytes that were put, if they were asked for: see [`Show`](super::Show).
    pub bytes: Option<Bytes>,
}

impl ScanItem {
    /// Creates an item for the entry at `key`, without its bytes.
    #[must_use]
    pub const fn new(key: String, freshness: Freshness) -> Self {
        Self { key, freshness, bytes: None }
    }

    /// Sets the entry's bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: Option<Bytes>) -> Self {
        self.bytes = bytes;
        self
    }
}
