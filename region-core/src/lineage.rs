//! Incarnations and lineage: what an entry's validity depends on.

use std::fmt;

use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Most lineages are no longer than this; longer ones cost one more allocation.
const INLINE_DEPTH: usize = 8;

/// The bytes that are digested of such a lineage.
const DIGESTED_BYTES: usize = INLINE_DEPTH * size_of::<u64>();

/// A random 64-bit id that names one life of a region, or of its freshness.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(u64);

impl Incarnation {
    /// Creates a random incarnation. Two are equal only by an improbable chance.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::random::process_bits())
    }
}

bits!(Incarnation(u64), "{:016x}");

/// The two incarnations of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnations {
    /// Names the life of the region and of all below it; `invalidate` changes it.
    pub tree: Incarnation,
    /// Names the freshness of the region and of all below it; `expire` changes it.
    pub soft: Incarnation,
}

impl Incarnations {
    /// Two new ones: a region is created.
    #[must_use]
    pub fn random() -> Self {
        Self { tree: Incarnation::random(), soft: Incarnation::random() }
    }
}

/// The ids that the validity of a region's entries depends on: the `tree` incarnations from the root down
/// to the region, and a mark of the `soft` ones along the path.
///
/// Compared for equality only. An entry is *valid* under the lineage it was stored under
/// ([`same_life`](Self::same_life)), and *fresh* while the soft mark is the same too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Lineage {
    trees: SmallVec<[Incarnation; INLINE_DEPTH]>,
    soft: u64,
}

/// The digest of a lineage, which is cheap to copy. Two lineages have the same one only by an improbable
/// chance, as two incarnations are equal only by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineageDigest([u64; 2]);

impl Lineage {
    /// The lineage of the region whose path has these incarnations, from the root down; `None` if
    /// there are none.
    ///
    /// ```
    /// use region_core::{Incarnation, Incarnations, Lineage};
    ///
    /// let root = Incarnations::random();
    /// let leaf = Incarnations::random();
    /// let before = Lineage::new([root, leaf]).unwrap();
    /// let expired = Incarnations { soft: Incarnation::random(), ..root };
    /// assert!(Lineage::new([expired, leaf]).unwrap().same_life(&before));
    /// let invalidated = Incarnations { tree: Incarnation::random(), ..root };
    /// assert!(!Lineage::new([invalidated, leaf]).unwrap().same_life(&before));
    /// ```
    #[must_use]
    pub fn new(path: impl IntoIterator<Item = Incarnations>) -> Option<Self> {
        let mut trees = SmallVec::new();
        let mut soft = 0;
        for region in path {
            trees.push(region.tree);
            soft = xxh3_64_with_seed(&region.soft.to_bits().to_le_bytes(), soft);
        }
        (!trees.is_empty()).then_some(Self { trees, soft })
    }

    /// The lineage of a region with these `trees`, from the root down, and a mark of the `soft` ids that the
    /// store made in its own way: equal while they are, different once one has changed. `None` if there are
    /// no `trees`.
    #[must_use]
    #[inline]
    pub fn with_soft_mark(trees: &[Incarnation], soft_mark: u64) -> Option<Self> {
        (!trees.is_empty()).then(|| Self { trees: SmallVec::from_slice(trees), soft: soft_mark })
    }

    /// Returns true if entries stored under `other` are valid under this lineage: the `tree`s are the same.
    #[must_use]
    pub fn same_life(&self, other: &Self) -> bool {
        self.trees == other.trees
    }

    /// The mark of the `soft` incarnations along the path.
    #[must_use]
    pub fn soft_mark(&self) -> u64 {
        self.soft
    }

    /// Names this lineage in fewer bytes.
    pub(crate) fn digest(&self) -> LineageDigest {
        let mut bytes: SmallVec<[u8; DIGESTED_BYTES]> = SmallVec::new();
        for id in &self.trees {
            bytes.extend_from_slice(&id.to_bits().to_le_bytes());
        }
        let digest = xxh3_128_with_seed(&bytes, self.soft);
        LineageDigest([(digest >> u64::BITS) as u64, digest as u64])
    }

    /// The `tree` incarnations from the root down as bytes, eight each, little-endian. The soft mark
    /// is not among them: it belongs to each entry.
    #[must_use]
    pub fn life_bytes(&self) -> Vec<u8> {
        self.trees.iter().flat_map(|id| id.to_bits().to_le_bytes()).collect()
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({:?} soft {:016x})", self.trees, self.soft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(regions: &[(u64, u64)]) -> Lineage {
        let id = Incarnation::from_bits;
        let regions = regions.iter();
        Lineage::new(regions.map(|&(tree, soft)| Incarnations { tree: id(tree), soft: id(soft) }))
            .unwrap()
    }

    #[test]
    fn validity_depends_on_the_trees() {
        let lineage = path(&[(1, 3), (4, 6)]);
        assert!(lineage.same_life(&path(&[(1, 9), (4, 9)])));
        assert!(!lineage.same_life(&path(&[(1, 3), (9, 6)])));
        assert!(!lineage.same_life(&path(&[(9, 3), (4, 6)])));
        assert!(!lineage.same_life(&path(&[(1, 3)])));
        assert_eq!(Lineage::new([]), None);
    }

    #[test]
    fn freshness_depends_on_every_soft_and_its_place() {
        let mark = |regions: &[(u64, u64)]| path(regions).soft_mark();
        let whole = mark(&[(1, 3), (4, 6)]);
        assert_eq!(whole, mark(&[(7, 3), (7, 6)]));
        assert_ne!(whole, mark(&[(1, 6), (4, 3)]));
        assert_ne!(whole, mark(&[(1, 3), (4, 7)]));
        assert_ne!(whole, mark(&[(1, 7), (4, 6)]));
    }

    #[test]
    fn a_digest_depends_on_every_id_and_its_place() {
        let digest = |regions: &[(u64, u64)]| path(regions).digest();
        let whole = digest(&[(1, 3), (4, 6)]);
        assert_eq!(whole, digest(&[(1, 3), (4, 6)]));
        for other in [&[(4, 3), (1, 6)][..], &[(1, 3), (4, 7)], &[(1, 3)], &[(1, 3), (5, 6)]] {
            assert_ne!(whole, digest(other));
        }
    }

    #[test]
    fn bytes_are_stable() {
        let bytes = path(&[(1, 3), (0x0405, 7)]).life_bytes();
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0, 5, 4, 0, 0, 0, 0, 0, 0]);
    }
}
