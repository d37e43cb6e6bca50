//! Records that there is no value, held near like values.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{
    Event, LoadOptions, Loaded, Region, RegionExt, RegionHandle, RegionPath, Stats, Verb,
};

use super::kit::{Process, keys, two, verification};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The time for which an absence is remembered in these tests.
const TTL: Duration = Duration::from_secs(100);

/// The value of `k`, by a load that brings `loaded`; and if it has run.
pub(super) async fn load(region: &RegionHandle, loaded: Loaded<u32>) -> (Option<u32>, bool) {
    let (ran, mut has_run) = tokio::sync::oneshot::channel();
    let load = move |_| async move {
        ran.send(()).unwrap();
        Ok::<_, Infallible>(loaded)
    };
    let value = region.get_or_compute_with("k", LoadOptions::new(), load).await.unwrap();
    (value.map(|value| *value), has_run.try_recv().is_ok())
}

/// Has the absence of `k` in the store.
pub(super) async fn forget(region: &RegionHandle) {
    region.remove("k").await.unwrap();
    assert_eq!(load(region, Loaded::absent().ttl(TTL)).await, (None, true));
}

pub(super) fn difference(after: &Stats, before: &Stats) -> [u64; 5] {
    [
        after.near_absences - before.near_absences,
        after.absent_hits - before.absent_hits,
        after.absent_misses - before.absent_misses,
        after.near_unverified_hits - before.near_unverified_hits,
        (after.hits + after.absent_hits + after.misses)
            - (before.hits + before.absent_hits + before.misses),
    ]
}

/// Asserts that no method asks the store for `k`, which has no value.
async fn assert_absent(here: &Process, region: &RegionHandle) {
    assert_answered(here, region, 0).await;
}

/// The same; each of the answers is `unverified`.
pub(super) async fn assert_answered(here: &Process, region: &RegionHandle, unverified: u64) {
    here.calls.clear();
    let stats = || here.cache.stats();
    let before = stats();
    assert_eq!(load(region, Loaded::new(9)).await, (None, false));
    assert_eq!(difference(&stats(), &before), [1, 1, 0, unverified, 1]);
    let before = stats();
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
    assert_eq!(difference(&stats(), &before), [1, 0, 1, unverified, 1]);
    let before = stats();
    assert_eq!(region.get_many::<u32>(&["k"]).await.unwrap(), [None]);
    assert_eq!(difference(&stats(), &before), [1, 0, 1, unverified, 1]);
    assert_eq!(here.calls.total(), 0, "{}", region.path());
}

/// Asserts that there may be a value at `k` by now: a load runs, or another's value is there.
async fn assert_ended(region: &RegionHandle, value: Option<u32>) {
    let expected = (Some(value.unwrap_or(9)), value.is_none());
    assert_eq!(load(region, Loaded::new(9)).await, expected, "{}", region.path());
}

#[tokio::test]
async fn an_absence_that_was_loaded_or_read_is_near() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    forget(&mine).await;
    assert_absent(&here, &mine).await;
    // Any read of another process meets it.
    assert_eq!(theirs.get::<u32>("k").await.unwrap(), None);
    assert_absent(&there, &theirs).await;
    forget(&mine).await;
    assert_eq!(load(&theirs, Loaded::new(9)).await, (None, false));
    assert_absent(&there, &theirs).await;
    forget(&mine).await;
    assert_eq!(theirs.get_many::<u32>(&["k", "l"]).await.unwrap(), [None, None]);
    assert_absent(&there, &theirs).await;
    let near = here.cache.near_use();
    assert_eq!(near.entries, 1);
    assert!(near.bytes > 300, "{near:?}");
}

