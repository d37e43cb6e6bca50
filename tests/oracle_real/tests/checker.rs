//! Histories by hand: the checker refuses what breaks a promise, and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;

use oracle_real::check::check;
use oracle_real::clock::{MS, Micros};
use oracle_real::event::{Action, Event, Load, LoadResult, OpId, Outcome, Place, Verb, What};
use oracle_real::item::{Kind, ValueId};
use oracle_real::setup::{CacheSetup, Lifetimes, ProcessSetup};

const AT: Place = Place { region: 2, key: 0 };
const OTHER: Place = Place { region: 2, key: 1 };
const ROOT: usize = 0;
const ELSEWHERE: usize = 5;

/// The cache that asks the primary each time.
const PRIMARY: usize = 0;
/// The cache with a near cache.
const NEAR: usize = 1;

const STALE_FOR: u64 = 1000;

/// No promise is broken.
const NOTHING: [u32; 0] = [];

/// A history; times are in milliseconds.
#[derive(Default)]
struct Story {
    events: Vec<Event>,
    next: OpId,
}

impl Story {
    fn at(&mut self, at: Micros, process: usize, what: What) {
        self.events.push(Event { at: at * MS, process, what });
    }

    /// An operation of a cache of a process, from begin to end.
    fn op(
        &mut self,
        (process, cache): (usize, usize),
        time: (Micros, Micros),
        action: Action,
        outcome: Outcome,
    ) {
        self.next += 1;
        let op = self.next;
        self.at(time.0, process, What::Begin { op, cache, action });
        self.at(time.1, process, What::End { op, outcome });
    }

    fn set(&mut self, process: usize, time: (Micros, Micros), value: ValueId) {
        self.op((process, PRIMARY), time, Action::Set(AT, value, None), Outcome::Done);
    }

    fn end(&mut self, process: usize, time: (Micros, Micros), region: usize, verb: Verb) {
        self.op((process, PRIMARY), time, Action::End(region, verb), Outcome::Done);
    }

    fn get(&mut self, by: (usize, usize), at: Micros, value: ValueId) {
        let values = Outcome::Values(vec![Some(value)]);
        self.op(by, (at, at + 1), Action::Get(AT, Kind::Small), values);
    }

    fn compute(&mut self, by: (usize, usize), at: Micros, value: Option<ValueId>) {
        let load = Load {
            result: LoadResult::Value,
            takes: 0,
            ttl: None,
            reload: false,
            on: None,
            adds: None,
        };
        let action = Action::Compute(AT, Kind::Small, load);
        self.op(by, (at, at + 1), action, Outcome::Values(vec![value]));
    }

    fn load(&mut self, process: usize, (begin, end): (Micros, Micros), value: Option<ValueId>) {
        self.next += 1;
        let (load, places, kind) = (self.next, vec![AT], Kind::Small);
        self.at(begin, process, What::LoadBegin { load, op: 0, places, kind, ttl: None });
        self.at(end, process, What::LoadEnd { load, values: vec![value] });
    }

    /// The numbers of the promises that are broken.
    fn broken(mut self) -> Vec<u32> {
        self.events.sort_by_key(|event| event.at);
        let setups: Vec<_> = (0..3).map(setup).collect();
        let findings = check(&setups, &self.events, &BTreeSet::new());
        findings.violations.iter().map(|violation| violation.promise).collect()
    }
}

fn setup(number: usize) -> ProcessSetup {
    let near = CacheSetup { near: true, ..CacheSetup::default() };
    ProcessSetup {
        number,
        url: String::new(),
        replica: None,
        events: PathBuf::new(),
        truth: PathBuf::new(),
        queues: number == 2,
        caches: vec![CacheSetup::default(), near],
        lifetimes: Lifetimes { stale_for: STALE_FOR, ..Lifetimes::default() },
    }
}

/// Two values that one process has set one after the other.
fn two_sets() -> Story {
    let mut story = Story::default();
    story.set(0, (10, 12), 1);
    story.set(0, (20, 22), 2);
    story
}

#[test]
fn own_writes_are_seen_at_once() {
    for cache in [PRIMARY, NEAR] {
        let mut story = two_sets();
        story.get((0, cache), 23, 1);
        assert_eq!(story.broken(), [4]);
        let mut story = two_sets();
        // It began before the write had ended.
        story.get((0, cache), 21, 1);
        story.get((0, cache), 23, 2);
        assert_eq!(story.broken(), NOTHING);
    }
}

