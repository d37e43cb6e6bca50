//! Values that are served although nothing would tell of a change, for as long as the policy allows.

use std::time::Duration;

use region_core::testing::Method;
use region_core::{Event, NearCache, Policy, Region, RegionExt, RegionPath, SetOptions, Verb};

use super::kit::{Process, Pushes, keys, memory, verification};

const SECOND: Duration = Duration::from_secs(1);

/// The bound in these tests.
const BOUND: Duration = Duration::from_secs(10);

fn policy() -> Policy {
    Policy::new().near_unverified_for(BOUND)
}

/// A process that serves unverified values, and one that changes them.
fn pair(pushes: Pushes) -> (Process, Process) {
    let store = memory();
    let here = Process::new(&store, pushes, policy());
    (here, Process::new(&store, Pushes::OfOthers, Policy::new()))
}

/// Asserts that `k` is served unverified, and has this value.
async fn assert_unverified(here: &Process, region: &impl Region, value: u32) {
    let before = here.cache.stats();
    here.calls.clear();
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&value), "{}", region.path());
    assert_eq!(here.calls.total(), 0, "{}", region.path());
    let after = here.cache.stats();
    assert_eq!(after.near_unverified_hits, before.near_unverified_hits + 1);
    assert_eq!((after.near_hits, after.hits), (before.near_hits + 1, before.hits + 1));
}

/// Sets `k` while no push arrives.
async fn set_unheard(here: &Process, theirs: &impl Region, value: u32) {
    here.faulty.on_push().lose();
    theirs.set("k", &value).await.unwrap();
    here.faulty.heal();
}

/// Over a store that never pushes: within the bound no read asks the store, after it one does.
#[tokio::test(start_paused = true)]
async fn without_pushes_the_bound_counts_from_the_last_answer() {
    for pushes in [Pushes::Never, Pushes::NeverAsPromised] {
        let (here, there) = pair(pushes);
        let (mine, theirs) = (here.region("a"), there.region("a"));
        theirs.set("k", &1u32).await.unwrap();
        here.assert_value(&mine, Some(1)).await;
        theirs.set("k", &2u32).await.unwrap();
        tokio::time::advance(BOUND).await;
        assert_unverified(&here, &mine, 1).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(here.get(&mine).await, (Some(2), vec![verification(), keys(&["k"])]));
        // An answer about another key shows that this one has not changed.
        tokio::time::advance(BOUND).await;
        assert_eq!(mine.get::<u32>("other").await.unwrap(), None);
        tokio::time::advance(BOUND).await;
        assert_unverified(&here, &mine, 2).await;
        tokio::time::advance(SECOND).await;
        assert_eq!(here.get(&mine).await, (Some(2), vec![verification()]));
        tokio::time::advance(BOUND).await;
        assert_unverified(&here, &mine, 2).await;
    }
}

/// While the connection that would tell is there the bound has no effect; it counts from its loss.
#[tokio::test(start_paused = true)]
async fn the_bound_counts_from_the_loss_of_the_connection() {
    let (here, there) = pair(Pushes::OfOthers);
    let (mine, theirs) = (here.region("a"), there.region("a"));
    theirs.set("k", &1u32).await.unwrap();
    here.assert_value(&mine, Some(1)).await;
    tokio::time::advance(1_000 * BOUND).await;
    here.assert_near(&mine, 1).await;
    assert_eq!(here.cache.stats().near_unverified_hits, 0);
    here.cut_pushes();
    set_unheard(&here, &theirs, 2).await;
    tokio::time::advance(BOUND).await;
    assert_unverified(&here, &mine, 1).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, Some(2)).await;
    // The verification has brought trust back.
    theirs.set("k", &3u32).await.unwrap();
    here.assert_value(&mine, Some(3)).await;
}

/// Whatever a push may have concerned is verified, also if the connection is lost after it.
#[tokio::test(start_paused = true)]
async fn what_was_pushed_counts_after_the_connection_is_lost() {
    for event in [Event::Entries(path("r.a")), Event::Lineage(path("r")), Event::All] {
        let (here, there) = pair(Pushes::OfOthers);
        let mine = here.region("a");
        there.region("a").set("k", &1u32).await.unwrap();
        here.assert_value(&mine, Some(1)).await;
        here.assert_near(&mine, 1).await;
        here.faulty.push(event.clone());
        here.cut_pushes();
        assert_eq!(here.get(&mine).await, (Some(1), vec![verification()]), "{event:?}");
        // The answer over a new connection is evidence again.
        here.cut_pushes();
        assert_unverified(&here, &mine, 1).await;
    }
}

