//! Attributes changes: to the process that has made each, and as late if its caller has given it up.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::RedisPlan;
use crate::history::{Effect, History, Outcome, Seq, ValueId, What};
use crate::plan::{Action, Step};

/// A step that was answered, and when it ran.
struct Answered<'a> {
    span: Range<Seq>,
    process: usize,
    step: &'a Step,
}

/// A change whose process has not got an answer of it is as one that its caller has given up. One of a store
/// that several processes use is that of the process with a step that makes it: of the last to return, if there
/// are several.
pub(super) fn attribute(plan: &RedisPlan, history: &mut History) {
    let (answered, made) = (answered(plan, history), made(history));
    let is_of = |step: &Step, effect: &Effect| match effect {
        Effect::Put { value: Some(value), .. } if made.contains_key(value) => {
            made.get(value) == Some(&step.number)
        }
        _ => is_of(step, effect),
    };
    history.attribute(|seq, process, effects| {
        let makers = answered.iter().filter(|answered| {
            answered.span.contains(&seq)
                && process == Some(plan.stores[answered.process])
                && effects.iter().any(|effect| is_of(answered.step, effect))
        });
        makers.max_by_key(|maker| maker.span.end).map(|maker| maker.process)
    });
}

/// The steps that have made values, to set them.
fn made(history: &History) -> BTreeMap<ValueId, usize> {
    let made = history.events().iter().filter_map(|event| match event.what {
        What::Made { step, value, .. } => Some((value, step)),
        _ => None,
    });
    made.collect()
}

fn answered<'a>(plan: &'a RedisPlan, history: &History) -> Vec<Answered<'a>> {
    let mut steps = BTreeMap::new();
    for client in &plan.plan.clients {
        for step in &client.steps {
            steps.insert(step.number, (client.process, step));
        }
    }
    let (mut begun, mut answered) = (BTreeMap::new(), Vec::new());
    for (seq, event) in history.events().iter().enumerate() {
        match &event.what {
            What::Begin { step } => drop(begun.insert(*step, seq)),
            What::End { step, outcome } => {
                let has_answered =
                    matches!(outcome, Outcome::Done | Outcome::Said(_) | Outcome::Values(_));
                if let (true, Some(begin), Some(&(Some(process), step))) =
                    (has_answered, begun.get(step), steps.get(step))
                {
                    answered.push(Answered { span: *begin..seq, process, step });
                }
            }
            _ => {}
        }
    }
    answered
}

/// Returns true if a step makes such a change itself.
fn is_of(step: &Step, effect: &Effect) -> bool {
    match (&step.action, effect) {
        (Action::End(region, verb), Effect::Ended { region: ended, verb: by }) => {
            region == ended && verb == by
        }
        (Action::Set(key, _) | Action::SetIfAbsent(key), Effect::Put { key: put, .. }) => {
            key == put
        }
        (Action::SetMany(region, _), Effect::Put { key, .. })
        | (Action::Transact(region, _), Effect::Put { key, .. } | Effect::Removed { key }) => {
            *region == key.region
        }
        (Action::Remove(key) | Action::Take(key), Effect::Removed { key: removed }) => {
            key == removed
        }
        _ => false,
    }
}
