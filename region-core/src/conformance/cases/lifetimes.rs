//! When entries end.

use std::time::Duration;

use super::super::Harness;
use super::super::fixture::{Fixture, LONG, SHORT, lifetime, path, put};
use crate::store::{Op, OpOutcome, PageTerms, Put, RegionTtl, Store, Verb};

fn short_lived<'a>(key: &'a str) -> Put<'a> {
    Put { fresh_for: lifetime(SHORT), ..put(key, "v") }
}

async fn assert_gone<H: Harness>(f: &Fixture<'_, H>, region: &str, key: &str) {
    assert_eq!(f.entry(region, key).await, None, "read");
    let page = f.store.scan(&path(region), PageTerms::new(10)).await.unwrap();
    assert!(page.items.iter().all(|item| item.key != key), "scan");
    let outcomes = f.apply(region, &[Op::Take { key }]).await;
    assert_eq!(outcomes, [OpOutcome::Taken(None)], "take");
}

/// An entry is fresh for its lifetime, and then nobody sees it any more.
pub async fn an_entry_ends_with_its_lifetime<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r", "other", "x").await;
    f.apply("r", &[Op::Put(short_lived("k"))]).await;
    assert_eq!(f.get("r", "k").await.as_deref(), Some("v"));
    f.advance(SHORT).await;
    assert_gone(&f, "r", "k").await;
    assert_eq!(f.store.len(&path("r")).await.unwrap(), 1);
    assert_eq!(f.get("r", "other").await.as_deref(), Some("x"));
    f.apply("r", &[Op::Put(short_lived("k"))]).await;
    assert_eq!(f.get("r", "k").await.as_deref(), Some("v"), "a new write is a new life");
}

/// Once its lifetime is over, an entry is stale for its window and then gone.
pub async fn a_stale_entry_is_kept_its_window<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.apply("r", &[Op::Put(Put { stale_for: SHORT * 4, ..short_lived("k") })]).await;
    f.advance(SHORT).await;
    assert_eq!(f.stale("r", "k").await.as_deref(), Some("v"));
    assert_eq!(f.store.len(&path("r")).await.unwrap(), 0, "only the fresh are counted");
    f.advance(SHORT * 4).await;
    assert_gone(&f, "r", "k").await;
}

/// The window of an expired entry begins when it was expired.
pub async fn an_expired_entry_is_kept_its_window<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.apply("r.a", &[Op::Put(Put { stale_for: SHORT * 4, ..put("k", "v") })]).await;
    f.advance(SHORT * 5).await;
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("v"));
    f.end("r", Verb::Expire).await;
    assert_eq!(f.stale("r.a", "k").await.as_deref(), Some("v"));
    f.advance(SHORT * 4).await;
    assert_gone(&f, "r.a", "k").await;
}

async fn set_under<H: Harness>(f: &Fixture<'_, H>, key: &str, region_ttl: RegionTtl) {
    let written = f.write("r.a", &[Op::Put(put(key, "v"))], None, region_ttl).await;
    assert_eq!(written.outcomes(), Some(vec![OpOutcome::Stored]));
}

/// When a region's timeout is over its own entries are gone together; other regions' stay.
pub async fn a_timeout_ends_the_whole_region<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r.a.below", "k", "x").await;
    f.set("r", "k", "x").await;
    f.set("r.a", "before", "v").await;
    set_under(&f, "k", RegionTtl::Start(SHORT)).await;
    set_under(&f, "leaves it", RegionTtl::Leave).await;
    f.advance(SHORT).await;
    for key in ["before", "k", "leaves it"] {
        assert_gone(&f, "r.a", key).await;
    }
    assert_eq!(f.get("r.a.below", "k").await.as_deref(), Some("x"));
    assert_eq!(f.get("r", "k").await.as_deref(), Some("x"));
    f.set("r.a", "k", "new").await;
    f.advance(SHORT).await;
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("new"), "the timeout went with them");
}

/// Restarting moves the end of all entries; with nothing in the region it does nothing.
pub async fn a_restarted_timeout_starts_over<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.write("r.a", &[], None, RegionTtl::Restart(SHORT)).await;
    set_under(&f, "k", RegionTtl::Restart(SHORT)).await;
    f.write("r.a", &[], None, RegionTtl::Restart(LONG)).await;
    f.advance(SHORT * 2).await;
    assert_eq!(f.get("r.a", "k").await.as_deref(), Some("v"));
    f.write("r.a", &[], None, RegionTtl::Restart(SHORT)).await;
    f.advance(SHORT).await;
    assert_gone(&f, "r.a", "k").await;
}

/// Starting does not move a timeout that runs.
pub async fn a_started_timeout_goes_on<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    set_under(&f, "first", RegionTtl::Start(SHORT)).await;
    set_under(&f, "second", RegionTtl::Start(LONG)).await;
    f.advance(SHORT).await;
    assert_gone(&f, "r.a", "first").await;
    assert_gone(&f, "r.a", "second").await;
    set_under(&f, "third", RegionTtl::Start(LONG)).await;
    f.advance(SHORT).await;
    assert_eq!(f.get("r.a", "third").await.as_deref(), Some("v"), "a new life, a new timeout");
}

/// An entry without a limit never ends, and the longest limit does not overflow.
pub async fn unlimited_entries_stay<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    f.set("r", "unlimited", "v").await;
    let longest = crate::lifetime::MAX_LIFETIME;
    let put = Put { fresh_for: lifetime(longest), stale_for: longest, ..put("longest", "v") };
    f.write("r", &[Op::Put(put)], None, RegionTtl::Start(longest)).await;
    f.advance(SHORT).await;
    assert_eq!(f.get("r", "unlimited").await.as_deref(), Some("v"));
    assert_eq!(f.get("r", "longest").await.as_deref(), Some("v"));
}

/// The store's clock runs, and shows at least what has passed.
pub async fn the_clock_goes_forward<H: Harness>(harness: &H) {
    let f = Fixture::new(harness).await;
    let before = f.store.now().await.unwrap();
    f.advance(SHORT).await;
    let after = f.client().await.store.now().await.unwrap();
    let passed = after.since(before);
    assert!(passed >= SHORT && passed < SHORT + Duration::from_secs(60), "{passed:?}");
}
