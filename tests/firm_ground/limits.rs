//! Limits of this process and of its servers: each call keeps its own, and none costs others.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use region_cache::{OnTimeout, RedisStore, Region, RegionExt, RegionPath, Verb};
use servers::{Flavor, TestServer};

use crate::kit::{builder, cache, clients, connect, ms, region, timed, until, until_ok, until_so};
use crate::way::{Act, From, Way, holds};

/// Bug: a primary that refused writes could not be connected to.
/// Effect: nothing could be read or invalidated.
/// Fix: what it does not refuse is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_read_and_invalidated() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start_with(flavor, &["--maxmemory-policy", "noeviction"]);
        let before = region(&server.url(), "r").await;
        before.set("k", &1_u8).await.unwrap();
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let after = cache(connect(&server.url()).await).region("r").unwrap();
        assert_eq!(after.get::<u8>("k").await.unwrap().as_deref(), Some(&1));
        assert!(timed(after.set("k", &2_u8)).await.0.is_err());
        // What is refused takes nothing away.
        assert_eq!(after.get::<u8>("k").await.unwrap().as_deref(), Some(&1));
        after.invalidate().await.unwrap();
        assert_eq!(after.get::<u8>("k").await.unwrap(), None);
        assert_eq!(before.get::<u8>("k").await.unwrap(), None);
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        until_ok(|| async { after.set("k", &3_u8).await }).await;
    }
}

/// As above, for a server without the replicas that it has to have, or that cannot save.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_writes_is_read() {
    for refusal in ["min-replicas-to-write", "stop-writes-on-bgsave-error"] {
        let args = ["--enable-protected-configs", "yes"];
        let server = TestServer::start_with(Flavor::Redis, &args);
        let before = region(&server.url(), "r").await;
        before.set("k", &1_u8).await.unwrap();
        refuse_writes(&server, refusal).await;
        let after = cache(connect(&server.url()).await).region("r").unwrap();
        assert_eq!(after.get::<u8>("k").await.unwrap().as_deref(), Some(&1), "{refusal}");
        let error = timed(after.set("k", &2_u8)).await.0.unwrap_err();
        assert!(error.can_retry(), "{refusal}: {error:?}");
        assert!(timed(after.invalidate()).await.0.is_err());
        assert_eq!(after.get::<u8>("k").await.unwrap().as_deref(), Some(&1), "{refusal}");
        server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        server.command(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
        until_ok(|| async { after.set("k", &3_u8).await }).await;
        assert_eq!(before.get::<u8>("k").await.unwrap().as_deref(), Some(&3));
    }
}

async fn refuse_writes(server: &TestServer, refusal: &str) {
    if refusal == "min-replicas-to-write" {
        server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        return;
    }
    let folder = server.folder().join("gone");
    std::fs::create_dir(&folder).unwrap();
    server.command(&["CONFIG", "SET", "dir", folder.to_str().unwrap()]);
    server.command(&["CONFIG", "SET", "save", "10000 10000"]);
    std::fs::remove_dir(&folder).unwrap();
    server.command(&["BGSAVE"]);
    let refuses = || server.command(&["SET", "probe", "1"]).text().starts_with("MISCONF");
    until("the server to refuse writes", refuses).await;
}

/// Bug: only the main connection was watched.
/// Effect: one for large entries that died silently timed out for a quarter of an hour.
/// Fix: each is watched, and replaced alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_dies_silently_is_replaced_alone() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = builder(&way.url()).call_timeout(ms(700)).watch(ms(100), ms(700));
    let a = cache(store.connect().await.unwrap()).region("r").unwrap();
    let large = vec![7_u8; 200_000];
    a.set("large", &large).await.unwrap();
    a.set("small", &1_u8).await.unwrap();
    assert_eq!(a.get::<Vec<u8>>("large").await.unwrap().as_deref(), Some(&large));
    assert!(way.connections() >= 2, "large entries have a connection of their own");
    way.rule(|connection, _, _| if connection == 1 { Act::Swallow } else { Act::Pass });
    let read = || async { a.get::<Vec<u8>>("large").await.is_ok_and(|value| value.is_some()) };
    until_so("large entries to be read again", || async {
        assert_eq!(a.get::<u8>("small").await.unwrap().as_deref(), Some(&1));
        read().await
    })
    .await;
}

