//! The `i` key: a region's incarnations and when it expired.

use region_core::{Incarnation, Lineage, MAX_DEPTH, Result};

use super::anchor::Anchor;

/// `tree`, the beginning of the parent's `tree`, and when the key expires.
const IDS: usize = 18;

/// And `soft`, once the region has expired.
pub(super) const SOFT_END: usize = 26;

/// From and to, in microseconds.
pub(super) const INTERVAL: usize = 14;

/// The most intervals of expirations that a region remembers.
const MAX_INTERVALS: usize = 4;

/// A random id.
pub(crate) type Id = [u8; 8];

/// The first bytes of a digest of the `soft` ids along a path.
pub(crate) type Mark = [u8; 8];

/// The contents of an `i` key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    tree: Id,
    /// The first bytes of the `tree` that the parent had when the region was created; of a root, the mark of the
    /// anchors below it.
    parent: [u8; 4],
    /// Zeros: never expired since it was created.
    soft: Id,
    /// Expirations seen as one, from and to, in microseconds by the server's clock.
    expirations: Vec<(u64, u64)>,
}

impl Ids {
    /// Reads an `i` key; `None` if it is not one: the region does not exist. The time at which the key
    /// expires is for the scripts alone.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let extra = bytes.len().checked_sub(SOFT_END);
        let intervals = match extra {
            None if bytes.len() == IDS => 0,
            Some(extra) if extra % INTERVAL == 0 => extra / INTERVAL,
            _ => return None,
        };
        if bytes.len() != IDS && !(1..=MAX_INTERVALS).contains(&intervals) {
            return None;
        }
        let intervals = bytes.get(SOFT_END..).unwrap_or_default().chunks_exact(INTERVAL);
        Some(Self {
            tree: id_at(bytes, 0)?,
            parent: *bytes.get(8..)?.first_chunk()?,
            soft: id_at(bytes, IDS).unwrap_or_default(),
            expirations: intervals
                .map(|interval| (big_endian(&interval[..7]), big_endian(&interval[7..])))
                .collect(),
        })
    }

    /// The anchors that the process had which created this root; `None` if these are not the ids of one.
    pub(super) fn anchor(&self) -> Option<Anchor> {
        let depth = usize::try_from(big_endian(&self.parent)).ok()? + 1;
        (depth <= MAX_DEPTH).then(|| Anchor::at(depth))
    }
}

/// The ids along a path, from the root down to a region.
#[derive(Clone, Debug)]
pub(crate) struct PathIds {
    path: Vec<Ids>,
    mark: Option<Mark>,
    expirations: Expirations,
}

/// Says if it is known when the regions of a path expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expirations {
    Known,
    /// A lineage shows that something has expired, and not when.
    Unknown,
}

