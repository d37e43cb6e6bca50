//! Region paths: which region is meant.

mod bytes;
mod error;
mod escape;
mod limits;
mod prehashed;
mod relative;
mod segment;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use crate::random::process_bits;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use error::{PathError, PathRule};
pub use limits::{MARKER_KEY, MAX_DEPTH, MAX_KEY_BYTES, MAX_PATH_BYTES, MAX_SEGMENT_BYTES};
pub(crate) use limits::{SIGNAL_SEGMENT, check_key};
pub(crate) use prehashed::Prehashed;
pub use relative::IdText;
pub(crate) use relative::RelativePath;
pub use segment::Segment;

/// Most paths are no deeper than this; deeper ones cost one more allocation.
const INLINE_DEPTH: usize = 8;

/// Drawn anew by every process, so that nobody can choose ids whose hashes collide.
static HASH_SEED: OnceLock<u64> = OnceLock::new();

fn hash_seed() -> u64 {
    *HASH_SEED.get_or_init(process_bits)
}

/// Gives the paths of this process the hashes that they have in every other run which calls this: the order
/// of some of a store's work hangs on them. Call it before the first path is made; returns false if it is
/// too late.
///
/// ```
/// region_core::testing::fix_path_hashes();
/// ```
#[cfg(feature = "testing")]
pub fn fix_path_hashes() -> bool {
    const FIXED: u64 = 0;
    *HASH_SEED.get_or_init(|| FIXED) == FIXED
}

/// The place of a region: its segments from the root down.
///
/// Written as text, segments are separated by `.` and an id follows its name after `:`, as in
/// `shop.org:42.project:7`. A name or id may be any non-empty UTF-8 text; the characters `.` `:`
/// `{` `}` `%` and ASCII control characters (NUL among them) are written as `%` and two upper-case
/// hexadecimal digits. Every region has exactly one text: [`parse`](Self::parse) accepts what
/// [`Display`](fmt::Display) prints and nothing else, so two texts never mean one region.
///
/// Cheap to clone. Limits: [`MAX_SEGMENT_BYTES`], [`MAX_DEPTH`], [`MAX_PATH_BYTES`].
///
/// ```
/// use region_core::RegionPath;
///
/// let project = RegionPath::root("shop")?.child_with_id("org", "42")?.child_with_id("project", "7")?;
/// assert_eq!(project.to_string(), "shop.org:42.project:7");
/// assert_eq!(RegionPath::parse("shop.org:42.project:7")?, project);
///
/// let file = RegionPath::root("shop")?.child_with_id("file", "a.rs")?;
/// assert_eq!(file.as_str(), "shop.file:a%2Ers");
/// assert_eq!(file.last().id().as_deref(), Some("a.rs"));
/// # Ok::<(), region_core::PathError>(())
/// ```
#[derive(Clone)]
pub struct RegionPath(Arc<Inner>);

struct Inner {
    text: Box<str>,
    /// The position in `text` at which each segment ends, exclusive.
    ends: SmallVec<[u16; INLINE_DEPTH]>,
    hash: u64,
}

impl RegionPath {
    /// The region at the top, named `name`.
    ///
    /// # Errors
    /// When `name` breaks a [`PathRule`].
    pub fn root(name: &str) -> Result<Self, PathError> {
        let mut text = String::new();
        let mut ends = SmallVec::new();
        append(&mut text, &mut ends, Segment::new(name)?.as_str())?;
        Ok(Self::seal(text, ends))
    }

