//! Escaping of names and ids, so that no user text can forge a path, a hash tag or a separator.

use std::borrow::Cow;

use super::{PathError, PathRule};

/// The bytes that are written as escapes. Only ASCII is: the bytes of other characters stay.
const RESERVED: [bool; 256] = {
    let mut reserved = [false; 256];
    let mut byte = 0;
    while byte < reserved.len() {
        let it = byte as u8;
        reserved[byte] = matches!(it, b'.' | b':' | b'{' | b'}' | b'%') || it.is_ascii_control();
        byte += 1;
    }
    reserved
};

/// Returns true if `byte` is written as an escape.
#[inline]
fn is_reserved(byte: u8) -> bool {
    RESERVED[usize::from(byte)]
}

/// Appends `raw` to `out`, escaped.
pub(super) fn escape_into(raw: &str, out: &mut String) {
    escape(raw, |part| out.push_str(part));
}

/// Hands `raw` to `push` in parts, escaped.
#[inline]
pub(super) fn escape(raw: &str, mut push: impl FnMut(&str)) {
    if raw.bytes().any(is_reserved) { escape_parts(raw, push) } else { push(raw) }
}

#[cold]
fn escape_parts(raw: &str, mut push: impl FnMut(&str)) {
    let mut rest = raw;
    while let Some(at) = rest.bytes().position(is_reserved) {
        push(&rest[..at]);
        push_escaped(rest.as_bytes()[at], &mut push);
        rest = &rest[at + 1..];
    }
    push(rest);
}

fn push_escaped(byte: u8, push: &mut impl FnMut(&str)) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    push("%");
    for digit in [byte >> 4, byte & 0x0F] {
        push(char::from(HEX[usize::from(digit)]).encode_utf8(&mut [0; 4]));
    }
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
