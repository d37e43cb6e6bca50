use super::{PathError, PathRule};

/// The most bytes a segment may have once escaped, its name, colon and id together.
pub const MAX_SEGMENT_BYTES: usize = 512;

/// The most segments a path may have, the root included.
pub const MAX_DEPTH: usize = 64;

/// The most bytes a path may have once escaped.
pub const MAX_PATH_BYTES: usize = 4096;

/// The most bytes a key may have.
pub const MAX_KEY_BYTES: usize = 1024;

/// The key of a region's *marker*: an entry of the library itself, on which values of other regions
/// hang that depend on this one. Users of a [`Region`](crate::Region) cannot reach it.
pub const MARKER_KEY: &str = "\0marker";

/// The name of the roots that shared signals lie in. The id is the root of the cache. They lie beside it and not in it:
/// a cache that is invalidated must not lose its signals, least of all if a signal has invalidated it.
pub(crate) const SIGNAL_SEGMENT: &str = "\0signal";

/// Refuses keys that no store has to take, empty ones and ones over [`MAX_KEY_BYTES`], and the one that
/// the library keeps for itself.
pub(crate) fn check_key(key: &str) -> Result<(), PathError> {
    if key.is_empty() {
        return Err(PathError::new(PathRule::EmptyKey, key));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(PathError::new(PathRule::KeyTooLong, key));
    }
    if key == MARKER_KEY {
        return Err(PathError::new(PathRule::ReservedKey, key));
    }
    Ok(())
}
