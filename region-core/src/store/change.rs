//! The change ring: it tells a holder of entries which of them have changed.

use std::fmt;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// The most changes that a [`ChangeRing`] holds.
pub const MAX_CHANGES: usize = 8;

/// A random 32-bit id that names one change. Never counted: two histories after a failover would
/// count alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeId(u32);

impl ChangeId {
    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        // The upper half is as random as the whole.
        Self((crate::random::process_bits() >> 32) as u32)
    }
}

bits!(ChangeId(u32), "{:08x}");

/// The keys that a [`Change`] concerns.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangedKey {
    /// Every key of the region.
    All,
    /// The keys with this hash, which is never zero: see [`ChangedKey::of`].
    Hash(u32),
}

impl ChangedKey {
    /// The hash of one key: the low 32 bits of the XXH3-64 of its bytes, or 1 where these are zero.
    ///
    /// ```
    /// use region_core::ChangedKey;
    ///
    /// assert_eq!(ChangedKey::of("title"), ChangedKey::of("title"));
    /// assert_ne!(ChangedKey::of("title"), ChangedKey::of("author"));
    /// ```
    #[must_use]
    pub fn of(key: &str) -> Self {
        // Only the low bits are kept.
        Self::Hash((xxh3_64(key.as_bytes()) as u32).max(1))
    }

    /// Returns the change that a write of these keys makes: of the key if there is one, of `All` if there are
    /// more, `None` if there are none.
    #[must_use]
    pub fn of_keys<'k>(keys: impl IntoIterator<Item = &'k str>) -> Option<Self> {
        let mut keys = keys.into_iter();
        let first = keys.next()?;
        Some(if keys.all(|key| key == first) { Self::of(first) } else { Self::All })
    }

    /// The form in which a store keeps it: zero for `All`, otherwise the hash.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        match self {
            Self::All => 0,
            Self::Hash(hash) => hash,
        }
    }

    /// Reads what [`to_bits`](Self::to_bits) wrote.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::All,
            hash => Self::Hash(hash),
        }
    }

    /// Returns true if the change may concern `key`.
    #[must_use]
    pub fn concerns(self, key: &str) -> bool {
        self == Self::All || self == Self::of(key)
    }
}

impl fmt::Debug for ChangedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Hash(hash) => write!(f, "{hash:08x}"),
        }
    }
}

/// One change of a region's own entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Names the change.
    pub id: ChangeId,
    /// The keys it concerns.
    pub key: ChangedKey,
}

impl Change {
    /// The change of `key` that `id` names.
    #[must_use]
    pub const fn new(id: ChangeId, key: ChangedKey) -> Self {
        Self { id, key }
    }
}

/// The last changes of a region's own entries, at most [`MAX_CHANGES`], the oldest first.
///
/// Whoever holds an entry and remembers the [`last`](Self::last) change known when it was read can
/// tell from a later ring whether the entry may have changed since.
///
/// ```
/// use region_core::{Change, ChangeId, ChangeRing, ChangedKey};
///
/// let id = ChangeId::from_bits;
/// let mut ring = ChangeRing::begin(id(1));
/// ring.push(Change::new(id(2), ChangedKey::of("title")));
/// assert!(ring.unchanged_since(id(1), "author"));
/// assert!(!ring.unchanged_since(id(1), "title"));
/// assert!(ring.unchanged_since(id(2), "title"));
/// assert!(!ring.unchanged_since(id(3), "title"), "a change that the ring does not know");
/// ```
// Boxed, for answers move it around.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ChangeRing(Box<SmallVec<[Change; MAX_CHANGES]>>);

impl ChangeRing {
    /// The ring of entries that begin anew: one change, of all keys.
    #[must_use]
    pub fn begin(id: ChangeId) -> Self {
        Self(Box::new(SmallVec::from_iter([Change::new(id, ChangedKey::All)])))
    }

