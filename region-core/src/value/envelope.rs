//! The envelope: a header in front of every stored value. Version 1.
//!
//! | bytes | content |
//! |---|---|
//! | 0 | the envelope's version: 1 |
//! | 1 | flags: bit 0 says that there is no value; bit 1 that a list of dependencies follows the seal; bit 2
//! that the time at which the value was made does; another set bit means something that this version cannot read |
//! | 2 | the serializer's id |
//! | 3..11 | the fingerprint of the value's type, with the policy's version mixed in, little-endian |
//! | 11..19 | the seal: XXH3 of bytes 0..11 and all bytes after the seal, seeded with the entry's place |
//! | 19.. | with bit 2 that time, then with bit 1 that list, then the payload: what the serializer wrote. With bit 0
//! it is empty, unless the serializer authenticates what it writes |
//!
//! The time has six bytes: milliseconds since 1970 by the system clock of the process that made the value,
//! little-endian.
//!
//! The list of dependencies has a byte with their number, 1 to 32, and for each the length of the region's
//! path (two bytes, little-endian), the path, and the id of the region's marker (eight bytes,
//! little-endian).
//!
//! The seal is a checksum that includes the region and the key: an entry that was changed, truncated or
//! copied to another place is not accepted. It detects accidents, not forgery: whoever can write to the
//! store can compute it too. Within one place, equal seals mean equal bytes, so the seal also serves as
//! the entry's version. The envelope holds no expiry: that is kept by the store, by its own clock. Nothing but
//! [`Answer::age`](crate::Answer::age) goes by the time at which a value was made.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::error::BoxError;
use crate::path::RegionPath;
use crate::value::dependencies::{self, Dependencies, DependsOn};
use crate::value::fingerprint::Fingerprint;
use crate::value::made::{MADE_BYTES, MadeAt};
use crate::value::serializer::SerializerId;

const VERSION: u8 = 1;
const NO_FLAGS: u8 = 0;
const ABSENT: u8 = 1;
const DEPENDS: u8 = 2;
const MADE: u8 = 4;
const VERSION_AT: usize = 0;
const FLAGS_AT: usize = 1;
const SERIALIZER_AT: usize = 2;
const FINGERPRINT_AT: Range<usize> = 3..11;
const SEAL_AT: Range<usize> = 11..19;

/// The number of bytes that an envelope adds to its payload: six more with the time at which the value was made
/// ([`Policy::age`](crate::Policy::age)), and what the list of its dependencies takes.
pub const ENVELOPE_BYTES: usize = SEAL_AT.end;

/// The longest input that XXH3 hashes without blocks.
const MAX_SHORT_INPUT: usize = 240;

/// An entry takes at most one part in so many more memory than it has bytes.
const MAX_SPARE: usize = 8;

/// A hash of an entry's region and key. The seal of an envelope includes it, so that an entry is accepted
/// only where it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Place {
    /// Returns the place of the region at `path`, from which [`of_key`](Self::of_key) derives the places of
    /// its entries.
    #[must_use]
    pub fn of_region(path: &RegionPath) -> Self {
        Self(xxh3_64_with_seed(path.as_str().as_bytes(), u64::from(VERSION)))
    }

    /// Returns the place of the entry at `key` in this region.
    #[must_use]
    pub fn of_key(self, key: &str) -> Self {
        Self(xxh3_64_with_seed(key.as_bytes(), self.0))
    }
}

/// An envelope whose seal was checked: the payload, and what is needed to decode it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The serializer that wrote the payload.
    pub serializer: SerializerId,
    /// The fingerprint of the payload's type, as [`Fingerprint::to_bits`].
    pub fingerprint: u64,
    /// The serialized value.
    pub payload: &'a [u8],
    /// A value, or that there is none.
    pub content: EnvelopeContent,
    pub(crate) made: Option<MadeAt>,
    dependencies: Option<Dependencies>,
}

/// The kind of an envelope's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeContent {
    /// A value.
    Value,
    /// The record that there is no value.
    Absence,
}

