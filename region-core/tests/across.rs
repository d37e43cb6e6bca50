//! Reads across regions.

#![cfg(feature = "testing")]

use std::time::Duration;

use region_core::testing::{Faulty, Method, Recorder};
use region_core::{
    ErrorKind, MAX_REGIONS_ACROSS, NearCache, OnOutage, Policy, Region, RegionCache, RegionExt,
    TokioClock,
};
use region_memory::MemoryStore;
use tokio::time::Instant;

const TRIP: Duration = Duration::from_millis(10);

fn cache(policy: Policy) -> (Recorder<Faulty<MemoryStore>>, RegionCache) {
    let store = MemoryStore::builder().clock(TokioClock::new()).build();
    let store = Recorder::new(Faulty::new(store));
    let cache = RegionCache::builder(store.clone()).root("r").policy(policy).build().unwrap();
    (store, cache)
}

/// All regions are asked at once, each once: it takes one trip, not one for each.
#[tokio::test(start_paused = true)]
async fn all_regions_are_read_in_one_trip() {
    let regions = MAX_REGIONS_ACROSS;
    for near in [NearCache::Off, NearCache::On] {
        let (store, cache) = cache(Policy::new().near(near));
        let handles = (0..regions).map(|n| cache.region(&format!("org:{n}.a")).unwrap());
        let handles: Vec<_> = handles.collect();
        for (n, handle) in handles.iter().enumerate().step_by(2) {
            handle.set_many(&[("k", &n), ("l", &(n + 1))]).await.unwrap();
        }
        // Another cache has written them, to this one nothing is near.
        let policy = Policy::new().near(near);
        let reader = RegionCache::builder(store.clone()).root("r").policy(policy).build().unwrap();
        let handles = (0..regions).map(|n| reader.region(&format!("org:{n}.a")).unwrap());
        let handles: Vec<_> = handles.collect();
        store.clear();
        store.inner().on(Method::Read).delay_before(TRIP);
        let keys = handles.iter().flat_map(|handle| [(handle, "k"), (handle, "l")]);
        let places: Vec<_> = keys.collect();
        let started = Instant::now();
        let values = reader.get_across::<usize>(&places).await.unwrap();
        assert_eq!(started.elapsed(), TRIP);
        assert_eq!(store.count(Method::Read), regions as u64);
        for (at, value) in values.iter().enumerate() {
            let expected = (at % 4 < 2).then_some(at / 2 + at % 2);
            assert_eq!(value.as_deref().copied(), expected, "place {at}");
        }
        // More regions than are read at a time are read in two trips.
        let more = reader.region("more").unwrap();
        let mut places: Vec<_> = handles.iter().map(|handle| (handle, "none")).collect();
        places.push((&more, "none"));
        let started = Instant::now();
        assert_eq!(reader.get_across::<usize>(&places).await.unwrap(), vec![None; regions + 1]);
        assert_eq!(started.elapsed(), 2 * TRIP);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_miss_or_an_error_as_the_policy_says() {
    let (store, cache) = cache(Policy::new());
    let (a, b) = (cache.region("a").unwrap(), cache.region("b").unwrap());
    a.set("k", &1u32).await.unwrap();
    b.set("k", &2u32).await.unwrap();
    store.inner().on(Method::Read).within(b.path()).fail(ErrorKind::Unavailable);
    let places = [(&b, "k"), (&a, "k"), (&a, "k")];
    let values = cache.get_across::<u32>(&places).await.unwrap();
    let values: Vec<_> = values.iter().map(|value| value.as_deref().copied()).collect();
    assert_eq!(values, [None, Some(1), Some(1)]);
    let strict = b.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    let error = cache.get_across::<u32>(&[(&a, "k"), (&strict, "k")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(cache.get_across::<u32>(&[]).await.unwrap().is_empty());
    let error = cache.get_across::<u32>(&[(&a, "")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
}