#[tokio::test]
async fn what_another_does_to_the_key_ends_an_absence() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a.b"), there.region("a.b"));
    forget(&mine).await;
    assert_absent(&here, &mine).await;
    theirs.set("k", &1u32).await.unwrap();
    assert_eq!(load(&mine, Loaded::new(9)).await, (Some(1), false));
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
        for ended in ["a.b", "a", "a.b.c"] {
            forget(&mine).await;
            assert_absent(&here, &mine).await;
            let ended = there.region(ended);
            ended.end(verb).await.unwrap();
            match verb.covers(ended.path(), mine.path()) {
                true => assert_ended(&mine, None).await,
                false => assert_eq!(load(&mine, Loaded::new(9)).await, (None, false)),
            }
        }
    }
}

#[tokio::test]
async fn own_changes_end_an_absence() {
    let (here, _) = two();
    let mine = here.region("a");
    forget(&mine).await;
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    forget(&mine).await;
    assert!(mine.set_if_absent("k", &2u32).await.unwrap());
    here.assert_near(&mine, 2).await;
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
        forget(&mine).await;
        assert_absent(&here, &mine).await;
        mine.end(verb).await.unwrap();
        assert_ended(&mine, None).await;
    }
    forget(&mine).await;
    assert!(mine.remove("k").await.unwrap(), "the record is an entry");
    assert_ended(&mine, None).await;
    // While an own write is under way, nothing near is trusted.
    forget(&mine).await;
    let (pause, writing) = here.begin_set(&mine, 3).await;
    here.assert_value(&mine, Some(3)).await;
    pause.release();
    writing.await.unwrap().unwrap();
    here.assert_near(&mine, 3).await;
}

#[tokio::test(start_paused = true)]
async fn an_absence_ends_with_its_ttl() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    forget(&mine).await;
    assert_eq!(theirs.get::<u32>("k").await.unwrap(), None);
    tokio::time::advance(TTL - SECOND).await;
    assert_absent(&here, &mine).await;
    assert_absent(&there, &theirs).await;
    tokio::time::advance(SECOND).await;
    assert_ended(&theirs, None).await;
    assert_ended(&mine, Some(9)).await;
}

/// In doubt one small read tells that nothing has changed.
#[tokio::test]
async fn an_absence_in_doubt_is_verified() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    forget(&mine).await;
    for round in 0..3u32 {
        match round {
            0 => here.faulty.push(Event::All),
            1 => here.faulty.push(Event::Lineage(RegionPath::parse("r").unwrap())),
            _ => theirs.set("other", &round).await.unwrap(),
        }
        let before = here.cache.stats();
        here.calls.clear();
        assert_eq!(load(&mine, Loaded::new(9)).await, (None, false));
        assert_eq!(here.reads(), [verification()]);
        let after = here.cache.stats();
        assert_eq!(difference(&after, &before), [1, 1, 0, 0, 1]);
        assert_eq!(after.near_doubts - before.near_doubts, 1);
        assert_eq!(after.near_retrusted - before.near_retrusted, 1);
        assert_absent(&here, &mine).await;
    }
    theirs.set("k", &1u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(1), vec![verification(), keys(&["k"])]));
}

/// An absence is of one type, as the store has it.
#[tokio::test]
async fn an_absence_is_not_served_as_another_type() {
    let (here, _) = two();
    let mine = here.region("a");
    for is_decoded in [false, true] {
        forget(&mine).await;
        if is_decoded {
            assert_absent(&here, &mine).await;
        }
        let before = here.cache.stats();
        assert_eq!(mine.get::<String>("k").await.unwrap(), None);
        let after = here.cache.stats();
        assert_eq!(after.other_type_misses, before.other_type_misses + 1);
        assert_eq!(after.near_absences, before.near_absences);
        let load = |_| async { Ok::<_, Infallible>(Loaded::new("text".to_owned())) };
        let loaded = mine.get_or_compute_with("k", LoadOptions::new(), load).await.unwrap();
        assert_eq!(loaded.unwrap().as_str(), "text");
        assert_eq!(mine.get::<u32>("k").await.unwrap(), None);
        let last = here.cache.stats();
        assert_eq!(last.other_type_misses, after.other_type_misses + 2);
    }
}

