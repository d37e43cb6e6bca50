use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// The number of bytes of a key.
const KEY_BYTES: usize = 32;

/// A secret key of 32 bytes, for [`Encrypted`](super::Encrypted).
///
/// Make it of random bytes, such as those of `openssl rand 32`, not of a password. It is never printed, and
/// wiped from memory when the last clone of it is dropped. Wipe the bytes that it was made of yourself.
///
/// ```
/// use region_core::EncryptionKey;
///
/// # fn from_your_vault() -> Vec<u8> { vec![7; 32] }
/// let key = EncryptionKey::try_from(from_your_vault().as_slice())?;
/// assert_eq!(format!("{key:?}"), "EncryptionKey(..)");
/// # Ok::<(), region_core::Error>(())
/// ```
#[derive(Clone)]
pub struct EncryptionKey(Arc<Zeroizing<[u8; KEY_BYTES]>>);

impl EncryptionKey {
    /// Creates a key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Arc::new(Zeroizing::new([0; KEY_BYTES]));
        // Copied in place, so that no other copy of it is left on the stack.
        if let Some(place) = Arc::get_mut(&mut key) {
            place.copy_from_slice(bytes);
        }
        Self(key)
    }

    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl TryFrom<&[u8]> for EncryptionKey {
    type Error = Error;

    /// Creates a key of these bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if there are not exactly 32.
    fn try_from(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.try_into().map_err(|_| {
            let message = format!("a key has {} bytes; it must have {KEY_BYTES}", bytes.len());
            Error::new(ErrorKind::InvalidConfig, message)
        })?;
        Ok(Self::new(bytes))
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

/// The keys of [`Encrypted`](super::Encrypted), each with an id: one that writes, and any number that read.
///
/// The id of the key is stored with each value, so that its reader finds it. An id must never name another
/// key later: a value is a miss to a program whose key of this id is another one.
///
/// ```
/// use region_core::{EncryptionKey, KeyRing};
///
/// # let (last_years, this_years) = ([1; 32], [2; 32]);
/// let keys = KeyRing::new(2026, EncryptionKey::new(&this_years))
///     .reading(2025, EncryptionKey::new(&last_years))?;
/// assert_eq!(format!("{keys:?}"), "KeyRing { writing: 2026, reading: [2025, 2026] }");
/// # Ok::<(), region_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    writing: (u32, EncryptionKey),
    reading: Arc<BTreeMap<u32, EncryptionKey>>,
}

impl KeyRing {
    /// Creates a ring with the key that writes. It also reads.
    #[must_use]
    pub fn new(id: u32, key: EncryptionKey) -> Self {
        let reading = Arc::new(BTreeMap::from([(id, key.clone())]));
        Self { writing: (id, key), reading }
    }

    /// Adds a key that only reads.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the ring has a key with this id.
    pub fn reading(mut self, id: u32, key: EncryptionKey) -> Result<Self> {
        if self.find(id).is_some() {
            let message = format!("the key ring has two keys with the id {id}");
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        Arc::make_mut(&mut self.reading).insert(id, key);
        Ok(self)
    }

    pub(super) fn writing(&self) -> (u32, &EncryptionKey) {
        let (id, key) = &self.writing;
        (*id, key)
    }

    pub(super) fn find(&self, id: u32) -> Option<&EncryptionKey> {
        self.reading.get(&id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.reading.keys().collect();
        f.debug_struct("KeyRing").field("writing", &self.writing.0).field("reading", &ids).finish()
    }
}