/// A push that overtakes an answer: what the answer shows is not served unverified.
#[tokio::test(start_paused = true)]
async fn an_answer_that_a_push_has_overtaken_is_no_evidence() {
    let (here, there) = pair(Pushes::OfOthers);
    let (mine, theirs) = (here.region("a"), there.region("a"));
    theirs.set("k", &1u32).await.unwrap();
    for round in 1..5u32 {
        here.assert_value(&mine, Some(round)).await;
        theirs.set("other", &round).await.unwrap();
        let pause = here.faulty.on(Method::Read).nth(1).pause_after();
        let reading = tokio::spawn({
            let mine = mine.clone();
            async move { mine.get::<u32>("k").await }
        });
        pause.reached().await;
        theirs.set("k", &(round + 1)).await.unwrap();
        pause.release();
        assert_eq!(reading.await.unwrap().unwrap().as_deref(), Some(&round));
        here.cut_pushes();
        here.assert_value(&mine, Some(round + 1)).await;
    }
}

/// A loss while a read is under way: its answer is as old as the question.
#[tokio::test(start_paused = true)]
async fn an_answer_over_a_lost_connection_is_as_old_as_its_question() {
    let (here, there) = pair(Pushes::OfOthers);
    let (mine, theirs) = (here.region("a"), there.region("a"));
    theirs.set("k", &1u32).await.unwrap();
    let pause = here.faulty.on(Method::Read).nth(1).pause_after();
    let reading = tokio::spawn({
        let mine = mine.clone();
        async move { mine.get::<u32>("k").await }
    });
    pause.reached().await;
    here.cut_pushes();
    tokio::time::advance(BOUND / 2).await;
    pause.release();
    assert_eq!(reading.await.unwrap().unwrap().as_deref(), Some(&1));
    set_unheard(&here, &theirs, 2).await;
    tokio::time::advance(BOUND / 2).await;
    assert_unverified(&here, &mine, 1).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, Some(2)).await;
}

/// After an own change nothing older is served, whatever became of the change.
#[tokio::test(start_paused = true)]
async fn own_changes_are_seen_at_once() {
    for pushes in [Pushes::Never, Pushes::OfOthers] {
        let (here, _) = pair(pushes);
        let mine = here.region("a.b");
        let plain = mine.with_policy(Policy::new().near(NearCache::Off)).unwrap();
        for handle in [&mine, &plain] {
            handle.set("k", &1u32).await.unwrap();
            here.cut_pushes();
            here.assert_value(&mine, Some(1)).await;
            handle.set("k", &2u32).await.unwrap();
            here.cut_pushes();
            here.assert_value(&mine, Some(2)).await;
            handle.remove("k").await.unwrap();
            here.assert_value(&mine, None).await;
        }
        for (ended, verb) in [
            ("a.b", Verb::Invalidate),
            ("a", Verb::Invalidate),
            ("a", Verb::Expire),
            ("a.b", Verb::Touch),
            ("a.b.c", Verb::Touch),
            ("a.b.c", Verb::InvalidateAndTouch),
        ] {
            mine.set("k", &3u32).await.unwrap();
            here.cut_pushes();
            here.assert_value(&mine, Some(3)).await;
            here.region(ended).end(verb).await.unwrap();
            here.cut_pushes();
            here.assert_value(&mine, None).await;
        }
    }
}

/// What was written is served, and so is what the write did not concern.
#[tokio::test(start_paused = true)]
async fn an_own_write_leaves_the_other_values() {
    let (here, _) = pair(Pushes::Never);
    let mine = here.region("a");
    for key in ["k", "other"] {
        mine.set(key, &1u32).await.unwrap();
        mine.get::<u32>(key).await.unwrap();
    }
    mine.set("other", &2u32).await.unwrap();
    assert_unverified(&here, &mine, 1).await;
    mine.set("k", &3u32).await.unwrap();
    assert_unverified(&here, &mine, 3).await;
    let _outage = here.faulty.on(Method::Write).fail(region_core::ErrorKind::Timeout);
    mine.set("other", &4u32).await.unwrap_err();
    assert_unverified(&here, &mine, 3).await;
    here.calls.clear();
    assert_eq!(mine.get::<u32>("other").await.unwrap().as_deref(), Some(&2));
    assert_eq!(here.reads(), [verification()]);
}

