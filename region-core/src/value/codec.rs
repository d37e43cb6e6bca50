//! From values to sealed bytes and back, for one region.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::path::RegionPath;
use crate::value::envelope::{BadBytes, Envelope, Place};
use crate::value::fingerprint::Fingerprint;
use crate::value::serializer::{AnySerializer, Value};

/// The most bytes an entry may have, its envelope included: what Redis takes.
pub const MAX_ENTRY_BYTES: usize = 512 * 1024 * 1024;

/// Encodes and decodes the values of one region under one policy.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    place: Place,
    serializer: AnySerializer,
    version: u32,
}

impl Codec {
    pub(crate) fn new(path: &RegionPath, serializer: AnySerializer, version: u32) -> Self {
        Self { place: Place::of_region(path), serializer, version }
    }

    /// The bytes of `value` as the entry at `key`.
    pub(crate) fn encode<V: Value>(&self, key: &str, value: &V) -> Result<Bytes> {
        let place = self.place.of_key(key);
        let write = |out: &mut Vec<u8>| self.serializer.serialize(value, out);
        let bytes = Envelope::seal(place, self.serializer.id(), self.fingerprint::<V>(), write)
            .map_err(|error| {
                Error::new(ErrorKind::Encode, "the value cannot be encoded; nothing was stored")
                    .at_key(key)
                    .with_source(error)
            })?;
        if bytes.len() > MAX_ENTRY_BYTES {
            let size = bytes.len();
            let message =
                format!("an entry of {size} bytes exceeds the limit of {MAX_ENTRY_BYTES}");
            return Err(Error::new(ErrorKind::TooLarge, message).at_key(key));
        }
        Ok(bytes)
    }

    /// The value in `bytes`, found at `key`.
    pub(crate) fn decode<V: Value>(&self, key: &str, bytes: &[u8]) -> Result<V, BadBytes> {
        let envelope = self.open(key, bytes)?;
        if envelope.fingerprint != self.fingerprint::<V>().to_bits() {
            return Err(BadBytes::Type);
        }
        self.serializer.deserialize(envelope.payload).map_err(BadBytes::Payload)
    }

    /// Checks all that can be checked without knowing the value's type.
    pub(crate) fn check(&self, key: &str, bytes: &[u8]) -> Result<(), BadBytes> {
        self.open(key, bytes).map(drop)
    }

    fn open<'a>(&self, key: &str, bytes: &'a [u8]) -> Result<Envelope<'a>, BadBytes> {
        let envelope = Envelope::open(bytes, self.place.of_key(key))?;
        if envelope.serializer != self.serializer.id() {
            return Err(BadBytes::Serializer(envelope.serializer));
        }
        Ok(envelope)
    }

    fn fingerprint<V: Value>(&self) -> Fingerprint {
        Fingerprint::of::<V>(self.serializer.readability()).with_version(self.version)
    }
}
