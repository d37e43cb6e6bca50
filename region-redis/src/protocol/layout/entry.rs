//! An entry as it is stored: a head, then the bytes that were put.

use std::mem::discriminant;
use std::num::NonZeroU64;

use bytes::Bytes;
use region_core::{Entry, Freshness, Leftover, Lifetime, Timestamp};

use super::ids::{Mark, PathIds, big_endian};
use crate::time_range::TimeRange;

/// Version 1, in the upper half of an entry's first byte.
const VERSION: u8 = 0x10;

const HAS_END: u8 = 1;
const HAS_WINDOW: u8 = 2;
const HAS_MARK: u8 = 4;

/// The head that stands before an entry's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// Until when it is fresh.
    end: Option<Timestamp>,
    /// When it was put, in microseconds, and for how many milliseconds it is kept as stale.
    window: Option<(u64, u64)>,
    /// The mark of the path when it was put.
    mark: Option<Mark>,
}

impl Head {
    /// The head of an entry, and its length.
    fn parse(entry: &[u8]) -> Option<(Self, usize)> {
        let (flags, mut rest) = entry.split_first()?;
        if flags & !(HAS_END | HAS_WINDOW | HAS_MARK) != VERSION {
            return None;
        }
        let mut field = |flag: u8, len: usize| -> Option<&[u8]> {
            let (field, after) = rest.split_at_checked(if flags & flag == 0 { 0 } else { len })?;
            rest = after;
            Some(field)
        };
        let end = field(HAS_END, 6)?;
        let window = field(HAS_WINDOW, 13)?;
        let mark = field(HAS_MARK, 8)?.first_chunk().copied();
        let head = Self {
            end: (!end.is_empty()).then(|| Timestamp::from_millis(big_endian(end))),
            window: (!window.is_empty())
                .then(|| (big_endian(&window[..7]), big_endian(&window[7..]))),
            mark,
        };
        Some((head, entry.len() - rest.len()))
    }
}

/// Decides, at one time, which entries of a region are valid.
#[derive(Debug)]
pub(crate) struct Validator<'p> {
    path: &'p PathIds,
    mark: Option<Mark>,
    /// When the region's TTL is over.
    ttl_end: Option<Timestamp>,
    now: TimeRange,
}

/// The time, or that of an expiration, is not known exactly enough to decide.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsure;

impl<'p> Validator<'p> {
    pub(crate) fn new(path: &'p PathIds, ttl_end: Option<Timestamp>, now: TimeRange) -> Self {
        Self { path, mark: path.mark(), ttl_end, now }
    }

    /// Returns whether a stored entry is fresh or stale, and where its bytes begin; `None` if it is not
    /// valid.
    pub(crate) fn validate(&self, stored: &[u8]) -> Result<Option<(Freshness, usize)>, Unsure> {
        let Some((head, len)) = Head::parse(stored) else { return Ok(None) };
        if head.mark != self.mark && !self.path.knows_expirations() {
            // Without a window it is gone, whenever that expiration was.
            return if head.window.is_some() { Err(Unsure) } else { Ok(None) };
        }
        let freshness = self.freshness(head, self.now.latest);
        if self.now.earliest < self.now.latest {
            let earlier = self.freshness(head, self.now.earliest);
            if earlier.as_ref().map(discriminant) != freshness.as_ref().map(discriminant) {
                return Err(Unsure);
            }
        }
        Ok(freshness.map(|freshness| (freshness, len)))
    }

    /// As [`entry`](Self::entry), of an entry of which at least the head is there.
    pub(crate) fn freshness_of(&self, stored: &[u8]) -> Option<Freshness> {
        let (head, _) = Head::parse(stored)?;
        self.freshness(head, self.now.latest)
    }

    /// The entry, if it is valid, as late as it may be.
    pub(crate) fn entry(&self, stored: Vec<u8>) -> Option<Entry> {
        let (head, len) = Head::parse(&stored)?;
        let freshness = self.freshness(head, self.now.latest)?;
        Some(Entry { bytes: Bytes::from(stored).slice(len..), freshness })
    }

    fn freshness(&self, head: Head, now: Timestamp) -> Option<Freshness> {
        let ended = head.end.filter(|end| *end <= now);
        let expired = (head.mark != self.mark).then(|| {
            let put = head.window.map_or(0, |(put, _)| put);
            Timestamp::from_millis(self.path.first_expiration(put) / 1000)
        });
        let Some(since) = [ended, expired].into_iter().flatten().min() else {
            return Some(Freshness::Fresh { left: self.left(head.end, now)? });
        };
        let (_, window) = head.window?;
        let gone = Timestamp::from_millis(since.as_millis().saturating_add(window));
        Some(Freshness::Stale { left: self.left(Some(gone), now)? })
    }

    /// The time left until `end`, or until the region's TTL is over if that is sooner.
    fn left(&self, end: Option<Timestamp>, now: Timestamp) -> Option<Lifetime> {
        let end = [end, self.ttl_end].into_iter().flatten().min();
        match end {
            None => Some(Lifetime::Unlimited),
            Some(end) => {
                let left = end.as_millis().checked_sub(now.as_millis())?;
                NonZeroU64::new(left).map(Lifetime::Millis)
            }
        }
    }
}

