//! Which changes end a value, and who has to know of them.

use std::time::Duration;

use super::facts::{Change, Done, Facts, Moment, Told};
use super::reach::{Kill, reach};
use crate::history::{Effect, Seq, ValueId};
use crate::plan::Key;

impl Facts<'_> {
    /// What the change does to the value at `key`, that is as of an earlier moment.
    pub(super) fn kills(&self, change: &Change<'_>, key: Key, value: ValueId) -> Option<Kill> {
        match change.effect {
            Effect::Put { key: put, value: new, .. } => {
                (*put == key && *new != Some(value)).then_some(Kill::Gone)
            }
            Effect::Removed { key: removed } => (*removed == key).then_some(Kill::Gone),
            _ => self.ends(change, key.region),
        }
    }

    /// What it does to the entries of a region that are not named.
    fn ends(&self, change: &Change<'_>, region: usize) -> Option<Kill> {
        match *change.effect {
            Effect::Ended { region: ended, verb } => {
                reach(verb, self.region(ended), self.region(region))
            }
            Effect::Lost { region: lost, with_all_below } => {
                let is_covered = region == lost || with_all_below && self.is_within(region, lost);
                is_covered.then_some(Kill::Gone)
            }
            Effect::Flushed => Some(Kill::Gone),
            Effect::Put { .. } | Effect::Removed { .. } | Effect::RegionTtl { .. } => None,
        }
    }

    /// What it does to the value through the regions that it depends on.
    pub(super) fn kills_by(
        &self,
        change: &Change<'_>,
        depends_on: &[(usize, Seq)],
    ) -> Option<Kill> {
        let since = depends_on.iter().filter(|(_, since)| *since < change.when.seq);
        let kills = since.filter_map(|(region, _)| self.ends(change, *region));
        kills.max_by_key(|kill| *kill == Kill::Gone)
    }

    /// Returns true if a read must not show what was before the change.
    pub(super) fn must_see(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let setup = &self.plan.setup.processes[read.process];
        if change.when.seq >= read.begin.seq {
            return false;
        }
        if change.process == Some(read.process) && !change.late {
            return true;
        }
        if change.is_queued || self.is_lost(read, change) {
            return false;
        }
        let unverified = setup.unverified();
        if setup.replica && self.may_lag(read, change, unverified) {
            return false;
        }
        if !setup.near {
            return true;
        }
        let told = self.told.get(&(read.process, change.when.seq));
        !told.into_iter().flatten().any(|told| excuses(*told, read.begin, change.when, unverified))
    }

    /// Returns true if a server has gone back to before the change.
    fn is_lost(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let end = read.end.map_or(self.end.seq, |(end, _)| end.seq);
        self.rolled_back
            .iter()
            .any(|(to, at)| (*to + 1..*at).contains(&change.when.seq) && *at <= end)
    }

    /// Returns true if the replica, as it was when the read ran, may not show the change.
    fn may_lag(&self, read: &Done<'_>, change: &Change<'_>, unverified: Duration) -> bool {
        let end = read.end.map_or(self.end, |(end, _)| end);
        if self.lag > Duration::ZERO && change.when.at + self.lag + unverified >= read.begin.at {
            return true;
        }
        self.lags.iter().any(|lag| {
            lag.shows < change.when.seq
                && lag.shows < end.seq
                && (lag.until.seq > read.begin.seq || lag.until.at + unverified >= read.begin.at)
        })
    }
}

fn excuses(told: Told, begin: Moment, change: Moment, unverified: Duration) -> bool {
    // Values are served unverified for so long after the connection was lost that would have told.
    let is_within = |lost: Duration| unverified > Duration::ZERO && begin.at <= lost + unverified;
    match told {
        Told::Later(heard) => heard.is_none_or(|heard| heard >= begin.seq),
        Told::ByLoss(lost) => lost.is_none_or(|lost| lost.seq >= begin.seq || is_within(lost.at)),
        Told::Never => is_within(change.at),
    }
}
