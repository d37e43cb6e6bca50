//! Encoding and decoding the values of one region.

use std::any::type_name;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{BoxError, Error, ErrorKind, Result, catch_panic};
use crate::path::RegionPath;
use crate::value::dependencies::{Dependencies, DependsOn};
use crate::value::envelope::{BadBytes, Envelope, EnvelopeContent, Header, Place};
use crate::value::fingerprint::Fingerprint;
use crate::value::made::{EntryAge, MadeAt};
use crate::value::readback::Readback;
use crate::value::serializer::{AnySerializer, SerializerId, Value, ValueContext};

/// The largest size of an entry in bytes, its envelope included. It is Redis's own limit for a value.
pub const MAX_ENTRY_BYTES: usize = 512 * 1024 * 1024;

/// The content of an entry.
#[derive(Debug)]
pub(crate) struct Decoded<V> {
    /// `None`: the record that there is no value.
    pub(crate) value: Option<V>,
    /// The time at which the value was made, if it was recorded.
    pub(crate) made: Option<MadeAt>,
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
    path: RegionPath,
    place: Place,
    serializer: AnySerializer,
    version: u32,
    age: EntryAge,
    /// The facts of the region's first type: most regions have no other, and need not look for them.
    first: OnceLock<&'static Readback>,
}

impl Codec {
    pub(crate) fn new(path: &RegionPath, serializer: AnySerializer, version: u32) -> Self {
        let place = Place::of_region(path);
        let (age, first) = (EntryAge::Unknown, OnceLock::new());
        Self { path: path.clone(), place, serializer, version, age, first }
    }

    /// The same codec, which records the ages of values or does not.
    pub(crate) fn with_age(self, age: EntryAge) -> Self {
        Self { age, ..self }
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
        let id = self.serializer.id();
        let outermost = u64::from(self.version) << u8::BITS | u64::from(id.get());
        match id.inner() {
            None => outermost,
            Some(inner) => xxh3_64_with_seed(&outermost.to_le_bytes(), inner),
        }
    }

    /// The fingerprint of the values of type `V` in this region.
    fn fingerprint<V: Value>(&self) -> Fingerprint {
        self.fingerprint_by(self.readback::<V>())
    }

    fn fingerprint_by(&self, readback: &Readback) -> Fingerprint {
        let fingerprint = readback.fingerprint().with_version(self.version);
        fingerprint.with_inner_formats(self.serializer.id().inner())
    }

    /// Encodes `value` as the entry at `key`. A value that cannot be read back, and a panic in the type's
    /// `Serialize`, are [`ErrorKind::Encode`].
    pub(crate) fn encode<V: Value>(&self, key: &str, value: &V) -> Result<Bytes> {
        self.encode_loaded(key, value, &[], Duration::ZERO)
    }

