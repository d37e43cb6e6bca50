//! Configurations that name real servers.

use region_config::Configuration;
use region_core::{Error, ErrorKind, Region, RegionCache, RegionExt};
use servers::{Certificates, Flavor, TestServer};

async fn is_used(cache: &RegionCache) {
    let region = cache.region("a.b").unwrap();
    region.set("k", &7u32).await.unwrap();
    assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&7));
    cache.region("a").unwrap().invalidate().await.unwrap();
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
}

fn variables(given: &[(&str, &str)]) -> Configuration {
    let given = given.iter().map(|(name, value)| (format!("REGION_CACHE_{name}"), *value));
    Configuration::new().with_variables(given).unwrap()
}

async fn error(configuration: &Configuration) -> Error {
    configuration.open().await.err().unwrap()
}

/// The password of a server, apart from its address, of any characters.
const PASSWORD: &str = "p@ss/w?rd#%";

#[tokio::test]
async fn a_server_is_opened_by_host_port_and_password() {
    let server = TestServer::start_with(Flavor::Redis, &["--requirepass", PASSWORD]);
    let port = server.port().to_string();
    let right =
        [("HOST", "127.0.0.1"), ("PORT", port.as_str()), ("DB", "3"), ("PASSWORD", PASSWORD)];
    is_used(&variables(&right).open().await.unwrap()).await;
    let url = format!("redis://127.0.0.1:{port}/3");
    is_used(&variables(&[("URL", &url), ("PASSWORD", PASSWORD)]).open().await.unwrap()).await;
    let user = [("URL", url.as_str()), ("USER", "default"), ("PASSWORD", PASSWORD)];
    is_used(&variables(&user).open().await.unwrap()).await;
    let wrong = error(&variables(&[("URL", &url), ("PASSWORD", "another")])).await;
    assert_eq!(wrong.kind(), ErrorKind::Denied, "{wrong}");
    assert!(!format!("{wrong} {wrong:?}").contains("another"));
}

#[tokio::test]
async fn a_replica_is_read_that_variables_name() {
    let primary = TestServer::start(Flavor::Redis);
    let replica = primary.replica();
    replica.wait_until_following();
    let (port, replica_port) = (primary.port().to_string(), replica.port().to_string());
    let configuration = variables(&[
        ("HOST", "127.0.0.1"),
        ("PORT", &port),
        ("RR_HOST", "127.0.0.1"),
        ("RR_PORT", &replica_port),
    ]);
    let cache = configuration.open().await.unwrap();
    is_used(&cache).await;
    let reads = || replica.command(&["INFO", "commandstats"]).text().contains("cmdstat_hmget");
    let region = cache.region("read").unwrap();
    region.set("k", &1u8).await.unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !reads() {
        assert!(std::time::Instant::now() < end, "no read went to the replica");
        region.get::<u8>("k").await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_is_opened_over_tls_by_its_settings() {
    let certificates = Certificates::new();
    let server = TestServer::start_tls(Flavor::Redis, &certificates, true);
    let port = server.tls_port().to_string();
    let file = |name: &str| certificates.path(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let address = [("HOST", "localhost"), ("PORT", port.as_str())];
    let of = |more: &[(&str, &str)]| variables(&[&address[..], more].concat());
    let files = [("TLS_CA_FILE", ca.as_str()), ("TLS_CERT_FILE", &cert), ("TLS_KEY_FILE", &key)];
    is_used(&of(&files).open().await.unwrap()).await;
    let (ca, cert, key) = (
        certificates.text("ca.pem"),
        certificates.text("client.pem"),
        certificates.text("client.key"),
    );
    let texts = [("TLS_CA_PEM", ca.as_str()), ("TLS_CERT_PEM", &cert), ("TLS_KEY_PEM", &key)];
    is_used(&of(&texts).open().await.unwrap()).await;
    let missing = error(&of(&[("TLS_CA_FILE", "/nowhere/ca.pem")])).await.to_string();
    assert!(missing.starts_with("REGION_CACHE_TLS_CA_FILE: TLS: \"/nowhere/ca.pem\""), "{missing}");
}