/// While an own write is under way its key is read from the store.
#[tokio::test(start_paused = true)]
async fn an_own_write_under_way_covers_its_key() {
    let (here, _) = pair(Pushes::Never);
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    mine.set("other", &1u32).await.unwrap();
    assert_unverified(&here, &mine, 1).await;
    let (pause, writing) = here.begin_set(&mine, 2).await;
    here.assert_value(&mine, Some(2)).await;
    assert!(!here.reads().is_empty());
    here.calls.clear();
    assert_eq!(mine.get::<u32>("other").await.unwrap().as_deref(), Some(&1));
    assert_eq!(here.reads(), [] as [Vec<String>; 0]);
    writing.abort();
    pause.release();
    here.assert_value(&mine, Some(2)).await;
}

/// No value outlives its own lifetime.
#[tokio::test(start_paused = true)]
async fn a_value_ends_with_its_own_lifetime() {
    let (here, _) = pair(Pushes::Never);
    let mine = here.region("a");
    mine.set_with("k", &1u32, SetOptions::new().ttl(2 * SECOND)).await.unwrap();
    tokio::time::advance(SECOND).await;
    assert_unverified(&here, &mine, 1).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, None).await;
}

/// What the store has shown to be gone is not served, although nothing was pushed.
#[tokio::test(start_paused = true)]
async fn what_the_store_has_shown_to_be_gone_is_not_served() {
    let store = memory();
    let here = Process::new(&store, Pushes::Never, policy());
    let there = Process::new(&store, Pushes::OfOthers, Policy::new());
    let (mine, theirs) = (here.region("a"), there.region("a"));
    for verb in [Some(Verb::Invalidate), Some(Verb::Touch), Some(Verb::Expire), None] {
        mine.set("k", &1u32).await.unwrap();
        assert_unverified(&here, &mine, 1).await;
        match verb {
            Some(verb) => theirs.end(verb).await.unwrap(),
            None => store.flush(),
        }
        assert_unverified(&here, &mine, 1).await;
        assert_eq!(mine.get::<u32>("other").await.unwrap(), None);
        here.assert_value(&mine, None).await;
    }
}

/// Several values are of one moment, unverified or not.
#[tokio::test(start_paused = true)]
async fn many_values_are_of_one_moment() {
    let (here, there) = pair(Pushes::Never);
    let (mine, theirs) = (here.region("a"), there.region("a"));
    let write = async |value: u32| {
        let mut transaction = theirs.transaction();
        transaction.set("k", value).set("l", value);
        transaction.commit().await.unwrap();
    };
    let read = async |keys: &[&str]| {
        let values = mine.get_many::<u32>(keys).await.unwrap();
        values.into_iter().map(|value| *value.unwrap()).collect::<Vec<_>>()
    };
    write(1).await;
    assert_eq!(read(&["k"]).await, [1]);
    write(2).await;
    // `k` alone may be old; not beside what is read from the store.
    assert_unverified(&here, &mine, 1).await;
    assert_eq!(read(&["k", "l"]).await, [2, 2]);
    write(3).await;
    here.calls.clear();
    assert_eq!(read(&["k", "l"]).await, [2, 2]);
    assert_eq!(here.calls.total(), 0);
}

/// A load finds unverified values too.
#[tokio::test(start_paused = true)]
async fn a_load_is_not_needed_within_the_bound() {
    let (here, there) = pair(Pushes::Never);
    let mine = here.region("a");
    there.region("a").set("k", &1u32).await.unwrap();
    here.assert_value(&mine, Some(1)).await;
    there.region("a").remove("k").await.unwrap();
    let load = || async { Ok::<u32, std::convert::Infallible>(2) };
    here.calls.clear();
    assert_eq!(*mine.get_or_compute("k", load).await.unwrap(), 1);
    assert_eq!(here.calls.total(), 0);
    assert_eq!(here.cache.stats().near_unverified_hits, 1);
    tokio::time::advance(BOUND + SECOND).await;
    assert_eq!(*mine.get_or_compute("k", load).await.unwrap(), 2);
}

fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}