    /// As [`encode`](Self::encode), of a value that depends on other regions, and whose load began `took` ago.
    pub(crate) fn encode_loaded<V: Value>(
        &self,
        key: &str,
        value: &V,
        depends_on: &[DependsOn],
        took: Duration,
    ) -> Result<Bytes> {
        let bytes =
            catch_panic(|| self.seal(key, value, depends_on, took)).flatten().map_err(|error| {
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
            let fingerprint = self.fingerprint::<V>();
            let context = ValueContext::new(&self.path, key, fingerprint.to_bits()).of_absence();
            let header = Header::of_value(self.serializer.id(), fingerprint, depends_on);
            let write = |out: &mut Vec<u8>| match self.serializer.authenticates() {
                true => self.serializer.serialize_for(&context, &(), out),
                false => Ok(()),
            };
            Envelope::seal_sized(self.place.of_key(key), header.of_absence(), 0, write)
        };
        catch_panic(seal).flatten().map_err(|error| {
            let message = format!("the type {} cannot be encoded", type_name::<V>());
            Error::new(ErrorKind::Encode, message).at_key(key).with_source(error)
        })
    }

    fn seal<V: Value>(
        &self,
        key: &str,
        value: &V,
        depends_on: &[DependsOn],
        took: Duration,
    ) -> Result<Bytes, BoxError> {
        let readback = self.readback::<V>();
        let fingerprint = self.fingerprint_by(readback);
        let context = ValueContext::new(&self.path, key, fingerprint.to_bits());
        let write = |out: &mut Vec<u8>| readback.write(&self.serializer, &context, value, out);
        let header = Header::of_value(self.serializer.id(), fingerprint, depends_on);
        let header = match self.age {
            EntryAge::Unknown => header,
            EntryAge::Recorded => header.made(MadeAt::ago(took)),
        };
        Envelope::seal_sized(self.place.of_key(key), header, readback.usual_size(), write)
    }

    /// Decodes `bytes`, found at `key`. A panic in the type's `Deserialize` is [`BadBytes::Payload`].
    pub(crate) fn decode<V: Value>(&self, key: &str, bytes: &[u8]) -> Result<Decoded<V>, BadBytes> {
        let envelope = self.open(key, bytes)?;
        let decode = || {
            let fingerprint = self.fingerprint::<V>().to_bits();
            if envelope.fingerprint != fingerprint {
                return Err(BadBytes::Type);
            }
            let value = match envelope.content {
                EnvelopeContent::Value => {
                    let context = ValueContext::new(&self.path, key, fingerprint);
                    let value = self.serializer.deserialize_for(&context, envelope.payload);
                    Some(value.map_err(BadBytes::Payload)?)
                }
                EnvelopeContent::Absence => {
                    self.check_absence(key, &envelope)?;
                    None
                }
            };
            let made = envelope.made;
            Ok(Decoded { value, made, dependencies: envelope.into_dependencies() })
        };
        catch_panic(decode).map_err(BadBytes::Payload).flatten()
    }

    /// Checks all that can be checked without knowing the value's type; the regions that it depends on.
    pub(crate) fn check(&self, key: &str, bytes: &[u8]) -> Result<Option<Dependencies>, BadBytes> {
        let envelope = self.open(key, bytes)?;
        match envelope.content {
            EnvelopeContent::Value => Ok(envelope.into_dependencies()),
            EnvelopeContent::Absence => {
                self.check_absence(key, &envelope)?;
                Err(BadBytes::Absent)
            }
        }
    }

    /// Checks the record that there is no value: nothing else tells one that was forged, where that matters.
    fn check_absence(&self, key: &str, envelope: &Envelope<'_>) -> Result<(), BadBytes> {
        if !self.serializer.authenticates() {
            return envelope.payload.is_empty().then_some(()).ok_or(BadBytes::Version);
        }
        let context = ValueContext::new(&self.path, key, envelope.fingerprint).of_absence();
        self.serializer.deserialize_for(&context, envelope.payload).map_err(BadBytes::Payload)
    }

    /// Reads what the envelope of an entry says, beside what is expected of a `V`. `None` if it cannot be read.
    pub(crate) fn header<V: Value>(&self, key: &str, bytes: &[u8]) -> Option<EntryHeader> {
        let envelope = Envelope::open_any(bytes, self.place.of_key(key)).ok()?;
        let fingerprint = catch_panic(|| self.fingerprint::<V>()).ok()?;
        Some(EntryHeader {
            serializer: envelope.serializer,
            expected_serializer: SerializerId::new(self.serializer.id().get()),
            fingerprint: envelope.fingerprint,
            expected_fingerprint: fingerprint.to_bits(),
            content: envelope.content,
        })
    }

    fn open<'a>(&self, key: &str, bytes: &'a [u8]) -> Result<Envelope<'a>, BadBytes> {
        let envelope = Envelope::open_any(bytes, self.place.of_key(key))?;
        // Of the formats inside of it the fingerprint tells.
        if envelope.serializer.get() != self.serializer.id().get() {
            return Err(BadBytes::Serializer(envelope.serializer));
        }
        Ok(envelope)
    }
}