    /// The ring with these changes, the oldest first; of more than [`MAX_CHANGES`] the last. `None`
    /// if there are none.
    #[must_use]
    pub fn from_changes(changes: impl IntoIterator<Item = Change>) -> Option<Self> {
        let mut ring = Self(Box::default());
        changes.into_iter().for_each(|change| ring.push(change));
        (!ring.0.is_empty()).then_some(ring)
    }

    /// Adds the latest change; the oldest leaves a full ring.
    pub fn push(&mut self, change: Change) {
        if self.0.len() == MAX_CHANGES {
            self.0.remove(0);
        }
        self.0.push(change);
    }

    /// The changes, the oldest first; never none.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// The latest change.
    #[must_use]
    pub fn last(&self) -> ChangeId {
        // Never empty; were it, the id would be one that no ring knows but by chance.
        self.0.last().map_or(ChangeId(0), |change| change.id)
    }

    /// Returns true if the ring holds the change `id`.
    pub(crate) fn knows(&self, id: ChangeId) -> bool {
        self.0.iter().any(|change| change.id == id)
    }

    /// Returns true if `key` has not changed since the change `known`: `known` is in the ring, and no later
    /// change is of all keys or of the hash of `key`.
    #[must_use]
    pub fn unchanged_since(&self, known: ChangeId, key: &str) -> bool {
        // The latest is by far the most common: nothing at all has changed.
        let Some(at) = self.0.iter().rposition(|change| change.id == known) else {
            return false;
        };
        let later = &self.0[at + 1..];
        later.is_empty() || {
            let key = ChangedKey::of(key);
            later.iter().all(|change| change.key != ChangedKey::All && change.key != key)
        }
    }
}

impl fmt::Debug for ChangeRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.0.iter().map(|change| (change.id, change.key));
        f.debug_map().entries(changes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bits: u32) -> ChangeId {
        ChangeId::from_bits(bits)
    }

    #[test]
    fn the_hash_of_a_key_is_never_that_of_all() {
        assert_eq!(ChangedKey::of("title").to_bits(), 0xf611_a0d5);
        assert_eq!(ChangedKey::from_bits(0), ChangedKey::All);
        assert_eq!(ChangedKey::from_bits(7).to_bits(), 7);
        assert_eq!(ChangedKey::All.to_bits(), 0);
    }

    #[test]
    fn a_write_of_two_keys_is_a_change_of_all() {
        assert_eq!(ChangedKey::of_keys([]), None);
        assert_eq!(ChangedKey::of_keys(["a"]), Some(ChangedKey::of("a")));
        assert_eq!(ChangedKey::of_keys(["a", "a"]), Some(ChangedKey::of("a")));
        assert_eq!(ChangedKey::of_keys(["a", "b"]), Some(ChangedKey::All));
    }

    #[test]
    fn a_ring_holds_the_last_changes() {
        let mut ring = ChangeRing::begin(id(0));
        for bits in 1..20 {
            ring.push(Change::new(id(bits), ChangedKey::of("k")));
        }
        assert_eq!(ring.changes().len(), MAX_CHANGES);
        assert_eq!(ring.last(), id(19));
        assert!(!ring.unchanged_since(id(11), "other"), "it left the ring");
        assert!(ring.unchanged_since(id(12), "other"));
        assert!(!ring.unchanged_since(id(12), "k"));
        assert!(ring.unchanged_since(id(19), "k"));
        assert_eq!(ChangeRing::from_changes(ring.changes().to_vec()), Some(ring));
        assert_eq!(ChangeRing::from_changes([]), None);
    }

    #[test]
    fn a_change_of_all_concerns_every_key() {
        let mut ring = ChangeRing::begin(id(1));
        assert!(ring.unchanged_since(id(1), "k"));
        ring.push(Change::new(id(2), ChangedKey::All));
        assert!(!ring.unchanged_since(id(1), "k"));
        assert!(ring.unchanged_since(id(2), "k"));
    }
}