/// Bug: acknowledged invalidations queued behind one another's WAIT on one connection.
/// Effect: of 20 at once 19 timed out.
/// Fix: they go out at once, and share the waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_acknowledged_invalidations_share_the_waiting() {
    let primary = TestServer::start(Flavor::Redis);
    let replica = TestServer::start(Flavor::Redis);
    let replication = Way::to(primary.port()).await;
    tokio::task::block_in_place(|| replica.follow(replication.port()));
    let within = Duration::from_secs(4);
    let store = builder(&primary.url()).wait_for_replicas(1, within).connect().await.unwrap();
    let cache = cache(store);
    // A replica that has just come up acknowledges its first second late.
    until_ok(|| async { cache.region("first").unwrap().invalidate().await }).await;
    let end = |n: usize| {
        let region = cache.region(&format!("org:{n}")).unwrap();
        async move { timed(region.invalidate()).await }
    };
    // What the replica gets, it gets late.
    replication.delay(ms(200));
    for (done, _) in join_all((0..40).map(end)).await {
        done.unwrap();
    }
    replica.pause();
    for (done, took) in join_all((0..40).map(end)).await {
        assert!(done.is_err());
        assert!(took < within + Duration::from_secs(4), "the limits added up: {took:?}");
    }
    replica.resume();
    until_ok(|| async { cache.region("last").unwrap().invalidate().await }).await;
}

/// Bug: a wait without end overflowed.
/// Effect: a panic in the caller.
/// Fix: it is bounded as every wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_ever_is_no_panic() {
    let primary = TestServer::start(Flavor::Redis);
    let _replica = primary.replica();
    let store = connect(&primary.url()).await;
    let region = RegionPath::parse("fg.r").unwrap();
    let end = store.end_and_wait(&region, Verb::Invalidate, 1, Duration::MAX);
    // It is done, or refused with an error.
    let _ = timed(end).await;
    assert!(cache(store).region("r").unwrap().get::<u8>("k").await.is_ok());
}

/// Bug: more calls than this process may have in flight counted as an outage.
/// Effect: every connection was dropped.
/// Fix: they fail alone, and say why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_of_this_process_drops_no_connection() {
    for on_timeout in [OnTimeout::Ask, OnTimeout::Drop] {
        let server = TestServer::start(Flavor::Redis);
        let way = Way::to(server.port()).await;
        let store = builder(&way.url()).max_in_flight(4).call_timeout(ms(300));
        let store = store.on_timeout(on_timeout).connect().await.unwrap();
        let region = cache(store.clone()).region("r").unwrap();
        region.set("k", &1_u8).await.unwrap();
        let before = way.connections();
        way.delay(ms(40));
        let set = |_| region.set("k", &1_u8);
        let done = join_all((0..300).map(set)).await;
        let failed: Vec<_> = done.into_iter().filter_map(Result::err).collect();
        assert!(!failed.is_empty(), "the case is too easy");
        way.delay(ms(0));
        assert_eq!(way.connections(), before, "{on_timeout:?}: {:?}", failed[0]);
        region.set("k", &2_u8).await.unwrap();
        assert_eq!(way.connections(), before, "{on_timeout:?}: {:?}", failed[0]);
        assert!(store.stats().primary.is_up, "{on_timeout:?}");
    }
}

