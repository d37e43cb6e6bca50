//! Names on disk as text for the cache and for the eye.
//!
//! A name on disk may be anything but a slash: longer than a segment or key may be, and no UTF-8. One
//! that cannot be used as it is becomes a digest. Digests begin with two slashes, which neither a
//! name nor an absolute path does, so that a digest never means the same as a name.

use std::ffi::OsStr;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The prefix of digests.
const MARK: &str = "//";

/// The number of a name's characters that are kept beside its digest, to be shown.
const KEPT_CHARS: usize = 24;

/// The length of a digest in characters.
const DIGEST_CHARS: usize = 64;

/// Text that stands for `name` and for no other name.
pub(crate) fn digest(name: &OsStr) -> String {
    let mut text = String::from(MARK);
    for byte in Sha256::digest(name.as_encoded_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('/');
    text.extend(name.to_string_lossy().chars().take(KEPT_CHARS));
    text
}

/// `name` as a segment's id or a key, if it is UTF-8 of at most `max_bytes`; else its digest.
pub(crate) fn text_of(name: &OsStr, max_bytes: usize) -> String {
    match name.to_str() {
        Some(text) if text.len() <= max_bytes => text.to_owned(),
        _ => digest(name),
    }
}

/// An id or key of this module's, for the eye: fit for one line of a terminal.
pub(crate) fn shown(text: &str) -> String {
    let kept = text.strip_prefix(MARK).and_then(|rest| rest.get(DIGEST_CHARS + 1..));
    match kept {
        Some(kept) => format!("{}...", printable(kept)),
        None => printable(text),
    }
}

/// `text` with what would move the cursor or colour the screen written out.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_its_own_text() {
        assert_eq!(text_of(OsStr::new("a.rs"), 4), "a.rs");
        assert_eq!(shown("a.rs"), "a.rs");
    }

    #[test]
    fn a_long_name_is_digested_and_its_beginning_shown() {
        let long = "x".repeat(300);
        let text = text_of(OsStr::new(&long), 255);
        assert!(text.len() < 255);
        assert_ne!(text, text_of(OsStr::new(&format!("{long}y")), 255));
        assert_eq!(shown(&text), format!("{}...", "x".repeat(KEPT_CHARS)));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_stay_apart() {
        use std::os::unix::ffi::OsStrExt;
        let one = text_of(OsStr::from_bytes(b"a\xFF"), 255);
        let other = text_of(OsStr::from_bytes(b"a\xFE"), 255);
        assert_ne!(one, other);
        assert_eq!(shown(&one), "a\u{FFFD}...");
    }

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
    }
}
