//! Histories made by hand: what the checker accepts, and what it does not.

use std::time::Duration;

use oracle::check::check;
use oracle::history::{Effect, History, Loaded, Outcome, What};
use oracle::plan::{Action, Client, Key, Load, Plan, ProcessSetup, Setup, Step};
use region_core::Verb;

#[path = "checker/listings.rs"]
mod listings;

const KEY: Key = Key { region: 1, key: 0 };
const OTHER: Key = Key { region: 1, key: 1 };

/// No promise.
const NONE: [u32; 0] = [];

/// Two processes over the regions root, `a` and `a.b`; the first is the writer, the second the reader.
struct Story {
    plan: Plan,
    history: History,
    now: Duration,
}

impl Story {
    fn new(reader: ProcessSetup) -> Self {
        let regions = ["", "a", "a.b"].map(str::to_owned).to_vec();
        let processes = vec![ProcessSetup::default(), reader];
        let setup = Setup { regions, keys: 2, processes, ..Setup::default() };
        let client = |process| Client { process: Some(process), steps: Vec::new() };
        let plan = Plan { seed: 0, setup, clients: vec![client(0), client(1)] };
        Self { plan, history: History::default(), now: Duration::ZERO }
    }

    fn event(&mut self, what: What) -> usize {
        self.history.push(self.now, what)
    }

    fn begin(&mut self, process: usize, action: Action) -> usize {
        let number = self.plan.steps();
        let step = Step { number, pause: 0, action, cancel: None, dropped_after: None };
        self.plan.clients[process].steps.push(step);
        self.event(What::Begin { step: number });
        number
    }

    fn end(&mut self, step: usize, outcome: Outcome) {
        self.event(What::End { step, outcome });
    }

    fn execute(&mut self, process: usize, effects: Vec<Effect>) -> usize {
        self.event(What::Executed { process: Some(process), late: false, effects })
    }

    fn set(&mut self, process: usize, key: Key, value: u64) -> usize {
        let step = self.begin(process, Action::Set(key, 0));
        self.event(What::Made { step, value, key });
        let seq = self.execute(process, vec![put(key, value, None)]);
        self.end(step, Outcome::Done);
        seq
    }

    fn verb(&mut self, process: usize, region: usize, verb: Verb) -> usize {
        let step = self.begin(process, Action::End(region, verb));
        let seq = self.execute(process, vec![Effect::Ended { region, verb }]);
        self.end(step, Outcome::Done);
        seq
    }

    fn get(&mut self, process: usize, value: Option<u64>) {
        let step = self.begin(process, Action::Get(KEY));
        self.end(step, Outcome::Values(vec![(KEY, value)]));
    }

    /// The promises that are broken.
    fn broken(&self) -> Vec<u32> {
        check(&self.plan, &self.history).iter().map(|violation| violation.promise).collect()
    }
}

fn put(key: Key, value: u64, fresh_for: Option<Duration>) -> Effect {
    Effect::Put { key, value: Some(value), fresh_for, stale_for: Duration::ZERO }
}

fn near() -> ProcessSetup {
    ProcessSetup { near: true, ..ProcessSetup::default() }
}

fn load() -> Load {
    Load::default()
}

fn begin_load(story: &mut Story, load: usize, step: usize) {
    story.event(What::LoadBegin { load, step, process: 0, keys: vec![KEY] });
}

fn end_load(story: &mut Story, load: usize, value: u64) {
    let result = Some(vec![Loaded { key: KEY, value: Some(value) }]);
    story.event(What::LoadEnd { load, result });
}

/// A load that an invalidation overtakes, and whose value is stored all the same.
fn stale_fill(story: &mut Story) {
    let step = story.begin(0, Action::Compute(KEY, load()));
    begin_load(story, 1, step);
    story.verb(0, 0, Verb::Invalidate);
    end_load(story, 1, 7);
    story.execute(0, vec![put(KEY, 7, None)]);
    story.end(step, Outcome::Values(vec![(KEY, Some(7))]));
}

#[test]
fn the_caller_of_a_load_that_was_overtaken_gets_its_value_and_nobody_else() {
    let mut story = Story::new(ProcessSetup::default());
    stale_fill(&mut story);
    assert_eq!(story.broken(), NONE);
    story.get(1, Some(7));
    assert_eq!(story.broken(), [1]);
}

#[test]
fn a_read_that_overlaps_a_change_may_see_either_side() {
    let mut story = Story::new(ProcessSetup::default());
    story.set(0, KEY, 1);
    let step = story.begin(1, Action::Get(KEY));
    story.set(0, KEY, 2);
    story.end(step, Outcome::Values(vec![(KEY, Some(1))]));
    assert_eq!(story.broken(), NONE);
    story.get(1, Some(1));
    assert_eq!(story.broken(), [5]);
}

