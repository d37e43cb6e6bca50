//! Cases about the results and logs of a service during an outage, and about the errors of wrong settings.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use region_cache::testing::{Faulty, Method};
use region_cache::{
    ErrorKind, MemoryStore, Policy, RedisStore, Region, RegionCache, RegionExt, TokioClock,
};
use servers::{Flavor, TestServer};
use tracing::{Level, Metadata, span};

use crate::kit::{builder, cache, loaded, ms, timed, until, until_ok};
use crate::way::Way;

/// Bug: a rotated password or a missing permission was an error of every read.
/// Effect: a service went down with its cache.
/// Fix: reads treat it as an outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_password_is_an_outage_to_reads() {
    let server = TestServer::start_with(Flavor::Redis, &["--requirepass", "one"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port());
    let error = builder(&url("wrong")).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let store = builder(&url("one")).connect().await.unwrap();
    let region = cache(store.clone()).region("r").unwrap();
    region.set("k", &1_u8).await.unwrap();
    as_admin(
        &server,
        "one",
        &[
            &["CONFIG", "SET", "requirepass", "two"],
            &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
        ],
    )
    .await;
    until("the outage to be seen", || !store.stats().primary.is_up).await;
    for _ in 0..20 {
        assert_eq!(timed(region.get::<u8>("k")).await.0.unwrap(), None);
        assert_eq!(*timed(region.get_or_compute("k", || loaded(2_u8))).await.0.unwrap(), 2);
    }
    as_admin(&server, "two", &[&["CONFIG", "SET", "requirepass", "one"]]).await;
    until_ok(|| async { region.set("k", &3_u8).await }).await;
}

