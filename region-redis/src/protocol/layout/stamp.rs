//! The empty field of a hash of entries: the life it was filled in, and the region's timeout.

use region_core::Timestamp;

use super::ids::{Path, number};

/// The hash expires at the moment that follows; what is in it may end sooner.
const EXPIRES: u8 = 1;

/// The region's timeout is over at the moment that follows.
const TIMEOUT: u8 = 2;

/// When the time of the hash with this stamp is over, if it ever is; `None` if it belongs to another
/// life than the path's.
pub(crate) fn deadline_of(path: &Path, stamp: Option<&[u8]>) -> Option<Option<Timestamp>> {
    match path.strip_life(stamp?)? {
        [] => Some(None),
        [EXPIRES, at @ ..] if at.len() == 6 => Some(None),
        [TIMEOUT, at @ ..] if at.len() == 6 => Some(Some(Timestamp::from_millis(number(at)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_as_the_layout_says() {
        let root = [&[1; 8][..], &[2; 8], &[0; 4], &[0; 6]].concat();
        let leaf = [&[3; 8][..], &[4; 8], &[1; 4], &[0; 6]].concat();
        let path = Path::parse([Some(&root[..]), Some(&leaf[..])]).unwrap();
        let life = [[1; 8], [3; 8]].concat();
        let stamp = |end: &[u8]| deadline_of(&path, Some(&[&life, end].concat()));
        assert_eq!(stamp(b""), Some(None));
        assert_eq!(stamp(b"\x01\0\0\0\0\x01\0"), Some(None));
        assert_eq!(stamp(b"\x02\0\0\0\0\x01\0"), Some(Some(Timestamp::from_millis(256))));
        for odd in [&b"\x02"[..], b"\x03\0\0\0\0\x01\0", b"\x02\0\0\0\0\0\x01\0"] {
            assert_eq!(stamp(odd), None, "{odd:?}");
        }
        assert_eq!(deadline_of(&path, None), None);
        assert_eq!(deadline_of(&path, Some(&[[1; 8], [9; 8]].concat())), None);
    }
}
