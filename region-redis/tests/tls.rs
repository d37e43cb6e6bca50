//! Cases about connections over TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use region_core::{ErrorKind, Policy, ReadFrom, Region, RegionCache, RegionExt, RegionHandle};
use region_redis::{RedisStore, RedisStoreBuilder, Tls};
use servers::{Certificates, Flavor, SentinelSet, SentinelSettings, TestServer};
use tokio::net::TcpListener;

servers::on_both! {
    a_server_of_a_trusted_authority_is_used
    a_server_that_is_not_trusted_is_not_used
    a_server_that_wants_a_certificate_gets_one
    a_url_alone_says_enough
    a_replica_is_read_over_tls
    connections_are_opened_again
    each_side_says_that_the_other_does_not_speak_tls
    sentinels_and_their_servers_are_asked_over_tls
}

/// Longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The limit on what is to fail.
const MOMENT: Duration = Duration::from_secs(2);

fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url).unwrap().call_timeout(PATIENCE).connect_timeout(PATIENCE)
}

fn trusting(certificates: &Certificates) -> Tls {
    Tls::new().ca_file(certificates.path("ca.pem"))
}

fn region(store: RedisStore, policy: Policy) -> RegionHandle {
    let cache = RegionCache::builder(store).policy(policy).root("r").build().unwrap();
    cache.region("a").unwrap()
}

/// Writes and reads, small and large.
async fn use_store(store: RedisStore) {
    let region = region(store, Policy::new());
    for value in ["small".to_owned(), "large".repeat(100_000)] {
        region.set("k", &value).await.unwrap();
        assert_eq!(*region.get::<String>("k").await.unwrap().unwrap(), value);
    }
}

async fn refusal(builder: RedisStoreBuilder) -> String {
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error} {source:?}")
}

async fn a_server_of_a_trusted_authority_is_used(flavor: Flavor) {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(flavor, &certificates, false);
    let url = server.tls_url();
    let store = builder(&url).tls(trusting(&certificates)).connect().await.unwrap();
    assert_eq!(store.primary().unwrap().to_string(), url);
    use_store(store).await;
    let given = Tls::new().ca_pem(certificates.text("ca.pem"));
    use_store(builder(&url).tls(given).connect().await.unwrap()).await;
}

async fn a_server_that_is_not_trusted_is_not_used(flavor: Flavor) {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let server = TestServer::start_tls(flavor, &certificates, false);
    let url = server.tls_url();
    let by_another = refusal(builder(&url).tls(trusting(&others))).await;
    assert!(by_another.contains("certificate"), "{by_another}");
    let by_the_system = refusal(builder(&url)).await;
    assert!(by_the_system.contains("certificate"), "{by_the_system}");
    let address = format!("rediss://127.0.0.1:{}", server.tls_port());
    let by_address = refusal(builder(&address).tls(trusting(&certificates))).await;
    assert!(by_address.contains("not valid for name"), "{by_address}");
    let named = trusting(&certificates).server_name("localhost");
    use_store(builder(&address).tls(named).connect().await.unwrap()).await;
}

async fn a_server_that_wants_a_certificate_gets_one(flavor: Flavor) {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let server = TestServer::start_tls(flavor, &certificates, true);
    let url = server.tls_url();
    refusal(builder(&url).tls(trusting(&certificates))).await;
    let foreign =
        trusting(&certificates).client_files(others.path("client.pem"), others.path("client.key"));
    refusal(builder(&url).tls(foreign)).await;
    let known = trusting(&certificates)
        .client_pem(certificates.text("client.pem"), certificates.text("client.key"));
    use_store(builder(&url).tls(known).connect().await.unwrap()).await;
}

async fn a_url_alone_says_enough(flavor: Flavor) {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(flavor, &certificates, true);
    let path = |name: &str| certificates.path(name).display().to_string();
    let url = format!(
        "rediss://127.0.0.1:{}/3?ca={}&cert={}&key={}&server_name=localhost",
        server.tls_port(),
        path("ca.pem"),
        path("client.pem"),
        path("client.key"),
    );
    let store = builder(&url).connect().await.unwrap();
    assert!(store.primary().unwrap().to_string().ends_with("/3"));
    use_store(store).await;
}

async fn a_replica_is_read_over_tls(flavor: Flavor) {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(flavor, &certificates, false);
    let replica = server.replica();
    let builder = builder(&server.tls_url()).replica(&replica.tls_url()).unwrap();
    let store = builder.tls(trusting(&certificates)).connect().await.unwrap();
    let region = region(store.clone(), Policy::new().read_from(ReadFrom::Replica));
    region.set("k", &1_u32).await.unwrap();
    let calls = || {
        let stats = replica.command(&["INFO", "commandstats"]).text();
        stats.lines().any(|line| line.starts_with("cmdstat_hmget"))
    };
    let deadline = Instant::now() + PATIENCE;
    while !calls() {
        assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
        assert!(Instant::now() < deadline, "the replica is never read");
    }
}

