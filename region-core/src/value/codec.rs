//! Encoding and decoding the values of one region.

use std::any::type_name;

use bytes::Bytes;

use crate::error::{BoxError, Error, ErrorKind, Result, catch_panic};
use crate::path::RegionPath;
use crate::value::envelope::{BadBytes, Envelope, EnvelopeContent, Place};
use crate::value::readback::Readback;
use crate::value::serializer::{AnySerializer, Value};

/// The largest size of an entry in bytes, its envelope included. It is Redis's own limit for a value.
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

    /// A number that tells apart codecs that decode the same bytes differently.
    pub(crate) fn identity(&self) -> u64 {
        u64::from(self.version) << u8::BITS | u64::from(self.serializer.id().get())
    }

    /// Encodes `value` as the entry at `key`. A value that cannot be read back, and a panic in the type's
    /// `Serialize`, are [`ErrorKind::Encode`].
    pub(crate) fn encode<V: Value>(&self, key: &str, value: &V) -> Result<Bytes> {
        let bytes = catch_panic(|| self.seal(key, value)).flatten().map_err(|error| {
            let name = type_name::<V>();
            let message = format!("a value of type {name} cannot be encoded; nothing was stored");
            Error::new(ErrorKind::Encode, message).at_key(key).with_source(error)
        })?;
        if bytes.len() > MAX_ENTRY_BYTES {
            let size = bytes.len();
            let message =
                format!("an entry of {size} bytes exceeds the limit of {MAX_ENTRY_BYTES}");
            return Err(Error::new(ErrorKind::TooLarge, message).at_key(key));
        }
        Ok(bytes)
    }

    /// Encodes that there is no `V` at `key`.
    pub(crate) fn encode_absence<V: Value>(&self, key: &str) -> Result<Bytes> {
        let seal = || {
            let fingerprint = Readback::of::<V>(&self.serializer).fingerprint();
            let fingerprint = fingerprint.with_version(self.version);
            Envelope::seal_absence(self.place.of_key(key), self.serializer.id(), fingerprint)
        };
        catch_panic(seal).map_err(|error| {
            let message = format!("the type {} cannot be encoded", type_name::<V>());
            Error::new(ErrorKind::Encode, message).at_key(key).with_source(error)
        })
    }

    fn seal<V: Value>(&self, key: &str, value: &V) -> Result<Bytes, BoxError> {
        let readback = Readback::of::<V>(&self.serializer);
        let fingerprint = readback.fingerprint().with_version(self.version);
        let write = |out: &mut Vec<u8>| readback.write(&self.serializer, value, out);
        Envelope::seal(self.place.of_key(key), self.serializer.id(), fingerprint, write)
    }

    /// Decodes `bytes`, found at `key`. A panic in the type's `Deserialize` is [`BadBytes::Payload`].
    /// The record that there is no `V` is [`BadBytes::Absent`].
    pub(crate) fn decode<V: Value>(&self, key: &str, bytes: &[u8]) -> Result<V, BadBytes> {
        let envelope = self.open(key, bytes)?;
        let decode = || {
            let readback = Readback::of::<V>(&self.serializer);
            let fingerprint = readback.fingerprint().with_version(self.version);
            if envelope.fingerprint != fingerprint.to_bits() {
                return Err(BadBytes::Type);
            }
            if envelope.content == EnvelopeContent::Absence {
                return Err(BadBytes::Absent);
            }
            self.serializer.deserialize(envelope.payload).map_err(BadBytes::Payload)
        };
        catch_panic(decode).map_err(BadBytes::Payload).flatten()
    }

    /// Checks all that can be checked without knowing the value's type.
    pub(crate) fn check(&self, key: &str, bytes: &[u8]) -> Result<(), BadBytes> {
        match self.open(key, bytes)?.content {
            EnvelopeContent::Value => Ok(()),
            EnvelopeContent::Absence => Err(BadBytes::Absent),
        }
    }

    fn open<'a>(&self, key: &str, bytes: &'a [u8]) -> Result<Envelope<'a>, BadBytes> {
        let envelope = Envelope::open(bytes, self.place.of_key(key))?;
        if envelope.serializer != self.serializer.id() {
            return Err(BadBytes::Serializer(envelope.serializer));
        }
        Ok(envelope)
    }
}