#[test]
fn own_changes_are_seen_whatever_the_pushes_do() {
    let mut story = Story::new(near());
    story.set(1, KEY, 1);
    let of = story.verb(1, 1, Verb::Touch);
    story.event(What::PushDropped { process: 1, of });
    story.get(1, Some(1));
    assert_eq!(story.broken(), [4]);
}

#[test]
fn a_push_that_is_on_its_way_excuses_until_it_is_heard() {
    let mut story = Story::new(near());
    story.set(0, KEY, 1);
    let of = story.verb(0, 0, Verb::Expire);
    story.event(What::PushDelayed { process: 1, of });
    story.get(1, Some(1));
    assert_eq!(story.broken(), NONE);
    story.event(What::Heard { process: 1, of });
    story.get(1, Some(1));
    assert_eq!(story.broken(), [5]);
}

#[test]
fn a_bound_on_unverified_values_is_kept() {
    let mut story = Story::new(ProcessSetup { unverified_for: 300, ..near() });
    story.set(0, KEY, 1);
    let of = story.set(0, KEY, 2);
    story.event(What::PushDropped { process: 1, of });
    story.event(What::Lost { process: 1 });
    story.now += Duration::from_millis(300);
    story.get(1, Some(1));
    assert_eq!(story.broken(), NONE);
    story.now += Duration::from_millis(1);
    story.get(1, Some(1));
    assert_eq!(story.broken(), [5]);
}

#[test]
fn what_has_expired_or_was_lost_is_not_returned() {
    let mut story = Story::new(ProcessSetup::default());
    let step = story.begin(0, Action::Set(KEY, 5));
    story.event(What::Made { step, value: 1, key: KEY });
    story.execute(0, vec![put(KEY, 1, Some(Duration::from_millis(5)))]);
    story.end(step, Outcome::Done);
    story.get(1, Some(1));
    assert_eq!(story.broken(), NONE);
    story.now += Duration::from_millis(6);
    story.get(1, Some(1));
    assert_eq!(story.broken(), [11]);
    let lost = Effect::Lost { region: 0, with_all_below: true };
    story.event(What::Executed { process: None, late: false, effects: vec![lost] });
    story.get(1, Some(1));
    assert_eq!(story.broken(), [11, 3]);
}

#[test]
fn values_that_are_read_together_were_there_together() {
    let mut story = Story::new(ProcessSetup::default());
    story.set(0, KEY, 1);
    story.set(0, OTHER, 2);
    let step = story.begin(1, Action::GetMany(1, vec![0, 1]));
    let both = story.begin(0, Action::SetMany(1, vec![0, 1]));
    for (value, key) in [(3, KEY), (4, OTHER)] {
        story.event(What::Made { step: both, value, key });
    }
    story.execute(0, vec![put(KEY, 3, None), put(OTHER, 4, None)]);
    story.end(both, Outcome::Done);
    let (mut half, mut whole) = (story.history.clone(), story.history.clone());
    let values = |one, other| Outcome::Values(vec![(KEY, Some(one)), (OTHER, Some(other))]);
    half.push(story.now, What::End { step, outcome: values(3, 2) });
    whole.push(story.now, What::End { step, outcome: values(1, 2) });
    assert_eq!(check(&story.plan, &half).len(), 1);
    assert_eq!(check(&story.plan, &half)[0].promise, 2);
    assert_eq!(check(&story.plan, &whole), []);
}

#[test]
fn a_value_that_nobody_made_is_not_returned() {
    let mut story = Story::new(ProcessSetup::default());
    story.get(1, Some(9));
    let step = story.begin(0, Action::Set(KEY, 0));
    story.event(What::Made { step, value: 1, key: KEY });
    story.end(step, Outcome::Failed("down".to_owned()));
    story.get(1, Some(1));
    assert_eq!(story.broken(), [8, 1, 10], "the last: nothing was down");
}

#[test]
fn a_call_that_has_succeeded_has_done_it_and_every_call_ends() {
    let mut story = Story::new(ProcessSetup::default());
    let step = story.begin(0, Action::End(0, Verb::Touch));
    story.end(step, Outcome::Done);
    story.begin(1, Action::Contains(KEY));
    assert_eq!(story.broken(), [6, 10]);
}

