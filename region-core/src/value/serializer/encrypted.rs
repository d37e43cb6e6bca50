//! Authenticated encryption of what another serializer writes.

mod cipher;
mod keys;

use serde::Serialize;
use serde::de::DeserializeSeed;

use super::detached::Detached;
use super::{Serializer, SerializerId, ValueContext};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

pub use keys::{EncryptionKey, KeyRing};

const ID: SerializerId = SerializerId::new(17);

/// Encrypts and authenticates the values that another serializer writes, by XChaCha20-Poly1305.
///
/// Whoever can read the store, or what goes to it, learns nothing of a value but its size. Whoever can
/// write to it cannot make up a value, nor change one, nor pass one off as that of another key, region,
/// type or version: such bytes are a miss, counted in [`Stats::bad_bytes`](crate::Stats::bad_bytes). The
/// record that a load found no value ([`Loaded::Absent`](crate::Loaded::Absent)) is authenticated as well.
///
/// ```
/// # #[cfg(feature = "zstd")] {
/// use region_core::{Compressed, Encrypted, EncryptionKey, KeyRing, Policy, Postcard};
///
/// # fn from_your_vault() -> [u8; 32] { [7; 32] }
/// let keys = KeyRing::new(1, EncryptionKey::new(&from_your_vault()));
/// let policy = Policy::new().serializer(Encrypted::new(Compressed::zstd(Postcard), keys));
/// # }
/// ```
///
/// # Compression
///
/// Compress first, as above: encrypted bytes do not become smaller. The size of a compressed value depends
/// on its content, and the size can be seen. Where an attacker can put text of their own into a value and
/// see its size change, they may learn of a secret beside it in the same value: do not compress such
/// values.
///
/// # Keys
///
/// A [`KeyRing`] has one key that writes and any number that read. To change the key, while programs run:
///
/// 1. Give every program the new key for reading: [`KeyRing::reading`].
/// 2. Then let every program write with it, and keep the old one for reading.
/// 3. Take the old key away once what it wrote has expired. What is left is a miss.
///
/// Each value has a random nonce of 24 bytes: there is no limit on the number of values of a key that could
/// be reached.
///
/// # What it does not do
///
/// - Regions, keys, the ids of the regions that a value depends on, sizes and times are not encrypted.
/// - An attacker who can write to the store can remove values, put back an earlier value of the same key,
///   and take away what a value depends on.
/// - Values held near, in this process, are not encrypted. Handles of one cache share them, whatever their
///   keys.
/// - [`contains`](crate::Region::contains) looks for an entry and does not decrypt a value.
/// - Keys are wiped from memory when they are dropped. Values are not.
///
/// A value takes 45 bytes more. Without an entry, by [`Serializer::serialize`] alone, bytes are encrypted
/// that no entry accepts, and that [`Serializer::deserialize`] alone reads.
#[derive(Clone, Debug)]
pub struct Encrypted<S> {
    inner: S,
    keys: KeyRing,
}

impl<S: Serializer> Encrypted<S> {
    /// Encrypts what `inner` writes.
    #[must_use]
    pub fn new(inner: S, keys: KeyRing) -> Self {
        Self { inner, keys }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Serializer> Serializer for Encrypted<S> {
    fn id(&self) -> SerializerId {
        ID.around(self.inner.id())
    }

    fn readability(&self) -> Readability {
        self.inner.readability()
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        cipher::encrypt(&self.keys, None, out, |out| self.inner.serialize(value, out))
    }

    fn deserialize<'de, T: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: T,
    ) -> Result<T::Value, BoxError> {
        let value = cipher::decrypt(&self.keys, None, bytes)?;
        self.inner.deserialize(&value, Detached::new(seed))
    }

    fn serialize_for<T: Serialize + ?Sized>(
        &self,
        context: &ValueContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        let write = |out: &mut Vec<u8>| self.inner.serialize_for(context, value, out);
        cipher::encrypt(&self.keys, Some(context), out, write)
    }

    fn deserialize_for<'de, T: DeserializeSeed<'de>>(
        &self,
        context: &ValueContext<'_>,
        bytes: &'de [u8],
        seed: T,
    ) -> Result<T::Value, BoxError> {
        let value = cipher::decrypt(&self.keys, Some(context), bytes)?;
        self.inner.deserialize_for(context, &value, Detached::new(seed))
    }

    fn authenticates(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
