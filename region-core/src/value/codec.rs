//! Encoding and decoding the values of one region.

use std::any::type_name;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::error::{BoxError, Error, ErrorKind, Result, catch_panic};
use crate::path::RegionPath;
use crate::value::dependencies::{Dependencies, DependsOn};
use crate::value::envelope::{BadBytes, Envelope, EnvelopeContent, Header, Place};
use crate::value::readback::Readback;
use crate::value::serializer::{AnySerializer, SerializerId, Value};

/// The largest size of an entry in bytes, its envelope included. It is Redis's own limit for a value.
pub const MAX_ENTRY_BYTES: usize = 512 * 1024 * 1024;

/// The content of an entry.
#[derive(Debug)]
pub(crate) struct Decoded<V> {
    /// `None`: the record that there is no value.
    pub(crate) value: Option<V>,
    pub(crate) dependencies: Option<Dependencies>,
}

/// The content that the envelope of an entry names, and the one that the read expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryHeader {
    /// The serializer that wrote the value.
    pub serializer: SerializerId,
    /// The serializer of the region's policy.
    pub expected_serializer: SerializerId,
    /// The fingerprint of the type, shape and version of the value.
    pub fingerprint: u64,
    /// That of the requested type.
    pub expected_fingerprint: u64,
    /// A value, or the record that there is none.
    pub content: EnvelopeContent,
}

/// Encodes and decodes the values of one region under one policy.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    place: Place,
    serializer: AnySerializer,
    version: u32,
    /// The facts of the region's first type: most regions have no other, and need not look for them.
    first: OnceLock<&'static Readback>,
}

impl Codec {
    pub(crate) fn new(path: &RegionPath, serializer: AnySerializer, version: u32) -> Self {
        Self { place: Place::of_region(path), serializer, version, first: OnceLock::new() }
    }

    #[inline]
    fn readback<V: Value>(&self) -> &'static Readback {
        match self.first.get() {
            Some(known) if known.is_of::<V>() => known,
            _ => self.find_readback::<V>(),
        }
    }

    fn find_readback<V: Value>(&self) -> &'static Readback {
        let readback = Readback::of::<V>(&self.serializer);
        self.first.get_or_init(|| readback);
        readback
    }

    /// A number that tells apart codecs that decode the same bytes differently.
    pub(crate) fn identity(&self) -> u64 {
        u64::from(self.version) << u8::BITS | u64::from(self.serializer.id().get())
    }

    /// Encodes `value` as the entry at `key`. A value that cannot be read back, and a panic in the type's
    /// `Serialize`, are [`ErrorKind::Encode`].
    pub(crate) fn encode<V: Value>(&self, key: &str, value: &V) -> Result<Bytes> {
        self.encode_depending(key, value, &[])
    }

    /// As [`encode`](Self::encode), of a value that depends on other regions.
    pub(crate) fn encode_depending<V: Value>(
        &self,
        key: &str,
        value: &V,
        depends_on: &[DependsOn],
    ) -> Result<Bytes> {
        let bytes =
            catch_panic(|| self.seal(key, value, depends_on)).flatten().map_err(|error| {
                let name = type_name::<V>();
                let message =
                    format!("a value of type {name} cannot be encoded; nothing was stored");
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
    pub(crate) fn encode_absence<V: Value>(
        &self,
        key: &str,
        depends_on: &[DependsOn],
    ) -> Result<Bytes> {
        let seal = || {
            let fingerprint = self.readback::<V>().fingerprint();
            let fingerprint = fingerprint.with_version(self.version);
            let (place, serializer) = (self.place.of_key(key), self.serializer.id());
            Envelope::seal_absence(place, serializer, fingerprint, depends_on)
        };
        catch_panic(seal).map_err(|error| {
            let message = format!("the type {} cannot be encoded", type_name::<V>());
            Error::new(ErrorKind::Encode, message).at_key(key).with_source(error)
        })
    }

    fn seal<V: Value>(
        &self,
        key: &str,
        value: &V,
        depends_on: &[DependsOn],
    ) -> Result<Bytes, BoxError> {
        let readback = self.readback::<V>();
        let fingerprint = readback.fingerprint().with_version(self.version);
        let write = |out: &mut Vec<u8>| readback.write(&self.serializer, value, out);
        let header = Header::of_value(self.serializer.id(), fingerprint, depends_on);
        Envelope::seal_sized(self.place.of_key(key), header, readback.usual_size(), write)
    }

    /// Decodes `bytes`, found at `key`. A panic in the type's `Deserialize` is [`BadBytes::Payload`].
    pub(crate) fn decode<V: Value>(&self, key: &str, bytes: &[u8]) -> Result<Decoded<V>, BadBytes> {
        let envelope = self.open(key, bytes)?;
        let decode = || {
            let fingerprint = self.readback::<V>().fingerprint().with_version(self.version);
            if envelope.fingerprint != fingerprint.to_bits() {
                return Err(BadBytes::Type);
            }
            let value = match envelope.content {
                EnvelopeContent::Value => {
                    let value = self.serializer.deserialize(envelope.payload);
                    Some(value.map_err(BadBytes::Payload)?)
                }
                EnvelopeContent::Absence => None,
            };
            Ok(Decoded { value, dependencies: envelope.into_dependencies() })
        };
        catch_panic(decode).map_err(BadBytes::Payload).flatten()
    }

    /// Checks all that can be checked without knowing the value's type; the regions that it depends on.
    pub(crate) fn check(&self, key: &str, bytes: &[u8]) -> Result<Option<Dependencies>, BadBytes> {
        let envelope = self.open(key, bytes)?;
        match envelope.content {
            EnvelopeContent::Value => Ok(envelope.into_dependencies()),
            EnvelopeContent::Absence => Err(BadBytes::Absent),
        }
    }

    /// Reads what the envelope of an entry says, beside what is expected of a `V`. `None` if it cannot be read.
    pub(crate) fn header<V: Value>(&self, key: &str, bytes: &[u8]) -> Option<EntryHeader> {
        let envelope = Envelope::open(bytes, self.place.of_key(key)).ok()?;
        let fingerprint = || self.readback::<V>().fingerprint();
        let fingerprint = catch_panic(fingerprint).ok()?.with_version(self.version);
        Some(EntryHeader {
            serializer: envelope.serializer,
            expected_serializer: self.serializer.id(),
            fingerprint: envelope.fingerprint,
            expected_fingerprint: fingerprint.to_bits(),
            content: envelope.content,
        })
    }

    fn open<'a>(&self, key: &str, bytes: &'a [u8]) -> Result<Envelope<'a>, BadBytes> {
        let envelope = Envelope::open(bytes, self.place.of_key(key))?;
        if envelope.serializer != self.serializer.id() {
            return Err(BadBytes::Serializer(envelope.serializer));
        }
        Ok(envelope)
    }
}
