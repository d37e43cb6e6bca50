//! The health endpoint.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use region_core::testing::{Faulty, Method, Recorder};
use region_core::{ErrorKind, OnOutage, Policy, RegionCache, StoreHealth, StoreProblem};
use region_http::{Condition, Health};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};
use tokio::time::Instant;

use crate::kit::{faulty, get, send, until_async};
use crate::tcp::{ask, serve};

/// What a busy machine may add to a limit of time.
const SLACK: Duration = Duration::from_secs(4);

fn app(health: Health) -> Router {
    Router::new().route("/health", health.route())
}

/// The body without the time that the read took.
async fn status(app: &Router) -> (u16, String) {
    let answer = get(app, "/health", &[]).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (before, rest) = answer.body.split_once(r#","millis":"#).unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    (answer.status.as_u16(), format!("{before}}}{after}"))
}

#[tokio::test]
async fn it_is_ready_while_the_store_can_be_read() {
    let (store, cache) = faulty();
    let app = app(Health::new(cache));
    let ready = r#"{"status":"ready","store":{"reachable":true,"error":null},"problems":[]}"#;
    assert_eq!(status(&app).await, (200, ready.to_owned()));
    let head = send(&app, "HEAD", "/health", &[]).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    assert_eq!(send(&app, "POST", "/health", &[]).await.status, 405);

    let outage = store.on_any().fail(ErrorKind::Denied);
    let degraded =
        r#"{"status":"degraded","store":{"reachable":false,"error":"denied"},"problems":[]}"#;
    assert_eq!(
        status(&app).await,
        (200, degraded.to_owned()),
        "reads miss, so requests are served"
    );
    outage.lift();
    assert_eq!(status(&app).await, (200, ready.to_owned()));
}

#[tokio::test]
async fn it_is_down_if_reads_fail_and_its_statuses_can_be_chosen() {
    let (store, _) = faulty();
    let policy = Policy::new().on_outage(OnOutage::Error);
    let cache = RegionCache::builder(store.clone()).policy(policy).build().unwrap();
    let health = Health::new(cache);
    let teapot = health.clone().status_code(Condition::Down, StatusCode::IM_A_TEAPOT);
    store.on_any().fail(ErrorKind::Unavailable);
    let down =
        r#"{"status":"down","store":{"reachable":false,"error":"unavailable"},"problems":[]}"#;
    assert_eq!(status(&app(health)).await, (503, down.to_owned()));
    assert_eq!(status(&app(teapot)).await, (418, down.to_owned()));

    let (store, cache) = faulty();
    store.on_any().fail(ErrorKind::Unavailable);
    let strict = Health::new(cache).status_code(Condition::Degraded, StatusCode::BAD_GATEWAY);
    assert_eq!(status(&app(strict)).await.0, 502);
}

#[tokio::test]
async fn each_problem_of_the_store_is_degraded_and_named() {
    let (store, cache) = faulty();
    let app = app(Health::new(cache));
    let problems = [
        (StoreProblem::PrimaryDown, "primary_down"),
        (StoreProblem::ReplicaDown, "replica_down"),
        (StoreProblem::ReplicaLags, "replica_lags"),
        (StoreProblem::PushesLost, "pushes_lost"),
        (StoreProblem::InvalidationsQueued, "invalidations_queued"),
    ];
    let degraded = |names: &str| {
        let store = r#""store":{"reachable":true,"error":null}"#;
        format!(r#"{{"status":"degraded",{store},"problems":[{names}]}}"#)
    };
    for (problem, name) in problems {
        store.set_health(StoreHealth::new([problem]));
        assert_eq!(status(&app).await, (200, degraded(&format!("{name:?}"))));
    }
    store.set_health(StoreHealth::new(problems.map(|(problem, _)| problem)));
    let all = problems.map(|(_, name)| format!("{name:?}")).join(",");
    assert_eq!(status(&app).await, (200, degraded(&all)));
    store.heal();
    assert!(status(&app).await.1.contains(r#""status":"ready""#));
}

/// A service whose reads fail in an outage, on a port; its server is stopped, killed, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_down_in_bounded_time_and_recovers() {
    let limit = Duration::from_millis(200);
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let mut server = TestServer::start(flavor);
        let store = RedisStore::builder(&server.url()).unwrap().call_timeout(limit);
        let policy = Policy::new().on_outage(OnOutage::Error);
        let cache = RegionCache::builder(store.connect().await.unwrap()).policy(policy);
        let health = Health::new(cache.root("health").build().unwrap());
        let address = serve(app(health)).await;
        // By default it takes half a second more than two calls.
        let most = 2 * limit + Duration::from_millis(500) + SLACK;
        let reports = async |code: u16, part: &str| {
            until_async(&format!("{code} {part}"), async || {
                let start = Instant::now();
                let asked = (0..10).map(|_| ask(address, "GET", "/health", &[]));
                let answers = futures_util::future::join_all(asked).await;
                assert!(start.elapsed() < most, "{:?}", start.elapsed());
                let mut answers = answers.iter();
                answers.all(|answer| answer.status == code && answer.body.contains(part))
            })
            .await;
        };
        reports(200, r#""status":"ready""#).await;
        server.pause();
        reports(503, r#""status":"down","store":{"reachable":false"#).await;
        reports(503, "primary_down").await;
        server.resume();
        reports(200, r#""status":"ready""#).await;
        server.kill();
        reports(503, r#""error":"unavailable""#).await;
        server.restart();
        reports(200, r#""status":"ready""#).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_answers_in_time_though_the_store_hangs() {
    let (store, cache) = faulty();
    let within = Duration::from_secs(3);
    let app = app(Health::new(cache).within(within));
    let hang = store.on(Method::Read).pause();
    let start = Instant::now();
    let down = r#"{"status":"down","store":{"reachable":false,"error":"no_answer"},"problems":[]}"#;
    assert_eq!(status(&app).await, (503, down.to_owned()));
    assert_eq!(start.elapsed(), within);
    hang.release();
    store.heal();
    assert_eq!(status(&app).await.0, 200);
}

/// Bug: a report that all who asked for it had given up was the answer to the next request, however old.
/// Effect: a service was ready by what it had been hours ago.
/// Fix: a probe is shared while its task runs, and not after that.
#[tokio::test(start_paused = true)]
async fn a_probe_is_shared_while_it_runs_and_not_after_that() {
    let (store, cache) = faulty();
    let health = Health::new(cache);
    let reads = store.on(Method::Read).delay_after(Duration::ZERO);
    let pause = store.pause(Method::Read);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let health = health.clone();
            tokio::spawn(async move { health.check().await.status })
        })
        .collect();
    until_async("the probe waits", async || pause.waiting() == 1).await;
    pause.release();
    for task in waiting {
        assert_eq!(task.await.unwrap(), Condition::Ready);
    }
    assert_eq!(reads.hits(), 1);

    let abandoned = health.check();
    {
        let mut abandoned = std::pin::pin!(abandoned);
        assert!(futures_util::poll!(abandoned.as_mut()).is_pending());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(reads.hits(), 2, "the probe has ended by itself");
    store.on_any().fail(ErrorKind::Unavailable);
    assert_eq!(health.check().await.status, Condition::Degraded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_replica_and_a_lost_primary_are_degraded() {
    let mut primary = TestServer::start(Flavor::Redis);
    let mut replica = primary.replica();
    let builder = RedisStore::builder(&primary.url()).unwrap().replica(&replica.url()).unwrap();
    // Whatever the store is wrapped in tells of its condition too.
    let store = Arc::new(Recorder::new(Faulty::new(builder.connect().await.unwrap())));
    let app = app(Health::new(RegionCache::builder(store).root("health").build().unwrap()));
    let reports = async |code: u16, parts: &[&str]| {
        until_async(&format!("{code} {parts:?}"), async || {
            let (status, body) = status(&app).await;
            assert!(!body.contains("127.0.0.1"), "{body}");
            status == code && parts.iter().all(|part| body.contains(part))
        })
        .await;
    };
    reports(200, &[r#""status":"ready""#, r#""problems":[]"#]).await;
    replica.kill();
    reports(200, &[r#""status":"degraded""#, r#""reachable":true"#, r#"["replica_down"]"#]).await;
    replica.restart();
    reports(200, &[r#""status":"ready""#]).await;
    primary.pause();
    reports(200, &[r#""status":"degraded""#, r#""reachable":false"#, "primary_down"]).await;
    primary.resume();
    reports(200, &[r#""status":"ready""#]).await;
    primary.kill();
    reports(200, &[r#""status":"degraded""#, r#""error":"unavailable""#, "primary_down"]).await;
}
