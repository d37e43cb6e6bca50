use std::borrow::Cow;

use super::bytes::PathBytes;
use super::{PathError, Segment};

/// The bytes of a number, and of the length of a text.
const WORD: usize = size_of::<u64>();

/// In place of the length of a name: it follows in a word.
const LONG: u8 = u8::MAX;

/// The marks of the forms that an id has in the bytes of a path.
const NO_ID: u8 = 0;
const NUMBER: u8 = 1;
const NEGATIVE: u8 = 2;
const TEXT: u8 = 3;

/// A path below some region, as it was given: the names and ids of its segments, not written as text yet.
///
/// A region that was opened lately is found by these bytes. Only if it is not, the names and ids are checked and
/// escaped. A segment has the length of the name, the name, the form of the id, and the id: a number, or a length
/// and a text.
#[derive(Clone)]
pub(crate) struct RelativePath(PathBytes);

impl RelativePath {
    /// The path of no segments.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self(PathBytes::default())
    }

    /// Appends the segment `name`.
    #[inline]
    pub(crate) fn push(&mut self, name: &str) {
        self.push_name(name);
        self.0.extend(&[NO_ID]);
    }

    /// Appends the segment `name:id`: `push_id` hands the text of the id to its argument, in one or more parts.
    #[inline]
    pub(crate) fn push_with_id(&mut self, name: &str, push_id: impl FnOnce(&mut IdText<'_>)) {
        self.push_name(name);
        let mut id = IdText { start: self.0.len(), form: NO_ID, bytes: &mut self.0 };
        push_id(&mut id);
        id.finish();
    }

    /// The names and ids. Two paths with the same bytes have the same segments.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The segments, the outermost first.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>, PathError> {
        let segment = |(name, id): (&str, Option<Cow<'_, str>>)| match id {
            Some(id) => Segment::with_id(name, &id),
            None => Segment::new(name),
        };
        Parts(self.0.as_slice()).map(segment).collect()
    }

    #[inline]
    fn push_name(&mut self, name: &str) {
        match u8::try_from(name.len()) {
            Ok(short) if short < LONG => self.0.extend(&[short]),
            _ => {
                self.0.extend(&[LONG]);
                self.0.extend(&length(name.len()));
            }
        }
        self.0.extend(name.as_bytes());
    }
}

/// Takes the text of an id: see [`SegmentId::append_to`](crate::SegmentId::append_to).
pub struct IdText<'t> {
    bytes: &'t mut PathBytes,
    /// The position at which the id begins.
    start: usize,
    /// The form of the id so far; [`NO_ID`] before the first part.
    form: u8,
}

impl IdText<'_> {
    /// Appends a part of the text, not escaped.
    #[inline]
    pub fn push(&mut self, part: &str) {
        self.turn_into_text();
        self.bytes.extend(part.as_bytes());
    }

    /// Appends a number, in decimal.
    #[inline]
    pub(crate) fn push_unsigned(&mut self, number: u64) {
        if self.form == NO_ID {
            self.push_word(NUMBER, number.to_le_bytes());
        } else {
            self.push_printed(number);
        }
    }

    /// Appends a number, in decimal.
    #[inline]
    pub(crate) fn push_signed(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) => self.push_unsigned(number),
            Err(_) if self.form == NO_ID => self.push_word(NEGATIVE, number.to_le_bytes()),
            Err(_) => self.push_printed(number),
        }
    }

    /// Appends a number, in decimal.
    pub(crate) fn push_printed(&mut self, number: impl itoa::Integer) {
        self.push(itoa::Buffer::new().format(number));
    }

    #[inline]
    fn push_word(&mut self, form: u8, word: [u8; WORD]) {
        let mut bytes = [form; 1 + WORD];
        bytes[1..].copy_from_slice(&word);
        self.bytes.extend(&bytes);
        self.form = form;
    }

    #[inline]
    fn turn_into_text(&mut self) {
        match self.form {
            TEXT => {}
            // The length follows at the end.
            NO_ID => self.push_word(TEXT, length(0)),
            _ => self.print(),
        }
    }

    /// Writes a number as text, so that more text can follow.
    #[cold]
    fn print(&mut self) {
        let printed =
            Parts(&self.bytes.as_slice()[self.start..]).id().unwrap_or_default().into_owned();
        self.bytes.truncate(self.start);
        self.form = NO_ID;
        self.push(&printed);
    }

    #[inline]
    fn finish(self) {
        if !matches!(self.form, NUMBER | NEGATIVE) {
            self.finish_text();
        }
    }

    #[inline(never)]
    fn finish_text(mut self) {
        self.turn_into_text();
        let text_at = self.start + 1 + WORD;
        let length = length(self.bytes.len() - text_at);
        self.bytes.as_mut_slice()[self.start + 1..text_at].copy_from_slice(&length);
    }
}

impl std::fmt::Debug for IdText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdText").finish_non_exhaustive()
    }
}

#[inline]
fn length(length: usize) -> [u8; WORD] {
    (length as u64).to_le_bytes()
}

/// Reads the names and ids of a path's bytes.
struct Parts<'p>(&'p [u8]);

impl<'p> Parts<'p> {
    fn word(&mut self) -> Option<[u8; WORD]> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*word)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.word()?)).ok()
    }

    fn text(&mut self, length: usize) -> Option<&'p str> {
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn id(&mut self) -> Option<Cow<'p, str>> {
        match self.byte()? {
            NUMBER => Some(u64::from_le_bytes(self.word()?).to_string().into()),
            NEGATIVE => Some(i64::from_le_bytes(self.word()?).to_string().into()),
            TEXT => {
                let length = self.length()?;
                self.text(length).map(Cow::Borrowed)
            }
            _ => None,
        }
    }
}

impl<'p> Iterator for Parts<'p> {
    type Item = (&'p str, Option<Cow<'p, str>>);

    fn next(&mut self) -> Option<Self::Item> {
        let length = match self.byte()? {
            LONG => self.length()?,
            short => usize::from(short),
        };
        Some((self.text(length)?, self.id()))
    }
}