#[test]
fn writes_of_others_are_seen_at_once_in_the_store_and_soon_near() {
    let mut story = two_sets();
    story.get((1, PRIMARY), 23, 1);
    assert_eq!(story.broken(), [5]);
    let mut story = two_sets();
    story.get((1, NEAR), 23, 1);
    story.get((1, NEAR), 600, 1);
    assert_eq!(story.broken(), NOTHING);
    let mut story = two_sets();
    story.get((1, NEAR), 800, 1);
    assert_eq!(story.broken(), [5]);
}

#[test]
fn what_was_loaded_before_its_end_is_never_read_after_it() {
    let story = |load: (Micros, Micros)| {
        let mut story = Story::default();
        story.load(0, load, Some(1));
        story.end(1, (20, 22), ROOT, Verb::Invalidate);
        story.compute((0, PRIMARY), 25, Some(1));
        story
    };
    assert_eq!(story((10, 24)).broken(), [1]);
    // Its begin may have been after the end.
    assert_eq!(story((21, 24)).broken(), NOTHING);
}

#[test]
fn verbs_reach_what_they_cover() {
    let story = |region, verb| {
        let mut story = Story::default();
        story.set(0, (10, 12), 1);
        story.end(0, (20, 22), region, verb);
        story.get((0, PRIMARY), 30, 1);
        story.broken()
    };
    assert_eq!(story(ELSEWHERE, Verb::InvalidateAndTouch), NOTHING);
    assert_eq!(story(ROOT, Verb::Touch), NOTHING);
    // A region in it.
    assert_eq!(story(3, Verb::Touch), [4]);
    assert_eq!(story(3, Verb::Invalidate), NOTHING);
    assert_eq!(story(1, Verb::Expire), [4]);
}

#[test]
fn what_has_expired_is_stale_for_a_while() {
    let story = |at| {
        let mut story = Story::default();
        story.set(0, (10, 12), 1);
        story.end(0, (20, 22), ROOT, Verb::Expire);
        story.compute((0, PRIMARY), at, Some(1));
        story.broken()
    };
    assert_eq!(story(30), NOTHING);
    assert_eq!(story(30 + STALE_FOR), [4]);
}

#[test]
fn nothing_is_invented() {
    let mut story = Story::default();
    story.get((0, PRIMARY), 30, 1);
    assert_eq!(story.broken(), [8]);
    let mut story = Story::default();
    story.op((0, PRIMARY), (10, 12), Action::Set(OTHER, 1, None), Outcome::Done);
    story.get((0, PRIMARY), 30, 1);
    assert_eq!(story.broken(), [8]);
    let mut story = Story::default();
    // It was refused, because there was a value.
    story.op((0, PRIMARY), (10, 12), Action::SetIfAbsent(AT, 1), Outcome::Said(false));
    story.get((0, PRIMARY), 30, 1);
    assert_eq!(story.broken(), [8]);
    let mut story = Story::default();
    let foreign = Outcome::Foreign("another".to_owned());
    story.op((0, PRIMARY), (10, 12), Action::Get(AT, Kind::Small), foreign);
    assert_eq!(story.broken(), [8]);
}

#[test]
fn an_absence_is_a_value() {
    let story = |said: bool, ended: bool| {
        let mut story = Story::default();
        if said {
            story.load(0, (10, 12), None);
        }
        if ended {
            story.set(0, (20, 22), 1);
        }
        story.compute((0, PRIMARY), 30, None);
        story.broken()
    };
    assert_eq!(story(true, false), NOTHING);
    assert_eq!(story(true, true), [4]);
    assert_eq!(story(false, false), [1]);
}

/// A value whose write failed, and another that was set later by `writer`.
fn failed_set(writer: usize) -> Story {
    let mut story = Story::default();
    let failed = Outcome::Failed("timeout".to_owned());
    story.op((0, PRIMARY), (10, 12), Action::Set(AT, 1, None), failed);
    story.set(writer, (20, 22), 2);
    story
}