async fn as_admin(server: &TestServer, password: &str, commands: &[&[&str]]) {
    let url = format!("redis://:{password}@127.0.0.1:{}", server.port());
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for command in commands {
        let mut sent = redis::cmd(command[0]);
        for arg in &command[1..] {
            sent.arg(*arg);
        }
        sent.query_async::<redis::Value>(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_an_outage_to_reads() {
    let server = TestServer::start(Flavor::Redis);
    server.command(&["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all"]);
    let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
    let store = builder(&url).connect().await.unwrap();
    let region = cache(store).region("r").unwrap();
    region.set("k", &1_u8).await.unwrap();
    for taken in ["-@scripting", "-@read", "-@all"] {
        server.command(&["ACL", "SETUSER", "app", taken]);
        for _ in 0..5 {
            timed(region.get::<u8>("k")).await.0.unwrap();
            timed(region.get_or_compute("new", || loaded(2_u8))).await.0.unwrap();
        }
    }
    server.command(&["ACL", "SETUSER", "app", "+@all"]);
    until_ok(|| async { region.set("k", &3_u8).await }).await;
}

/// Counts what is logged, by level and message.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<HashMap<String, u64>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let place = event.metadata();
        let place = format!("{}:{:?}", place.file().unwrap_or_default(), place.line());
        *self.0.lock().entry(place).or_default() += 1;
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Bug: each call of an outage logged a line.
/// Effect: 439,427 lines, 109 MB, in 15 seconds.
/// Fix: a line when it begins, one when it ends, and at most one a second between, per kind.
#[tokio::test]
async fn an_outage_logs_few_lines() {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(lines.clone());
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = builder(&way.url()).call_timeout(ms(100)).connect().await.unwrap();
    let region = cache(store).region("r").unwrap();
    region.set("k", &1_u8).await.unwrap();
    way.close();
    let start = Instant::now();
    let calls = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (region, calls) = (region.clone(), Arc::clone(&calls));
        tasks.spawn(async move {
            while start.elapsed() < Duration::from_secs(3) {
                let _ = region.get::<u8>("k").await;
                let _ = region.get_or_compute("k", || loaded(2_u8)).await;
                let _ = region.set("k", &1_u8).await;
                let _ = region.invalidate().await;
                calls.fetch_add(4, SeqCst);
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
    way.lead_to(server.port());
    until_ok(|| async { region.set("k", &1_u8).await }).await;
    let lines = lines.0.lock();
    assert!(calls.load(SeqCst) > 200, "the case is too easy");
    for (place, count) in &*lines {
        assert!(*count <= 8, "{count} lines from {place}, of {} calls", calls.load(SeqCst));
    }
    assert!(!lines.is_empty(), "an outage is worth a line");
}

/// Bug: unknown parameters of a URL were ignored.
/// Effect: `?db=3` wrote to database 0.
/// Fix: they are refused by name, as an error of settings.
#[test]
fn a_wrong_url_is_an_error_of_settings() {
    for (url, named) in [
        ("redis://localhost?db=3", "db"),
        ("redis://localhost/0?database=3", "database"),
        ("redis://localhost:6379?timeout=3&protocol=resp3", "timeout"),
        ("unix:///run/redis.sock?dbb=3", "dbb"),
        ("redis://localhost/x", "database"),
        ("localhost", ""),
        ("", ""),
    ] {
        let error = RedisStore::builder(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}: {error}");
        assert!(error.to_string().to_lowercase().contains(named), "{url}: {error}");
    }
    let replica = RedisStore::builder("redis://localhost").unwrap().replica("redis://h?db=3");
    assert_eq!(replica.unwrap_err().kind(), ErrorKind::InvalidConfig);
}

/// Bug: a server without passwords took any, without a word.
/// Effect: a service believed itself protected.
/// Fix: `connect` says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_for_a_server_that_has_none_is_an_error() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let url = format!("redis://:secret@127.0.0.1:{}", server.port());
        let error = builder(&url).connect().await.unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains("password"), "{error}");
    }
}

/// Bug: a policy for a path that no region can have, and an empty root, did not name the setting.
#[test]
fn a_wrong_setting_of_a_cache_is_named() {
    let build = |names: &str| {
        let builder = RegionCache::builder(MemoryStore::new()).root("fg");
        builder.region_policy(names, Policy::new().version(1)).build()
    };
    for names in ["", "org..project", "org:1.project", "."] {
        let error = build(names).unwrap_err();
        assert!(error.to_string().contains("region_policy"), "{names:?}: {error}");
    }
    for root in ["", ".", "a..b"] {
        let error = RegionCache::builder(MemoryStore::new()).root(root).build().unwrap_err();
        assert!(error.to_string().contains("root"), "{root:?}: {error}");
    }
}

/// Bug: `invalidate_on` gave up on errors that are not retryable.
/// Effect: after eight seconds of missing permission an event was lost.
/// Fix: it tries until it succeeds.
#[tokio::test(start_paused = true)]
async fn an_event_is_never_given_up() {
    for kind in [ErrorKind::Denied, ErrorKind::Store, ErrorKind::Protocol, ErrorKind::Timeout] {
        let store = Faulty::new(MemoryStore::builder().clock(TokioClock::new()).build());
        let region = cache(store.clone()).region("r").unwrap();
        region.set("k", &1_u8).await.unwrap();
        let refusal = store.on(Method::End).fail(kind);
        let (events, stream) = futures_channel();
        let subscription = region.invalidate_on(stream);
        events.send(()).unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(refusal.hits() > 20, "{kind:?}: {} attempts in an hour", refusal.hits());
        assert!(refusal.hits() < 4000, "{kind:?}: {} attempts in an hour", refusal.hits());
        refusal.lift();
        let gone = || async { region.get::<u8>("k").await.unwrap().is_none() };
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(gone().await, "{kind:?}: the event was given up");
        drop(subscription);
    }
}

/// A stream of events, and what sends them.
fn futures_channel()
-> (tokio::sync::mpsc::UnboundedSender<()>, impl futures_util::Stream<Item = ()> + Send + 'static) {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    let stream = futures_util::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|event| (event, receive))
    });
    (send, stream)
}