#[test]
fn where_nothing_fails_what_is_stored_is_found_and_loaded_once() {
    let mut story = Story::new(ProcessSetup::default());
    let (one, other) = (Action::Compute(KEY, load()), Action::Compute(KEY, load()));
    let (one, other) = (story.begin(0, one), story.begin(0, other));
    begin_load(&mut story, 1, one);
    begin_load(&mut story, 2, other);
    end_load(&mut story, 1, 1);
    end_load(&mut story, 2, 2);
    story.execute(0, vec![put(KEY, 1, None)]);
    story.end(one, Outcome::Values(vec![(KEY, Some(1))]));
    story.end(other, Outcome::Values(vec![(KEY, Some(2))]));
    assert_eq!(story.broken(), [7]);
    story.get(1, None);
    assert_eq!(story.broken(), [4, 7]);
}

#[test]
fn values_of_another_form_are_refused() {
    let mut story = Story::new(ProcessSetup::default());
    let step = story.begin(1, Action::Get(KEY));
    story.end(step, Outcome::OtherForm("version 1".to_owned()));
    assert_eq!(story.broken(), [12]);
}

#[test]
fn a_key_that_is_listed_had_a_value_in_that_time() {
    let mut story = Story::new(ProcessSetup::default());
    story.set(0, KEY, 1);
    story.verb(0, 0, Verb::Invalidate);
    let step = story.begin(1, Action::Keys(1));
    story.set(0, OTHER, 2);
    story.end(step, Outcome::Listed(vec![1]));
    assert_eq!(story.broken(), NONE);
    let step = story.begin(1, Action::Keys(1));
    story.end(step, Outcome::Listed(vec![0, 1]));
    assert_eq!(story.broken(), [1]);
}

#[test]
fn pushes_are_relied_on_for_a_limited_time_while_a_connection_is_silent() {
    let mut story = Story::new(near());
    story.set(0, KEY, 1);
    story.event(What::Silent { process: 1, covered_until: Some(Duration::from_millis(5)) });
    let of = story.set(0, KEY, 2);
    story.event(What::PushDropped { process: 1, of });
    story.now += Duration::from_millis(5);
    story.get(1, Some(1));
    assert_eq!(story.broken(), NONE);
    story.now += Duration::from_millis(1);
    story.get(1, Some(1));
    assert_eq!(story.broken(), [5]);
}

/// A set and an invalidation by the writer, after a copy of the store was made; and the way back to that.
fn fail_over(story: &mut Story) {
    story.set(0, KEY, 1);
    let to = story.event(What::Note("a copy".to_owned()));
    story.verb(0, 0, Verb::Invalidate);
    story.event(What::RolledBack { to });
}

#[test]
fn a_failover_undoes_what_others_did_and_nothing_of_ones_own() {
    let mut story = Story::new(ProcessSetup::default());
    fail_over(&mut story);
    story.get(1, Some(1));
    assert_eq!(story.broken(), NONE);
    story.get(0, Some(1));
    assert_eq!(story.broken(), [6]);
    let mut story = Story::new(ProcessSetup::default());
    fail_over(&mut story);
    story.event(What::Killed { process: 0 });
    story.get(0, Some(1));
    assert_eq!(story.broken(), NONE, "who has died repeats nothing");
}

#[test]
fn a_write_that_was_given_up_does_not_override_a_newer_one() {
    let mut story = Story::new(ProcessSetup::default());
    let step = story.begin(1, Action::Set(KEY, 0));
    story.event(What::Made { step, value: 1, key: KEY });
    story.end(step, Outcome::Cancelled);
    story.set(1, KEY, 2);
    let effects = vec![put(KEY, 1, None)];
    story.event(What::Executed { process: Some(1), late: true, effects });
    assert_eq!(story.broken(), [4]);
}

#[test]
fn no_lease_is_left_that_nobody_holds() {
    let mut story = Story::new(ProcessSetup::default());
    story.event(What::LeaseLeft { key: KEY });
    assert_eq!(story.broken(), [9]);
}

#[test]
fn a_value_that_is_said_to_be_there_could_be_read() {
    let mut story = Story::new(ProcessSetup::default());
    story.set(0, KEY, 1);
    let contains = |story: &mut Story| {
        let step = story.begin(1, Action::Contains(KEY));
        story.end(step, Outcome::Said(true));
    };
    contains(&mut story);
    assert_eq!(story.broken(), NONE);
    story.verb(0, 0, Verb::Invalidate);
    contains(&mut story);
    assert_eq!(story.broken(), [5]);
}

/// The first process loads that there is no value, a second ago.
fn load_absence(story: &mut Story) {
    let step = story.begin(0, Action::Compute(KEY, load()));
    begin_load(story, 1, step);
    let result = Some(vec![Loaded { key: KEY, value: None }]);
    story.event(What::LoadEnd { load: 1, result });
    story.end(step, Outcome::Values(vec![(KEY, None)]));
    story.now += Duration::from_secs(1);
}

