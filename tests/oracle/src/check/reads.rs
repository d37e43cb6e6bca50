//! Each value that was read: made for its key, not older than it may be, and of one moment with its like.

use std::fmt::Write as _;
use std::time::Duration;

use super::Violation;
use super::facts::{Change, Done, Facts, Load, Moment, Origin, Value};
use super::reach::Kill;
use crate::history::{Effect, Outcome, Seq, ValueId};
use crate::plan::{Action, CALL_LIMIT, Key};

pub(super) fn check(facts: &Facts<'_>, violations: &mut Vec<Violation>) {
    for done in facts.steps.values() {
        let step = done.step.number;
        match done.end {
            Some((_, Outcome::Foreign(what))) => {
                let message = format!("a value of another key: {what}");
                violations.push(Violation { promise: 8, step, message });
            }
            Some((_, Outcome::OtherForm(what))) => {
                let message = format!("a value of another type, version or serializer: {what}");
                violations.push(Violation { promise: 12, step, message });
            }
            Some((_, Outcome::Said(true))) => violations.extend(facts.not_contained(done)),
            Some((_, Outcome::Listed(keys))) => violations.extend(facts.unlisted(done, keys)),
            Some((_, Outcome::Counted(entries))) => {
                violations.extend(facts.too_many(done, *entries));
            }
            Some((_, Outcome::Children(children))) => {
                violations.extend(facts.no_child(done, children));
            }
            Some((_, Outcome::Values(values))) => {
                for (key, value) in values {
                    let Some(value) = value else {
                        violations.extend(facts.not_absent(done, *key));
                        continue;
                    };
                    if let Err((promise, message)) = facts.explain(done, *key, *value) {
                        violations.push(Violation { promise, step, message });
                    }
                }
                violations.extend(facts.goes_back(done));
                // After a loss of changes values are there again that had ended.
                if matches!(done.step.action, Action::GetMany(..)) {
                    violations.extend(facts.one_moment(done, values));
                }
            }
            _ => {}
        }
    }
}

