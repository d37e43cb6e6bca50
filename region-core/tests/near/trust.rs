//! The end of trust, and how it comes back.

use std::time::Duration;

use region_core::testing::Method;
use region_core::{ErrorKind, Event, Policy, Region, RegionExt, RegionPath, Source};

use super::kit::{Process, Pushes, keys, memory, two, verification};

/// While the connection that would tell is gone nothing is trusted; one small read brings it back.
#[tokio::test]
async fn a_lost_connection_ends_trust() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    here.cut_pushes();
    assert_eq!(here.get(&mine).await.0, Some(1));
    assert_eq!(here.reads()[0], verification());
    for event in [Event::All, Event::Lineage(path("r")), Event::Entries(path("r.a"))] {
        there.region("a").set("k", &2u32).await.unwrap();
        here.assert_value(&mine, Some(2)).await;
        here.faulty.push(event);
        assert_eq!(here.get(&mine).await, (Some(2), vec![verification()]));
        here.assert_near(&mine, 2).await;
        there.region("a").set("k", &1u32).await.unwrap();
    }
}

/// A change whose push was lost with its connection is seen.
#[tokio::test]
async fn what_was_changed_while_nobody_told_is_seen() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    here.faulty.on_push().nth(1).lose();
    there.region("a").set("k", &2u32).await.unwrap();
    here.cut_pushes();
    here.assert_value(&mine, Some(2)).await;
}

/// The loss of another connection costs nothing.
#[tokio::test]
async fn the_loss_of_another_connection_is_no_doubt() {
    let (here, _) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    here.faulty.push(Event::Lost(Source::unique()));
    here.assert_near(&mine, 1).await;
}

/// A lineage that was read over one connection and then assumed by a read over another is trusted no
/// longer than the first.
#[tokio::test]
async fn an_assumed_lineage_hangs_on_the_connection_that_told_of_it() {
    let store = memory();
    let here = Process::new(&store, Pushes::OverManyConnections, Policy::new());
    let there = Process::new(&store, Pushes::OfOthers, Policy::new());
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    there.region("a").set("other", &1u32).await.unwrap();
    assert_eq!(mine.get::<u32>("absent").await.unwrap(), None);
    here.assert_near(&mine, 1).await;
    let sources = here.faulty.inner().sources();
    assert_eq!(sources.len(), 2);
    here.faulty.push(Event::Lost(sources[0]));
    assert_eq!(here.get(&mine).await, (Some(1), vec![verification()]));
    here.assert_near(&mine, 1).await;
}

/// A push that comes between a read and its reply: the reply is right as of the read, and not trusted.
#[tokio::test]
async fn a_push_before_the_reply_keeps_it_from_being_trusted() {
    let (here, there) = two();
    let mine = here.region("a");
    there.region("a").set("k", &0u32).await.unwrap();
    for round in 1..50u32 {
        there.region("a").set("k", &(round * 10)).await.unwrap();
        let pause = here.faulty.on(Method::Read).nth(1).pause_after();
        let reading = tokio::spawn({
            let mine = mine.clone();
            async move { mine.get::<u32>("k").await }
        });
        pause.reached().await;
        there.region("a").set("k", &(round * 10 + 1)).await.unwrap();
        pause.release();
        let read = reading.await.unwrap().unwrap();
        assert!(matches!(read.as_deref(), Some(v) if *v >= round * 10), "{read:?}");
        here.assert_value(&mine, Some(round * 10 + 1)).await;
    }
}

/// The same for the lineage that a read assumed: such a read is made again, in full.
#[tokio::test]
async fn a_read_whose_assumed_lineage_was_doubted_is_made_again() {
    let (here, there) = two();
    let mine = here.region("a.b");
    mine.set("k", &1u32).await.unwrap();
    here.calls.clear();
    let pause = here.faulty.on(Method::Read).nth(1).pause_after();
    let reading = tokio::spawn({
        let mine = mine.clone();
        async move { mine.get::<u32>("other").await }
    });
    pause.reached().await;
    there.region("a").invalidate().await.unwrap();
    pause.release();
    assert_eq!(reading.await.unwrap().unwrap(), None);
    assert_eq!(here.reads(), [keys(&["other"]), keys(&["other"])]);
    here.assert_value(&mine, None).await;
}

/// During an outage what is in doubt is not served, and afterwards it is verified first.
#[tokio::test]
async fn what_is_in_doubt_during_an_outage_is_a_miss() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    let outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
    here.assert_near(&mine, 1).await;
    here.cut_pushes();
    assert_eq!(here.get(&mine).await, (None, vec![verification()]));
    there.region("a").set("k", &2u32).await.unwrap();
    outage.lift();
    here.assert_value(&mine, Some(2)).await;
    here.assert_near(&mine, 2).await;
}

/// A verification that hangs and is dropped leaves the next reader to ask.
#[tokio::test(start_paused = true)]
async fn a_dropped_verification_is_taken_over() {
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    here.assert_near(&mine, 1).await;
    there.region("a").set("other", &1u32).await.unwrap();
    let _pause = here.faulty.pause(Method::Read);
    let limit = Duration::from_secs(1);
    tokio::time::timeout(limit, mine.get::<u32>("k")).await.unwrap_err();
    let read = tokio::time::timeout(limit, mine.get::<u32>("k")).await.unwrap();
    assert_eq!(read.unwrap().as_deref(), Some(&1));
}

fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}
