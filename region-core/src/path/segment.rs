use std::borrow::Cow;
use std::fmt;

use super::escape::{check_escaped, escape_into, unescape};
use super::{MAX_SEGMENT_BYTES, PathError, PathRule};

/// One step of a path: a name, with an id where the name stands for many regions.
///
/// ```
/// use region_core::Segment;
///
/// let segment = Segment::with_id("file", "a.rs")?;
/// assert_eq!(segment.as_str(), "file:a%2Ers");
/// assert_eq!(segment.name(), "file");
/// assert_eq!(segment.id().as_deref(), Some("a.rs"));
/// # Ok::<(), region_core::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment(Box<str>);

impl Segment {
    /// A segment without an id. `name` may be any non-empty text; it is escaped.
    ///
    /// # Errors
    /// When the name is empty or too long.
    pub fn new(name: &str) -> Result<Self, PathError> {
        Self::build(name, None)
    }

    /// A segment with an id. Both may be any non-empty text; they are escaped.
    ///
    /// # Errors
    /// When the name or id is empty, or both together are too long.
    pub fn with_id(name: &str, id: &str) -> Result<Self, PathError> {
        Self::build(name, Some(id))
    }

    /// Reads a segment from the text that [`Display`](fmt::Display) prints.
    ///
    /// # Errors
    /// When the text breaks a [`PathRule`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (name, id) = split(text);
        check_escaped(name)?;
        if name.is_empty() {
            return Err(PathError::new(PathRule::EmptyName, text));
        }
        if let Some(id) = id {
            check_escaped(id)?;
            if id.is_empty() {
                return Err(PathError::new(PathRule::EmptyId, text));
            }
        }
        if text.len() > MAX_SEGMENT_BYTES {
            return Err(PathError::new(PathRule::SegmentTooLong, text));
        }
        Ok(Self(text.into()))
    }

    /// The name, unescaped.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        unescape(split(&self.0).0)
    }

    /// The id, unescaped, if there is one.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        split(&self.0).1.map(unescape)
    }

    /// The segment as it stands in a path's text, escaped.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A segment from text that is known to be escaped and within the limits.
    pub(super) fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }

    fn build(name: &str, id: Option<&str>) -> Result<Self, PathError> {
        if name.is_empty() {
            return Err(PathError::new(PathRule::EmptyName, name));
        }
        let mut text = String::with_capacity(name.len() + id.map_or(0, |id| id.len() + 1));
        escape_into(name, &mut text);
        if let Some(id) = id {
            text.push(':');
            if id.is_empty() {
                return Err(PathError::new(PathRule::EmptyId, &text));
            }
            escape_into(id, &mut text);
        }
        if text.len() > MAX_SEGMENT_BYTES {
            return Err(PathError::new(PathRule::SegmentTooLong, &text));
        }
        Ok(Self(text.into_boxed_str()))
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((name, id)) => (name, Some(id)),
        None => (text, None),
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({})", self.0)
    }
}
