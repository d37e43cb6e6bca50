//! Listings, counts, explanations, and what a replica is known to have.

use super::*;

fn ask(story: &mut Story, action: Action, outcome: Outcome) {
    let step = story.begin(1, action);
    story.end(step, outcome);
}

fn children(story: &mut Story, found: &[&str]) {
    let found = found.iter().map(|&child| child.to_owned()).collect();
    ask(story, Action::Children(0), Outcome::Children(found));
}

#[test]
fn a_count_shows_what_is_there_and_no_more() {
    let mut story = Story::new(ProcessSetup::default());
    let count = |story: &mut Story, entries| {
        ask(story, Action::Len(1), Outcome::Counted(entries));
    };
    story.set(0, KEY, 1);
    count(&mut story, 1);
    assert_eq!(story.broken(), NONE);
    count(&mut story, 0);
    assert_eq!(story.broken(), [4], "nothing fails");
    let mut story = Story::new(ProcessSetup::default());
    story.set(0, KEY, 1);
    story.set(0, OTHER, 2);
    story.verb(0, 0, Verb::Invalidate);
    story.set(0, OTHER, 3);
    count(&mut story, 1);
    assert_eq!(story.broken(), NONE);
    count(&mut story, 2);
    assert_eq!(story.broken(), [1]);
}

#[test]
fn a_child_is_listed_if_something_was_put_in_it_since_its_parent_was_ended() {
    let mut story = Story::new(ProcessSetup::default());
    children(&mut story, &[]);
    story.set(0, Key { region: 2, key: 0 }, 1);
    children(&mut story, &["a"]);
    // It may be listed for a while after it was emptied.
    story.verb(0, 1, Verb::Invalidate);
    children(&mut story, &["a"]);
    assert_eq!(story.broken(), NONE);
    story.verb(0, 0, Verb::Touch);
    children(&mut story, &["a"]);
    assert_eq!(story.broken(), NONE, "that is no end of what is below");
    story.verb(0, 0, Verb::Invalidate);
    children(&mut story, &[]);
    assert_eq!(story.broken(), NONE);
    children(&mut story, &["a"]);
    assert_eq!(story.broken(), [1]);
}

#[test]
fn a_child_that_holds_something_is_listed_where_nothing_fails() {
    let mut story = Story::new(ProcessSetup::default());
    story.set(0, Key { region: 2, key: 0 }, 1);
    children(&mut story, &[]);
    assert_eq!(story.broken(), [4]);
    story.plan.setup.rates.fail = 1;
    assert_eq!(story.broken(), NONE);
}

#[test]
fn an_explanation_says_what_a_read_finds() {
    for (found, broken) in [(true, [5]), (false, [4])] {
        let mut story = Story::new(ProcessSetup::default());
        let explain = |story: &mut Story, found| {
            ask(story, Action::Explain(KEY), Outcome::Said(found));
        };
        explain(&mut story, false);
        story.set(0, KEY, 1);
        explain(&mut story, true);
        assert_eq!(story.broken(), NONE);
        if found {
            story.verb(0, 1, Verb::Invalidate);
        }
        explain(&mut story, found);
        assert_eq!(story.broken(), broken);
    }
}

#[test]
fn what_a_replica_is_known_to_have_is_not_lost_when_it_takes_over() {
    for (wait, has_it, broken) in
        [(100, true, NONE.to_vec()), (100, false, vec![6]), (0, false, NONE.to_vec())]
    {
        let mut story = Story::new(ProcessSetup::default());
        story.plan.setup.replica_wait = wait;
        story.set(0, KEY, 1);
        let seq = story.verb(0, 1, Verb::Invalidate);
        story.event(What::FailedOver { to: if has_it { seq } else { seq - 1 } });
        assert_eq!(story.broken(), broken);
    }
}

#[test]
fn an_end_that_waits_for_replicas_takes_longer() {
    for (wait, broken) in [(0, vec![10]), (500, NONE.to_vec())] {
        let mut story = Story::new(ProcessSetup::default());
        story.plan.setup.replica_wait = wait;
        let step = story.begin(0, Action::End(1, Verb::Invalidate));
        story.execute(0, vec![Effect::Ended { region: 1, verb: Verb::Invalidate }]);
        story.now += Duration::from_secs(1);
        story.end(step, Outcome::Done);
        assert_eq!(story.broken(), broken);
    }
}