/// Bug: a server that refused one more connection lost the ones it had.
/// Effect: 136 of 200 small writes failed.
/// Fix: the call goes by a connection that is there, or fails alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_further_connection_costs_no_other_call() {
    let server = TestServer::start(Flavor::Redis);
    let store = connect(&server.url()).await;
    let region = cache(store.clone()).region("r").unwrap();
    region.set("k", &1_u8).await.unwrap();
    let connects = store.stats().primary.connects;
    // The question itself takes a connection.
    let most = clients(&server);
    server.command(&["CONFIG", "SET", "maxclients", &most.to_string()]);
    let large = tokio::spawn({
        let region = region.clone();
        async move {
            let value = vec![1_u8; 200_000];
            for _ in 0..20 {
                let _ = timed(region.set("large", &value)).await;
            }
        }
    });
    for n in 0..200_u8 {
        region.set("k", &n).await.unwrap();
        assert_eq!(region.get::<u8>("k").await.unwrap().as_deref(), Some(&n));
    }
    large.await.unwrap();
    assert!(store.stats().primary.is_up);
    // Attempts to open the further one are spaced.
    assert!(store.stats().primary.connects - connects < 20, "{:?}", store.stats());
}

/// Bug: `len` had a limit a page and none in total.
/// Effect: it took eight seconds.
/// Fix: one limit for the whole operation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn len_keeps_its_limit_in_total() {
    let server = TestServer::start(Flavor::Redis);
    let filler = region(&server.url(), "r").await;
    let names: Vec<String> = (0..20_000).map(|n| format!("key:{n}")).collect();
    let values: Vec<(&str, &u32)> = names.iter().map(|name| (name.as_str(), &7_u32)).collect();
    for some in values.chunks(1000) {
        filler.set_many(some).await.unwrap();
    }
    assert_eq!(filler.len().await.unwrap(), 20_000);
    let way = Way::to(server.port()).await;
    let limit = ms(800);
    let store = builder(&way.url()).call_timeout(limit).connect().await.unwrap();
    let slow = cache(store).region("r").unwrap();
    slow.get::<u32>("key:1").await.unwrap();
    way.delay(ms(300));
    let (_, took) = timed(slow.len()).await;
    assert!(took < limit + ms(500), "{took:?}");
}

/// Bug: a put that had to be sent again took the limit twice.
/// Fix: one limit for the whole operation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_keeps_its_limit_in_total() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let limit = ms(1000);
    let store = builder(&way.url()).call_timeout(limit).connect().await.unwrap();
    let top = cache(store);
    let region = top.region("org:1.project:2").unwrap();
    region.set("k", &1_u8).await.unwrap();
    top.region("org:1").unwrap().expire().await.unwrap();
    way.delay(ms(750));
    let (_, took) = timed(region.set("k", &2_u8)).await;
    assert!(took < limit + ms(350), "{took:?}");
    let (_, took) = timed(region.set("new", &2_u8)).await;
    assert!(took < limit + ms(350), "{took:?}");
    server.command(&["SCRIPT", "FLUSH"]);
    let (_, took) = timed(region.set("k", &2_u8)).await;
    assert!(took < limit + ms(350), "after SCRIPT FLUSH: {took:?}");
}

/// Bug: the last clone's end during a reclaim left its connections open.
/// Fix: they close with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_store_closes_its_connections() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = connect(&way.url()).await;
    let region = cache(store).region("r").unwrap();
    for n in 0..50 {
        region.child(&format!("c{n}")).unwrap().set("k", &1_u8).await.unwrap();
    }
    region.set("large", &vec![1_u8; 200_000]).await.unwrap();
    // The reclaimer's call is under way when the last clone goes.
    let mut reclaiming = false;
    way.rule(move |_, from, bytes| {
        reclaiming |= from == From::Client && (holds(bytes, "rc1:g") || holds(bytes, "rc1:x"));
        if reclaiming && from == From::Server { Act::Hold(0) } else { Act::Pass }
    });
    let _ = timed(region.invalidate()).await;
    until("the reclaimer to be at work", || way.holding() > 0).await;
    drop(region);
    way.release();
    until("the connections to close", || clients(&server) == 0).await;
}

