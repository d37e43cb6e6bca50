//! Which changes end a value, and who has to know of them.

use super::facts::{Change, Changes, Facts, NEVER, Op, Origin};
use crate::clock::Micros;
use crate::event::{Place, Verb};
use crate::item::ValueId;

/// The clocks of processes and servers are one, but round.
pub(super) const ROUNDING: Micros = 5_000;

/// What a change does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    Gone,
    Stale,
}

impl Kill {
    pub(super) fn by_verb(verb: Verb, ended: &str, region: &str) -> Option<Self> {
        let kill = oracle::check::reach(verb.into(), ended, region)?;
        Some(match kill {
            oracle::check::Kill::Gone => Self::Gone,
            oracle::check::Kill::Stale => Self::Stale,
        })
    }
}

/// What the changes say about an origin of a value.
pub(super) struct Ended<'c> {
    pub(super) by: &'c Change<'c>,
    pub(super) kill: Kill,
    pub(super) as_dependency: bool,
}

impl<'a> Facts<'a> {
    /// The changes that were made after the value, and of which the read has to know.
    pub(super) fn ends<'c>(
        &'c self,
        changes: &'c Changes<'c>,
        read: &'c Op<'a>,
        (place, value): (Place, Option<ValueId>),
        origin: &'c Origin,
    ) -> impl Iterator<Item = Ended<'c>> {
        let own = changes.of_place(place, value, origin.from, read.begin);
        let own = own.map(|(by, kill)| Ended { by, kill, as_dependency: false });
        let load = origin.load.and_then(|load| self.loads.get(&load));
        let on = load.map_or(&[][..], |load| &load.on);
        let others = on.iter().flat_map(move |(region, since)| {
            let ended = changes.of_region(*region, *since, read.begin);
            ended.map(|(by, kill)| Ended { by, kill, as_dependency: true })
        });
        let later = move |ended: &Ended<'_>| {
            (ended.as_dependency || self.is_after(ended.by, origin))
                && self.must_see(read, ended.by)
        };
        own.chain(others).filter(later)
    }

    /// Returns true if the change was certainly made after the value.
    pub(super) fn is_after(&self, change: &Change<'_>, origin: &Origin) -> bool {
        match origin.unknown_of {
            None => change.op.begin > origin.to,
            // The server may still do it; but not after what its process has sent since, and not for ever.
            Some(process) => {
                change.op.begin > origin.to && change.op.process == process
                    || change.op.begin > self.calm_after(given_up(origin))
            }
        }
    }

    /// Returns true if a read must not show what was before the change.
    pub(super) fn must_see(&self, read: &Op<'_>, change: &Change<'_>) -> bool {
        if change.end >= read.begin {
            return false;
        }
        if change.op.process == read.process {
            return true;
        }
        let setup = &self.setups[read.process].caches[read.cache];
        let bound = match setup.others_seen_within() {
            0 => 0,
            bound => bound + ROUNDING,
        };
        change.end + bound < read.begin && !self.may_be_lost(read, change)
    }

    /// A failover loses changes until their process tells them again; and those that are queued come later.
    fn may_be_lost(&self, read: &Op<'_>, change: &Change<'_>) -> bool {
        let is_queued = self.setups[change.op.process].queues
            && matches!(change.op.action, crate::event::Action::End(..))
            && self.calm_after(change.end) > read.begin;
        is_queued
            || self.losses.iter().any(|loss| {
                loss.held <= change.end
                    && change.op.begin <= loss.failed_over
                    && read.begin <= loss.calm
                    && loss.failed_over != NEVER
            })
    }
}

/// The time at which a write of unknown outcome was given up. Of a process that was killed nothing is under way after
/// the next calm.
fn given_up(origin: &Origin) -> Micros {
    if origin.to == NEVER { origin.from } else { origin.to }
}