#[test]
fn a_write_of_unknown_outcome_may_come_late() {
    let mut story = failed_set(1);
    story.get((1, PRIMARY), 50, 1);
    assert_eq!(story.broken(), NOTHING);
    // But not after one that its own process has sent since.
    let mut story = failed_set(0);
    story.get((1, PRIMARY), 50, 1);
    assert_eq!(story.broken(), [5]);
    // And not for ever.
    let mut story = failed_set(0);
    story.at(60, usize::MAX, What::Calm);
    story.set(1, (70, 72), 3);
    story.get((1, PRIMARY), 80, 1);
    assert_eq!(story.broken(), [5]);
}

#[test]
fn a_change_that_failed_obliges_nobody() {
    for outcome in [Outcome::Failed("timeout".to_owned()), Outcome::Cancelled] {
        let mut story = Story::default();
        story.set(0, (10, 12), 1);
        story.op((0, PRIMARY), (20, 22), Action::End(ROOT, Verb::Invalidate), outcome);
        story.get((0, PRIMARY), 30, 1);
        assert_eq!(story.broken(), NOTHING);
    }
}

#[test]
fn a_failover_excuses_others_until_the_calm() {
    let story = |by: usize, at: Micros| {
        let mut story = two_sets();
        story.at(15, usize::MAX, What::CopyHeld);
        story.at(30, usize::MAX, What::FailedOver);
        story.at(100, usize::MAX, What::Calm);
        story.get((by, PRIMARY), at, 1);
        story.broken()
    };
    assert_eq!(story(1, 50), NOTHING);
    assert_eq!(story(0, 50), [4]);
    assert_eq!(story(1, 110), [5]);
}

#[test]
fn a_queued_invalidation_is_seen_by_others_after_the_calm() {
    let story = |by: usize, at: Micros| {
        let mut story = Story::default();
        story.set(0, (10, 12), 1);
        story.end(2, (20, 22), ROOT, Verb::Invalidate);
        story.at(100, usize::MAX, What::Calm);
        story.get((by, PRIMARY), at, 1);
        story.broken()
    };
    assert_eq!(story(1, 50), NOTHING);
    assert_eq!(story(2, 50), [4]);
    assert_eq!(story(1, 110), [5]);
}

#[test]
fn dependencies_end_a_value() {
    let story = |since: Micros| {
        let mut story = Story::default();
        story.load(0, (10, 18), Some(1));
        let load = story.next;
        story.at(since, 0, What::DependsOn { load, region: ELSEWHERE });
        story.end(0, (15, 17), ELSEWHERE, Verb::Invalidate);
        story.compute((0, PRIMARY), 30, Some(1));
        story.broken()
    };
    assert_eq!(story(11), [4]);
    assert_eq!(story(16), NOTHING);
}

#[test]
fn lifetimes_end() {
    let story = |at: Micros| {
        let mut story = Story::default();
        let set = Action::Set(AT, 1, Some(100));
        story.op((0, PRIMARY), (10, 12), set, Outcome::Done);
        story.get((0, PRIMARY), at, 1);
        story.broken()
    };
    assert_eq!(story(110), NOTHING);
    assert_eq!(story(130), [11]);
}

#[test]
fn values_that_are_read_together_are_of_one_moment() {
    let story = |other_set: (Micros, Micros)| {
        let mut story = two_sets();
        story.op((0, PRIMARY), other_set, Action::Set(OTHER, 3, None), Outcome::Done);
        let values = Outcome::Values(vec![Some(1), Some(3)]);
        let action = Action::GetMany(2, vec![0, 1], Kind::Small);
        // It began before all of them, so that none of its values is too old.
        story.op((1, PRIMARY), (9, 60), action, values);
        story.broken()
    };
    assert_eq!(story((13, 14)), NOTHING);
    assert_eq!(story((40, 41)), [2]);
}

#[test]
fn calls_end_in_time() {
    let story = |stop: Option<(Micros, Micros)>| {
        let mut story = Story::default();
        story.set(0, (10, 12), 1);
        if let Some((from, to)) = stop {
            story.at(from, 0, What::Stopped);
            story.at(to, 0, What::Continued);
        }
        let values = Outcome::Values(vec![Some(1)]);
        story.op((0, PRIMARY), (20, 10_020), Action::Get(AT, Kind::Small), values);
        story.broken()
    };
    assert_eq!(story(None), [10]);
    assert_eq!(story(Some((30, 9_000))), NOTHING);
}
