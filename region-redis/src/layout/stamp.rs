//! The empty field of a hash of entries: the life it was filled in, and the region's timeout.

use region_core::Timestamp;

use super::ids::{Path, number};

/// Whether the hash with this stamp belongs to the path's life, and when its time is over; `None` if
/// nothing in it is valid.
pub(crate) fn deadline_of(
    path: &Path,
    stamp: Option<&[u8]>,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    match path.strip_life(stamp?)? {
        [] => Some(None),
        deadline if deadline.len() == 6 => {
            let deadline = Timestamp::from_millis(number(deadline));
            (deadline > now).then_some(Some(deadline))
        }
        _ => None,
    }
}
