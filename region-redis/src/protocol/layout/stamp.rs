//! The empty field of a hash of entries: the trees under which it was filled, the change ring, and the
//! region's TTL.

use region_core::{Change, ChangeId, ChangeRing, ChangedKey, MAX_CHANGES, Timestamp};

use super::ids::{PathIds, big_endian};

/// The hash expires at the time that stands at the end; each entry may end sooner.
const EXPIRES: u8 = 1;

/// The region's TTL is over at the time that stands at the end.
const TTL: u8 = 2;

/// An entry with an end has been put.
const LIMITED: u8 = 4;

/// No entry but the marker has been put.
const ALONE: u8 = 8;

/// Bytes of a time in milliseconds.
const TIME: usize = 6;

/// Bytes of a change: its id, and the hash of the key or zeros for all.
const CHANGE: usize = 8;

/// The stamp of a hash whose entries belong to the region as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) changes: ChangeRing,
    /// When the region's TTL is over.
    pub(crate) ttl_end: Option<Timestamp>,
}

impl PathIds {
    /// Reads the stamp of the region's hash; `None` if there is none, or it is of other trees.
    pub(crate) fn stamp(&self, stamp: Option<&[u8]>) -> Option<Stamp> {
        let (flags, rest) = self.strip_trees(stamp?)?.split_first()?;
        let kind = flags & !(LIMITED | ALONE);
        let (ring, time) = match kind {
            0 => (rest, None),
            EXPIRES | TTL => {
                let (ring, time) = rest.split_at_checked(rest.len().checked_sub(TIME)?)?;
                (ring, Some(Timestamp::from_millis(big_endian(time))))
            }
            _ => return None,
        };
        if ring.len() % CHANGE != 0 || ring.len() > MAX_CHANGES * CHANGE {
            return None;
        }
        let changes = ring.chunks_exact(CHANGE).map(change);
        let ttl_end = time.filter(|_| kind == TTL);
        Some(Stamp { changes: ChangeRing::from_changes(changes)?, ttl_end })
    }
}

fn change(bytes: &[u8]) -> Change {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let (id, key) = bytes.split_at(CHANGE / 2);
    Change::new(ChangeId::from_bits(number(id)), ChangedKey::from_bits(number(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &[u8]) -> Option<Stamp> {
        let root = [&[1; 8][..], &[0; 4], &[0; 6]].concat();
        let leaf = [&[3; 8][..], &[1; 4], &[0; 6]].concat();
        let path = PathIds::parse([Some(&root[..]), Some(&leaf[..])]).unwrap();
        let trees = [[1; 8], [3; 8]].concat();
        assert_eq!(path.stamp(Some(&[&[9; 16], rest].concat())), None, "other trees");
        assert_eq!(path.stamp(None), None);
        path.stamp(Some(&[&trees, rest].concat()))
    }

    #[test]
    fn stamps_are_read_as_the_layout_says() {
        const RING: &[u8] = b"\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\x05";
        let id = ChangeId::from_bits;
        let mut changes = ChangeRing::begin(id(7));
        changes.push(Change::new(id(8), ChangedKey::Hash(5)));
        let stamp = |ttl_end| Some(Stamp { changes: changes.clone(), ttl_end });
        let time = b"\0\0\0\0\x01\0";
        assert_eq!(parse(&[b"\0", RING].concat()), stamp(None));
        assert_eq!(parse(&[b"\x04", RING].concat()), stamp(None));
        assert_eq!(parse(&[b"\x01", RING, time].concat()), stamp(None));
        assert_eq!(parse(&[b"\x0d", RING, time].concat()), stamp(None));
        let until = Some(Timestamp::from_millis(256));
        assert_eq!(parse(&[b"\x02", RING, time].concat()), stamp(until));
        assert_eq!(parse(&[b"\x06", RING, time].concat()), stamp(until));
        for odd in [
            b"".to_vec(),
            b"\0".to_vec(),
            b"\x01".to_vec(),
            [b"\0", RING, b"x"].concat(),
            [b"\x01", RING].concat(),
            [b"\x03", RING, time].concat(),
            [b"\x0b", RING, time].concat(),
            [b"\x10", RING, time].concat(),
            [&b"\0"[..], &[1; 72]].concat(),
        ] {
            assert_eq!(parse(&odd), None, "{odd:?}");
        }
    }
}
