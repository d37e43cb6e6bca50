//! Own changes, over a store that does not tell a client of its own.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{LoadOptions, Loaded, NearCache, Policy, Region, RegionCache, RegionExt, Verb};

use super::kit::{Client, Pushes, keys, memory, two};

/// After an own write the next read does no I/O.
#[tokio::test]
async fn what_was_written_is_near() {
    let (here, _) = two();
    let mine = here.region("a");
    for value in 0..20u32 {
        mine.set("k", &value).await.unwrap();
        here.assert_near(&mine, value).await;
        mine.set("other", &value).await.unwrap();
        here.assert_near(&mine, value).await;
    }
    mine.remove("k").await.unwrap();
    assert_eq!(here.get(&mine).await, (None, vec![keys(&["k"])]));
}

#[tokio::test]
async fn own_changes_of_all_kinds_are_seen() {
    let (here, _) = two();
    let mine = here.region("a.b");
    for ended in ["a.b", "a", "a.b.c"] {
        for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
            mine.set("k", &7u32).await.unwrap();
            here.region("a.b.c").set("k", &1u32).await.unwrap();
            here.assert_near(&mine, 7).await;
            here.region(ended).end(verb).await.unwrap();
            let reaches = match verb {
                Verb::Invalidate | Verb::Expire => ended != "a.b.c",
                Verb::Touch => ended != "a",
                Verb::InvalidateAndTouch => true,
            };
            here.assert_value(&mine, (!reaches).then_some(7)).await;
        }
    }
    mine.set("k", &7u32).await.unwrap();
    assert_eq!(mine.take::<u32>("k").await.unwrap().as_deref(), Some(&7));
    here.assert_value(&mine, None).await;
    let mut transaction = mine.transaction();
    transaction.set("k", 8u32);
    transaction.commit().await.unwrap();
    here.assert_value(&mine, Some(8)).await;
    let mut transaction = mine.transaction();
    transaction.set("k", 9u32).remove("k");
    transaction.commit().await.unwrap();
    here.assert_value(&mine, None).await;
    assert!(mine.set_if_absent("k", &1u32).await.unwrap());
    assert!(!mine.set_if_absent("k", &2u32).await.unwrap());
    here.assert_value(&mine, Some(1)).await;
}

/// The race of the model: the store tells a client nothing of its own write, and what another writes
/// after it comes as a push.
#[tokio::test]
async fn an_own_write_and_then_another_s() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    for round in 0..100u32 {
        mine.set("k", &round).await.unwrap();
        here.assert_near(&mine, round).await;
        theirs.set("k", &(round + 1_000)).await.unwrap();
        here.assert_value(&mine, Some(round + 1_000)).await;
    }
}

/// While an own write is under way, nothing of its region is served untold; when its answer comes late,
/// and another has written meanwhile, the answer is not trusted.
#[tokio::test]
async fn nothing_is_trusted_that_an_own_write_under_way_covers() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    let (pause, writing) = here.begin_set(&mine, 2).await;
    here.assert_value(&mine, Some(2)).await;
    there.region("a").set("k", &3u32).await.unwrap();
    here.assert_value(&mine, Some(3)).await;
    pause.release();
    writing.await.unwrap().unwrap();
    here.assert_value(&mine, Some(3)).await;
}

/// A store may keep back what others change while an own write is under way, for the answer of the write shows it.
/// So nothing that was read meanwhile is trusted.
#[tokio::test]
async fn a_push_that_is_kept_back_during_an_own_write_is_not_missed() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    let (_pause, writing) = here.begin_set(&mine, 2).await;
    here.faulty.on_push().lose();
    for value in [2u32, 3, 4] {
        there.region("a").set("k", &value).await.unwrap();
        here.assert_value(&mine, Some(value)).await;
    }
    writing.abort();
    here.assert_value(&mine, Some(4)).await;
}

/// The same for a verb on an ancestor, whose handle keeps nothing near itself.
#[tokio::test]
async fn a_verb_under_way_covers_the_regions_below() {
    let (here, _) = two();
    let mine = here.region("a.b");
    let outer = here.region("a").with_policy(Policy::new().near(NearCache::Off)).unwrap();
    for verb in [Verb::Invalidate, Verb::Expire] {
        mine.set("k", &1u32).await.unwrap();
        here.assert_near(&mine, 1).await;
        let pause = here.faulty.on(Method::End).nth(1).pause_after();
        let ending = tokio::spawn({
            let outer = outer.clone();
            async move { outer.end(verb).await }
        });
        pause.reached().await;
        here.assert_value(&mine, None).await;
        pause.release();
        ending.await.unwrap().unwrap();
        here.assert_value(&mine, None).await;
    }
}

