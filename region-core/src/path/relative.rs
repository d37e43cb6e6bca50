use smallvec::SmallVec;

use super::escape::escape;
use super::{MAX_SEGMENT_BYTES, PathError, PathRule, Segment};

/// Most relative paths have no more bytes than this; longer ones cost an allocation.
const INLINE_BYTES: usize = 64;

/// The text of a path below some region, one segment after the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RelativePath(SmallVec<[u8; INLINE_BYTES]>);

impl RelativePath {
    /// The path of no segments.
    pub(crate) fn empty() -> Self {
        Self(SmallVec::new())
    }

    /// Appends the segment `name`, or `name:id` if there is an id: `push_id` hands its text to its argument, in one
    /// or more parts.
    pub(crate) fn push(
        &mut self,
        name: &str,
        push_id: Option<impl FnOnce(&mut IdText<'_>)>,
    ) -> Result<(), PathError> {
        if name.is_empty() {
            return Err(PathError::new(PathRule::EmptyName, name));
        }
        if !self.0.is_empty() {
            self.0.push(b'.');
        }
        let start = self.0.len();
        IdText(&mut self.0).push(name);
        if let Some(push_id) = push_id {
            self.0.push(b':');
            let before = self.0.len();
            push_id(&mut IdText(&mut self.0));
            if self.0.len() == before {
                return Err(PathError::new(PathRule::EmptyId, text(&self.0[start..])));
            }
        }
        if self.0.len() - start > MAX_SEGMENT_BYTES {
            return Err(PathError::new(PathRule::SegmentTooLong, text(&self.0[start..])));
        }
        Ok(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        text(&self.0)
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        // A dot within a segment is escaped.
        self.as_str().split('.').filter(|text| !text.is_empty()).map(Segment::from_canonical)
    }
}

fn text(bytes: &[u8]) -> &str {
    // Only whole texts are appended.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Takes the text of an id: see [`SegmentId::append_to`](crate::SegmentId::append_to).
pub struct IdText<'t>(&'t mut SmallVec<[u8; INLINE_BYTES]>);

impl IdText<'_> {
    /// Appends a part of the text that needs no escapes.
    #[inline]
    pub(crate) fn push_plain(&mut self, part: &str) {
        self.0.extend_from_slice(part.as_bytes());
    }

    /// Appends a part of the text, not escaped.
    #[inline]
    pub fn push(&mut self, part: &str) {
        escape(part, |escaped| self.0.extend_from_slice(escaped.as_bytes()));
    }
}

impl std::fmt::Debug for IdText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IdText").field(&text(self.0)).finish()
    }
}
