//! Each call: it ends in time, and has done what it says.

use std::time::Duration;

use region_core::Verb;

use super::Violation;
use super::facts::{Change, Done, Facts, Moment};
use crate::history::{Effect, Outcome, Seq};
use crate::plan::{Action, CALL_LIMIT};

/// The longest time that a call takes which may load, and wait for the loads of others.
const MOST_WITH_LOADS: Duration = Duration::from_secs(8);

/// What a call adds to its limit that shares the question of another.
const GRACE: Duration = Duration::from_millis(10);

pub(super) fn check(facts: &Facts<'_>, violations: &mut Vec<Violation>) {
    for key in &facts.leases_left {
        let message = format!("{}: a lease is left that nobody holds", facts.name(*key));
        violations.push(Violation { promise: 9, step: 0, message });
    }
    violations.extend(facts.changes.iter().filter_map(|change| facts.overtaken(change)));
    for done in facts.steps.values() {
        let step = done.step.number;
        let most = facts.longest(done);
        let took = done.end.map(|(end, _)| end.at - done.begin.at);
        if took.is_none_or(|took| took > most) {
            let message = format!("step {step} took {took:?}, {most:?} is its limit");
            violations.push(Violation { promise: 10, step, message });
        }
        violations.extend(facts.unasked_load(done));
        if facts.was_queued(done) {
            continue;
        }
        violations.extend(facts.lost_in_failover(done));
        if let Some((promise, effect)) = facts.missing(done) {
            let message = format!("step {step} has succeeded, and never {effect}");
            violations.push(Violation { promise, step, message });
        }
    }
}

impl Facts<'_> {
    /// The longest time that a call may take.
    fn longest(&self, done: &Done<'_>) -> Duration {
        let wait = Duration::from_millis(self.plan.setup.replica_wait);
        match done.step.action {
            _ if done.returns_loads() => MOST_WITH_LOADS,
            // The question for the replicas has a limit of its own.
            Action::End(..) if !wait.is_zero() => CALL_LIMIT + wait + CALL_LIMIT + GRACE,
            _ => CALL_LIMIT + GRACE,
        }
    }

    /// The end of a region that a replica was known to have, and that replica took over without it.
    fn lost_in_failover(&self, done: &Done<'_>) -> Option<Violation> {
        let (end, Outcome::Done) = done.end? else { return None };
        let Action::End(region, verb) = done.step.action else { return None };
        if self.plan.setup.replica_wait == 0 {
            return None;
        }
        let is_it = |change: &&Change<'_>| {
            let is_end = matches!(change.effect, Effect::Ended { region: ended, verb: by } if *ended == region && *by == verb);
            is_end && (done.begin.seq..end.seq).contains(&change.when.seq)
        };
        let change = self.changes.iter().find(is_it)?;
        let (when, to) =
            self.failovers.iter().find(|(when, to)| when.seq > end.seq && *to < change.when.seq)?;
        let step = done.step.number;
        let message = format!(
            "step {step} was known to a replica, which took over at {} with what was before {to}",
            when.seq
        );
        Some(Violation { promise: 6, step, message })
    }

    /// Returns true if it was done as far as its caller knows, and is sent when the store is back.
    fn was_queued(&self, done: &Done<'_>) -> bool {
        let is_of = |end: Moment, &(by, at): &(usize, Seq)| by == done.process && at + 1 == end.seq;
        done.end.is_some_and(|(end, _)| self.queued.iter().any(|queued| is_of(end, queued)))
    }

    /// A write that was given up, and took effect after another that was sent later.
    fn overtaken(&self, change: &Change<'_>) -> Option<Violation> {
        let Effect::Put { key, value: Some(value), .. } = change.effect else { return None };
        let late = self.steps.get(self.made.get(value)?).filter(|_| change.late)?;
        let (given_up, _) = late.end?;
        let covers = |done: &Done<'_>| match &done.step.action {
            Action::Set(set, _) | Action::Remove(set) => set == key,
            Action::SetMany(region, keys) => key.region == *region && keys.contains(&key.key),
            Action::End(region, Verb::Invalidate) => self.is_within(key.region, *region),
            _ => false,
        };
        let later = self.steps.values().find(|done| {
            let is_done = matches!(done.end, Some((_, Outcome::Done | Outcome::Said(_))));
            let is_between = done.begin.seq > given_up.seq
                && done.end.is_some_and(|(end, _)| end.seq < change.when.seq);
            let is_sent = is_done && is_between && !self.was_queued(done);
            is_sent && done.process == late.process && covers(done)
        })?;
        let was_killed = self.was_killed(late.process, late.begin.seq, change.when.seq);
        let (step, newer) = (late.step.number, later.step.number);
        let message = format!(
            "{}: what step {step} has sent took effect at {}, after step {newer}",
            self.name(*key),
            change.when.seq
        );
        (!was_killed).then_some(Violation { promise: 4, step, message })
    }

    /// A load that ran where the policy says that an outage is an error, and the store had not answered.
    fn unasked_load(&self, done: &Done<'_>) -> Option<Violation> {
        let setup = &self.plan.setup.processes[done.process];
        let step = done.step.number;
        let is_load = setup.outage_is_error && matches!(done.step.action, Action::Compute(..));
        let load = self.loads.values().find(|load| load.step == step && is_load)?;
        // The world of servers records no answers, so nothing is known of them there.
        let answered = self.answered.get(&done.process)?;
        let mut answers = answered
            .iter()
            .filter(|(seq, ok)| *ok && (done.begin.seq..load.begin.seq).contains(seq));
        let message = format!("step {step} has loaded, and the store had not answered");
        answers.next().is_none().then_some(Violation { promise: 10, step, message })
    }

    /// What a call that has succeeded has not done.
    fn missing(&self, done: &Done<'_>) -> Option<(u32, &'static str)> {
        let (_, Outcome::Done | Outcome::Said(true)) = done.end? else { return None };
        let did = |is_it: &dyn Fn(&Effect) -> bool| self.did(done, is_it);
        match &done.step.action {
            Action::End(region, verb) => {
                let is_it = |effect: &Effect| matches!(effect, Effect::Ended { region: ended, verb: by } if ended == region && by == verb);
                (!did(&is_it)).then_some((6, "ended the region"))
            }
            Action::Set(key, _) | Action::SetIfAbsent(key) => {
                let is_it =
                    |effect: &Effect| matches!(effect, Effect::Put { key: put, .. } if put == key);
                (!did(&is_it)).then_some((4, "stored the value"))
            }
            Action::Remove(key) => {
                let is_it = |effect: &Effect| matches!(effect, Effect::Removed { key: removed } if removed == key);
                (!did(&is_it)).then_some((4, "removed the entry"))
            }
            _ => None,
        }
    }

    fn did(&self, done: &Done<'_>, is_it: &dyn Fn(&Effect) -> bool) -> bool {
        let Some((end, _)) = done.end else { return false };
        let during = done.begin.seq..end.seq;
        let mine = self.changes.iter().filter(|change| {
            let is_its =
                change.process.is_some_and(|process| self.share_a_store(process, done.process));
            during.contains(&change.when.seq) && is_its
        });
        mine.into_iter().any(|change| is_it(change.effect))
    }
}