impl PathIds {
    /// The ids of a path whose `i` keys hold `values`; `None` if the region or an ancestor does not exist:
    /// there are no ids, or they were drawn under another `tree` of the parent.
    pub(crate) fn parse<'v>(values: impl IntoIterator<Item = Option<&'v [u8]>>) -> Option<Self> {
        let path: Option<Vec<_>> = values.into_iter().map(|value| Ids::parse(value?)).collect();
        let path = path.filter(|path| !path.is_empty())?;
        let is_of = |(parent, child): (&Ids, &Ids)| parent.tree.starts_with(&child.parent);
        path.iter().zip(path.iter().skip(1)).all(is_of).then(|| {
            let mark = mark_of(&path);
            Self { path, mark, expirations: Expirations::Known }
        })
    }

    /// The ids of a region `depth` deep that is trusted to have this lineage; `None` if it cannot have it.
    pub(crate) fn assumed(lineage: &Lineage, depth: usize) -> Option<Self> {
        let trees = lineage.life_bytes();
        let (trees, []) = trees.as_chunks() else { return None };
        let ids = |tree: &Id| Ids { tree: *tree, ..Ids::default() };
        let mark = Some(lineage.soft_mark().to_le_bytes()).filter(|mark| *mark != Mark::default());
        (trees.len() == depth).then(|| Self {
            path: trees.iter().map(ids).collect(),
            mark,
            expirations: Expirations::Unknown,
        })
    }

    /// # Errors
    /// If the root was created by a process with other anchors.
    pub(crate) fn check(&self, anchor: Anchor) -> Result<()> {
        anchor.check_ids(self.path.first())
    }

    /// The `tree` of the region at `depth`.
    pub(crate) fn tree_at(&self, depth: usize) -> Option<Id> {
        Some(self.path.get(depth.checked_sub(1)?)?.tree)
    }

    pub(crate) fn lineage(&self) -> Option<Lineage> {
        let id = |id: [u8; 8]| Incarnation::from_bits(u64::from_le_bytes(id));
        let trees: Vec<_> = self.path.iter().map(|ids| id(ids.tree)).collect();
        let mark = self.mark.map_or(0, u64::from_le_bytes);
        Lineage::with_soft_mark(&trees, mark)
    }

    /// Returns the part of a stamp after the `tree`s; `None` if it begins with others.
    pub(crate) fn strip_trees<'s>(&self, stamp: &'s [u8]) -> Option<&'s [u8]> {
        self.path.iter().try_fold(stamp, |rest, ids| rest.strip_prefix(&ids.tree))
    }

    /// The mark that entries put at this moment carry; `None` if nothing on the path has expired.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Returns whether it is known when the regions of the path expired.
    pub(crate) fn knows_expirations(&self) -> bool {
        self.expirations == Expirations::Known
    }

    /// When the first expiration was that an entry put at `put` has not seen, in microseconds.
    pub(crate) fn first_expiration(&self, put: u64) -> u64 {
        let first_of = |ids: &Ids| {
            let unseen = ids.expirations.iter().find(|(_, to)| *to >= put);
            unseen.map(|(from, _)| put.max(*from))
        };
        self.path.iter().filter_map(first_of).min().unwrap_or(put)
    }
}

fn mark_of(path: &[Ids]) -> Option<Mark> {
    if path.iter().all(|ids| ids.expirations.is_empty()) {
        return None;
    }
    let mut digest = sha1_smol::Sha1::new();
    path.iter().for_each(|ids| digest.update(&ids.soft));
    digest.digest().bytes().first_chunk().copied()
}

/// When an `i` key with these contents expires, in milliseconds; 0: never.
pub(super) fn expiry_of(ids: &[u8]) -> Option<u64> {
    ids.get(12..IDS).map(big_endian)
}

