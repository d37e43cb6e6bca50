//! The own writes that evidence about a region may not know of.

use crate::store::ChangedKey;

/// The most own writes of one region that are told apart; beyond that they count as writes of all keys.
const MAX_WRITES: usize = 64;

/// The own writes to the entries of one region that are under way or have ended lately, whatever became
/// of them.
#[derive(Debug, Default)]
pub(super) struct OwnWrites {
    /// Counts the writes that have begun and those that have ended.
    clock: u64,
    writes: Vec<OwnWrite>,
    /// The number of writes under way that are not told apart.
    unnamed: u32,
    /// The latest end of a write that is not told apart any more.
    forgotten: u64,
}

#[derive(Debug)]
struct OwnWrite {
    begun: u64,
    key: ChangedKey,
    ended: Option<u64>,
}

/// Names a write under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteId {
    Named(u64),
    Unnamed,
}

impl OwnWrites {
    /// The present, for [`cover`](Self::cover).
    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// Counts a write of `key` that is about to be sent. The evidence at hand dates from `since`, if there is
    /// any.
    pub(super) fn begin(&mut self, key: ChangedKey, since: Option<u64>) -> WriteId {
        // The new write covers the key for all evidence from before it.
        self.writes.retain(|write| write.ended.is_none() || write.key != key);
        self.forget(|ended| since.is_none_or(|since| ended <= since));
        if self.writes.len() == MAX_WRITES {
            let Some(first) = self.writes.iter().filter_map(|write| write.ended).min() else {
                return self.begin_unnamed();
            };
            self.forget(|ended| ended == first);
        }
        self.clock += 1;
        self.writes.push(OwnWrite { begun: self.clock, key, ended: None });
        WriteId::Named(self.clock)
    }

    /// Counts a write that is about to be sent, as one of all keys.
    pub(super) fn begin_unnamed(&mut self) -> WriteId {
        self.unnamed += 1;
        WriteId::Unnamed
    }

    /// Ends a write, whatever became of it.
    pub(super) fn end(&mut self, id: WriteId) {
        self.clock += 1;
        match id {
            WriteId::Unnamed => {
                self.unnamed -= 1;
                self.forgotten = self.clock;
            }
            WriteId::Named(begun) => {
                let write = self.writes.iter_mut().find(|write| write.begun == begun);
                write.into_iter().for_each(|write| write.ended = Some(self.clock));
            }
        }
    }

    /// Returns true if a write other than `answered` may have changed `key` after `since`.
    pub(super) fn cover(&self, key: &str, since: u64, answered: Option<WriteId>) -> bool {
        let is_after = |write: &OwnWrite| {
            let is_other = answered != Some(WriteId::Named(write.begun));
            is_other && write.ended.is_none_or(|ended| ended > since)
        };
        let mut after = self.writes.iter().filter(|write| is_after(write));
        self.unnamed > 0 || self.forgotten > since || after.any(|write| write.key.concerns(key))
    }

    /// Forgets the writes whose end `is_old`.
    fn forget(&mut self, is_old: impl Fn(u64) -> bool) {
        self.writes.retain(|write| match write.ended {
            Some(ended) if is_old(ended) => {
                self.forgotten = self.forgotten.max(ended);
                false
            }
            _ => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: usize) -> String {
        format!("key {at}")
    }

    #[test]
    fn a_write_covers_its_key_from_its_begin_to_what_is_asked_after_its_end() {
        let mut writes = OwnWrites::default();
        let before = writes.clock();
        let write = writes.begin(ChangedKey::of("a"), None);
        let during = writes.clock();
        let covered =
            |writes: &OwnWrites, since| ["a", "b"].map(|key| writes.cover(key, since, None));
        assert_eq!(covered(&writes, before), [true, false]);
        assert_eq!(covered(&writes, during), [true, false]);
        writes.end(write);
        assert_eq!(covered(&writes, before), [true, false]);
        assert_eq!(covered(&writes, during), [true, false]);
        assert_eq!(covered(&writes, writes.clock()), [false, false]);
        assert!(!writes.cover("a", before, Some(write)), "its own answer shows what it wrote");
        // A later write of the same key takes its place.
        let again = writes.begin(ChangedKey::of("a"), Some(before));
        assert_eq!(writes.writes.len(), 1);
        assert!(writes.cover("a", before, Some(write)));
        writes.end(again);
        assert_eq!(covered(&writes, before), [true, false]);
    }

    #[test]
    fn what_evidence_knows_is_forgotten_and_nothing_else() {
        let mut writes = OwnWrites::default();
        let first = writes.begin(ChangedKey::of("a"), None);
        writes.end(first);
        let since = writes.clock();
        let second = writes.begin(ChangedKey::of("b"), Some(since));
        assert_eq!(writes.writes.len(), 1);
        assert!(writes.cover("b", since, None) && !writes.cover("a", since, None));
        assert!(writes.cover("a", since - 1, None) && writes.cover("c", since - 1, None));
        writes.end(second);
    }

    #[test]
    fn writes_beyond_the_bound_count_as_writes_of_all_keys() {
        let mut writes = OwnWrites::default();
        let since = writes.clock();
        for at in 0..MAX_WRITES {
            let write = writes.begin(ChangedKey::of(&key(at)), Some(since));
            writes.end(write);
        }
        assert!(writes.cover(&key(0), since, None) && !writes.cover("other", since, None));
        let write = writes.begin(ChangedKey::of("one more"), Some(since));
        assert_eq!(writes.writes.len(), MAX_WRITES);
        assert!(writes.cover("other", since, None));
        writes.end(write);
        // The same with all of them under way.
        let mut writes = OwnWrites::default();
        let mut begun: Vec<_> =
            (0..MAX_WRITES).map(|at| writes.begin(ChangedKey::of(&key(at)), Some(since))).collect();
        begun.push(writes.begin(ChangedKey::of("one more"), Some(since)));
        assert_eq!(begun.last(), Some(&WriteId::Unnamed));
        assert!(writes.cover("other", writes.clock(), None));
        begun.into_iter().rev().for_each(|write| writes.end(write));
        assert!(writes.cover("other", since, None));
        assert!(!writes.cover("other", writes.clock(), None));
    }
}
