//! What the store shows, and that explaining changes nothing.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::{Faulty, Method, Recorder};
use region_core::{
    DependencyStanding, ErrorKind, Explanation, Lease, LeaseTerms, LeaseToken, LoadOptions, Loaded,
    MissReason, OnOutage, Op, Policy, Put, ReadOutcome, Region, RegionCache, RegionExt,
    RegionHandle, Store, TakeLease, TokioClock, Verb, Write,
};
use region_memory::MemoryStore;

const SECOND: Duration = Duration::from_secs(1);

fn store() -> Recorder<Faulty<MemoryStore>> {
    Recorder::new(Faulty::new(MemoryStore::builder().clock(TokioClock::new()).build()))
}

fn cache(store: impl Store, policy: Policy) -> RegionCache {
    RegionCache::builder(store).root("r").policy(policy).build().unwrap()
}

async fn explain(region: &RegionHandle, key: &str) -> Explanation {
    region.explain::<u32>(key).await.unwrap()
}

/// Asserts that `key` is explained by this outcome, and that a read has it.
async fn assert_outcome(region: &RegionHandle, key: &str, outcome: ReadOutcome) -> String {
    let explanation = explain(region, key).await;
    assert_eq!(explanation.outcome, outcome, "{explanation}");
    let before = region.stats();
    let is_hit = region.get::<u32>(key).await.is_ok_and(|value| value.is_some());
    let after = region.stats();
    let counted = match outcome {
        ReadOutcome::StoreHit => after.store_hits - before.store_hits,
        ReadOutcome::Miss(MissReason::Absent) => after.absent_misses - before.absent_misses,
        ReadOutcome::Miss(MissReason::Expired) => after.expired_misses - before.expired_misses,
        ReadOutcome::Miss(MissReason::Fenced) => after.fenced_misses - before.fenced_misses,
        ReadOutcome::Miss(MissReason::BadBytes) => after.bad_bytes_misses - before.bad_bytes_misses,
        ReadOutcome::Miss(MissReason::OtherType) => {
            after.other_type_misses - before.other_type_misses
        }
        ReadOutcome::Miss(MissReason::Dependency) => {
            after.dependency_misses - before.dependency_misses
        }
        ReadOutcome::Miss(MissReason::Unavailable) => {
            after.unavailable_misses - before.unavailable_misses
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((is_hit, counted), (outcome == ReadOutcome::StoreHit, 1), "{explanation}");
    explanation.to_string()
}

#[tokio::test(start_paused = true)]
async fn each_situation_is_explained_as_a_read_finds_it() {
    let store = store();
    let cache = cache(store.clone(), Policy::new().ttl(SECOND).stale_for(9 * SECOND));
    let region = cache.region("a").unwrap();
    let missing = assert_outcome(&region, "k", ReadOutcome::Miss(MissReason::Absent)).await;
    assert!(
        missing.contains("shows no lineage") && missing.contains("lease: not known"),
        "{missing}"
    );
    region.set("stale", &1u32).await.unwrap();
    tokio::time::advance(2 * SECOND).await;
    region.set("fresh", &1u32).await.unwrap();
    region.set("text", &"one".to_owned()).await.unwrap();
    let bad = [Op::Put(Put::new("bad", "no envelope"))];
    store.write(region.path(), Write::new(&bad)).await.unwrap();
    let absent = |_| async { Ok::<_, Infallible>(Loaded::<u32>::absent()) };
    region.get_or_compute_with("none", LoadOptions::new(), absent).await.unwrap();

    let fresh = assert_outcome(&region, "fresh", ReadOutcome::StoreHit).await;
    assert!(fresh.contains("fresh for: 1s") && fresh.contains("lease: free"), "{fresh}");
    let stale = assert_outcome(&region, "stale", ReadOutcome::Miss(MissReason::Expired)).await;
    assert!(stale.contains("stale for: 8s"), "{stale}");
    assert_outcome(&region, "text", ReadOutcome::Miss(MissReason::OtherType)).await;
    let bad = assert_outcome(&region, "bad", ReadOutcome::Miss(MissReason::BadBytes)).await;
    assert!(!bad.contains("fingerprint"), "{bad}");
    assert_outcome(&region, "none", ReadOutcome::Miss(MissReason::Absent)).await;

    let header =
        |explanation: Explanation| explanation.store.unwrap().entry.unwrap().header.unwrap();
    let (mine, other) =
        (header(explain(&region, "fresh").await), header(explain(&region, "text").await));
    assert_eq!(mine.fingerprint, mine.expected_fingerprint);
    assert_ne!(other.fingerprint, other.expected_fingerprint);
    assert_eq!(other.serializer, other.expected_serializer);

    store.inner().on(Method::Read).fail(ErrorKind::Unavailable);
    let out = assert_outcome(&region, "fresh", ReadOutcome::Miss(MissReason::Unavailable)).await;
    assert!(out.contains("store: cannot be read"), "{out}");
    let strict = region.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    assert_eq!(explain(&strict, "fresh").await.outcome, ReadOutcome::Error);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_told_while_it_is_there() {
    let cache = cache(store(), Policy::new().ttl(SECOND));
    let region = cache.region("a").unwrap();
    region.set("k", &1u32).await.unwrap();
    tokio::time::advance(SECOND).await;
    let over = assert_outcome(&region, "k", ReadOutcome::Miss(MissReason::Expired)).await;
    assert!(over.contains("entry: one that has expired, and is not freed yet"), "{over}");
    for end in [Verb::Expire, Verb::Invalidate] {
        region.set("k", &1u32).await.unwrap();
        match end {
            Verb::Expire => cache.root().expire().await.unwrap(),
            _ => cache.root().invalidate().await.unwrap(),
        }
        let fenced = assert_outcome(&region, "k", ReadOutcome::Miss(MissReason::Fenced)).await;
        assert!(
            fenced.contains("entry: one of an earlier lineage, which is not freed"),
            "{fenced}"
        );
    }
    let never = assert_outcome(&region, "never", ReadOutcome::Miss(MissReason::Absent)).await;
    assert!(never.contains("entry: none"), "{never}");
}

#[tokio::test(start_paused = true)]
async fn explaining_counts_nothing_and_changes_nothing() {
    let store = store();
    let cache = RegionCache::builder(store.clone()).root("r").near(1 << 20).build().unwrap();
    let region = cache.region("a").unwrap();
    explain(&region, "k").await;
    assert_eq!((store.count(Method::Read), store.count(Method::Begin)), (1, 0));
    assert!(explain(&region, "k").await.store.unwrap().lineage.is_none(), "it creates no region");
    region.set("k", &1u32).await.unwrap();
    let other = self::cache(store.inner().inner().client(), Policy::new());
    other.region("a").unwrap().set("other", &2u32).await.unwrap();

    let (stats, near) = (cache.stats(), cache.near_use());
    for key in ["k", "other", "none"] {
        explain(&region, key).await;
    }
    assert_eq!((cache.stats(), cache.near_use()), (stats, near));
    let terms = LeaseTerms::new(LeaseToken::random(), SECOND).take(TakeLease::Always);
    let begun = store.begin(region.path(), &["none"], terms).await.unwrap();
    assert_eq!(begun.keys[0].lease, Lease::Granted, "nobody has taken it");
}

#[tokio::test(start_paused = true)]
async fn leases_and_loads_are_told() {
    let store = store();
    let (here, there) =
        (cache(store.inner().inner().client(), Policy::new()), cache(store, Policy::new()));
    let (mine, theirs) = (here.region("a").unwrap(), there.region("a").unwrap());
    let load = || async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Infallible>(1u32)
    };
    let explained = async {
        tokio::time::sleep(SECOND / 2).await;
        (explain(&mine, "k").await, explain(&theirs, "k").await)
    };
    let (loaded, (mine, theirs)) = tokio::join!(mine.get_or_compute("k", load), explained);
    assert_eq!(*loaded.unwrap(), 1);
    assert!(mine.is_loading && !theirs.is_loading, "{mine}\n{theirs}");
    for explanation in [mine, theirs] {
        let lease = explanation.store.unwrap().lease;
        assert!(matches!(lease, Some(Lease::Held { .. })), "{lease:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dependencies_are_told() {
    let cache = cache(store(), Policy::new().ttl(SECOND).stale_for(9 * SECOND));
    let (page, prices) = (cache.region("a").unwrap(), cache.region("prices").unwrap());
    let load = || async {
        let options = LoadOptions::new().depends_on(&prices);
        let load = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
        page.get_or_compute_with("k", options, load).await.unwrap();
    };
    let state = |explanation: Explanation| {
        let entry = explanation.store.unwrap().entry.unwrap();
        entry.dependencies.iter().map(|it| it.state).collect::<Vec<_>>()
    };
    load().await;
    assert_outcome(&page, "k", ReadOutcome::StoreHit).await;
    assert_eq!(state(explain(&page, "k").await), [DependencyStanding::Holds]);
    prices.expire().await.unwrap();
    assert_outcome(&page, "k", ReadOutcome::Miss(MissReason::Expired)).await;
    assert_eq!(state(explain(&page, "k").await), [DependencyStanding::Expired]);
    prices.invalidate().await.unwrap();
    let ended = assert_outcome(&page, "k", ReadOutcome::Miss(MissReason::Dependency)).await;
    assert!(ended.contains("depends on r.prices, which has ended since"), "{ended}");
    load().await;
    assert_outcome(&page, "k", ReadOutcome::StoreHit).await;
}

#[tokio::test]
async fn a_bad_key_is_an_error() {
    let error = cache(store(), Policy::new()).root().explain::<u32>("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
}