/// Dropping an own write's future ends the count of it, and leaves the region in doubt: whether the
/// store has done it shows in what it answers.
#[tokio::test]
async fn an_own_write_that_is_dropped_leaves_doubt_and_nothing_else() {
    let (here, _) = two();
    let mine = here.region("a");
    for (round, happens) in [(10u32, true), (20, false)] {
        mine.set("k", &round).await.unwrap();
        here.assert_near(&mine, round).await;
        let write = here.faulty.on(Method::Write).nth(1);
        let pause = if happens { write.pause_after() } else { write.pause() };
        let writing = tokio::spawn({
            let mine = mine.clone();
            async move { mine.set("k", &(round + 1)).await }
        });
        pause.reached().await;
        writing.abort();
        assert!(writing.await.unwrap_err().is_cancelled());
        pause.release();
        let value = if happens { round + 1 } else { round };
        here.assert_value(&mine, Some(value)).await;
        here.assert_near(&mine, value).await;
    }
}

/// An own write whose answer is lost may have happened.
#[tokio::test]
async fn an_own_write_of_unknown_outcome_leaves_doubt() {
    let (here, _) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    here.faulty.on(Method::Write).nth(1).lose_reply();
    mine.set("k", &2u32).await.unwrap_err();
    here.assert_value(&mine, Some(2)).await;
    here.assert_near(&mine, 2).await;
}

/// A write that was sent before the first region was held near counts too.
#[tokio::test]
async fn a_write_from_before_the_first_near_region_is_seen() {
    let store = memory();
    let faulty = region_core::testing::Faulty::new(Client::new(&store, Pushes::OfOthers));
    let cache = RegionCache::builder(faulty.clone()).root("r").build().unwrap();
    let plain = cache.region("a").unwrap();
    plain.set("k", &1u32).await.unwrap();
    let pause = faulty.pause(Method::Write);
    let writing = tokio::spawn({
        let plain = plain.clone();
        async move { plain.set("k", &2u32).await }
    });
    pause.reached().await;
    let near = plain.with_policy(Policy::new().near(NearCache::On)).unwrap();
    assert_eq!(near.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
    pause.release();
    writing.await.unwrap().unwrap();
    assert_eq!(near.get::<u32>("k").await.unwrap().as_deref(), Some(&2));
    assert_eq!(near.get::<u32>("k").await.unwrap().as_deref(), Some(&2));
    assert!(cache.stats().near_hits > 0);
}

/// Bug: a load that waited for the lease of another load of its own process heard nothing of that process's own
/// changes, which the store keeps from it.
/// Effect: a reload began up to half a second after the load before it had ended.
/// Fix: own changes wake those who wait, as pushes do.
#[tokio::test(start_paused = true)]
async fn own_changes_wake_the_loads_that_they_let_begin() {
    const LOAD: Duration = Duration::from_secs(2);
    const SOON: Duration = Duration::from_millis(10);
    for change in
        ["fill", "set", "remove", "invalidate", "touch", "expire", "end around", "end below"]
    {
        let (here, _) = two();
        let mine = here.region("a.b");
        let load = |options: LoadOptions, takes, value| {
            let mine = mine.clone();
            let load = move |_| async move {
                tokio::time::sleep(takes).await;
                Ok::<_, Infallible>(Loaded::new(value))
            };
            tokio::spawn(async move { mine.get_or_compute_with("k", options, load).await })
        };
        let first = load(LoadOptions::new(), LOAD, 1u32);
        tokio::time::sleep(SOON).await;
        let second = load(LoadOptions::new().reload(), Duration::ZERO, 2u32);
        tokio::time::sleep(SOON).await;
        match change {
            "fill" => assert_eq!(first.await.unwrap().unwrap().as_deref(), Some(&1)),
            "set" => mine.set("k", &3u32).await.unwrap(),
            "remove" => drop(mine.remove("k").await.unwrap()),
            "invalidate" => mine.invalidate().await.unwrap(),
            "touch" => mine.touch().await.unwrap(),
            "expire" => mine.expire().await.unwrap(),
            "end around" => here.region("a").invalidate().await.unwrap(),
            _ => here.region("a.b.c").invalidate_and_touch().await.unwrap(),
        }
        let value = tokio::time::timeout(SOON, second).await;
        let value = value.unwrap_or_else(|_| panic!("{change}: it still waits"));
        assert_eq!(value.unwrap().unwrap().as_deref(), Some(&2), "{change}");
    }
}
