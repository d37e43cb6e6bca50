//! Dummy values, for types that refuse the first one.

/// Texts that types with a syntax of their own accept: the first fits most.
pub(super) const TEXTS: &[&str] = &[
    "",
    "a",
    "1",
    "0",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01",
    "00:00:00",
    "PT1S",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
    "127.0.0.1:80",
    "::1",
    "[::1]:80",
    "10.0.0.0/8",
    "http://a.example/",
    "a@a.example",
    "en",
    "en-US",
    "EUR",
    "#000000",
    "1.0.0",
    "/a",
    "UTC",
    "AAAA",
    "00000000000000000000000000000000",
];

/// Numbers, as small as they come: `NonZero` types refuse zero.
pub(super) const NUMBERS: &[u8] = &[0, 1, 2, 10, 100];

/// Characters.
pub(super) const CHARS: &[char] = &['a', '0', ' '];

/// Lengths of byte strings: ids and hashes have a fixed one.
pub(super) const BYTE_LENGTHS: &[usize] = &[0, 16, 1, 4, 8, 20, 32, 64];

/// Lengths of sequences. One element shows what is inside.
pub(super) const SEQUENCE_LENGTHS: &[usize] = &[1, 0, 2, 3, 4, 16, 32];

/// Lengths of maps.
pub(super) const MAP_LENGTHS: &[usize] = &[1, 0, 2];

/// The number of answers to a type that accepts any value: nothing, a bool, a number, a text, an empty sequence,
/// an empty map.
pub(super) const ANYTHING: usize = 6;
