//! Loads of several keys that depend on other regions.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use region_core::testing::{Faulty, Method};
use region_core::{
    ErrorKind, LoadOptions, MAX_DEPENDENCIES, OnOutage, Policy, Region, RegionCache, RegionExt,
};

use super::kit::{Process, memory, on};

const KEYS: [&str; 3] = ["k", "l", "m"];

/// The values at `KEYS`, each the number of the load that brought it.
async fn load(here: &Process, options: LoadOptions) -> region_core::Result<Vec<u32>> {
    let loads = std::sync::Arc::clone(&here.loads);
    let load = move |keys: Vec<String>| {
        let number = loads.fetch_add(1, Ordering::SeqCst) + 1;
        let values: HashMap<_, _> = keys.into_iter().map(|key| (key, number)).collect();
        async move { Ok::<_, Infallible>(values) }
    };
    let values = here.page().get_or_compute_many_with(&KEYS, options, load).await?;
    Ok(values.into_iter().map(|value| *value.unwrap()).collect())
}

#[tokio::test]
async fn every_value_of_a_batch_depends_on_what_was_declared() {
    let here = Process::alone(Policy::new());
    for (round, ended) in ["b", "c.d"].into_iter().enumerate() {
        let options = || on(&here.region("b")).depends_on(&here.region("c.d"));
        let loaded = 2 * round as u32 + 1;
        assert_eq!(load(&here, options()).await.unwrap(), [loaded; 3]);
        assert_eq!(load(&here, options()).await.unwrap(), [loaded; 3], "hits");
        here.region(ended).touch().await.unwrap();
        let values = here.page().get_many::<u32>(&KEYS).await.unwrap();
        assert_eq!(values, [None, None, None], "{ended}");
        assert_eq!(load(&here, LoadOptions::new()).await.unwrap(), [loaded + 1; 3]);
        here.region(ended).touch().await.unwrap();
        let left = load(&here, LoadOptions::new()).await.unwrap();
        assert_eq!(left, [loaded + 1; 3], "loaded without dependencies");
        here.page().invalidate().await.unwrap();
    }
}

/// The markers are read beside the values, each once, and serve for the load.
#[tokio::test]
async fn a_batch_costs_as_many_calls_as_one_key() {
    let here = Process::alone(Policy::new());
    load(&here, on(&here.region("b"))).await.unwrap();
    here.page().invalidate().await.unwrap();
    here.calls.clear();
    load(&here, on(&here.region("b"))).await.unwrap();
    let count = |method| here.calls.count(method);
    assert_eq!((count(Method::Read), count(Method::Begin), count(Method::Write)), (2, 1, 1));
    here.calls.clear();
    load(&here, on(&here.region("b"))).await.unwrap();
    assert_eq!((count(Method::Read), here.calls.total()), (2, 2));
}

#[tokio::test]
async fn a_batch_is_loaded_anew() {
    let here = Process::alone(Policy::new());
    load(&here, LoadOptions::new()).await.unwrap();
    assert_eq!(load(&here, on(&here.region("b")).reload()).await.unwrap(), [2; 3]);
    here.region("b").invalidate().await.unwrap();
    assert_eq!(here.get().await, None);
    let many = (0..=MAX_DEPENDENCIES).map(|n| here.region(&format!("n:{n}")));
    let too_many = many.fold(LoadOptions::new(), |options, region| options.depends_on(&region));
    let error = load(&here, too_many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("get_or_compute_many_with"), "{error}");
}

/// Bug: the questions before and after a load of a batch shared one limit of the store. Effect: a key whose value
/// had ended with what it depends on got an error, or was not stored, if the other keys took long to load.
/// Fix: what is asked after a load has a limit of its own.
#[tokio::test(start_paused = true)]
async fn a_load_of_other_keys_does_not_use_up_the_time_of_a_question() {
    const LIMIT: Duration = Duration::from_millis(50);
    let faulty = Faulty::new(memory()).with_limit(LIMIT);
    faulty.on_any().delay_before(Duration::from_millis(1));
    let policy = Policy::new().on_outage(OnOutage::Error);
    let cache = RegionCache::builder(faulty).root("r").policy(policy).seed(7).build().unwrap();
    let (page, b) = (cache.region("a").unwrap(), cache.region("b").unwrap());
    let load = |keys: Vec<String>| async move {
        tokio::time::sleep(LIMIT * 2).await;
        Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 1_u32)).collect::<HashMap<_, _>>())
    };
    page.get_or_compute_many_with(&["k"], LoadOptions::new().depends_on(&b), load).await.unwrap();
    b.invalidate().await.unwrap();
    let values = page.get_or_compute_many(&["other", "k"], load).await.unwrap();
    assert_eq!(values, [Some(Arc::new(1)), Some(Arc::new(1))]);
    assert_eq!(page.len().await.unwrap(), 2);
}