/// The reason why stored bytes are not a value of the type that was asked for. A read treats all of these
/// as a miss.
#[derive(Debug)]
#[non_exhaustive]
pub enum BadBytes {
    /// Shorter than an envelope.
    Truncated,
    /// Another version of the envelope, or one with unknown flags.
    Version,
    /// The seal does not match: the bytes were changed, truncated, or copied from another place.
    Seal,
    /// Written by another serializer.
    Serializer(SerializerId),
    /// A value of another type, another shape of the type, or another version.
    Type,
    /// The serializer cannot read it.
    Payload(BoxError),
    /// The record that there is no value: nothing is wrong with it.
    Absent,
}

/// The part of an envelope that is written before its payload.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    flags: u8,
    serializer: SerializerId,
    fingerprint: Fingerprint,
    made: Option<MadeAt>,
    depends_on: &'a [DependsOn],
}

impl<'a> Header<'a> {
    /// The header of a value that depends on the regions of `depends_on`.
    pub(crate) const fn of_value(
        serializer: SerializerId,
        fingerprint: Fingerprint,
        depends_on: &'a [DependsOn],
    ) -> Self {
        Self { flags: NO_FLAGS, serializer, fingerprint, made: None, depends_on }
    }

    /// The same header with the time at which the value was made, if it is known.
    pub(crate) const fn made(mut self, at: Option<MadeAt>) -> Self {
        self.made = at;
        self
    }

    /// The same header of the record that there is no value.
    pub(crate) const fn of_absence(mut self) -> Self {
        self.flags = ABSENT;
        self
    }
}

impl<'a> Envelope<'a> {
    /// Parses `bytes` found at `place` and checks the seal. Allocates only for a list of dependencies.
    ///
    /// # Errors
    /// If the bytes are not an envelope that was sealed for this place.
    pub fn open(bytes: &'a [u8], place: Place) -> Result<Self, BadBytes> {
        let envelope = Self::open_any(bytes, place)?;
        match envelope.content {
            EnvelopeContent::Absence if !envelope.payload.is_empty() => Err(BadBytes::Version),
            _ => Ok(envelope),
        }
    }

    /// As [`open`](Self::open); the record that there is no value may have a payload, by which a serializer
    /// that [authenticates](crate::Serializer::authenticates) knows it.
    pub(crate) fn open_any(bytes: &'a [u8], place: Place) -> Result<Self, BadBytes> {
        let Some((header, rest)) = bytes.split_at_checked(ENVELOPE_BYTES) else {
            return Err(BadBytes::Truncated);
        };
        if header[VERSION_AT] != VERSION
            || header[FLAGS_AT] & !(ABSENT | DEPENDS | MADE) != NO_FLAGS
        {
            return Err(BadBytes::Version);
        }
        if read_u64(&header[SEAL_AT]) != seal(&header[..SEAL_AT.start], rest, place) {
            return Err(BadBytes::Seal);
        }
        let (made, rest) = match header[FLAGS_AT] & MADE {
            NO_FLAGS => (None, rest),
            _ => {
                let (time, rest) = rest.split_first_chunk().ok_or(BadBytes::Version)?;
                (MadeAt::from_bytes(*time), rest)
            }
        };
        let (dependencies, payload) = match header[FLAGS_AT] & DEPENDS {
            NO_FLAGS => (None, rest),
            _ => {
                let (list, payload) = dependencies::read(rest).ok_or(BadBytes::Version)?;
                (Some(list), payload)
            }
        };
        let content = match header[FLAGS_AT] & ABSENT {
            NO_FLAGS => EnvelopeContent::Value,
            _ => EnvelopeContent::Absence,
        };
        Ok(Self {
            serializer: SerializerId::new(header[SERIALIZER_AT]),
            fingerprint: read_u64(&header[FINGERPRINT_AT]),
            payload,
            content,
            made,
            dependencies,
        })
    }

    /// Returns the time at which the load of the value began, or the call that has set it, by the system clock of
    /// the process that made it. `None`: it was not recorded, see [`Policy::age`](crate::Policy::age).
    #[must_use]
    pub fn made_at(&self) -> Option<SystemTime> {
        self.made.map(MadeAt::time)
    }

    /// Returns the regions that the value depends on.
    #[must_use]
    pub fn depends_on(&self) -> &[DependsOn] {
        self.dependencies.as_deref().unwrap_or_default()
    }

    /// The same list, shared; `None` if it is empty.
    pub(crate) fn into_dependencies(self) -> Option<Dependencies> {
        self.dependencies
    }

