//! Which changes end a value, and who has to know of them.

use std::time::Duration;

use super::facts::{Change, Done, Facts, Moment, Told};
use super::reach::{Kill, reach};
use crate::history::{Effect, Seq, ValueId};
use crate::plan::{Action, Key, Step};

/// The longest time until the end of a connection is seen.
const END_SEEN: Duration = Duration::from_millis(5);

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
        let is_undone = self.is_undone(read, change);
        // Until it has returned, the replica need not show it.
        if setup.replica && self.is_in_flight(read, change) {
            return false;
        }
        // One that began before anything was held near is as another's until it has returned.
        if self.is_own(read, change) && !(setup.sometimes_far && self.is_open(read, change)) {
            // It is repeated, but for the TTL of a region.
            return !(is_undone && matches!(change.effect, Effect::RegionTtl { .. }));
        }
        if is_undone || change.is_queued {
            return false;
        }
        let unverified = match self.may_fail(read.process) {
            true => setup.unverified(),
            false => setup.unverified_while_served(),
        };
        if setup.replica && self.may_lag(read, change, unverified) {
            return false;
        }
        // One that has been started since holds nothing near.
        if !setup.near || self.was_killed(read.process, change.when.seq, read.begin.seq) {
            return true;
        }
        let told = self.told.get(&(read.process, change.when.seq));
        // That a server has ended is seen when the end of its connections is.
        if told.is_none() && self.servers_failed && matches!(change.effect, Effect::Flushed) {
            return change.when.at + END_SEEN < read.begin.at;
        }
        let excused = |change: &Change<'_>| {
            let told = self.told.get(&(read.process, change.when.seq));
            told.into_iter()
                .flatten()
                .any(|told| excuses(*told, read.begin, change.when, unverified))
        };
        // Whatever a server tells over a silent connection, or would if it had not told of the key before, is dropped.
        let silence = self.silence(read.process, change.when.seq).filter(|_| told.is_none());
        if let Some(silence) = silence {
            let by_loss = Told::ByLoss(silence.lost, silence.covered_until);
            return !excuses(by_loss, read.begin, change.when, unverified);
        }
        // A server tells of a key once, until it is read again: the push of an earlier change, which is on its
        // way, tells of this one too.
        let mut earlier = self.changes.iter().filter(|it| it.when.seq < change.when.seq);
        let is_told_by = |it: &Change<'_>| {
            let tracked = (tracked(it.effect), tracked(change.effect));
            tracked.0.is_some() && tracked.0 == tracked.1 && excused(it)
        };
        // Nobody is told of a change where nothing was left to change, as after a server was put back.
        let is_untold = || excuses(Told::Never, read.begin, change.when, unverified);
        !(excused(change) || told.is_none() && (is_untold() || earlier.any(is_told_by)))
    }

    /// Returns true if a read must not show what was before the change because the process had heard of that when
    /// the store answered. `must_see` excuses whatever was not heard of when the read began.
    pub(super) fn was_heard_before_answer(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let told = self.told.get(&(read.process, change.when.seq));
        let (Some(told), Some(answered)) = (told, self.first_answer(read)) else { return false };
        let is_heard = |told: &Told| matches!(told, Told::Later(Some(heard)) if *heard < answered);
        let setup = &self.plan.setup.processes[read.process];
        change.when.seq < read.begin.seq
            && !(setup.replica || change.is_queued || self.is_undone(read, change))
            && told.iter().all(is_heard)
    }

    /// The first answer of the store that the read may have waited for; `None` if it was served near.
    fn first_answer(&self, read: &Done<'_>) -> Option<Seq> {
        let (end, _) = read.end.filter(|_| matches!(read.step.action, Action::Get(_)))?;
        let first = match self.reached.get(&self.store_of(read.process)) {
            Some(reached) => reached.get(reached.partition_point(|seq| *seq < read.begin.seq)),
            None => {
                let answered = self.answered.get(&read.process)?;
                let first = answered.partition_point(|(seq, _)| *seq < read.begin.seq);
                answered.get(first).map(|(seq, _)| seq)
            }
        };
        first.copied().filter(|seq| *seq < end.seq)
    }

    /// Returns true if calls of the process may fail.
    fn may_fail(&self, process: usize) -> bool {
        let is_fault = |step: &Step| match step.action {
            Action::Cut(of) | Action::Silence(of, _) | Action::Outage(of, _) => of == process,
            Action::RollBack => true,
            _ => false,
        };
        let mut steps = self.plan.clients.iter().flat_map(|client| &client.steps);
        self.servers_failed || !self.plan.setup.rates.all_succeed() || steps.any(is_fault)
    }

    /// Returns true if the reading process made the change; or another one over its store, and that has returned.
    pub(super) fn is_own(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let Some(maker) = change.process.filter(|_| !change.late) else { return false };
        if maker != read.process {
            return self.share_a_store(maker, read.process)
                && !self.has_open_call(maker, read, change);
        }
        !self.was_killed(read.process, change.when.seq, read.begin.seq)
    }

    /// Returns true if a change by the reading process had been made and not returned when the read began.
    fn is_in_flight(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        change.process == Some(read.process) && self.has_open_call(read.process, read, change)
    }

    /// Returns true if a call of the process that may have made the change had not returned when the read began.
    fn has_open_call(&self, process: usize, read: &Done<'_>, change: &Change<'_>) -> bool {
        self.steps.values().any(|done| {
            let is_open = done.begin.seq < change.when.seq
                && done.end.is_none_or(|(end, _)| end.seq > read.begin.seq);
            is_open && done.process == process && done.step.action.changes()
        })
    }

    /// Returns true if the call that made the change had not returned when the read began.
    fn is_open(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let Effect::Put { value: Some(value), .. } = change.effect else {
            return self.is_in_flight(read, change);
        };
        let maker = self.made.get(value).and_then(|step| self.steps.get(step));
        let end = maker.and_then(|done| done.end);
        end.is_none_or(|(end, _)| end.seq > read.begin.seq)
    }

    pub(super) fn was_killed(&self, process: usize, since: Seq, until: Seq) -> bool {
        self.killed.iter().any(|(killed, at)| *killed == process && (since..until).contains(at))
    }

    /// Returns true if the store was put back to a moment before the change, before the read was over.
    pub(super) fn is_undone(&self, read: &Done<'_>, change: &Change<'_>) -> bool {
        let end = read.end.map_or(self.end, |(end, _)| end);
        self.rollbacks
            .iter()
            .any(|(when, to)| (*to..when.seq).contains(&change.when.seq) && when.seq < end.seq)
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

/// What a server tracks that the change writes: the entries of a region, or its ids.
fn tracked(effect: &Effect) -> Option<(bool, usize)> {
    match *effect {
        Effect::Put { key, .. } | Effect::Removed { key } => Some((false, key.region)),
        Effect::RegionTtl { region, .. } => Some((false, region)),
        Effect::Ended { region, .. } => Some((true, region)),
        Effect::Lost { .. } | Effect::Flushed => None,
    }
}

fn excuses(told: Told, begin: Moment, change: Moment, unverified: Duration) -> bool {
    // Values are served unverified for so long after the connection was lost that would have told.
    let is_within = |lost: Duration| unverified > Duration::ZERO && begin.at <= lost + unverified;
    match told {
        Told::Later(heard) => heard.is_none_or(|heard| heard >= begin.seq),
        Told::ByLoss(lost, covered) => {
            if covered.is_some_and(|covered| covered < begin.at) {
                return covered.is_some_and(is_within);
            }
            lost.is_none_or(|lost| lost.seq >= begin.seq || is_within(lost.at))
        }
        Told::Never => is_within(change.at),
    }
}
