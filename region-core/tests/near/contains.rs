//! `contains` by what is held near.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{
    Event, LoadOptions, Loaded, Policy, Region, RegionExt, RegionHandle, SetOptions, Verb,
};

use super::kit::{Process, Pushes, keys, memory, two};

const SECOND: Duration = Duration::from_secs(1);

/// Asserts what `contains` answers, and if it asks the store.
async fn assert_contains(here: &Process, region: &RegionHandle, expected: bool, asks: bool) {
    here.calls.clear();
    let before = here.cache.stats();
    assert_eq!(region.contains("k").await.unwrap(), expected);
    let reads = if asks { vec![keys(&["k"])] } else { Vec::new() };
    assert_eq!(here.reads(), reads);
    assert_eq!(here.cache.stats(), before, "it is neither a hit nor a miss");
}

async fn load_absence(region: &RegionHandle, options: LoadOptions) {
    let load = |_| async { Ok::<_, Infallible>(Loaded::<u32>::absent()) };
    assert_eq!(region.get_or_compute_with("k", options, load).await.unwrap(), None);
}

#[tokio::test]
async fn a_trusted_value_of_any_type_is_there() {
    let (here, there) = two();
    let (mine, theirs) = (here.region("a"), there.region("a"));
    assert_contains(&here, &mine, false, true).await;
    // As bytes, decoded, and as bytes beside an outdated value.
    mine.set("k", &1u32).await.unwrap();
    assert_contains(&here, &mine, true, false).await;
    mine.get::<u32>("k").await.unwrap();
    assert_contains(&here, &mine, true, false).await;
    mine.set("k", &"text".to_owned()).await.unwrap();
    assert_contains(&here, &mine, true, false).await;
    mine.get::<String>("k").await.unwrap();
    assert_contains(&here, &mine, true, false).await;
    mine.remove("k").await.unwrap();
    assert_contains(&here, &mine, false, true).await;
    theirs.set("k", &2u32).await.unwrap();
    mine.get::<u32>("k").await.unwrap();
    assert_contains(&here, &mine, true, false).await;
    theirs.remove("k").await.unwrap();
    assert_contains(&here, &mine, false, true).await;
    for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire] {
        mine.set("k", &1u32).await.unwrap();
        assert_contains(&here, &mine, true, false).await;
        theirs.end(verb).await.unwrap();
        assert_contains(&here, &mine, false, true).await;
    }
}

#[tokio::test]
async fn a_trusted_absence_is_no_value() {
    let (here, there) = two();
    let mine = here.region("a");
    load_absence(&mine, LoadOptions::new()).await;
    assert_contains(&here, &mine, false, false).await;
    mine.get::<u32>("k").await.unwrap();
    assert_contains(&here, &mine, false, false).await;
    there.region("a").set("k", &2u32).await.unwrap();
    assert_contains(&here, &mine, true, true).await;
}

/// In doubt the store is asked as if nothing were held.
#[tokio::test]
async fn what_is_in_doubt_is_asked_for() {
    for policy in [Policy::new(), Policy::new().near_unverified_for(100 * SECOND)] {
        let here = Process::new(&memory(), Pushes::OfOthers, policy);
        let mine = here.region("a");
        mine.set("k", &1u32).await.unwrap();
        here.faulty.push(Event::All);
        assert_contains(&here, &mine, true, true).await;
        assert_contains(&here, &mine, true, false).await;
        here.cut_pushes();
        assert_contains(&here, &mine, true, true).await;
        // An own write under way.
        let pause = here.faulty.on(Method::Write).nth(1).pause_after();
        let removing = tokio::spawn({
            let mine = mine.clone();
            async move { mine.remove("k").await }
        });
        pause.reached().await;
        assert_contains(&here, &mine, false, true).await;
        pause.release();
        removing.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_there_until_it_expires() {
    let (here, _) = two();
    let mine = here.region("a");
    mine.set_with("k", &1u32, SetOptions::new().ttl(2 * SECOND)).await.unwrap();
    tokio::time::advance(SECOND).await;
    assert_contains(&here, &mine, true, false).await;
    tokio::time::advance(SECOND).await;
    assert_contains(&here, &mine, false, true).await;
}

/// A value of another serializer's is none, near or not; one of another version is.
#[tokio::test]
async fn near_and_the_store_agree_on_other_codecs() {
    let (here, _) = two();
    let mine = here.region("a");
    mine.set("k", &1u32).await.unwrap();
    for decodes in [false, true] {
        if decodes {
            mine.get::<u32>("k").await.unwrap();
        }
        let json = mine.with_policy(Policy::new().serializer(region_core::Json)).unwrap();
        assert!(!json.contains("k").await.unwrap());
        let newer = mine.with_policy(Policy::new().version(7)).unwrap();
        assert!(newer.contains("k").await.unwrap());
    }
}

#[tokio::test]
async fn a_value_is_there_while_its_dependencies_hold() {
    let (here, there) = two();
    let mine = here.region("a");
    let options = || LoadOptions::new().depends_on(&here.region("b"));
    for is_decoded in [false, true] {
        let load = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
        mine.get_or_compute_with("k", options(), load).await.unwrap();
        if is_decoded {
            mine.get::<u32>("k").await.unwrap();
        }
        assert!(mine.contains("k").await.unwrap());
        // The marker is near by now.
        assert_contains(&here, &mine, true, false).await;
        there.region("b").touch().await.unwrap();
        assert!(!mine.contains("k").await.unwrap());
    }
    load_absence(&mine, options()).await;
    assert_contains(&here, &mine, false, false).await;
}
