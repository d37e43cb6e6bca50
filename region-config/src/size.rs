//! Numbers of bytes as people write them.

use std::fmt;

use bytesize::ByteSize;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// The form of a number of bytes, for messages.
pub(crate) const FORM: &str = "a number of bytes such as \"64 MiB\", \"1.5 GB\" or 65536";

/// A number of bytes, at least one.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

/// Reads a number of bytes, with a unit or without one.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let begins_right = text.starts_with(|first: char| first.is_ascii_digit());
    let bytes = text.parse::<ByteSize>().ok().filter(|_| begins_right)?.as_u64();
    // The parser takes what is too large for the greatest number there is.
    (bytes > 0 && bytes < u64::MAX).then_some(bytes)
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORM)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        match bytes {
            0 => Err(E::invalid_value(Unexpected::Unsigned(0), &self)),
            bytes => Ok(Size(bytes)),
        }
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
        match u64::try_from(bytes) {
            Ok(bytes) => self.visit_u64(bytes),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(bytes), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        parse(text).map(Size).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("1", Some(1)),
            ("256MiB", Some(256 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1KiB", Some(1024)),
            ("2GiB", Some(2 << 30)),
            ("1.5GiB", Some(3 << 29)),
            ("1MB", Some(1_000_000)),
            ("0", None),
            ("0KiB", None),
            ("", None),
            ("MiB", None),
            ("+1", None),
            ("-1", None),
            ("1 apple", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
