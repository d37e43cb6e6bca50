//! Where nothing fails: what is stored is found, no load is needless, and one runs at a time.

use std::time::Duration;

use super::Violation;
use super::facts::{Change, Done, Facts, Load, Moment};
use crate::history::{Effect, Outcome, Seq};
use crate::plan::{Action, Form, Key};

/// The longest time after which the end of a load is noticed by those who wait for it elsewhere. They are woken;
/// otherwise they ask again after a quarter of a second at least.
const NOTICED: Duration = Duration::from_millis(240);

pub(super) fn check(facts: &Facts<'_>, violations: &mut Vec<Violation>) {
    for done in facts.steps.values() {
        violations.extend(facts.unexpected_error(done));
        violations.extend(facts.unexplained_miss(done));
        violations.extend(facts.late_return(done));
        violations.extend(facts.too_few(done));
    }
    for load in facts.loads.values() {
        violations.extend(facts.needless(load));
        violations.extend(facts.concurrent(load));
        violations.extend(facts.late_load(load));
    }
}

impl Facts<'_> {
    fn unexpected_error(&self, done: &Done<'_>) -> Option<Violation> {
        let (_, Outcome::Failed(error)) = done.end? else { return None };
        let step = done.step.number;
        let message = format!("step {step} has failed: {error}");
        let is_meant = error.contains("the load fails") || error.contains("the load panics");
        (!is_meant).then_some(Violation { promise: 10, step, message })
    }

    /// The put that the store held for the key from before `since` until after `until`, if it has this form.
    pub(super) fn held_throughout(
        &self,
        key: Key,
        form: Option<Form>,
        since: Moment,
        until: Moment,
    ) -> Option<Seq> {
        let is_put = |change: &&Change<'_>| matches!(change.effect, Effect::Put { key: put, value: Some(_), .. } if *put == key);
        let before = |change: &&Change<'_>| change.when.seq < since.seq;
        let put = self.changes.iter().rev().filter(before).find(is_put)?;
        let Effect::Put { value: Some(value), fresh_for, .. } = put.effect else { return None };
        let is_alive = fresh_for.is_none_or(|fresh_for| until.at < put.when.at + fresh_for);
        let is_of_form =
            form.is_none_or(|form| self.values.get(value).is_some_and(|value| value.form == form));
        let mut loads = self.values.get(value)?.origins.iter().filter_map(|origin| origin.load);
        let depends =
            loads.any(|load| self.loads.get(&load).is_some_and(|load| !load.depends_on.is_empty()));
        let ended = self.changes.iter().any(|change| {
            (put.when.seq + 1..until.seq).contains(&change.when.seq)
                && self.kills(change, key, *value).is_some()
        });
        let no_region_ttl = self.plan.setup.processes.iter().all(|process| process.region_ttl == 0);
        let is_bounded = self.plan.setup.max_bytes > 0;
        let is_there = is_alive && !depends && !ended && no_region_ttl && !is_bounded;
        (is_there && is_of_form).then_some(put.when.seq)
    }

    fn unexplained_miss(&self, done: &Done<'_>) -> Option<Violation> {
        let (end, outcome) = done.end?;
        let form = self.form_of(done.step.number);
        let all = |region: usize| (0..self.plan.setup.keys).map(move |key| Key { region, key });
        let missed: Vec<Key> = match (&done.step.action, outcome) {
            (Action::Contains(key) | Action::Explain(key), Outcome::Said(false)) => vec![*key],
            (Action::SetIfAbsent(key), Outcome::Said(true)) => vec![*key],
            (Action::Keys(region), Outcome::Listed(keys)) => {
                all(*region).filter(|key| !keys.contains(&key.key)).collect()
            }
            (Action::Entries(region), Outcome::Values(values)) => {
                all(*region).filter(|key| !values.iter().any(|(found, _)| found == key)).collect()
            }
            (_, Outcome::Values(values)) if !done.loads() => {
                values.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect()
            }
            _ => return None,
        };
        // A call that changes something has looked at that moment.
        let is_own = |change: &&Change<'_>| {
            let key = match change.effect {
                Effect::Put { key, .. } | Effect::Removed { key } => key,
                _ => return false,
            };
            change.process == Some(done.process)
                && (done.begin.seq..end.seq).contains(&change.when.seq)
                && missed.contains(key)
        };
        let looks = matches!(done.step.action, Action::Take(_) | Action::SetIfAbsent(_));
        let own = looks.then(|| self.changes.iter().rev().find(is_own)).flatten();
        let end = own.map_or(end, |own| own.when);
        missed.into_iter().find_map(|key| {
            let form = (!matches!(done.step.action, Action::Keys(_))).then_some(form);
            let put = self.held_throughout(key, form, done.begin, end)?;
            // The record that there is no value may be held near, until it is told that there is one.
            let change = self.changes.iter().find(|change| change.when.seq == put);
            change.filter(|change| self.must_see(done, change))?;
            let step = done.step.number;
            let message =
                format!("{}: step {step} missed what was stored at {put}", self.name(key));
            Some(Violation { promise: 4, step, message })
        })
    }

    fn needless(&self, load: &Load<'_>) -> Option<Violation> {
        let done = self.steps.get(&load.step)?;
        let (setup, form) = (&self.plan.setup.processes[load.process], self.form_of(load.step));
        let reloads = done.step.action.load().is_none_or(|load| load.reload);
        if reloads || setup.early_at > 0 || setup.early_beta > 0 {
            return None;
        }
        let key = load.keys.iter().find(|key| {
            self.held_throughout(**key, Some(form), done.begin, load.begin).is_some()
        })?;
        let message = format!("{}: load {} was needless", self.name(*key), load.number);
        Some(Violation { promise: 7, step: load.step, message })
    }

    /// A call that has waited on although another process had stored the value.
    fn late_return(&self, done: &Done<'_>) -> Option<Violation> {
        let Action::Compute(key, wanted) = &done.step.action else { return None };
        let (end, _) = done.end.filter(|_| !wanted.reload && self.is_woken(wanted))?;
        let put = self.held_throughout(*key, Some(self.form_of(done.step.number)), end, end)?;
        let put = self.changes.iter().find(|change| change.when.seq == put)?;
        let is_others = put.process != Some(done.process) && put.when.seq > done.begin.seq;
        let loads_itself = self.loads.values().any(|load| {
            let is_later = load.end.is_none_or(|end| end.seq > put.when.seq);
            load.process == done.process && load.keys.contains(key) && is_later
        });
        let step = done.step.number;
        let message = format!(
            "{}: step {step} waited until {:?} for what was stored at {:?}",
            self.name(*key),
            end.at,
            put.when.at
        );
        let is_late = is_others && !loads_itself && end.at > put.when.at + NOTICED;
        is_late.then_some(Violation { promise: 7, step, message })
    }

    /// A load that has begun long after the one that it had to wait for.
    fn late_load(&self, load: &Load<'_>) -> Option<Violation> {
        let done = self.steps.get(&load.step)?;
        let Action::Compute(key, wanted) = &done.step.action else { return None };
        let before = self.loads.values().filter(|other| {
            other.number != load.number
                && other.keys.contains(key)
                && other.begin.seq < load.begin.seq
        });
        let last = before.map(|other| other.end.unwrap_or(self.end)).max_by_key(|end| end.seq)?;
        let free = if last.seq > done.begin.seq { last } else { done.begin };
        let step = load.step;
        let message = format!(
            "{}: load {} began at {:?}, and could have at {:?}",
            self.name(*key),
            load.number,
            load.begin.at,
            free.at
        );
        let is_late = self.is_woken(wanted) && load.begin.at > free.at + NOTICED;
        is_late.then_some(Violation { promise: 7, step, message })
    }

    /// Returns true if who wants a load is told whenever a lease is over, and waits for nothing else.
    fn is_woken(&self, wanted: &crate::plan::Load) -> bool {
        let rates = &self.plan.setup.rates;
        wanted.depends_on.is_empty() && wanted.adds.is_none() && rates.lose_release == 0
    }

    /// Another load of one of its keys that runs when it begins.
    fn concurrent(&self, load: &Load<'_>) -> Option<Violation> {
        let earlier = self.loads.values().find(|other| {
            let runs = other.begin.seq < load.begin.seq
                && other.end.is_none_or(|end| end.seq > load.begin.seq);
            runs && self.is_excluded(other, load)
        })?;
        let (number, other, step) = (load.number, earlier.number, load.step);
        let message = format!("load {number} began while load {other} of the same key ran");
        Some(Violation { promise: 7, step, message })
    }

    /// Returns true if nothing allows `later` to run beside `earlier`.
    fn is_excluded(&self, earlier: &Load<'_>, later: &Load<'_>) -> bool {
        // Either may have taken its lease long before its load function runs.
        let began = |load: &Load<'_>| self.steps.get(&load.step).map_or(0, |done| done.begin.seq);
        let since = began(earlier).min(began(later));
        let shared = earlier.keys.iter().filter(|key| later.keys.contains(key));
        shared.into_iter().any(|key| {
            !self.changes.iter().any(|change| {
                (since..later.begin.seq).contains(&change.when.seq)
                    && (self.kills(change, *key, u64::MAX).is_some()
                        || self.kills_by(change, &earlier.depends_on).is_some())
            })
        })
    }
}