async fn connections_are_opened_again(flavor: Flavor) {
    let certificates = Certificates::new();
    let mut server = TestServer::start_tls(flavor, &certificates, false);
    let store = builder(&server.tls_url()).tls(trusting(&certificates)).connect().await.unwrap();
    let region = region(store, Policy::new());
    for n in 0..3_u32 {
        tokio::task::block_in_place(|| server.restart());
        let deadline = Instant::now() + PATIENCE;
        while region.set("k", &n).await.is_err() {
            assert!(Instant::now() < deadline, "it is never reached again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&n));
    }
}

async fn each_side_says_that_the_other_does_not_speak_tls(flavor: Flavor) {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(flavor, &certificates, false);
    let plain_port = format!("rediss://localhost:{}", server.port());
    let soon = builder(&plain_port).connect_timeout(Duration::from_secs(2));
    let refused = refusal(soon.tls(trusting(&certificates))).await;
    assert!(refused.contains("over TLS"), "{refused}");
    let tls_port = format!("redis://localhost:{}", server.tls_port());
    assert!(builder(&tls_port).connect().await.is_err());
}

/// A server that takes the connection and then says nothing costs no more than the limit.
#[tokio::test]
async fn a_handshake_that_is_not_answered_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let certificates = Certificates::new();
    let url = format!("rediss://localhost:{}", listener.local_addr().unwrap().port());
    let limit = Duration::from_millis(100);
    let began = Instant::now();
    let error = RedisStore::builder(&url)
        .unwrap()
        .connect_timeout(limit)
        .tls(trusting(&certificates))
        .connect()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn settings_that_are_wrong_are_refused_by_name() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let ca = trusting(&certificates);
    let key = certificates.text("client.key");
    let missing = certificates.path("missing.pem");
    for (tls, says) in [
        (Tls::new().ca_file(&missing), "missing.pem"),
        (Tls::new().ca_pem(""), "no certificate in the given text"),
        (
            Tls::new().ca_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "given text",
        ),
        (ca.clone().client_pem(key.clone(), key.clone()), "no certificate"),
        (ca.clone().client_files(certificates.path("client.pem"), &missing), "missing.pem"),
        (
            ca.clone().client_files(certificates.path("client.pem"), certificates.path("ca.pem")),
            "private key",
        ),
        (
            ca.clone().client_pem(certificates.text("client.pem"), others.text("client.key")),
            "client certificate",
        ),
        (ca.clone().server_name("two words"), "\"two words\""),
    ] {
        let error = builder("rediss://localhost:1").tls(tls).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{says}");
        let text = error.to_string();
        assert!(text.contains(says), "{says}: {text}");
        assert!(!text.contains(&key[30..60]), "{text}");
    }
    // Whoever asks for TLS and does not get it has to know.
    let error = builder("redis://localhost:1").tls(ca).build().unwrap_err();
    assert!(error.to_string().contains("rediss://"), "{error}");
}

#[test]
fn no_key_is_printed() {
    let tls = Tls::new().client_pem("the chain", "the key").server_name("cache");
    let builder = RedisStore::builder("rediss://app:secret@localhost").unwrap().tls(tls.clone());
    for text in [format!("{tls:?}"), format!("{builder:?}")] {
        assert!(text.contains("cache") && !text.contains("the key"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

/// The sentinels report addresses, which the certificates do not name.
async fn sentinels_and_their_servers_are_asked_over_tls(flavor: Flavor) {
    let certificates = Arc::new(Certificates::new());
    let settings =
        SentinelSettings { certificates: Some(Arc::clone(&certificates)), ..Default::default() };
    let mut servers = tokio::task::block_in_place(|| SentinelSet::start(flavor, &settings));
    let url = servers.sentinels.tls_url();
    let ca = certificates.path("ca.pem").display().to_string();
    let refused = refusal(builder(&format!("{url}?ca={ca}")).connect_timeout(MOMENT)).await;
    assert!(refused.contains("certificate"), "{refused}");
    let url = format!("{url}?ca={ca}&server_name=localhost");
    let store = builder(&url).connect().await.unwrap();
    let primary = store.primary().unwrap().to_string();
    let port = servers.servers[0].tls_port();
    assert_eq!(primary, format!("rediss://127.0.0.1:{port}"));
    use_store(store.clone()).await;
    let deadline = Instant::now() + PATIENCE;
    while store.stats().replicas.iter().filter(|replica| replica.is_recent).count() < 2 {
        assert!(Instant::now() < deadline, "{:?}", store.stats());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    servers.servers[0].kill();
    let promoted = tokio::task::block_in_place(|| servers.sentinels.wait_until_other_than(port));
    let deadline = Instant::now() + PATIENCE;
    let primary = format!("rediss://127.0.0.1:{promoted}");
    let is_there = || store.stats().primary.is_up && store.stats().primary.server == primary;
    while !is_there() {
        assert!(Instant::now() < deadline, "{:?}", store.stats());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    use_store(store).await;
}