impl Facts<'_> {
    /// Explains why a read returned a value; or the promise that is broken, and how.
    pub(super) fn explain(
        &self,
        read: &Done<'_>,
        key: Key,
        id: ValueId,
    ) -> Result<(), (u32, String)> {
        let Some(value) = self.values.get(&id).filter(|value| value.key == key) else {
            return Err((8, format!("{}: value {id} was never made", self.name(key))));
        };
        let mut why = (1, format!("value {id} was set, and never stored"));
        for origin in value.origins.iter().rev() {
            match self.explain_by(read, id, value, origin) {
                Ok(()) => return Ok(()),
                Err(reason) => why = reason,
            }
        }
        Err((
            why.0,
            format!("{}: step {} read value {id}: {}", self.name(key), read.step.number, why.1),
        ))
    }

    fn explain_by(
        &self,
        read: &Done<'_>,
        id: ValueId,
        value: &Value,
        origin: &Origin,
    ) -> Result<(), (u32, String)> {
        let load = origin.load.and_then(|load| self.loads.get(&load));
        let depends_on = load.map_or(&[][..], |load| &load.depends_on);
        let stale_for = self.stale_for();
        for change in self.changes.iter().filter(|change| change.when.seq > origin.as_of) {
            let by_key = self.kills(change, value.key, id);
            let Some(kill) = by_key
                .into_iter()
                .chain(self.kills_by(change, depends_on))
                .max_by_key(|kill| *kill == Kill::Gone)
            else {
                continue;
            };
            let must_see = self.must_see(read, change)
                || depends_on.is_empty() && self.was_heard_before_answer(read, change);
            if !must_see || survives(value, load, change) {
                continue;
            }
            let is_stale = kill == Kill::Stale && read.loads() && stale_for > Duration::ZERO;
            // What was undone is done again later, and so is its time counted.
            if is_stale
                && (read.begin.at <= change.when.at + stale_for || self.is_undone(read, change))
            {
                continue;
            }
            return Err(self.describe(read, origin, change));
        }
        // A caller of a load gets its result as it is.
        if read.returns_loads() && load.is_some_and(|load| self.is_shared(read, load)) {
            return Ok(());
        }
        let stale_for = if read.loads() { stale_for } else { Duration::ZERO };
        self.explain_lifetime(read, value, origin, stale_for)
    }

    /// Returns true if the read may have waited for the load: it ran, or had yet to store what it brought.
    pub(super) fn is_shared(&self, read: &Done<'_>, load: &Load<'_>) -> bool {
        let Some(end) = load.end else { return true };
        end.at + CALL_LIMIT >= read.begin.at
    }

    fn explain_lifetime(
        &self,
        read: &Done<'_>,
        value: &Value,
        origin: &Origin,
        stale_for: Duration,
    ) -> Result<(), (u32, String)> {
        let now = read.begin.at;
        let end = read.end.map_or(self.end, |(end, _)| end);
        let puts =
            value.puts.iter().filter(|(put, _)| put.seq >= origin.as_of && put.seq < end.seq);
        let mut stored = false;
        for (put, fresh_for) in puts {
            stored = true;
            let alive = fresh_for.is_none_or(|fresh_for| now <= put.at + fresh_for + stale_for);
            if alive && self.region_end(read, value.key.region, put.seq).is_none_or(|at| now <= at)
            {
                return Ok(());
            }
        }
        match stored {
            true => Err((11, "it had expired".to_owned())),
            false => Err((1, "it was loaded, and never stored".to_owned())),
        }
    }

    /// The latest end of the region's TTL, by those of the writes since that the read has to know of.
    fn region_end(&self, read: &Done<'_>, region: usize, since: Seq) -> Option<Duration> {
        let end = |change: &Change<'_>| match change.effect {
            Effect::RegionTtl { region: of, ttl } if *of == region => Some(change.when.at + *ttl),
            _ => None,
        };
        let later = self.changes.iter().filter(|change| change.when.seq >= since);
        // One that was not to be seen may have been, and have made it later.
        let ends = later.filter_map(|change| Some((self.must_see(read, change), end(change)?)));
        let (seen, all): (Vec<_>, Vec<_>) =
            ends.fold(Default::default(), |(mut seen, mut all), (is_seen, end)| {
                seen.extend(is_seen.then_some(end));
                all.push(end);
                (seen, all)
            });
        if seen.is_empty() { None } else { all.into_iter().max() }
    }

    /// The times in which the store held the value.
    pub(super) fn held(&self, id: ValueId, value: &Value) -> Vec<(Seq, Seq)> {
        let held = |&(put, _): &(Moment, Option<Duration>)| {
            let ends = |change: &&Change<'_>| {
                let is_done = change.when.seq > put.seq && !change.is_queued;
                is_done && self.kills(change, value.key, id).is_some()
            };
            (put.seq, self.changes.iter().find(ends).map_or(Seq::MAX, |change| change.when.seq))
        };
        let mut held: Vec<_> = value.puts.iter().map(held).collect();
        for (when, to) in &self.rollbacks {
            if held.iter().any(|(from, until)| (*from..*until).contains(to)) {
                let ends = |change: &&Change<'_>| {
                    let is_done = change.when.seq > when.seq && !change.is_queued;
                    is_done && self.kills(change, value.key, id).is_some()
                };
                let end = self.changes.iter().find(ends);
                held.push((when.seq, end.map_or(Seq::MAX, |change| change.when.seq)));
            }
        }
        held
    }

    /// Values that are read together are of one moment.
    fn one_moment(&self, read: &Done<'_>, values: &[(Key, Option<ValueId>)]) -> Option<Violation> {
        let found: Vec<_> =
            values.iter().filter_map(|(_, id)| Some(((*id)?, self.values.get(&(*id)?)?))).collect();
        for (at, (one, value)) in found.iter().enumerate() {
            let held = self.held(*one, value);
            for (other, value) in &found[at + 1..] {
                let together = self.held(*other, value).into_iter().any(|(from, to)| {
                    held.iter().any(|(since, until)| from < *until && *since < to)
                });
                if !together {
                    let step = read.step.number;
                    let message = format!(
                        "step {step} read values {one} and {other} together, which never were"
                    );
                    return Some(Violation { promise: 2, step, message });
                }
            }
        }
        None
    }
}

impl Facts<'_> {
    fn describe(&self, read: &Done<'_>, origin: &Origin, change: &Change<'_>) -> (u32, String) {
        let (promise, text) = describe(read, origin, change);
        (if self.is_undone(read, change) { 6 } else { promise }, text)
    }
}

/// Entries that are lost do not end what is stored after that: nothing about the truth has changed.
fn survives(value: &Value, load: Option<&Load<'_>>, change: &Change<'_>) -> bool {
    let is_later = |moment: Moment| moment.seq > change.when.seq;
    matches!(change.effect, Effect::Lost { with_all_below: false, .. })
        && (value.puts.iter().any(|(put, _)| is_later(*put))
            || load.is_some_and(|load| load.end.is_none_or(is_later)))
}

fn describe(read: &Done<'_>, origin: &Origin, change: &Change<'_>) -> (u32, String) {
    let promise = match (change.effect, change.process == Some(read.process), origin.load) {
        (Effect::Lost { .. } | Effect::Flushed, ..) => 3,
        (_, true, _) => 4,
        (.., Some(_)) => 1,
        (.., None) => 5,
    };
    let mut text = match origin.load {
        Some(load) => format!("load {load} began at {}", origin.as_of),
        None => format!("it was set at {}", origin.as_of),
    };
    let _ = write!(
        text,
        ", ended by {:?} at {} of process {:?}; the read began at {}",
        change.effect, change.when.seq, change.process, read.begin.seq
    );
    (promise, text)
}
