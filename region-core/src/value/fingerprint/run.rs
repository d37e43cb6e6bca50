//! One attempt at reading a type from dummy values.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

use super::{Fact, Readability};

/// The number of times a type may be nested in itself before the tracer ends the recursion.
const NESTED: usize = 2;

/// The number of further levels that may be entered while a recursion is being ended.
const WAY_OUT: usize = 24;

/// The deepest nesting. Deserializing recurses on the stack.
const DEEPEST: usize = 128;

/// The largest number of values that one attempt may ask for.
const STEPS: usize = 20_000;

/// A point at which more than one answer is possible.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Choice {
    /// At this place.
    At(String),
    /// On the way out of a recursion, wherever this enum is met: were the choice made place by
    /// place, a tree would have to be searched.
    WayOut(String),
}

/// A choice that was made in a run.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) choice: Choice,
    pub(super) chosen: usize,
    pub(super) options: usize,
    /// True if each option leads to another part of the type, false if the options are only attempts.
    pub(super) explores: bool,
}

/// The option to take at each choice. A choice that is not in it takes the first option.
pub(super) type Plan = HashMap<Choice, usize>;

/// The state of one run.
pub(super) struct Run<'a> {
    pub(super) readability: Readability,
    plan: &'a Plan,
    notes: RefCell<Notes>,
}

/// The findings of one run.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) facts: BTreeSet<Fact>,
    pub(super) decisions: Vec<Decision>,
    pub(super) saw_all: Sight,
    /// The first place that needs a self-describing format.
    pub(super) undescribed: Option<String>,
    /// The named types that are being read, outermost first.
    stack: Vec<String>,
    depth: usize,
    /// The depth at which the way out began.
    way_out_from: Option<usize>,
    steps: usize,
}

/// Says if a run met a part of the type that cannot be traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sight {
    #[default]
    Clear,
    Blurred,
}

/// The reason why a run failed.
#[derive(Debug)]
pub(super) struct Refused;

impl<'a> Run<'a> {
    pub(super) fn new(readability: Readability, plan: &'a Plan) -> Self {
        Self { readability, plan, notes: RefCell::default() }
    }

    pub(super) fn into_notes(self) -> Notes {
        self.notes.into_inner()
    }

    /// Notes that `asked` was asked for at `place`. On a way out nothing is noted: it was before.
    pub(super) fn ask(&self, place: &str, asked: impl FnOnce() -> String) -> Result<(), Refused> {
        let mut notes = self.notes.borrow_mut();
        notes.steps += 1;
        if notes.steps > STEPS {
            notes.saw_all = Sight::Blurred;
            return Err(Refused);
        }
        if notes.way_out_from.is_none() {
            notes.facts.insert((place.to_owned(), asked()));
        }
        Ok(())
    }

    /// Notes that there is more here than can be seen.
    pub(super) fn blur(&self) {
        self.notes.borrow_mut().saw_all = Sight::Blurred;
    }

    /// Notes that only a format that describes itself can answer what is asked at `place`.
    pub(super) fn ask_for_description(&self, place: &str) {
        self.notes.borrow_mut().undescribed.get_or_insert_with(|| place.to_owned());
    }

    pub(super) fn is_on_way_out(&self) -> bool {
        self.notes.borrow().way_out_from.is_some()
    }

    /// Picks one of `options` tries at `place`.
    pub(super) fn try_one(&self, place: &str, options: usize) -> usize {
        self.choose(Choice::At(place.to_owned()), options, false)
    }

    /// Picks one of the `options` variants of the enum `name` at `place`.
    pub(super) fn explore(&self, place: &str, name: &str, options: usize) -> usize {
        if self.is_on_way_out() {
            return self.choose(Choice::WayOut(name.to_owned()), options, false);
        }
        self.choose(Choice::At(place.to_owned()), options, true)
    }

    fn choose(&self, choice: Choice, options: usize, explores: bool) -> usize {
        let chosen = self.plan.get(&choice).copied().unwrap_or_default();
        self.notes.borrow_mut().decisions.push(Decision { choice, chosen, options, explores });
        chosen
    }

    /// Reads something inside; `name` is the type's, if it has one.
    pub(super) fn enter<T>(
        &self,
        place: &str,
        name: Option<String>,
        read: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let is_named = name.is_some();
        {
            let mut notes = self.notes.borrow_mut();
            let nested = name.as_ref().is_some_and(|name| {
                notes.stack.iter().filter(|outer| *outer == name).count() >= NESTED
            });
            if nested && notes.way_out_from.is_none() {
                notes.facts.insert((place.to_owned(), "and so on".to_owned()));
                notes.way_out_from = Some(notes.depth);
            }
            let too_far = notes.way_out_from.is_some_and(|from| notes.depth - from > WAY_OUT);
            if too_far || notes.depth > DEEPEST {
                return Err(Refused);
            }
            notes.stack.extend(name);
            notes.depth += 1;
        }
        let result = read();
        let mut notes = self.notes.borrow_mut();
        notes.depth -= 1;
        if is_named {
            notes.stack.pop();
        }
        if notes.way_out_from == Some(notes.depth) {
            notes.way_out_from = None;
        }
        result
    }
}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dummy value was refused")
    }
}

impl std::error::Error for Refused {}