/// Who wants a value loads one, without asking for the absence first.
#[tokio::test]
async fn a_load_that_brings_a_value_does_not_read_an_absence() {
    let (here, _) = two();
    let mine = here.region("a");
    forget(&mine).await;
    assert_absent(&here, &mine).await;
    here.calls.clear();
    let load = || async { Ok::<_, Infallible>(5u32) };
    assert_eq!(*mine.get_or_compute("k", load).await.unwrap(), 5);
    assert_eq!(here.reads(), Vec::<Vec<String>>::new());
    here.assert_near(&mine, 5).await;
    forget(&mine).await;
    let load = |keys: Vec<String>| async move {
        Ok::<_, Infallible>(
            keys.into_iter().map(|key| (key, 6u32)).collect::<std::collections::HashMap<_, _>>(),
        )
    };
    assert_eq!(mine.get_or_compute_many(&["k"], load).await.unwrap()[0].as_deref(), Some(&6));
    here.assert_near(&mine, 6).await;
}

/// An absence ends with the regions that it depends on.
#[tokio::test]
async fn an_absence_ends_with_what_it_depends_on() {
    let (here, there) = two();
    let mine = here.region("a");
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire] {
        mine.remove("k").await.unwrap();
        let options = LoadOptions::new().depends_on(&here.region("b"));
        let load_absence = |_| async { Ok::<_, Infallible>(Loaded::<u32>::absent().ttl(TTL)) };
        let loaded = mine.get_or_compute_with("k", options, load_absence).await.unwrap();
        assert_eq!(loaded, None);
        // The marker comes near with the first read.
        assert_eq!(load(&mine, Loaded::new(9)).await, (None, false));
        assert_absent(&here, &mine).await;
        // Another change of that region: its marker is asked about, and still holds.
        there.region("b").set("other", &1u32).await.unwrap();
        let before = here.cache.stats();
        assert_eq!(load(&mine, Loaded::new(9)).await, (None, false));
        assert_eq!(difference(&here.cache.stats(), &before), [1, 1, 0, 0, 1]);
        assert_absent(&here, &mine).await;
        there.region("b").end(verb).await.unwrap();
        let before = here.cache.stats();
        assert_eq!(mine.get::<u32>("k").await.unwrap(), None);
        let counted = difference(&here.cache.stats(), &before);
        assert_eq!((counted[0], counted[3], counted[4]), (0, 0, 1), "{verb:?}");
        assert_ended(&mine, None).await;
    }
}

/// Absences have a weight, and give way like values.
#[tokio::test]
async fn absences_keep_within_the_bound() {
    let (here, _) = two();
    let mine = here.region("a");
    for id in 0..10_000u32 {
        let load = |_| async { Ok::<_, Infallible>(Loaded::<u32>::absent()) };
        let key = id.to_string();
        mine.get_or_compute_with(&key, LoadOptions::new(), load).await.unwrap();
        mine.get::<u32>(&key).await.unwrap();
    }
    let near = here.cache.near_use();
    assert!(near.bytes <= super::kit::NEAR_BYTES && near.entries > 1_000, "{near:?}");
    assert!(near.entries < super::kit::NEAR_BYTES / 300, "{near:?}");
    assert!(here.cache.stats().near_evictions > 0);
}

/// Several keys are of one moment, whether they have values or not.
#[tokio::test]
async fn values_and_absences_that_are_read_together_are_of_one_moment() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    forget(&mine).await;
    assert_absent(&here, &mine).await;
    let pause = here.faulty.on(Method::Read).nth(1).pause();
    let reading = tokio::spawn({
        let mine = mine.clone();
        async move { mine.get_many::<u32>(&["k", "l"]).await.unwrap() }
    });
    pause.reached().await;
    let mut transaction = theirs.transaction();
    transaction.set("k", 1u32).set("l", 1u32);
    transaction.commit().await.unwrap();
    pause.release();
    let read = reading.await.unwrap();
    let read: Vec<_> = read.into_iter().map(|value| value.map(|value| *value)).collect();
    assert_eq!(read, [Some(1), Some(1)]);
}
