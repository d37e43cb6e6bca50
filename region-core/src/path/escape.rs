//! Escaping of names and ids, so that no user text can forge a path, a hash tag or a separator.

use std::borrow::Cow;

use super::{PathError, PathRule};

/// Returns true if `byte` is written as an escape. Only ASCII is: the bytes of other characters stay.
fn is_reserved(byte: u8) -> bool {
    matches!(byte, b'.' | b':' | b'{' | b'}' | b'%') || byte.is_ascii_control()
}

/// Appends `raw` to `out`, escaped.
pub(super) fn escape_into(raw: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = raw;
    while let Some(at) = rest.bytes().position(is_reserved) {
        let byte = rest.as_bytes()[at];
        out.push_str(&rest[..at]);
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 0x0F)]));
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Checks that `text` is what [`escape_into`] would write for some raw text.
pub(super) fn check_escaped(text: &str) -> Result<(), PathError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            if !escaped_byte(&bytes[at + 1..]).is_some_and(is_reserved) {
                return Err(PathError::new(PathRule::BadEscape, text));
            }
            at += 3;
        } else if is_reserved(byte) {
            return Err(PathError::new(PathRule::Unescaped(char::from(byte)), text));
        } else {
            at += 1;
        }
    }
    Ok(())
}

/// The raw text of `escaped`, which has passed [`check_escaped`].
pub(super) fn unescape(escaped: &str) -> Cow<'_, str> {
    if !escaped.contains('%') {
        return Cow::Borrowed(escaped);
    }
    let mut raw = String::with_capacity(escaped.len());
    let mut parts = escaped.split('%');
    raw.push_str(parts.next().unwrap_or_default());
    for part in parts {
        if let Some(byte) = escaped_byte(part.as_bytes()) {
            raw.push(char::from(byte));
        }
        raw.push_str(part.get(2..).unwrap_or_default());
    }
    Cow::Owned(raw)
}

/// The byte that two upper-case hexadecimal digits at the start of `digits` stand for.
fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(value(digits.first()?)? << 4 | value(digits.get(1)?)?)
}
