//! One of the connections of a process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use region_core::{Event, RegionPath, Source};

use crate::history::Seq;

pub(super) struct Lane {
    pub(super) source: Source,
    /// The number of connections so far.
    pub(super) generation: u64,
    /// What comes late.
    pub(super) delayed: VecDeque<Delayed>,
    /// The client is told of changes of these. A name begins with `e` for entries, `l` for a lineage.
    pub(super) armed: BTreeSet<(char, RegionPath)>,
}

/// A push that comes late. Nothing is said of a change that concerns what an earlier push, still on its way, will tell
/// of.
pub(super) struct Delayed {
    pub(super) of: Seq,
    /// Names the event: it comes over several connections perhaps.
    pub(super) number: u64,
    pub(super) event: Option<Event>,
}

/// What becomes of a push on one connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Now,
    Later,
    /// Nothing was read over it that the push concerns.
    Never,
}

/// The pushes that nobody has told yet, by what they tell of, and the number of connections that each may still come
/// over.
#[derive(Default)]
pub(super) struct Untold(BTreeMap<(Seq, u64), usize>);

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            source: Source::unique(),
            generation: 0,
            delayed: VecDeque::new(),
            armed: BTreeSet::new(),
        }
    }

    /// Returns true if something was read that the event concerns, since it was told last.
    pub(super) fn concerns(&mut self, event: &Event) -> bool {
        match event {
            Event::Entries(path) => self.armed.remove(&('e', path.clone())),
            // The loss of entries is told so, too.
            Event::Lineage(path) => {
                let lineage = self.armed.remove(&('l', path.clone()));
                self.armed.contains(&('e', path.clone())) || lineage
            }
            _ => true,
        }
    }

    /// The client has read of the region over it and keeps that.
    pub(super) fn arm(&mut self, region: &RegionPath, with_lineage: bool) {
        self.armed.insert(('e', region.clone()));
        let mut next = with_lineage.then(|| region.clone());
        while let Some(path) = next {
            next = path.parent();
            self.armed.insert(('l', path));
        }
    }

    /// Takes the push that is due, and returns true with it if the next one is of another change.
    pub(super) fn due(&mut self, upto: Seq) -> Option<Delayed> {
        let is_due = self.delayed.front().is_some_and(|delayed| delayed.of <= upto);
        is_due.then(|| self.delayed.pop_front()).flatten()
    }

    /// It breaks, and another takes its place. Returns the old one, and what it does not tell any more.
    pub(super) fn replace(&mut self) -> (Source, VecDeque<Delayed>) {
        let new = Self { generation: self.generation + 1, ..Self::new() };
        let old = std::mem::replace(self, new);
        (old.source, old.delayed)
    }
}

impl Untold {
    /// A push will come over so many connections.
    pub(super) fn add(&mut self, of: Seq, number: u64, lanes: usize) {
        self.0.insert((of, number), lanes);
    }

    /// It has come. Returns true if that was all that was left to tell of what it tells of.
    pub(super) fn told(&mut self, of: Seq, number: u64) -> bool {
        self.0.remove(&(of, number)).is_some() && self.is_settled(of)
    }

    /// It will not come over one connection. Returns the same.
    pub(super) fn lost(&mut self, of: Seq, number: u64) -> bool {
        let Some(lanes) = self.0.get_mut(&(of, number)) else { return false };
        *lanes -= 1;
        *lanes == 0 && self.told(of, number)
    }

    fn is_settled(&self, of: Seq) -> bool {
        self.0.range((of, 0)..=(of, u64::MAX)).next().is_none()
    }
}
