//! Caches that are opened by a URL.

#![cfg(all(feature = "memory", feature = "redis"))]

use std::process::Command;

use region_cache::{
    ErrorKind, Region, RegionCache, RegionCacheExt, RegionExt, Result, URL_VARIABLE,
};
use servers::{Flavor, SentinelSettings, Sentinels, TestServer};

/// Its value tells the test below that it runs in a process of its own.
const CHILD: &str = "TEST_OF_OPENING";

async fn is_used(cache: RegionCache) {
    let region = cache.region("a.b").unwrap();
    region.set("k", &7u32).await.unwrap();
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&7));
    cache.region("a").unwrap().invalidate().await.unwrap();
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
}

#[tokio::test]
async fn memory_is_opened() {
    for url in ["memory:", "memory://", "MEMORY:?max_bytes=1MiB", " memory:\n"] {
        is_used(RegionCache::open(url).await.unwrap()).await;
        is_used(RegionCache::builder_from_url(url).unwrap().root("shop").build().unwrap()).await;
    }
}

#[tokio::test]
async fn a_server_is_opened_by_its_port_and_by_its_socket() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let socket = format!("unix://{}", server.socket().display());
        for url in [server.url(), socket, server.url().replace("redis://", "valkey://")] {
            is_used(RegionCache::open(&url).await.unwrap()).await;
            is_used(RegionCache::builder_from_url(&url).unwrap().build().unwrap()).await;
        }
        // Two caches by one URL are one.
        let (one, other) =
            (RegionCache::open(&server.url()).await, RegionCache::open(&server.url()).await);
        one.unwrap().root().set("k", &1u32).await.unwrap();
        assert!(other.unwrap().root().contains("k").await.unwrap());
    }
}

#[tokio::test]
async fn a_primary_is_opened_by_its_sentinels() {
    let server = TestServer::start(Flavor::Redis);
    let settings = SentinelSettings::default();
    let sentinels = Sentinels::start(Flavor::Redis, server.port(), 0, &settings);
    is_used(RegionCache::open(&sentinels.url()).await.unwrap()).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_is_opened_over_tls() {
    let certificates = servers::Certificates::new();
    let server = TestServer::start_tls(Flavor::Redis, &certificates, false);
    let url = format!("{}?ca={}", server.tls_url(), certificates.path("ca.pem").display());
    is_used(RegionCache::open(&url).await.unwrap()).await;
}

fn refusal<T>(result: Result<T>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret"), "{text}");
    text
}

#[tokio::test]
async fn a_wrong_url_is_refused_by_its_wrong_part() {
    for (url, says) in [
        ("", "no scheme; write memory:"),
        ("memory", "no scheme; write memory:"),
        ("reddis://:secret@h", "its scheme is unknown; write memory:"),
        ("secret:h", "its scheme is unknown"),
        ("redis-nodes://:secret@h", "its scheme is none of redis, rediss"),
        ("redis://:secret@h:port", "the port of the host"),
        ("memory:?max_bytes=much", "max_bytes"),
        ("memory://:secret@h", "no host"),
    ] {
        let (opened, built) = (RegionCache::open(url).await, RegionCache::builder_from_url(url));
        for text in [refusal(opened), refusal(built)] {
            assert!(text.contains(says), "{url}: {text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error_of_opening_and_none_of_building() {
    let mut server = TestServer::start(Flavor::Redis);
    let url = server.url();
    server.kill();
    assert!(RegionCache::open(&url).await.err().unwrap().can_retry());
    let cache = RegionCache::builder_from_url(&url).unwrap().build().unwrap();
    assert_eq!(cache.root().get::<u32>("k").await.unwrap(), None);
}

/// A test changes no environment: it runs this test in a process of its own, which has another.
#[tokio::test]
async fn the_environment_names_the_store() {
    if let Ok(expected) = std::env::var(CHILD) {
        match expected.as_str() {
            "" => {
                is_used(RegionCache::from_env().await.unwrap()).await;
                is_used(RegionCache::builder_from_env().unwrap().build().unwrap()).await;
            }
            says => {
                for text in [
                    refusal(RegionCache::from_env().await),
                    refusal(RegionCache::builder_from_env()),
                ] {
                    assert!(text.contains(URL_VARIABLE) && text.contains(says), "{text}");
                }
            }
        }
        return;
    }
    let server = TestServer::start(Flavor::Redis);
    for (url, expected) in [
        (Some("memory:"), ""),
        (Some(server.url().as_str()), ""),
        (None, "is not set; write memory:"),
        (Some(" "), "is empty; write memory:"),
        (Some("redis://:secret@h/x"), "the database is not a number"),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "the_environment_names_the_store"]).env(CHILD, expected);
        match url {
            Some(url) => child.env(URL_VARIABLE, url),
            None => child.env_remove(URL_VARIABLE),
        };
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{url:?}: {text}");
    }
}