    /// Builds an envelope for `place`, of a value that depends on the regions of `depends_on`, at most
    /// [`MAX_DEPENDENCIES`](crate::MAX_DEPENDENCIES). `write` appends the payload to the buffer that it
    /// gets.
    ///
    /// # Errors
    /// The error of `write`.
    pub fn seal<E>(
        place: Place,
        serializer: SerializerId,
        fingerprint: Fingerprint,
        depends_on: &[DependsOn],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let header = Header::of_value(serializer, fingerprint, depends_on);
        Self::seal_sized(place, header, 0, write)
    }

    /// As [`seal`](Self::seal) of what `header` says; memory is taken for `size` bytes of payload at once.
    pub(crate) fn seal_sized<E>(
        place: Place,
        header: Header<'_>,
        size: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let mut bytes = header.to_bytes(size);
        write(&mut bytes)?;
        if bytes.capacity() > bytes.len() + bytes.len() / MAX_SPARE {
            bytes.shrink_to_fit();
        }
        Ok(sealed(bytes, place))
    }

    /// Builds an envelope for `place` that says that there is no value of this type.
    #[must_use]
    pub fn seal_absence(
        place: Place,
        serializer: SerializerId,
        fingerprint: Fingerprint,
        depends_on: &[DependsOn],
    ) -> Bytes {
        let header = Header::of_value(serializer, fingerprint, depends_on).of_absence();
        sealed(header.to_bytes(0), place)
    }
}

impl Header<'_> {
    /// The header without its seal, and the list of dependencies. There is room for `more` bytes behind them.
    fn to_bytes(self, more: usize) -> Vec<u8> {
        let made_bytes = self.made.map_or(0, |_| MADE_BYTES);
        let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + made_bytes + more);
        bytes.resize(ENVELOPE_BYTES, 0);
        let mut flags = self.flags;
        if let Some(made) = self.made {
            flags |= MADE;
            bytes.extend_from_slice(&made.to_bytes());
        }
        if !self.depends_on.is_empty() {
            flags |= DEPENDS;
            dependencies::write(self.depends_on, &mut bytes);
        }
        bytes[VERSION_AT] = VERSION;
        bytes[FLAGS_AT] = flags;
        bytes[SERIALIZER_AT] = self.serializer.get();
        bytes[FINGERPRINT_AT].copy_from_slice(&self.fingerprint.to_bits().to_le_bytes());
        bytes
    }
}

fn sealed(mut bytes: Vec<u8>, place: Place) -> Bytes {
    let seal = seal(&bytes[..SEAL_AT.start], &bytes[ENVELOPE_BYTES..], place);
    bytes[SEAL_AT].copy_from_slice(&seal.to_le_bytes());
    bytes.into()
}

fn seal(header: &[u8], payload: &[u8], place: Place) -> u64 {
    let mut short = [0; MAX_SHORT_INPUT];
    // The hash of a short input in one piece is several times faster than piece by piece, and the same.
    if let Some(both) = short.get_mut(..header.len() + payload.len()) {
        let (start, rest) = both.split_at_mut(header.len());
        start.copy_from_slice(header);
        rest.copy_from_slice(payload);
        return xxh3_64_with_seed(both, place.0);
    }
    let mut hasher = Xxh3::with_seed(place.0);
    hasher.update(header);
    hasher.update(payload);
    hasher.digest()
}

fn read_u64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

impl BadBytes {
    /// Returns a word for counters and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::Seal => "seal",
            Self::Serializer(_) => "serializer",
            Self::Type => "type",
            Self::Payload(_) => "payload",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for BadBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("shorter than an envelope"),
            Self::Version => f.write_str("another version of the envelope"),
            Self::Seal => f.write_str("changed, cut short, or copied from another place"),
            Self::Serializer(id) => write!(f, "written by serializer {}", id.get()),
            Self::Type => f.write_str("a value of another type, shape or version"),
            Self::Payload(error) => write!(f, "the payload cannot be read: {error}"),
            Self::Absent => f.write_str("the record that there is no value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIALIZER: SerializerId = SerializerId::new(1);

    fn place() -> Place {
        Place::of_region(&RegionPath::parse("shop.org:42").unwrap()).of_key("summary")
    }

    fn fingerprint() -> Fingerprint {
        Fingerprint::from_bits(0x0123_4567_89AB_CDEF)
    }

    fn sealed(payload: &[u8]) -> Bytes {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(payload);
            Ok::<_, BoxError>(())
        };
        Envelope::seal(place(), SERIALIZER, fingerprint(), &[], write).unwrap()
    }

