//! Timeouts, reconnection, and what is served meanwhile.

use std::time::{Duration, Instant};

use region_cache::{Configuration, ErrorKind, Region, RegionCache, RegionExt};
use servers::{Flavor, TestServer};

use crate::kit::until;

/// Longer than any call here takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);

async fn open(server: &TestServer, more: &[(&str, &str)]) -> RegionCache {
    let port = server.port().to_string();
    let variables = [&[("HOST", "127.0.0.1"), ("PORT", port.as_str())], more].concat();
    let variables = variables.iter().map(|(name, value)| (format!("REGION_CACHE_{name}"), *value));
    Configuration::new().with_variables(variables).unwrap().open().await.unwrap()
}

/// A server that does not answer costs a read `op_timeout` at most, and by default the read is a miss.
#[tokio::test]
async fn a_read_that_times_out_is_a_miss() {
    let server = TestServer::start(Flavor::Redis);
    let cache = open(&server, &[("OP_TIMEOUT", "0.5")]).await;
    let region = cache.region("example").unwrap();
    region.set("key", &1u32).await.unwrap();
    server.pause();
    let began = Instant::now();
    assert_eq!(region.get::<u32>("key").await.unwrap(), None);
    assert!(!region.contains("key").await.unwrap());
    // What is computed is returned, and not stored.
    let load = || async { Ok::<_, std::io::Error>(2u32) };
    assert_eq!(*region.get_or_compute("key", load).await.unwrap(), 2);
    assert!(region.set("key", &3u32).await.unwrap_err().is_outage());
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    server.resume();
    until("the server", || async { region.set("key", &4u32).await.is_ok() }).await;
    until("the value", || async { region.contains("key").await.unwrap() }).await;
}

/// With `raise_on_timeout` a read is an error instead.
#[tokio::test]
async fn a_read_that_times_out_may_be_an_error() {
    let server = TestServer::start(Flavor::Redis);
    let cache = open(&server, &[("OP_TIMEOUT", "0.5"), ("OP_TIMEOUT_RAISE", "true")]).await;
    server.pause();
    let error = cache.region("example").unwrap().get::<u32>("key").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
    assert!(error.is_outage() && error.can_retry());
    server.resume();
}

/// With `reconnect_on_timeout` the connections are dropped at the first timeout, and for `reconnect_backoff` none is
/// opened: meanwhile values that this process holds are served, as the Python library serves those of its LRU.
#[tokio::test]
async fn connections_are_dropped_and_local_values_served_while_backing_off() {
    let server = TestServer::start(Flavor::Redis);
    let cache = open(
        &server,
        &[
            ("OP_TIMEOUT", "0.5"),
            ("OP_TIMEOUT_RECONNECT", "true"),
            ("RECONNECT_BACKOFF", "1"),
            ("NEAR_BYTES", "1 MiB"),
            ("NEAR_OUTAGE_FOR", "1h"),
        ],
    )
    .await;
    let region = cache.region("example").unwrap();
    region.set("held", &1u32).await.unwrap();
    until("a value that is held", || async {
        region.get::<u32>("held").await.unwrap();
        cache.stats().near_hits > 0
    })
    .await;
    server.pause();
    until("an outage", || async { region.set("other", &1u32).await.is_err() }).await;
    let began = Instant::now();
    for _ in 0..1000 {
        assert_eq!(region.get::<u32>("held").await.unwrap().as_deref(), Some(&1));
        assert_eq!(region.get::<u32>("missing").await.unwrap(), None);
    }
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    server.resume();
    until("the server", || async { region.set("held", &2u32).await.is_ok() }).await;
    assert_eq!(region.get::<u32>("held").await.unwrap().as_deref(), Some(&2));
}

/// A server that is down when the cache is opened, and a server that restarts: the cache comes by itself.
#[tokio::test]
async fn the_cache_reconnects_by_itself() {
    let mut server = TestServer::start(Flavor::Redis);
    let url = server.url();
    let configuration = Configuration::new();
    let configuration = configuration
        .with_variables([
            ("REGION_CACHE_URL", url.as_str()),
            ("REGION_CACHE_RECONNECT_BACKOFF", "0.05"),
        ])
        .unwrap();
    let cache = configuration.builder().unwrap().build().unwrap();
    let region = cache.region("example").unwrap();
    until("the server", || async { region.set("key", &1u32).await.is_ok() }).await;
    server.kill();
    until("the outage", || async { region.set("key", &1u32).await.is_err() }).await;
    assert_eq!(region.get::<u32>("key").await.unwrap(), None);
    server.restart();
    until("the server", || async { region.set("key", &2u32).await.is_ok() }).await;
    assert_eq!(region.get::<u32>("key").await.unwrap().as_deref(), Some(&2));
}