#[test]
fn who_would_load_is_not_content_with_an_absence_that_has_ended() {
    let mut story = Story::new(near());
    let compute = |story: &mut Story| {
        let step = story.begin(1, Action::Compute(KEY, load()));
        story.end(step, Outcome::Values(vec![(KEY, None)]));
    };
    load_absence(&mut story);
    compute(&mut story);
    assert_eq!(story.broken(), NONE);
    story.set(0, KEY, 1);
    compute(&mut story);
    assert_eq!(story.broken(), [1]);
}

#[test]
fn an_answer_is_judged_by_what_was_heard_before_it() {
    let mut story = Story::new(near());
    story.set(0, KEY, 1);
    let of = story.set(0, KEY, 2);
    story.event(What::PushDelayed { process: 1, of });
    let step = story.begin(1, Action::Get(KEY));
    story.event(What::Heard { process: 1, of });
    let end = |story: &mut Story| story.end(step, Outcome::Values(vec![(KEY, Some(1))]));
    let mut served_near = story.history.clone();
    end(&mut story);
    assert_eq!(story.broken(), NONE);
    served_near.push(story.now, What::Answered { process: 1, ok: true });
    story.history = served_near;
    end(&mut story);
    assert_eq!(story.broken(), [5]);
}

/// A load by the first process, and one by the second that waits for it.
fn wait_for_a_load(is_filled: bool, after: Duration) -> Story {
    let mut story = Story::new(ProcessSetup::default());
    let first = story.begin(0, Action::Compute(KEY, load()));
    begin_load(&mut story, 1, first);
    let second = story.begin(1, Action::Compute(KEY, load()));
    story.now += Duration::from_secs(1);
    if is_filled {
        end_load(&mut story, 1, 1);
        story.execute(0, vec![put(KEY, 1, None)]);
        story.end(first, Outcome::Values(vec![(KEY, Some(1))]));
        story.now += after;
    } else {
        story.event(What::LoadEnd { load: 1, result: None });
        story.end(first, Outcome::Failed("the load fails".to_owned()));
        story.now += after;
        story.event(What::LoadBegin { load: 2, step: second, process: 1, keys: vec![KEY] });
        end_load(&mut story, 2, 1);
        story.execute(1, vec![put(KEY, 1, None)]);
    }
    story.end(second, Outcome::Values(vec![(KEY, Some(1))]));
    story
}

#[test]
fn who_waits_for_a_load_notices_its_end() {
    for is_filled in [true, false] {
        let broken = |after| wait_for_a_load(is_filled, Duration::from_millis(after)).broken();
        assert_eq!(broken(50), NONE);
        assert_eq!(broken(300), [7]);
    }
}

#[test]
fn what_a_process_reads_never_gets_older() {
    let mut story = Story::new(ProcessSetup { lanes: 2, ..near() });
    story.set(0, KEY, 1);
    let of = story.set(0, KEY, 2);
    story.event(What::PushDelayed { process: 1, of });
    story.get(1, Some(1));
    story.get(1, Some(2));
    assert_eq!(story.broken(), NONE);
    story.get(1, Some(1));
    assert_eq!(story.broken(), [5]);
}

#[test]
fn where_an_outage_is_an_error_nothing_is_loaded_unasked() {
    for ok in [true, false] {
        let mut story = Story::new(ProcessSetup::default());
        story.plan.setup.processes[0].outage_is_error = true;
        let step = story.begin(0, Action::Compute(KEY, load()));
        story.event(What::Answered { process: 0, ok });
        begin_load(&mut story, 1, step);
        end_load(&mut story, 1, 1);
        story.end(step, Outcome::Values(vec![(KEY, Some(1))]));
        assert_eq!(story.broken(), if ok { NONE.to_vec() } else { vec![10] });
    }
}

#[test]
fn an_absence_is_served_in_an_outage_within_the_bound() {
    let mut story = Story::new(ProcessSetup { outage_for: 300, ..near() });
    story.plan.setup.rates.fail = 1;
    load_absence(&mut story);
    let of = story.set(0, KEY, 1);
    story.event(What::PushDropped { process: 1, of });
    story.event(What::Lost { process: 1 });
    for (later, broken) in [(300, NONE.to_vec()), (1, vec![1])] {
        story.now += Duration::from_millis(later);
        let step = story.begin(1, Action::Compute(KEY, load()));
        story.end(step, Outcome::Values(vec![(KEY, None)]));
        assert_eq!(story.broken(), broken);
    }
}
