//! The variables of the Python library, as its own test-suite sets them.

use region_cache::{Configuration, Region, RegionCache, RegionExt};
use servers::{Flavor, TestServer};

/// A server, its replica, and their ports as text.
struct Servers {
    _both: [TestServer; 2],
    ports: [String; 2],
}

fn servers() -> Servers {
    let primary = TestServer::start(Flavor::Redis);
    let replica = primary.replica();
    replica.wait_until_following();
    let ports = [primary.port().to_string(), replica.port().to_string()];
    Servers { _both: [primary, replica], ports }
}

fn configuration(variables: &[(&str, &str)]) -> Configuration {
    let variables = variables.iter().map(|(name, value)| (format!("REGION_CACHE_{name}"), *value));
    Configuration::new().with_variables(variables).unwrap()
}

async fn is_used(cache: &RegionCache) {
    let region = cache.region("example").unwrap();
    region.set("key", &1u32).await.unwrap();
    assert_eq!(region.get::<u32>("key").await.unwrap().as_deref(), Some(&1));
    cache.root().invalidate().await.unwrap();
    assert_eq!(region.get::<u32>("key").await.unwrap(), None);
}

#[tokio::test]
async fn each_set_of_variables_opens_the_cache() {
    let Servers { ports: [port, replica], .. } = &servers();
    let (url, replica_url) =
        (format!("redis://localhost:{port}/5"), format!("redis://localhost:{replica}/5"));
    let address = [("HOST", "localhost"), ("PORT", port.as_str()), ("DB", "5")];
    let more: [&[(&str, &str)]; 4] = [
        &[],
        &[("RR_HOST", "localhost"), ("RR_PORT", replica)],
        &[("OP_TIMEOUT", "5")],
        &[
            ("OP_TIMEOUT", "5.5"),
            ("OP_TIMEOUT_RAISE", "False"),
            ("OP_TIMEOUT_RECONNECT", "True"),
            ("RECONNECT_BACKOFF", "1"),
            ("SERIALIZER", "json"),
            ("ROOT", "example"),
            ("REDIS_OPTIONS", r#"{"max_in_flight": 3}"#),
        ],
    ];
    is_used(&configuration(&[("URL", &url)]).open().await.unwrap()).await;
    let both = [("URL", url.as_str()), ("RR_URL", &replica_url)];
    is_used(&configuration(&both).open().await.unwrap()).await;
    for more in more {
        is_used(&configuration(&[&address[..], more].concat()).open().await.unwrap()).await;
    }
}

/// The two databases of one server share nothing.
#[tokio::test]
async fn the_database_is_the_one_that_is_named() {
    let server = TestServer::start(Flavor::Redis);
    let port = server.port().to_string();
    let open = async |db| {
        let variables = [("HOST", "localhost"), ("PORT", port.as_str()), ("DB", db)];
        configuration(&variables).open().await.unwrap()
    };
    open("5").await.root().set("key", &1u32).await.unwrap();
    assert!(open("5").await.root().contains("key").await.unwrap());
    assert!(!open("0").await.root().contains("key").await.unwrap());
}

/// Without `RR_PASSWORD` a replica that demands one is not read; the cache works all the same.
#[tokio::test]
async fn a_replica_has_a_password_of_its_own() {
    let args = ["--requirepass", "of-primary", "--masterauth", "of-primary"];
    let primary = TestServer::start_with(Flavor::Redis, &args);
    let port = primary.port().to_string();
    let of_replica = [
        "--requirepass",
        "of-replica",
        "--masterauth",
        "of-primary",
        "--replicaof",
        "127.0.0.1",
        &port,
    ];
    let replica = TestServer::start_with(Flavor::Redis, &of_replica);
    let replica_port = replica.port().to_string();
    let cache = configuration(&[
        ("HOST", "127.0.0.1"),
        ("PORT", &port),
        ("PASSWORD", "of-primary"),
        ("RR_HOST", "127.0.0.1"),
        ("RR_PORT", &replica_port),
        ("RR_PASSWORD", "of-replica"),
    ]);
    let store = cache.redis_store().unwrap();
    let store = store.connect_timeout(std::time::Duration::from_secs(10)).connect().await.unwrap();
    crate::kit::until("the replica", || async {
        store.stats().replicas.iter().any(|replica| replica.is_up)
    })
    .await;
    is_used(&cache.open().await.unwrap()).await;
}