/// Returns the reason for which a stored entry that is not valid is not; `None` if it is no entry. `path` is
/// that of its region, if the entry was filled under its trees.
pub(crate) fn leftover(stored: &[u8], path: Option<&PathIds>) -> Option<Leftover> {
    let (head, _) = Head::parse(stored)?;
    let is_of_now = path.is_some_and(|path| path.mark() == head.mark);
    Some(if is_of_now { Leftover::Expired } else { Leftover::Fenced })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeRange = between(1000, 1000);

    const fn between(earliest: u64, latest: u64) -> TimeRange {
        let millis = Timestamp::from_millis;
        TimeRange { earliest: millis(earliest), latest: millis(latest) }
    }

    fn path(expired_at: Option<u8>) -> PathIds {
        let mut ids = vec![1; 18];
        if let Some(at) = expired_at {
            ids.extend([2; 8]);
            ids.extend([0, 0, 0, 0, 0x0F, 0, at, 0, 0, 0, 0, 0x0F, 0, at]);
        }
        PathIds::parse([Some(&ids[..])]).unwrap()
    }

    /// Returns whether the entry is fresh, and the milliseconds left.
    fn validated(path: &PathIds, stored: &[u8]) -> Option<(bool, Option<u64>)> {
        let entry = Validator::new(path, None, NOW).entry(stored.to_vec())?;
        assert_eq!(&entry.bytes[..], b"x");
        let millis = |left: Lifetime| left.duration().map(|left| left.as_millis() as u64);
        Some(match entry.freshness {
            Freshness::Fresh { left } => (true, millis(left)),
            Freshness::Stale { left } => (false, millis(left)),
        })
    }

    #[test]
    fn stored_entries_are_read_as_the_layout_says() {
        let path = path(None);
        assert_eq!(validated(&path, b"\x10x"), Some((true, None)));
        // Fresh until 1001, until 1000, and until 990 with a window of 50.
        assert_eq!(validated(&path, b"\x11\0\0\0\0\x03\xE9x"), Some((true, Some(1))));
        assert_eq!(validated(&path, b"\x11\0\0\0\0\x03\xE8x"), None);
        let window = b"\x13\0\0\0\0\x03\xDE\0\0\0\0\0\0\x01\0\0\0\0\0\x32x";
        assert_eq!(validated(&path, window), Some((false, Some(40))));
    }

    #[test]
    fn entries_from_before_an_expiration_are_stale() {
        // At 0x0F0010 microseconds, which is millisecond 983.
        let path = path(Some(0x10));
        assert_eq!(validated(&path, b"\x10x"), None, "no window");
        let window = b"\x12\0\0\0\0\0\0\x01\0\0\0\0\0\x32x";
        assert_eq!(validated(&path, window), Some((false, Some(33))));
        let mut marked = vec![0x14];
        marked.extend(path.mark().unwrap());
        marked.push(b'x');
        assert_eq!(validated(&path, &marked), Some((true, None)));
    }

    #[test]
    fn an_entry_that_is_over_says_why() {
        let (path, expired) = (path(None), path(Some(0x10)));
        let is = |stored: &[u8], path| leftover(stored, path);
        assert_eq!(is(b"\x11\0\0\0\0\x03\xE8x", Some(&path)), Some(Leftover::Expired));
        assert_eq!(is(b"\x11\0\0\0\0\x03\xE8x", Some(&expired)), Some(Leftover::Fenced));
        assert_eq!(is(b"\x10x", Some(&expired)), Some(Leftover::Fenced));
        let window = b"\x12\0\0\0\0\0\0\x01\0\0\0\0\0\x01x";
        assert_eq!(is(window, Some(&expired)), Some(Leftover::Fenced));
        assert_eq!(is(b"\x10x", None), Some(Leftover::Fenced), "of other trees");
        assert_eq!(is(b"x", None), None, "no entry");
    }

    #[test]
    fn under_an_assumed_lineage_only_what_it_tells_is_decided() {
        let read = path(Some(0x10));
        let assumed = PathIds::assumed(&read.lineage().unwrap(), 1).unwrap();
        let validate = |stored: &[u8]| Validator::new(&assumed, None, NOW).validate(stored);
        let mut marked = vec![0x14];
        marked.extend(read.mark().unwrap());
        marked.push(b'x');
        let fresh = Freshness::Fresh { left: Lifetime::Unlimited };
        assert_eq!(validate(&marked), Ok(Some((fresh, 9))));
        assert_eq!(validate(b"\x10x"), Ok(None), "it has expired, and has no window");
        let window = b"\x12\0\0\0\0\0\0\x01\0\0\0\0\0\x32x";
        assert_eq!(validate(window), Err(Unsure), "its window began with the expiration");
    }

    #[test]
    fn near_its_end_an_entry_is_only_validated_exactly() {
        let path = path(None);
        let until_1001 = b"\x11\0\0\0\0\x03\xE9x";
        let validate = |now| Validator::new(&path, None, now).validate(until_1001);
        let fresh = |left| Freshness::Fresh { left: Lifetime::Millis(left) };
        assert_eq!(validate(between(990, 1000)), Ok(Some((fresh(NonZeroU64::MIN), 7))));
        assert_eq!(validate(between(990, 1001)), Err(Unsure));
        assert_eq!(validate(between(1001, 1002)), Ok(None));
    }

    #[test]
    fn odd_bytes_are_no_entry() {
        let path = path(None);
        for odd in
            [&b""[..], b"x", b"\x20x", b"\x18x", b"\x11\0\0", b"\x12\0\0\0\0\0\0\x01", b"\x14"]
        {
            assert!(Validator::new(&path, None, NOW).entry(odd.to_vec()).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn the_ttl_of_the_region_ends_all() {
        let path = path(None);
        let until = |millis| Validator::new(&path, Some(Timestamp::from_millis(millis)), NOW);
        let left = until(1010).entry(b"\x10x".to_vec()).unwrap().freshness;
        assert_eq!(left, Freshness::Fresh { left: Lifetime::Millis(NonZeroU64::new(10).unwrap()) });
    }
}
