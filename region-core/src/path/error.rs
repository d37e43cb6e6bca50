use std::error::Error;
use std::fmt;

use super::limits::{MAX_DEPTH, MAX_KEY_BYTES, MAX_PATH_BYTES, MAX_SEGMENT_BYTES};

/// The number of characters of a refused text that an error repeats.
const SHOWN_CHARS: usize = 80;

/// A path, segment or key that breaks a [`PathRule`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    rule: PathRule,
    text: Box<str>,
}

/// The rules for the names of regions and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathRule {
    /// A segment's name has at least one character.
    EmptyName,
    /// An id, where there is one, has at least one character.
    EmptyId,
    /// A segment has at most [`MAX_SEGMENT_BYTES`] bytes once escaped.
    SegmentTooLong,
    /// A path has at most [`MAX_PATH_BYTES`] bytes once escaped.
    PathTooLong,
    /// A path has at most [`MAX_DEPTH`] segments.
    TooDeep,
    /// In text, `.` `:` `{` `}` `%` and control characters inside a name or id are escaped.
    Unescaped(char),
    /// An escape is `%` and two upper-case hexadecimal digits, of a character that needs one.
    BadEscape,
    /// Stored paths, segments and keys are UTF-8.
    NotUtf8,
    /// A key has at least one character.
    EmptyKey,
    /// A key has at most [`MAX_KEY_BYTES`] bytes.
    KeyTooLong,
    /// The key [`MARKER_KEY`](crate::MARKER_KEY) belongs to the library.
    ReservedKey,
}

impl PathError {
    pub(crate) fn new(rule: PathRule, text: &str) -> Self {
        Self { rule, text: shorten(text) }
    }

    /// The same error, told of the whole text the segment stood in.
    pub(crate) fn within(self, text: &str) -> Self {
        Self { rule: self.rule, text: shorten(text) }
    }

    /// The start of the text that breaks the rule.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The rule that was broken.
    #[must_use]
    pub fn rule(&self) -> PathRule {
        self.rule
    }
}

fn shorten(text: &str) -> Box<str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.into(),
        Some((end, _)) => format!("{}...", &text[..end]).into(),
    }
}

impl fmt::Display for PathRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => f.write_str("a segment's name must not be empty"),
            Self::EmptyId => f.write_str("an id must not be empty: leave the `:` out or add an id"),
            Self::SegmentTooLong => {
                write!(f, "a segment must not exceed {MAX_SEGMENT_BYTES} bytes once escaped")
            }
            Self::PathTooLong => {
                write!(f, "a path must not exceed {MAX_PATH_BYTES} bytes once escaped")
            }
            Self::TooDeep => write!(f, "a path must not exceed {MAX_DEPTH} segments"),
            Self::Unescaped(c) => write!(
                f,
                "{c:?} must be written %{:02X} in the text of a path (or pass the name and the id \
                 on their own: they are escaped then)",
                u32::from(*c)
            ),
            Self::BadEscape => f.write_str(
                "`%` must be followed by the two upper-case hexadecimal digits of a character that \
                 needs escaping (`%` itself is %25)",
            ),
            Self::NotUtf8 => f.write_str("it must be UTF-8"),
            Self::EmptyKey => f.write_str("a key must not be empty"),
            Self::KeyTooLong => write!(f, "a key must not exceed {MAX_KEY_BYTES} bytes"),
            Self::ReservedKey => f.write_str("this key is reserved for the library"),
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.text, self.rule)
    }
}

impl Error for PathError {}
