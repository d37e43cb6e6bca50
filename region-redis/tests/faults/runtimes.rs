//! The runtime that a store lives on, and the end of a store.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use region_core::{ErrorKind, Verb};
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
