//! Values near in several processes: what notifications cost, and what they leave.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use region_core::{ErrorKind, Event, Policy, Region, RegionExt, RegionHandle, Result, Verb};

use super::kit::{Process, Pushes, memory, two, verification};

/// Processes over one store whose entries stay as stale for a while.
fn with_stale_values<const N: usize>() -> [Process; N] {
    let store = memory();
    let policy = || Policy::new().stale_for(Duration::from_secs(60));
    std::array::from_fn(|_| Process::new(&store, Pushes::OfOthers, policy()))
}

async fn fail(region: &RegionHandle) -> Result<Arc<u32>> {
    let load = || async { Err::<u32, _>(io::Error::other("the source is down")) };
    region.get_or_compute("k", load).await
}

/// A push asks for nothing and publishes nothing, in a process that holds the value and in one that does
/// not. Only a read asks.
#[tokio::test]
async fn a_push_alone_asks_the_store_nothing() {
    let store = memory();
    let [holder, other, writer] =
        std::array::from_fn(|_| Process::new(&store, Pushes::OfOthers, Policy::new()));
    let held = holder.region("a");
    let elsewhere = other.region("b");
    writer.region("a").set("k", &0u32).await.unwrap();
    holder.assert_value(&held, Some(0)).await;
    other.assert_value(&elsewhere, None).await;
    for process in [&holder, &other] {
        process.calls.clear();
    }
    for round in 0..20u32 {
        writer.region("a").set("k", &round).await.unwrap();
        writer.region("a").touch().await.unwrap();
    }
    tokio::task::yield_now().await;
    assert_eq!((holder.calls.total(), other.calls.total()), (0, 0));
    holder.assert_value(&held, None).await;
}

/// A push that comes late, or again, tells nothing new: it costs a small read, and the newer value stays.
#[tokio::test]
async fn a_push_of_an_earlier_change_leaves_the_newer_value() {
    let (here, there) = two();
    let mine = here.region("a");
    there.region("a").set("k", &1u32).await.unwrap();
    here.assert_value(&mine, Some(1)).await;
    there.region("a").set("k", &2u32).await.unwrap();
    here.assert_value(&mine, Some(2)).await;
    here.assert_near(&mine, 2).await;
    here.faulty.push(Event::Entries(mine.path().clone()));
    assert_eq!(here.get(&mine).await, (Some(2), vec![verification()]));
    here.assert_near(&mine, 2).await;
}

/// Expired elsewhere: a value near is not returned any more, but bridges a load that fails. Removed or
/// invalidated elsewhere, it does not.
#[tokio::test(start_paused = true)]
async fn what_another_process_expires_bridges_a_failed_load() {
    for ended in ["a", ""] {
        let [here, there] = with_stale_values();
        let mine = here.region("a");
        let at = |process: &Process| match ended {
            "" => process.cache.root(),
            path => process.region(path),
        };
        mine.set("k", &1u32).await.unwrap();
        here.assert_near(&mine, 1).await;
        at(&there).expire().await.unwrap();
        here.assert_value(&mine, None).await;
        assert_eq!(*fail(&mine).await.unwrap(), 1, "expired at {ended:?}");
        for verb in [Some(Verb::Invalidate), None] {
            mine.set("k", &2u32).await.unwrap();
            here.assert_near(&mine, 2).await;
            match verb {
                Some(verb) => at(&there).end(verb).await.unwrap(),
                None => assert!(there.region("a").remove("k").await.unwrap()),
            }
            let error = fail(&mine).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Load, "{verb:?} at {ended:?}");
        }
    }
}

/// A process that starts after the whole cache was ended sees nothing of before.
#[tokio::test(start_paused = true)]
async fn a_process_that_starts_later_honours_what_was_ended_before() {
    for verb in [Verb::Expire, Verb::Invalidate] {
        let store = memory();
        let policy = || Policy::new().stale_for(Duration::from_secs(60));
        let first = Process::new(&store, Pushes::OfOthers, policy());
        first.region("a.b").set("k", &1u32).await.unwrap();
        first.cache.root().end(verb).await.unwrap();
        let later = Process::new(&store, Pushes::OfOthers, policy());
        let theirs = later.region("a.b");
        later.assert_value(&theirs, None).await;
        let bridged = fail(&theirs).await.ok().map(|value| *value);
        assert_eq!(bridged, (verb == Verb::Expire).then_some(1), "{verb:?}");
    }
}

/// Callers share a value; whoever changes it changes a copy of its own.
#[tokio::test]
async fn a_callers_changes_are_its_own() {
    let (here, _) = two();
    let region = here.region("a");
    let load = || async {
        tokio::task::yield_now().await;
        Ok::<_, io::Error>(vec![1u32])
    };
    let (one, other) =
        tokio::join!(region.get_or_compute("list", load), region.get_or_compute("list", load));
    let (mut one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(here.cache.stats().loads, 1);
    Arc::make_mut(&mut one).push(2);
    assert_eq!((&*one, &*other), (&vec![1, 2], &vec![1]));
    assert_eq!(region.get::<Vec<u32>>("list").await.unwrap().as_deref(), Some(&vec![1]));
}
