//! Runs until every variant of every enum was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use super::run::{Choice, Decision, Notes, Plan, Run, Sight};
use super::tracer::Tracer;
use super::{Fact, Readability, Shape};

/// The largest number of times that a type is read.
const RUNS: usize = 4096;

/// The largest number of attempts at one value that takes the wanted options.
const RUNS_PER_TARGET: usize = 256;

/// A variant to be seen, and the choices that lead to its enum.
struct Target {
    way: Vec<(Choice, usize)>,
    choice: Choice,
    option: usize,
}

#[derive(Default)]
struct Search {
    facts: BTreeSet<Fact>,
    plan: Plan,
    targets: Vec<Target>,
    /// The enums found so far.
    known: BTreeMap<Choice, ()>,
    is_blurred: bool,
    undescribed: Option<String>,
    runs: usize,
}

pub(super) fn trace<V: DeserializeOwned>(readability: Readability) -> Shape {
    let mut search = Search::default();
    search.reach::<V>(readability, &[]);
    while let Some(target) = search.targets.pop() {
        if search.runs >= RUNS {
            search.is_blurred = true;
            break;
        }
        let mut way = target.way;
        way.push((target.choice, target.option));
        search.reach::<V>(readability, &way);
    }
    Shape { facts: search.facts, is_complete: !search.is_blurred, undescribed: search.undescribed }
}

impl Search {
    /// Reads the type along `way`, trying other dummy values until one is not refused.
    fn reach<V: DeserializeOwned>(&mut self, readability: Readability, way: &[(Choice, usize)]) {
        self.plan.extend(way.iter().cloned());
        for _ in 0..RUNS_PER_TARGET {
            self.runs += 1;
            let run = Run::new(readability, &self.plan);
            let read = catch_unwind(AssertUnwindSafe(|| {
                V::deserialize(Tracer::new(&run, "$".to_owned())).is_ok()
            }));
            let notes = run.into_notes();
            let decisions = self.note(notes);
            if matches!(read, Ok(true)) {
                return;
            }
            if !self.try_another(&decisions, way) {
                break;
            }
        }
        self.is_blurred = true;
    }

    /// Keeps what a run saw, and what there is left to see.
    fn note(&mut self, notes: Notes) -> Vec<Decision> {
        self.facts.extend(notes.facts);
        self.is_blurred |= notes.saw_all == Sight::Blurred;
        self.undescribed = self.undescribed.take().or(notes.undescribed);
        let mut way = Vec::new();
        for decision in notes.decisions.iter().filter(|decision| decision.explores) {
            if self.known.insert(decision.choice.clone(), ()).is_none() {
                let others = (0..decision.options).filter(|option| *option != decision.chosen);
                self.targets.extend(others.map(|option| Target {
                    way: way.clone(),
                    choice: decision.choice.clone(),
                    option,
                }));
            }
            way.push((decision.choice.clone(), decision.chosen));
        }
        notes.decisions
    }

    /// Changes the last choice that can still be changed; those after it start over.
    fn try_another(&mut self, decisions: &[Decision], way: &[(Choice, usize)]) -> bool {
        for decision in decisions.iter().rev() {
            let is_given = way.iter().any(|(choice, _)| *choice == decision.choice);
            let next = self.plan.get(&decision.choice).copied().unwrap_or_default() + 1;
            if !is_given && next < decision.options {
                self.plan.insert(decision.choice.clone(), next);
                return true;
            }
            if !is_given {
                self.plan.remove(&decision.choice);
            }
        }
        false
    }
}
