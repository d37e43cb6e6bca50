use super::Entry;

/// Where a listing goes on. Opaque to all but the store that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// A cursor that carries `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// What the store put in.
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
    /// Where the next page begins; `None` if this was the last.
    pub next: Option<Cursor>,
}

/// A valid entry with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanItem {
    /// The key.
    pub key: String,
    /// The entry.
    pub entry: Entry,
}
