//! The work of one worker, in stages: each round trip carries all of it a stage further.
//!
//! Work is taken from the list; then a region's list is pruned, or the children in a tombstone are listed; then these
//! are freed. Scripts declare all their keys, so what they touch has to be known before.

use std::time::Duration;

use redis::Pipeline;
use region_core::{RegionPath, Result};

use crate::protocol::layout::{Anchor, Claim};
use crate::protocol::reclaim::{Children, Taken, Work, list, prune, reclaim, remove, take};
use crate::protocol::reply::Replies;

/// The most pieces of work that are taken at once.
const MOST_WORK: usize = 32;

/// The time for which nobody else takes them. Work takes a few trips; if this process dies it waits so long.
const CLAIM: Duration = Duration::from_secs(5);

/// The most children that one script frees, or drops from a list: it takes the server well under a millisecond.
const MOST_CHILDREN: usize = 64;

/// About the most children that are freed in one trip.
const CHILDREN_PER_TRIP: usize = 2 * MOST_CHILDREN;

/// The fewest children of a tombstone that are listed, its stamp among them.
const FEWEST: usize = 4;

/// What a worker has under way.
#[derive(Debug)]
pub(super) struct Stages {
    anchor: Anchor,
    taken: Vec<Work>,
    /// Members of the work list that are no work.
    foreign: Vec<Vec<u8>>,
    listed: Vec<Tombstone>,
    /// Anchors that have been looked at, of which nothing may be left.
    anchors: Vec<RegionPath>,
}

/// A tombstone, or a part of it.
#[derive(Debug)]
pub(super) struct Tombstone {
    id: String,
    region: RegionPath,
    pub(super) found: Children,
}

/// What a trip has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The number of children that were freed, or dropped from a list.
    pub(super) looked: u64,
    /// The number of pieces of work that are due and were not taken; `None` if nothing was to be taken.
    pub(super) left: Option<u64>,
}

impl Stages {
    pub(super) fn new(anchor: Anchor) -> Self {
        Self {
            anchor,
            taken: Vec::new(),
            foreign: Vec::new(),
            listed: Vec::new(),
            anchors: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.foreign.is_empty() && self.listed.is_empty()
    }

    /// Returns whether the next trip has to know the regions above an anchor, if there are any.
    pub(super) fn needs_claim(&self) -> bool {
        !self.listed.is_empty() || self.taken.iter().any(|work| matches!(work, Work::Region(_)))
    }

    /// Takes out the tombstones whose children are anchors in other slots.
    pub(super) fn take_of_anchors(&mut self) -> Vec<Tombstone> {
        let depth = self.anchor.depth();
        let is_of_anchors = |tombstone: &mut Tombstone| tombstone.region.depth() + 1 == depth;
        self.listed.extract_if(.., is_of_anchors).collect()
    }

    /// Takes the anchors that have been looked at.
    pub(super) fn take_anchors(&mut self) -> Vec<RegionPath> {
        std::mem::take(&mut self.anchors)
    }

    pub(super) fn put_back(&mut self, tombstone: Tombstone) {
        self.listed.push(tombstone);
    }

    /// The commands of the next trip. What is freed in it leaves work that can be taken in it.
    pub(super) fn commands(&self, tag: &str, claim: Option<&Claim>, takes_more: bool) -> Pipeline {
        let mut commands = Pipeline::new();
        let locate = |region| self.anchor.locate(region).claiming(claim);
        for Tombstone { id, region, found } in &self.listed {
            for (children, others) in found.parts(MOST_CHILDREN) {
                commands.add_command(reclaim(locate(region), id, children, others));
            }
        }
        for work in &self.taken {
            commands.add_command(match work {
                Work::Region(region) => prune(locate(region), MOST_CHILDREN),
                Work::Tombstone(id, region) => list(locate(region), id, self.children_each()),
            });
        }
        for member in &self.foreign {
            commands.add_command(remove(tag, member));
        }
        if takes_more {
            commands.add_command(take(tag, MOST_WORK, CLAIM));
        }
        commands
    }

    /// Goes on to the next stage by the answers to [`commands`](Self::commands). Work that fails is left to
    /// whoever takes it later.
    pub(super) fn answered(
        &mut self,
        tag: &str,
        takes_more: bool,
        replies: &mut Replies,
    ) -> Result<Progress> {
        let mut progress = Progress::default();
        for Tombstone { found, .. } in std::mem::take(&mut self.listed) {
            for _ in found.parts(MOST_CHILDREN) {
                progress.looked += or_later(replies.number()).unwrap_or_default();
            }
        }
        for work in std::mem::take(&mut self.taken) {
            match work {
                Work::Region(region) => {
                    progress.looked += or_later(replies.number()).unwrap_or_default();
                    if self.anchor.locate(&region).slot_above().is_some()
                        && region.depth() == self.anchor.depth()
                    {
                        self.anchors.push(region);
                    }
                }
                Work::Tombstone(id, region) => {
                    if let Some(found) = or_later(Children::parse(&region, replies)) {
                        self.listed.push(Tombstone { id, region, found });
                    }
                }
            }
        }
        for _ in std::mem::take(&mut self.foreign) {
            or_later(replies.next());
        }
        if takes_more {
            let taken = Taken::parse(replies)?;
            progress.left = Some(taken.left);
            for member in taken.members {
                match Work::parse(self.anchor, tag, &member) {
                    Some(work) => self.taken.push(work),
                    // It would be found again and again.
                    None => self.foreign.push(member),
                }
            }
        }
        Ok(progress)
    }

    /// The number of children that are listed of each tombstone.
    fn children_each(&self) -> usize {
        (CHILDREN_PER_TRIP / self.taken.len().max(1)).max(FEWEST)
    }
}

fn or_later<T>(done: Result<T>) -> Option<T> {
    done.inspect_err(|error| tracing::debug!(%error, "some work of the reclaimer failed")).ok()
}