/// Bug: a member of the reclaimer's list that it had not written made it spin.
/// Fix: it is thrown away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_members_in_the_reclaimers_list_do_no_harm() {
    let server = TestServer::start(Flavor::Redis);
    let store = builder(&server.url()).without_reclaimer().connect().await.unwrap();
    let region = cache(store.clone()).region("r").unwrap();
    for round in 0..2 {
        for n in 0..5 {
            region.child(&format!("c{n}")).unwrap().set("k", &1_u8).await.unwrap();
        }
        region.invalidate().await.unwrap();
        spoil_lists(&server, round);
        timed(store.reclaim()).await.0.unwrap();
        timed(store.reclaim()).await.0.unwrap();
    }
    region.set("k", &1_u8).await.unwrap();
    assert_eq!(region.get::<u8>("k").await.unwrap().as_deref(), Some(&1));
}

fn spoil_lists(server: &TestServer, round: usize) {
    for key in crate::kit::keys(server, "rc1:g*") {
        let kind = server.command(&["TYPE", &key]).text();
        for member in
            ["", "junk", "0123456789abcdef0123 fg.r", "\0\0\0\0\0\0\0\0 elsewhere.x", " fg"]
        {
            match (kind.as_str(), round) {
                ("set", 0) => server.command(&["SADD", &key, member]),
                ("zset", 0) => server.command(&["ZADD", &key, "1", member]),
                _ => {
                    server.command(&["DEL", &key]);
                    server.command(&["SET", &key, member])
                }
            };
        }
    }
}

/// Bug: a store whose runtime had ended made each call wait for its limit; outside any runtime calls
/// panicked.
/// Fix: a clear error at once.
#[test]
fn a_store_without_its_runtime_says_so_at_once() {
    let server = TestServer::start(Flavor::Redis);
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let limit = Duration::from_secs(5);
    let store = RedisStore::builder(&server.url()).unwrap().call_timeout(limit);
    let store = first.block_on(store.connect()).unwrap();
    let region = cache(store).region("r").unwrap();
    first.block_on(region.set("k", &1_u8)).unwrap();
    outside_any_runtime(&region);
    drop(first);
    second.block_on(async {
        let start = Instant::now();
        let error = region.set("k", &2_u8).await.unwrap_err();
        assert!(region.invalidate().await.is_err());
        let _ = region.get::<u8>("k").await;
        let load = || crate::kit::loaded(3_u8);
        assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 3);
        assert!(start.elapsed() < ms(2500), "{error}, after {:?}", start.elapsed());
    });
}

fn outside_any_runtime(region: &region_cache::RegionHandle) {
    let ask = |region: region_cache::RegionHandle| {
        let _ = block_on(region.get::<u8>("k"));
        let _ = block_on(region.set("k", &2_u8));
        let _ = block_on(region.invalidate());
        let _ = block_on(region.len());
        let _ = block_on(region.get_or_compute("k", || crate::kit::loaded(3_u8)));
        let _ = block_on(region.get_or_compute("other", || crate::kit::loaded(3_u8)));
    };
    let region = region.clone();
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(region)));
        let _ = done.send(asked.is_ok());
    });
    let asked = finished.recv_timeout(Duration::from_secs(15)).expect("a call hangs");
    assert!(asked, "a call panicked");
}

/// Drives a future without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park_timeout(ms(50)),
        }
    }
}

/// The last bytes before a connection is cut are not needed for the next call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_client_connection_is_replaced() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = connect(&way.url()).await;
    let region = cache(store).region("r").unwrap();
    region.set("k", &1_u8).await.unwrap();
    way.rule(|_, from, _| if from == From::Server { Act::Swallow } else { Act::Pass });
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    way.release();
    until_ok(|| async { region.set("k", &2_u8).await }).await;
    assert_eq!(region.get::<u8>("k").await.unwrap().as_deref(), Some(&2));
}
