//! The number of the last change of each key, in bounded memory.

/// The number of a change in its era, from 1 on.
pub(super) type Sequence = u32;

/// The keys that a set knows: as many as fit into two lines of the processor's cache.
const WAYS: usize = 15;

/// The most sets of one region: 64 MiB.
const MAX_SETS: usize = 1 << 19;

/// Knows the last change of each of the keys that have changed lately, by the keys' hashes.
///
/// It is a table of sets. A full set forgets the key that has not changed for longest, and remembers the last
/// change that it has forgotten: every other key of the set may have changed as late as that. So nothing is
/// ever taken for older than it is. A plain number for each of as many buckets would do that too, but far more
/// values that are still valid would be taken for changed.
#[derive(Debug, Default)]
pub(super) struct LatestChanges {
    /// A power of two of them, or none.
    sets: Vec<Set>,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set {
    /// The last change of each key; zero: the place is free.
    changes: [Sequence; WAYS],
    /// The last change of any key that was forgotten.
    forgotten: Sequence,
    hashes: [u32; WAYS],
}

impl LatestChanges {
    /// Forgets all changes.
    pub(super) fn clear(&mut self) {
        self.sets.fill(Set::default());
    }

    /// Takes as much memory as a region with so many entries needs.
    pub(super) fn fit(&mut self, entries: usize) {
        let wanted = Self::wanted(entries);
        if self.sets.is_empty() {
            self.sets = vec![Set::default(); wanted];
        }
        while self.sets.len() < wanted {
            self.double();
        }
        if self.is_too_large(entries) {
            while self.sets.len() > wanted {
                let upper = self.sets.split_off(self.sets.len() / 2);
                self.sets.iter_mut().zip(&upper).for_each(|(set, upper)| set.merge(upper));
            }
            self.sets.shrink_to_fit();
        }
    }

    /// Returns true if the table has become much too large for so many entries.
    pub(super) fn is_too_large(&self, entries: usize) -> bool {
        self.sets.len() > 2 * Self::wanted(entries)
    }

    /// A set for two to four entries: 32 to 64 bytes for each.
    fn wanted(entries: usize) -> usize {
        (entries.min(4 * MAX_SETS).next_power_of_two() / 4).clamp(1, MAX_SETS)
    }

    fn double(&mut self) {
        let half = self.sets.len();
        self.sets.reserve_exact(half);
        self.sets.extend_from_within(..);
        for (at, set) in self.sets.iter_mut().enumerate() {
            set.keep_only(|hash| hash as usize & (2 * half - 1) == at);
        }
    }

    /// Notes a change of the keys with this hash.
    pub(super) fn note(&mut self, hash: u32, change: Sequence) {
        let at = self.at(hash);
        if let Some(set) = self.sets.get_mut(at) {
            set.note(hash, change);
        }
    }

    /// The last change that may have concerned the keys with this hash; zero: there was none.
    pub(super) fn latest(&self, hash: u32) -> Sequence {
        self.sets.get(self.at(hash)).map_or(Sequence::MAX, |set| set.latest(hash))
    }

    fn at(&self, hash: u32) -> usize {
        hash as usize & self.sets.len().saturating_sub(1)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.sets.capacity() * size_of::<Set>()
    }
}

impl Set {
    fn note(&mut self, hash: u32, change: Sequence) {
        if let Some(at) = self.find(hash) {
            self.changes[at] = self.changes[at].max(change);
            return;
        }
        let oldest = (0..WAYS).min_by_key(|&at| self.changes[at]);
        match oldest.filter(|&at| self.changes[at] < change) {
            Some(at) => {
                self.forgotten = self.forgotten.max(self.changes[at]);
                (self.hashes[at], self.changes[at]) = (hash, change);
            }
            None => self.forgotten = self.forgotten.max(change),
        }
    }

    fn latest(&self, hash: u32) -> Sequence {
        self.find(hash).map_or(self.forgotten, |at| self.changes[at])
    }

    fn find(&self, hash: u32) -> Option<usize> {
        (0..WAYS).find(|&at| self.hashes[at] == hash && self.changes[at] > 0)
    }

    fn keep_only(&mut self, is_kept: impl Fn(u32) -> bool) {
        for (hash, change) in self.hashes.iter().zip(&mut self.changes) {
            if !is_kept(*hash) {
                *change = 0;
            }
        }
    }

    /// Takes up the keys of a set that has none in common with this one.
    fn merge(&mut self, other: &Self) {
        self.forgotten = self.forgotten.max(other.forgotten);
        for (&hash, &change) in other.hashes.iter().zip(&other.changes).filter(|(_, it)| **it > 0) {
            self.note(hash, change);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn a_set_fills_two_lines_of_the_cache() {
        assert_eq!(size_of::<Set>(), 128);
    }

    /// Against a map without a bound, while the table grows and shrinks.
    #[test]
    fn no_change_is_ever_taken_for_older_than_it_is() {
        let mut random = SmallRng::seed_from_u64(7);
        let (mut table, mut exact) = (LatestChanges::default(), HashMap::new());
        for change in 1..=40_000 {
            if change % 1_000 == 1 {
                table.fit(random.random_range(1..2_000));
            }
            let hash = random.random::<u32>() & 0x0007_03ff;
            table.note(hash, change);
            exact.insert(hash, change);
            if change % 500 == 0 {
                assert!(exact.iter().all(|(&hash, &change)| table.latest(hash) >= change));
            }
        }
    }

    #[test]
    fn as_many_changes_as_the_region_has_entries_are_known_one_by_one() {
        const ENTRIES: u32 = 10_000;
        let mut random = SmallRng::seed_from_u64(7);
        let mut table = LatestChanges::default();
        table.fit(ENTRIES as usize);
        for change in 1..=4 * ENTRIES {
            table.note(random.random(), change);
        }
        // Keys that never changed, read before the last changes.
        let mut valid = |changes: u32| {
            let since = (4 - changes) * ENTRIES;
            (0..10_000).filter(|_| table.latest(random.random()) <= since).count()
        };
        let (one, two, three) = (valid(1), valid(2), valid(3));
        assert!(one > 9_980 && two > 9_950 && three > 9_500, "{one} {two} {three}");
    }

    #[test]
    fn its_memory_follows_the_number_of_entries() {
        let mut table = LatestChanges::default();
        for entries in [0, 1, 2, 3, 1_000, 1_000_000, 999, 100, 1, 5_000] {
            table.fit(entries);
            let most = size_of::<Set>() * entries.max(1);
            assert!(table.bytes() <= most, "{entries}: {}", table.bytes());
            assert!(!table.is_too_large(entries));
        }
        table.fit(usize::MAX / 2);
        assert!(table.bytes() <= MAX_SETS * size_of::<Set>());
    }
}