    /// Reads a path from the text that [`Display`](fmt::Display) prints.
    ///
    /// # Errors
    /// When the text breaks a [`PathRule`]; the error says which and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut path = String::with_capacity(text.len().min(MAX_PATH_BYTES));
        let mut ends = SmallVec::new();
        append_parsed(&mut path, &mut ends, text)?;
        Ok(Self::seal(path, ends))
    }

    /// Reads a path from stored bytes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when the bytes are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(_) => Err(PathError::new(PathRule::NotUtf8, &String::from_utf8_lossy(bytes))),
        }
    }

    /// The child region `name`.
    ///
    /// # Errors
    /// When `name` or the longer path breaks a [`PathRule`].
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        self.join(&Segment::new(name).map_err(|e| e.within(self.as_str()))?)
    }

    /// The child region `name:id`.
    ///
    /// # Errors
    /// When `name`, `id` or the longer path breaks a [`PathRule`].
    pub fn child_with_id(&self, name: &str, id: &str) -> Result<Self, PathError> {
        self.join(&Segment::with_id(name, id).map_err(|e| e.within(self.as_str()))?)
    }

    /// The child region at `segment`.
    ///
    /// # Errors
    /// When the longer path breaks a [`PathRule`].
    pub fn join(&self, segment: &Segment) -> Result<Self, PathError> {
        let mut text = String::with_capacity(self.0.text.len() + 1 + segment.as_str().len());
        text.push_str(&self.0.text);
        let mut ends = self.0.ends.clone();
        append(&mut text, &mut ends, segment.as_str())?;
        Ok(Self::seal(text, ends))
    }

    /// The region below this one that `relative` names, one or more segments deep.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn descend(&self, relative: &str) -> Result<Self, PathError> {
        let mut text =
            String::with_capacity(self.0.text.len() + 1 + relative.len().min(MAX_PATH_BYTES));
        text.push_str(&self.0.text);
        let mut ends = self.0.ends.clone();
        append_parsed(&mut text, &mut ends, relative)?;
        Ok(Self::seal(text, ends))
    }

    /// The region this one lies in; `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let mut ends = self.0.ends.clone();
        ends.pop();
        let end = usize::from(*ends.last()?);
        Some(Self::seal(self.0.text[..end].to_owned(), ends))
    }

    /// The hash that maps of paths use.
    pub(crate) fn hash_bits(&self) -> u64 {
        self.0.hash
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Returns the number of segments; a root has one.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.ends.len()
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment> + '_ {
        let starts = std::iter::once(0).chain(self.0.ends.iter().map(|end| usize::from(*end) + 1));
        let ends: SmallVec<[(usize, usize); INLINE_DEPTH]> =
            starts.zip(self.0.ends.iter().map(|end| usize::from(*end))).collect();
        ends.into_iter().map(|(start, end)| Segment::from_canonical(&self.0.text[start..end]))
    }

    /// The last segment: the region's own name.
    #[must_use]
    pub fn last(&self) -> Segment {
        let start = match self.depth() {
            1 => 0,
            depth => usize::from(self.0.ends[depth - 2]) + 1,
        };
        Segment::from_canonical(&self.0.text[start..])
    }

    /// The texts of this path's ancestors and of the path itself, from the root down.
    pub fn prefixes(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.ends.iter().map(|end| &self.0.text[..usize::from(*end)])
    }

    /// Returns true if `ancestor` is this region or an ancestor of it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let depth = ancestor.depth();
        self.depth() >= depth
            && self.0.ends[depth - 1] == ancestor.0.ends[depth - 1]
            && self.0.text.as_bytes().starts_with(ancestor.0.text.as_bytes())
    }

    fn seal(text: String, ends: SmallVec<[u16; INLINE_DEPTH]>) -> Self {
        let hash = xxh3_64_with_seed(text.as_bytes(), hash_seed());
        Self(Arc::new(Inner { text: text.into_boxed_str(), ends, hash }))
    }
}

/// Adds one escaped segment to `text`, keeping the limits of a whole path.
fn append(
    text: &mut String,
    ends: &mut SmallVec<[u16; INLINE_DEPTH]>,
    segment: &str,
) -> Result<(), PathError> {
    if !ends.is_empty() {
        text.push('.');
    }
    text.push_str(segment);
    if ends.len() == MAX_DEPTH {
        return Err(PathError::new(PathRule::TooDeep, text));
    }
    match u16::try_from(text.len()) {
        Ok(end) if text.len() <= MAX_PATH_BYTES => ends.push(end),
        _ => return Err(PathError::new(PathRule::PathTooLong, text)),
    }
    Ok(())
}

/// Adds the segments written in `parsed`, keeping the limits of a whole path.
fn append_parsed(
    text: &mut String,
    ends: &mut SmallVec<[u16; INLINE_DEPTH]>,
    parsed: &str,
) -> Result<(), PathError> {
    for segment in parsed.split('.') {
        let segment = Segment::parse(segment).map_err(|error| error.within(parsed))?;
        append(text, ends, segment.as_str())?;
    }
    Ok(())
}

impl PartialEq for RegionPath {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.text == other.0.text)
    }
}

impl Eq for RegionPath {}

impl Hash for RegionPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for RegionPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Ordered by text.
impl Ord for RegionPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl fmt::Display for RegionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for RegionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegionPath({})", self.0.text)
    }
}

impl FromStr for RegionPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
