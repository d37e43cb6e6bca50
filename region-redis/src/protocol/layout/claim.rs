//! The ids above an anchor, as a script in another slot is told them.

use region_core::Timestamp;

use super::ids::{INTERVAL, PathIds, SOFT_END, big_endian, expiry_of};
use crate::time_range::TimeRange;

/// The bytes of a `tree`.
const TREE: usize = 8;

/// The bytes of a time in microseconds, and the last one.
const MICROS: usize = 7;
const LAST: u64 = (1 << (8 * MICROS)) - 1;

/// Clocks are known in whole milliseconds, which are rounded down.
const SLACK: u64 = 2000;

/// What the regions above an anchor were when their slot was asked, and the record below that had been seen by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The contents of the `i` keys from the root down. All are empty if one of the regions does not exist.
    ids: Vec<Vec<u8>>,
    /// The `tree`s of an earlier claim, which the record held; empty if it has not been seen.
    seen: Vec<u8>,
}

impl Claim {
    /// Reads the `i` keys of the regions above an anchor, from the root down.
    pub(crate) fn new(ids: Vec<Option<Vec<u8>>>) -> Self {
        let exist = PathIds::parse(ids.iter().map(Option::as_deref)).is_some();
        let ids = ids.into_iter().map(|ids| ids.filter(|_| exist).unwrap_or_default());
        Self { ids: ids.collect(), seen: Vec::new() }
    }

    /// The same claim for a slot with another clock: the clock of the slot above shows `theirs` while that one shows
    /// `here`, `None` if either is not known. An expiration becomes an interval that contains its time, in
    /// which the window of an entry begins with its put: so it is never longer for being judged by another
    /// clock.
    pub(crate) fn by_clock(mut self, theirs: Option<TimeRange>, here: Option<TimeRange>) -> Self {
        let clocks = theirs.zip(here);
        for ids in &mut self.ids {
            for interval in ids.get_mut(SOFT_END..).unwrap_or_default().chunks_exact_mut(INTERVAL) {
                let (from, to) = interval.split_at_mut(MICROS);
                let (earliest, latest) = match clocks {
                    Some((theirs, here)) => (
                        moved(from, theirs.latest, here.earliest, 0),
                        moved(to, theirs.earliest, here.latest, SLACK),
                    ),
                    None => (0, LAST),
                };
                from.copy_from_slice(&earliest.to_be_bytes()[1..]);
                to.copy_from_slice(&latest.to_be_bytes()[1..]);
            }
        }
        self
    }

    /// Lets the claim take the place of the record that was seen before the ids were read.
    pub(crate) fn after(mut self, seen: Vec<u8>) -> Self {
        self.seen = seen;
        self
    }

    /// Returns whether the regions exist.
    pub(crate) fn is_of_existing(&self) -> bool {
        self.ids.iter().all(|ids| !ids.is_empty())
    }

    /// Returns whether the keys live for `millis` from `now` on by their server's clock; `None`: for ever.
    pub(crate) fn lives_for(&self, millis: Option<u64>, now: Timestamp) -> bool {
        let lives = |ids: &Vec<u8>| match (expiry_of(ids), millis) {
            (Some(0), _) => true,
            (Some(expiry), Some(millis)) => now.as_millis().saturating_add(millis) <= expiry,
            _ => false,
        };
        self.ids.iter().all(lives)
    }

    /// The contents of the `i` keys.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.ids.iter().map(|ids| Some(&ids[..]))
    }

    /// The `tree`s from the root down.
    pub(crate) fn trees(&self) -> Vec<u8> {
        self.ids.iter().flat_map(|ids| &ids[..ids.len().min(TREE)]).copied().collect()
    }

    /// The record that was seen.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// The ids as an argument of a script: each after its length.
    pub(crate) fn argument(&self) -> Vec<u8> {
        let with_length = |ids: &Vec<u8>| [&[ids.len() as u8], &ids[..]].concat();
        self.ids.iter().flat_map(with_length).collect()
    }
}

/// A time in microseconds by one clock, by another that shows `here` while the first shows `theirs`.
fn moved(time: &[u8], theirs: Timestamp, here: Timestamp, slack: u64) -> u64 {
    let micros = |time: Timestamp| time.as_millis().saturating_mul(1000);
    let sum = big_endian(time).saturating_add(micros(here)).saturating_add(slack);
    sum.saturating_sub(micros(theirs)).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_do_not_exist_are_claimed_as_nothing() {
        let (root, mut child) = (vec![1; 18], vec![2; 18]);
        child[8..12].fill(1);
        let claim = Claim::new(vec![Some(root.clone()), Some(child.clone())]);
        assert!(claim.is_of_existing());
        assert_eq!(claim.trees(), [[1; 8], [2; 8]].concat());
        assert_eq!(claim.argument(), [&[18], &root[..], &[18], &child].concat());
        child[8] = 7;
        for ids in [vec![Some(root.clone()), Some(child)], vec![Some(root), None]] {
            let claim = Claim::new(ids);
            assert!(!claim.is_of_existing() && claim.trees().is_empty());
            assert_eq!(claim.argument(), [0, 0]);
        }
    }
}