fn id_at(bytes: &[u8], at: usize) -> Option<Id> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A number of at most eight bytes, the most significant first.
pub(crate) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(tree: u8, soft: Option<(u8, &[(u8, u8)])>) -> Vec<u8> {
        let mut bytes = vec![0; 18];
        bytes[7] = tree;
        if let Some((soft, expirations)) = soft {
            bytes.extend([0, 0, 0, 0, 0, 0, 0, soft]);
            for (from, to) in expirations {
                bytes.extend([0, 0, 0, 0, 0, 0, *from, 0, 0, 0, 0, 0, 0, *to]);
            }
        }
        bytes
    }

    #[test]
    fn only_the_lengths_of_the_layout_are_read() {
        assert!(Ids::parse(&ids(1, None)).is_some());
        assert!(Ids::parse(&ids(1, Some((3, &[(1, 1)])))).is_some());
        assert!(Ids::parse(&ids(1, Some((3, &[(1, 1); 4])))).is_some());
        let odd = [
            ids(1, Some((3, &[]))),
            ids(1, Some((3, &[(1, 1); 5]))),
            Vec::new(),
            vec![0; 17],
            vec![0; 19],
            vec![0; 41],
        ];
        for odd in odd {
            assert_eq!(Ids::parse(&odd), None, "{} bytes", odd.len());
        }
    }

    #[test]
    fn a_region_exists_when_all_of_its_path_does() {
        let there = ids(1, None);
        assert!(PathIds::parse([Some(&there[..]), Some(&there[..])]).is_some());
        assert!(PathIds::parse([Some(&there[..]), None]).is_none());
        assert!(PathIds::parse([]).is_none());
        let mut other = ids(1, None);
        other[8] = 7;
        assert!(PathIds::parse([Some(&there[..]), Some(&other[..])]).is_none(), "another tree");
        assert!(PathIds::parse([Some(&other[..])]).is_some(), "a root has no parent");
    }

    #[test]
    fn a_root_names_the_anchors_below_it() {
        let mut root = ids(1, None);
        for depth in [1, 2, MAX_DEPTH] {
            root[8..12].copy_from_slice(&Anchor::at(depth).mark());
            for anchor in [1, 2, MAX_DEPTH] {
                let path = PathIds::parse([Some(&root[..])]).unwrap();
                assert_eq!(path.check(Anchor::at(anchor)).is_ok(), anchor == depth);
                assert_eq!(Anchor::at(anchor).check(Some(&root)).is_ok(), anchor == depth);
            }
        }
        root[8] = 7;
        assert!(Anchor::ROOT.check(Some(&root)).is_ok(), "no process writes that");
        assert!(Anchor::ROOT.check(None).is_ok() && Anchor::ROOT.check(Some(b"odd")).is_ok());
    }

    #[test]
    fn the_mark_is_there_once_something_expired() {
        let plain = ids(1, None);
        let soft = ids(1, Some((9, &[(5, 5)])));
        assert_eq!(PathIds::parse([Some(&plain[..])]).unwrap().mark(), None);
        let upper = PathIds::parse([Some(&soft[..]), Some(&plain[..])]).unwrap().mark();
        let lower = PathIds::parse([Some(&plain[..]), Some(&soft[..])]).unwrap().mark();
        assert_ne!(upper, lower);
        // SHA-1 of 00..09 00..00, the first eight bytes.
        let golden = sha1_smol::Sha1::from([0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(upper.unwrap(), golden.digest().bytes()[..8]);
    }

    #[test]
    fn an_assumed_lineage_gives_the_ids_that_it_was_made_of() {
        let root = ids(1, Some((9, &[(10, 20)])));
        let leaf = ids(2, None);
        for path in [vec![&root[..]], vec![&root[..], &leaf[..]], vec![&leaf[..]]] {
            let path =
                PathIds::parse(path.into_iter().map(Some)).map(|read| (read.path.len(), read));
            let Some((depth, read)) = path else { continue };
            let lineage = read.lineage().unwrap();
            let assumed = PathIds::assumed(&lineage, depth).unwrap();
            assert_eq!(assumed.lineage(), Some(lineage.clone()));
            assert_eq!(assumed.mark(), read.mark());
            let stamp = [&lineage.life_bytes()[..], b"rest"].concat();
            assert_eq!(assumed.strip_trees(&stamp), Some(&b"rest"[..]));
            assert!(read.knows_expirations() && !assumed.knows_expirations());
            assert!(PathIds::assumed(&lineage, depth + 1).is_none(), "of another region");
        }
    }

    #[test]
    fn windows_begin_with_the_first_unseen_expiration() {
        let root = ids(1, Some((9, &[(10, 20), (50, 50)])));
        let leaf = ids(1, Some((9, &[(40, 40)])));
        let path = PathIds::parse([Some(&root[..]), Some(&leaf[..])]).unwrap();
        assert_eq!(path.first_expiration(5), 10);
        assert_eq!(path.first_expiration(15), 15, "within an interval: not too late");
        assert_eq!(path.first_expiration(30), 40);
        assert_eq!(path.first_expiration(45), 50);
        assert_eq!(path.first_expiration(60), 60, "unknown: with the put");
    }
}
