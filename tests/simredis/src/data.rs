//! The keys of a server.

use std::collections::{BTreeMap, BTreeSet};

/// A hash.
pub(crate) type Hash = BTreeMap<Vec<u8>, Vec<u8>>;

/// The value of a key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(Vec<u8>),
    Hash(Hash),
    Sorted(SortedSet),
}

/// A key's value, and the time in milliseconds at which it expires.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) expires_at: Option<u64>,
}

/// All keys.
pub(crate) type Data = BTreeMap<Vec<u8>, Entry>;

impl Entry {
    pub(crate) fn new(value: Value) -> Self {
        Self { value, expires_at: None }
    }

    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// Members by their scores.
#[derive(Clone, Debug, Default)]
pub(crate) struct SortedSet {
    scores: BTreeMap<Vec<u8>, f64>,
    order: BTreeSet<(Score, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl SortedSet {
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    pub(crate) fn insert(&mut self, member: &[u8], score: f64) {
        self.remove(member);
        self.scores.insert(member.to_vec(), score);
        self.order.insert((Score(score), member.to_vec()));
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        self.order.remove(&(Score(score), member.to_vec()));
        true
    }

    /// The members with their scores, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        self.order.iter().map(|(Score(score), member)| (member.as_slice(), *score))
    }
}