    fn list(regions: &[&str]) -> Vec<DependsOn> {
        let depends = |(marker, region): (u64, &&str)| DependsOn {
            region: RegionPath::parse(region).unwrap(),
            marker,
        };
        (7..).zip(regions).map(depends).collect()
    }

    #[test]
    fn dependencies_are_part_of_what_is_sealed() {
        let depends_on = list(&["shop.org:1", "shop.prices"]);
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"payload");
            Ok::<_, BoxError>(())
        };
        let bytes = Envelope::seal(place(), SERIALIZER, fingerprint(), &depends_on, write).unwrap();
        let open = Envelope::open(&bytes, place()).unwrap();
        assert_eq!((open.depends_on(), open.payload), (&depends_on[..], &b"payload"[..]));
        assert_eq!(Envelope::open(&sealed(b"x"), place()).unwrap().depends_on(), []);
        let absence = Envelope::seal_absence(place(), SERIALIZER, fingerprint(), &depends_on);
        let open = Envelope::open(&absence, place()).unwrap();
        assert_eq!((open.depends_on(), open.content), (&depends_on[..], EnvelopeContent::Absence));
        for at in 0..bytes.len() {
            let mut tampered = bytes.to_vec();
            tampered[at] ^= 1;
            assert!(Envelope::open(&tampered, place()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn opens_what_was_sealed_here() {
        let bytes = sealed(b"payload");
        assert_eq!(bytes.len(), ENVELOPE_BYTES + 7);
        let open = Envelope::open(&bytes, place()).unwrap();
        assert_eq!(open.payload, b"payload");
        assert_eq!(open.serializer, SERIALIZER);
        assert_eq!(open.fingerprint, fingerprint().to_bits());
    }

    #[test]
    fn an_absence_has_no_payload() {
        let bytes = Envelope::seal_absence(place(), SERIALIZER, fingerprint(), &[]);
        let open = Envelope::open(&bytes, place()).unwrap();
        assert_eq!((open.content, open.payload), (EnvelopeContent::Absence, &b""[..]));
        assert_eq!(Envelope::open(&sealed(b""), place()).unwrap().content, EnvelopeContent::Value);
        for flags in (1..=u8::MAX).filter(|flags| *flags != MADE) {
            let header = Header::of_value(SERIALIZER, fingerprint(), &[]);
            let mut bytes = Header { flags, ..header }.to_bytes(0);
            bytes.extend_from_slice(b"payload");
            let bytes = super::sealed(bytes, place());
            assert!(matches!(Envelope::open(&bytes, place()), Err(BadBytes::Version)), "{flags}");
        }
    }

    #[test]
    fn the_time_of_making_is_part_of_what_is_sealed() {
        let made = MadeAt::ago(std::time::Duration::from_secs(60));
        let depends_on = list(&["shop.org:1"]);
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"payload");
            Ok::<_, BoxError>(())
        };
        for depends_on in [&[][..], &depends_on] {
            let header = Header::of_value(SERIALIZER, fingerprint(), depends_on).made(made);
            let bytes = Envelope::seal_sized(place(), header, 0, write).unwrap();
            let open = Envelope::open(&bytes, place()).unwrap();
            assert_eq!((open.made, open.depends_on()), (made, depends_on));
            assert_eq!((open.payload, open.made_at()), (&b"payload"[..], made.map(MadeAt::time)));
            for at in 0..bytes.len() {
                let mut tampered = bytes.to_vec();
                tampered[at] ^= 1;
                assert!(Envelope::open(&tampered, place()).is_err(), "byte {at}");
            }
        }
        assert_eq!(Envelope::open(&sealed(b"payload"), place()).unwrap().made_at(), None);
    }

    /// Bug guarded against: bytes that end within the time, under a seal that is right.
    #[test]
    fn half_a_time_is_no_envelope() {
        for length in 0..MADE_BYTES {
            let header = Header::of_value(SERIALIZER, fingerprint(), &[]);
            let mut bytes = Header { flags: MADE, ..header }.to_bytes(0);
            bytes.resize(ENVELOPE_BYTES + length, 1);
            let bytes = super::sealed(bytes, place());
            assert!(matches!(Envelope::open(&bytes, place()), Err(BadBytes::Version)), "{length}");
        }
    }

    #[test]
    fn does_not_open_elsewhere() {
        let bytes = sealed(b"payload");
        let region = Place::of_region(&RegionPath::parse("shop.org:42").unwrap());
        assert!(matches!(Envelope::open(&bytes, region.of_key("other")), Err(BadBytes::Seal)));
        let region = Place::of_region(&RegionPath::parse("shop.org:43").unwrap());
        assert!(matches!(Envelope::open(&bytes, region.of_key("summary")), Err(BadBytes::Seal)));
    }

    #[test]
    fn any_change_of_any_bit_is_noticed() {
        let bytes = sealed(b"some payload");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut tampered = bytes.to_vec();
                tampered[at] ^= 1 << bit;
                assert!(Envelope::open(&tampered, place()).is_err(), "byte {at} bit {bit}");
            }
        }
        for len in 0..bytes.len() {
            assert!(Envelope::open(&bytes[..len], place()).is_err(), "cut to {len}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Envelope::open(&longer, place()).is_err());
    }

    /// The bytes of the time, as every version 1 that knows it reads them.
    #[test]
    fn the_time_has_its_bytes() {
        let made = MadeAt::from_bytes([0x00, 0x48, 0x2E, 0x7E, 0x9A, 0x01]);
        let header = Header::of_value(SERIALIZER, fingerprint(), &[]).made(made);
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"payload");
            Ok::<_, BoxError>(())
        };
        let bytes = Envelope::seal_sized(place(), header, 0, write).unwrap();
        assert_eq!(bytes[FLAGS_AT], MADE);
        assert_eq!(bytes[ENVELOPE_BYTES..], *b"\x00\x48\x2E\x7E\x9A\x01payload");
        let since = made.unwrap().time().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_millis(), 0x019A_7E2E_4800);
    }

    fn golden(name: &str) -> Vec<u8> {
        let file = format!("{}/tests/golden/envelope-{name}.v1", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The bytes that version 1 has always written. If this fails, every stored value is lost on
    /// upgrade: make a version 2 instead.
    #[test]
    fn golden_files() {
        for (name, payload) in [("empty", &b""[..]), ("text", b"payload"), ("long", &[7; 300])] {
            assert_eq!(sealed(payload), golden(name), "{name}");
            assert_eq!(Envelope::open(&golden(name), place()).unwrap().payload, payload);
        }
    }

    /// The same for values that depend on other regions, and for records that there is none.
    #[test]
    fn golden_files_of_dependencies() {
        let two = list(&["shop.org:1", "shop.prices"]);
        let most: Vec<_> =
            (0..dependencies::MAX_DEPENDENCIES).map(|n| format!("shop.n:{n}")).collect();
        let most = list(&most.iter().map(String::as_str).collect::<Vec<_>>());
        for (name, depends_on) in [("depends", &two), ("depends-most", &most)] {
            let write = |out: &mut Vec<u8>| {
                out.extend_from_slice(b"payload");
                Ok::<_, BoxError>(())
            };
            let bytes = Envelope::seal(place(), SERIALIZER, fingerprint(), depends_on, write);
            let golden = golden(name);
            assert_eq!(bytes.unwrap(), golden, "{name}");
            let open = Envelope::open(&golden, place()).unwrap();
            assert_eq!((open.depends_on(), open.payload), (&depends_on[..], &b"payload"[..]));
        }
        for (name, depends_on) in [("absent", &[][..]), ("depends-absent", &two)] {
            let bytes = Envelope::seal_absence(place(), SERIALIZER, fingerprint(), depends_on);
            let golden = golden(name);
            assert_eq!(bytes, golden, "{name}");
            let open = Envelope::open(&golden, place()).unwrap();
            assert_eq!(open.content, EnvelopeContent::Absence, "{name}");
            assert_eq!(open.depends_on(), depends_on, "{name}");
        }
    }
}
