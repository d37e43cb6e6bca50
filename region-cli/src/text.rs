//! Pieces of text that several commands print.

use std::fmt::Write;
use std::time::Duration;

use region_cache::Lifetime;

/// The number of bytes in a line of a hex dump.
const LINE: usize = 16;

/// A number with the word for what is counted, in the plural where that is right.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A duration in words, to the millisecond.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

/// A lifetime in milliseconds; `None`: without an end.
pub(crate) fn millis(lifetime: Lifetime) -> Option<u64> {
    let duration = lifetime.duration()?;
    Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A number of bytes in words.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut shown = (bytes as f64, "bytes");
    for unit in UNITS {
        if shown.0 < 1024.0 {
            break;
        }
        shown = (shown.0 / 1024.0, unit);
    }
    match shown {
        (_, "bytes") => count(bytes, "byte", "bytes"),
        (number, unit) => format!("{number:.1} {unit}"),
    }
}

/// The bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes as lines of digits and characters; at most the first `limit` of them.
pub(crate) fn hex_dump(bytes: &[u8], limit: usize) -> String {
    let mut dump = String::new();
    let shown = &bytes[..bytes.len().min(limit)];
    for (line, part) in shown.chunks(LINE).enumerate() {
        let digits: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let chars = part.iter().map(|byte| if is_shown(*byte) { char::from(*byte) } else { '.' });
        let chars: String = chars.collect();
        let _ = writeln!(dump, "{:08x}  {:<47}  |{chars}|", line * LINE, digits.join(" "));
    }
    if shown.len() < bytes.len() {
        let left = bytes.len() - shown.len();
        let _ = writeln!(dump, "and {left} bytes more: --raw writes all");
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_all_bytes_up_to_its_limit() {
        let dump = hex_dump(b"Russian dolls\n\xff", 64);
        let line = "00000000  52 75 73 73 69 61 6e 20 64 6f 6c 6c 73 0a ff     |Russian dolls..|\n";
        assert_eq!(dump, line);
        assert_eq!(hex_dump(&[0; 40], 16).lines().count(), 2);
        assert!(hex_dump(&[0; 40], 16).ends_with("and 24 bytes more: --raw writes all\n"));
    }

    #[test]
    fn numbers_have_their_words() {
        assert_eq!(bytes(1), "1 byte");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(duration(Duration::from_micros(61_000_400)), "1m 1s");
    }
}
