//! The runtime that a store lives on, and the end of a store.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use region_core::{Error, ErrorKind, OnOutage, Policy, Region, RegionCache, RegionExt, Verb};
use region_redis::OnInvalidationFailure;
use servers::{Flavor, Proxy, TestServer};
use tokio::runtime::Runtime;

use crate::kit::{LIMIT, builder, connect, end, get, set, until};

servers::on_both! {
    connections_end_with_the_store_though_it_reclaims
}

/// Bug: a store whose runtime had ended waited for connections that nobody opened any more.
/// Effect: each call took as long as its limit.
/// Fix: the end of the keeper's task is a state of its own.
#[test]
fn a_store_whose_runtime_has_ended_says_so_at_once() {
    let server = TestServer::start(Flavor::Redis);
    let runtime = Runtime::new().unwrap();
    let builder = builder(&server.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = runtime.block_on(builder.connect()).unwrap();
    drop(runtime);
    let later = Runtime::new().unwrap();
    let start = Instant::now();
    for _ in 0..20 {
        let error = later.block_on(get(&store, "r", "k")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.can_retry() && error.to_string().contains("runtime"), "{error}");
        // Nobody would ever do what is queued.
        assert!(later.block_on(end(&store, "r", Verb::Invalidate)).is_err());
    }
    assert!(start.elapsed() < LIMIT * 2, "{:?}", start.elapsed());
    assert!(!store.stats().primary.is_up && !store.stats().has_queued);
}

/// Bug: the limit of a call was a timer, which panics outside of a runtime.
/// Effect: a call from another executor took its task down.
/// Fix: it is an error.
#[test]
fn a_call_from_outside_of_a_runtime_is_an_error() {
    let server = TestServer::start(Flavor::Redis);
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(connect(&server.url()));
    let mut call = std::pin::pin!(get(&store, "r", "k"));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert!(error.to_string().contains("outside of a Tokio runtime"), "{error}");
    runtime.block_on(get(&store, "r", "k")).unwrap();
}

/// Bug: the timers of a store, and those of its calls, panicked on a runtime without timers.
/// Effect: a call took its task down.
/// Fix: it is an error that says so.
#[test]
fn a_runtime_without_timers_is_an_error() {
    let server = TestServer::start(Flavor::Redis);
    let without_timers = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let error = without_timers.block_on(builder(&server.url()).connect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("has no timers: build it with enable_time"), "{error}");
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(connect(&server.url()));
    let policy = Policy::new().on_outage(OnOutage::Error);
    let cache = RegionCache::builder(store).root("r").policy(policy).near(1 << 20).build().unwrap();
    let region = cache.root();
    runtime.block_on(async {
        region.set("k", &1u32).await.unwrap();
        assert!(region.get::<u32>("k").await.unwrap().is_some());
    });
    let is_refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.can_retry() && error.to_string().contains("has no timers"), "{error}");
    };
    without_timers.block_on(async {
        // Own changes put what is near in doubt.
        is_refused(region.set("l", &1u32).await.unwrap_err());
        is_refused(region.invalidate().await.unwrap_err());
        is_refused(region.get::<u32>("l").await.unwrap_err());
        is_refused(region.get::<u32>("k").await.unwrap_err());
        is_refused(region.get_many::<u32>(&["k", "l"]).await.unwrap_err());
        is_refused(region.len().await.unwrap_err());
        is_refused(region.keys().next().await.unwrap().unwrap_err());
        is_refused(region.children().next().await.unwrap().unwrap_err());
        let load = || async { Ok::<_, std::convert::Infallible>(1u32) };
        is_refused(region.get_or_compute("l", load).await.unwrap_err());
        assert!(region.explain::<u32>("k").await.unwrap().store.is_err());
    });
    runtime.block_on(async { assert!(region.get::<u32>("k").await.unwrap().is_some()) });
}

/// Bug: the task that reclaims memory kept the store while it was at work.
/// Effect: the connections stayed open after the last clone was dropped.
/// Fix: the clones own the connections, and their last one ends them.
async fn connections_end_with_the_store_though_it_reclaims(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let patient = builder(&server.url()).call_timeout(Duration::from_secs(20));
    let other = patient.without_reclaimer().connect().await.unwrap();
    let regions: Vec<_> = (0..4000).map(|n| format!("r.a.n:{n}")).collect();
    for some in regions.chunks(200) {
        let sets = some.iter().map(|region| set(&other, region, "k", "1"));
        futures_util::future::join_all(sets).await.into_iter().for_each(|set| set.unwrap());
    }
    end(&other, "r.a", Verb::Invalidate).await.unwrap();
    drop(other);
    let connections = || {
        let clients = server.command(&["CLIENT", "LIST"]).text();
        clients.lines().filter(|line| line.contains("name=region-cache")).count()
    };
    until("the connections of the other store to end", || connections() == 0).await;
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    // Each of the 40 steps takes a tenth of a second.
    proxy.limit(8000);
    let left = || server.command(&["ZCARD", &reclaimed(&server)]).text().parse::<u64>().unwrap();
    let before = left();
    set(&store, "r", "k", "1").await.unwrap();
    until("the reclaimer to begin", || left() < before).await;
    drop(store);
    until("the connections to end", || connections() == 0).await;
    assert!(left() > 0, "before it was done");
}

/// The name of what is to be reclaimed.
fn reclaimed(server: &TestServer) -> String {
    let names = server.command(&["KEYS", "rc1:x*"]);
    names.list().first().map(|name| name.text()).unwrap_or_default()
}
