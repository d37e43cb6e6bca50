//! Configurations: their formats, what goes over what, what contradicts what, and what is never shown.

use std::process::Command;
use std::time::Duration;

use region_config::{Configuration, RegionCacheExt, Secret};
use region_core::{
    Error, ErrorKind, OnOutage, Policy, ReadFrom, Region, RegionCache, RegionExt, Result,
};

const SECOND: Duration = Duration::from_secs(1);

/// Its value tells a test that it runs in a process of its own.
const CHILD: &str = "TEST_OF_CONFIGURATION";

fn read(toml: &str) -> Configuration {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

fn variables(given: &[(&str, &str)]) -> Result<Configuration> {
    Configuration::new().with_variables(given.iter().copied())
}

/// The text of a refusal, which shows no secret.
fn refusal<T>(result: Result<T>) -> String {
    text(&result.err().unwrap())
}

fn text(error: &Error) -> String {
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret"), "{text}");
    text
}

/// The settings as `Debug` shows them, but for where they come from.
fn shown(configuration: &Configuration) -> String {
    let text = format!("{configuration:?}");
    text.split("origins").next().unwrap().to_owned()
}

#[test]
fn one_configuration_reads_the_same_from_each_format() {
    let toml = r#"
        root = "shop"
        [store]
        host = "cache-primary"
        port = 6380
        password = "p"
        [[replicas]]
        host = "cache-replica"
        port = 6381
        [redis]
        call_timeout = "250 ms"
        large_entries = "32 KiB"
        [policy]
        ttl = "10m"
        [regions."org.project"]
        ttl = "unlimited"
        on_stale = "refresh"
    "#;
    let json = r#"{
        "root": "shop",
        "store": { "host": "cache-primary", "port": 6380, "password": "p" },
        "replicas": [{ "host": "cache-replica", "port": 6381 }],
        "redis": { "call_timeout": 250, "large_entries": 32768 },
        "policy": { "ttl": 600000, "stale_for": null },
        "regions": { "org.project": { "ttl": "unlimited", "on_stale": "refresh" } }
    }"#;
    let yaml = "
root: shop
store:
  host: cache-primary
  port: 6380
  password: p
replicas:
  - host: cache-replica
    port: 6381
redis:
  call_timeout: 250ms
  large_entries: 32KiB
policy:
  ttl: 10m
regions:
  org.project:
    ttl: unlimited
    on_stale: refresh
";
    let of_toml = read(toml);
    let of_json: Configuration = serde_json::from_str(json).unwrap();
    let of_yaml: Configuration = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!(shown(&of_json), shown(&of_toml));
    assert_eq!(shown(&of_yaml), shown(&of_toml));
    assert_eq!(of_toml.redis.call_timeout, Some(SECOND / 4));
    assert_eq!(of_toml.store.password.as_ref().map(Secret::expose), Some("p"));
}

#[test]
fn an_error_names_the_setting_by_its_path_in_each_format() {
    let toml = toml::from_str::<Configuration>("[redis]\ncall_timeout = 'soon'").unwrap_err();
    let json = serde_json::from_str::<Configuration>(r#"{"redis": {"call_timeout": "soon"}}"#);
    let yaml = serde_saphyr::from_str::<Configuration>("redis:\n  call_timeout: soon\n");
    for error in [toml.to_string(), json.unwrap_err().to_string(), yaml.unwrap_err().to_string()] {
        assert!(error.contains("redis.call_timeout: invalid value: string \"soon\""), "{error}");
    }
    let twice = serde_json::from_str::<Configuration>(r#"{"root": "a", "root": "b"}"#);
    assert!(twice.unwrap_err().to_string().contains("\"root\" is given twice"));
}

#[test]
fn no_configuration_at_all_names_no_store() {
    let empty: Configuration = serde_saphyr::from_str("").unwrap_or_default();
    let error = refusal(empty.check());
    assert!(error.contains("store.url: is not set, and REGION_CACHE_URL is not set"), "{error}");
    assert!(error.contains("write memory:"), "{error}");
}

/// A region's path and policy.
fn region_of(cache: &RegionCache, names: &str) -> String {
    format!("{:?}", cache.region(names).unwrap())
}

/// A file, the environment over it, and code over both: of the same setting the last one counts, and others stay.
#[tokio::test]
async fn the_environment_goes_over_a_file_and_code_over_both() {
    let file = read(
        "root = 'of-file'\nmax_refreshes = 1\nmax_region_stats = 1\nstore.host = 'of-file'\n\
         store.port = 1\nredis.call_timeout = '1s'\nredis.connect_timeout = '1s'\n\
         policy = { ttl = '1s', version = 1, lease = '1s' }\n\
         regions.org = { ttl = '1s', version = 1 }",
    );
    let both = file
        .with_variables([
            ("REGION_CACHE_HOST", "of-env"),
            ("REGION_CACHE_MAX_REFRESHES", "2"),
            ("REGION_CACHE_CONNECT_TIMEOUT", "2s"),
            ("REGION_CACHE_TTL", "2s"),
            ("REGION_CACHE_VERSION", "2"),
            ("REGION_CACHE_REGIONS", r#"{"org": {"ttl": "2s"}, "team": {"ttl": "2s"}}"#),
        ])
        .unwrap();
    assert_eq!((both.store.host.as_deref(), both.store.port), (Some("of-env"), Some(1)));
    assert_eq!(both.max_refreshes, Some(2));
    let store = both.redis_store().unwrap().call_timeout(3 * SECOND);
    let shown = format!("{store:?}");
    assert!(shown.contains("redis://of-env:1"), "{shown}");
    assert!(shown.contains("call: 3s") && shown.contains("connect: 2s"), "{shown}");

    let over_memory = both.with_variables([("REGION_CACHE_URL", "memory:")]).unwrap();
    let cache = over_memory.builder().unwrap();
    let cache = cache
        .root("of-code")
        .policy(Policy::new().version(3))
        .region_policy("org", Policy::new().version(3))
        .build()
        .unwrap();
    assert_eq!(cache.root().path().as_str(), "of-code");
    let merged = Policy::new().ttl(2 * SECOND).version(3).lease(SECOND);
    let code = RegionCache::builder_from_url("memory:").unwrap();
    let code = code
        .root("of-code")
        .policy(merged)
        .region_policy("org", Policy::new().ttl(2 * SECOND).version(3))
        .region_policy("team", Policy::new().ttl(2 * SECOND))
        .build()
        .unwrap();
    for names in ["x", "org:1", "org:1.project:2", "team:1"] {
        assert_eq!(region_of(&cache, names), region_of(&code, names), "{names}");
    }
}

/// Code that switches the near cache on, or sets a serializer, goes over a configuration that says otherwise.
#[tokio::test]
async fn methods_of_the_builder_go_over_a_configured_policy() {
    let file = read("store.url = 'memory:'\npolicy = { near = 'off', serializer = 'json' }");
    let by_code = file.builder().unwrap().near(1 << 20).serializer(region_core::Postcard);
    let shown = format!("{by_code:?}");
    assert!(shown.contains("near: Some(On)"), "{shown}");
    let cache = by_code.build().unwrap();
    cache.root().set("k", &1u8).await.unwrap();
    cache.root().get::<u8>("k").await.unwrap();
    cache.root().get::<u8>("k").await.unwrap();
    assert!(cache.near_use().entries > 0);
}

#[tokio::test]
async fn regions_inherit_as_in_code() {
    let file = read(
        "store.url = 'memory:'\npolicy.ttl = '10m'\nregions.org.on_outage = 'error'\n\
         regions.'org.project'.ttl = 'unlimited'",
    );
    let configured = file.open().await.unwrap();
    let coded = RegionCache::builder_from_url("memory:")
        .unwrap()
        .policy(Policy::new().ttl(600 * SECOND))
        .region_policy("org", Policy::new().on_outage(OnOutage::Error))
        .region_policy("org.project", Policy::new().no_ttl())
        .build()
        .unwrap();
    for names in ["team", "org:1", "org:1.project:2", "org:1.project:2.task:3"] {
        assert_eq!(region_of(&configured, names), region_of(&coded, names), "{names}");
    }
}

#[test]
fn an_address_goes_over_another() {
    let file = read("store = { url = 'redis://:p@of-file/3' }");
    let host = file.clone().with_variables([("REGION_CACHE_HOST", "of-env")]).unwrap();
    assert!(format!("{:?}", host.redis_store().unwrap()).contains("Servers(redis://of-env:6379)"));
    let file = read(
        "store = { host = 'h', db = 3, password = 'p' }\ntls.enabled = true\n\
         replicas = [{ host = 'r', port = 1 }]",
    );
    let url = file.clone().with_variables([("REGION_CACHE_URL", "rediss://of-env")]).unwrap();
    let shown = format!("{:?}", url.redis_store().unwrap());
    assert!(shown.contains("Servers(rediss://of-env:6379)"), "{shown}");
    // A test that takes memory: drops what belongs to the server of the file.
    let memory = file.with_variables([("REGION_CACHE_URL", "memory:")]).unwrap();
    memory.check().unwrap();
    assert!(memory.replicas.is_empty() && memory.store.password.is_none());
    let bound = read("store = { url = 'memory:', max_bytes = '1 MiB' }");
    bound.with_variables([("REGION_CACHE_URL", "redis://h")]).unwrap().check().unwrap();
}

#[test]
fn contradictions_name_both_settings() {
    for (toml, says) in [
        (
            "store = { url = 'redis://:secret@h', password = 'secret' }",
            &["store.password: there is a password in the URL", "store.url"][..],
        ),
        ("store = { url = 'redis://h', host = 'h' }", &["store.host: ", "store.url"]),
        (
            "store = { url = 'memory:', password = 'secret' }",
            &["store.password: it is for a server", "store.url"],
        ),
        ("store.url = 'memory:'\nreplicas = [{ url = 'redis://:secret@h' }]", &["replicas[0]"]),
        (
            "store = { url = 'memory:?max_bytes=1', max_bytes = 2 }",
            &["store.max_bytes: ", "store.url"],
        ),
        ("store = { url = 'redis://h', max_bytes = 2 }", &["store.max_bytes: ", "store.url"]),
        (
            "store.url = 'redis-cluster://h'\nreplicas = [{ url = 'redis://:secret@r' }]",
            &["replicas[0].url: a replica of redis-cluster://h"],
        ),
        (
            "store.url = 'redis://h'\ntls.key_pem = 'secret'",
            &["tls.key_pem: it needs tls.cert_pem"],
        ),
        (
            "store.url = 'redis://h'\nreplicas = [{ url = 'redis://r', host = 'r' }]",
            &["replicas[0].host"],
        ),
    ] {
        let error = refusal(read(toml).check());
        assert!(says.iter().all(|says| error.contains(says)), "{toml}: {error}");
    }
}

#[test]
fn contradictory_variables_are_named() {
    for (given, says) in [
        (
            &[("URL", "redis://h"), ("TLS_CA_FILE", "ca.pem")][..],
            &["REGION_CACHE_TLS_CA_FILE: REGION_CACHE_URL does not ask for TLS"][..],
        ),
        (
            &[("URL", "redis://:secret@h"), ("PASSWORD", "secret")],
            &["REGION_CACHE_PASSWORD: ", "REGION_CACHE_URL"],
        ),
        (&[("URL", "redis://h"), ("PORT", "1")], &["REGION_CACHE_PORT: REGION_CACHE_URL names"]),
        (
            &[("OP_TIMEOUT", "1"), ("CALL_TIMEOUT", "1s")],
            &["REGION_CACHE_OP_TIMEOUT and REGION_CACHE_CALL_TIMEOUT both set redis.call_timeout"],
        ),
        (&[("RR_HOST", "r"), ("HOST", "h")], &["REGION_CACHE_RR_HOST needs REGION_CACHE_RR_PORT"]),
        (
            &[("RR_PASSWORD", "secret"), ("HOST", "h")],
            &["REGION_CACHE_RR_PASSWORD needs REGION_CACHE_RR_HOST"],
        ),
        (
            &[("RR_HOST", "r"), ("RR_PORT", "1"), ("REPLICAS", "redis://:secret@r")],
            &["REGION_CACHE_REPLICAS and REGION_CACHE_RR_HOST both name replicas"],
        ),
        (
            &[("URL", "redis://h"), ("WAIT_FOR_REPLICAS", "1")],
            &["REGION_CACHE_WAIT_FOR_REPLICAS: it needs"],
        ),
        (&[("HOST", "h"), ("USER", "app")], &["REGION_CACHE_USER: there is no password"]),
        (
            &[("HOST", "h"), ("CALL_TIMEOUT", "0")],
            &["REGION_CACHE_CALL_TIMEOUT: the setting call_timeout is 0ns"],
        ),
    ] {
        let given: Vec<_> =
            given.iter().map(|(name, value)| (format!("REGION_CACHE_{name}"), *value)).collect();
        let result = Configuration::new().with_variables(given.clone());
        let error = refusal(result.and_then(|configuration| configuration.check()));
        assert!(says.iter().all(|says| error.contains(says)), "{given:?}: {error}");
    }
}

#[test]
fn wrong_variables_are_named_and_their_values_are_not_shown_if_they_may_be_secret() {
    for (name, value, says) in [
        ("TIMEOUT", "1", "REGION_CACHE_TIMEOUT is unknown"),
        ("REDIS_ARGS", "secret", "REGION_CACHE_REDIS_ARGS is no setting"),
        ("REDIS_OPTIONS", "secret", "REGION_CACHE_REDIS_OPTIONS is not a table in JSON"),
        (
            "REDIS_OPTIONS",
            r#"{"socket_timeout": 1}"#,
            "REGION_CACHE_REDIS_OPTIONS: unknown field `socket_timeout`",
        ),
        (
            "REDIS_OPTIONS",
            r#"{"call_timeout": "soon"}"#,
            "REGION_CACHE_REDIS_OPTIONS: invalid value",
        ),
        (
            "REGIONS",
            r#"{"org": {"ttl": "soon"}}"#,
            "REGION_CACHE_REGIONS (regions.org.ttl): invalid value",
        ),
        ("REGIONS", "[]", "REGION_CACHE_REGIONS is not a table in JSON"),
        ("PORT", "secret", "REGION_CACHE_PORT is not a whole number"),
        ("PORT", "65536", "REGION_CACHE_PORT: invalid value: integer `65536`, expected u16"),
        ("TLS", "secret", "REGION_CACHE_TLS is neither true nor false"),
        ("OP_TIMEOUT", "-1", "REGION_CACHE_OP_TIMEOUT is not a number of seconds"),
        ("OP_TIMEOUT", "soon", "REGION_CACHE_OP_TIMEOUT: invalid value"),
        ("PASSWORD", "", "REGION_CACHE_PASSWORD is empty"),
        ("SERIALIZER", "pickle", "REGION_CACHE_SERIALIZER: \"pickle\" is no serializer"),
        ("TTL_JITTER", "101", "REGION_CACHE_TTL_JITTER: the value is 101"),
    ] {
        let name = format!("REGION_CACHE_{name}");
        let error = refusal(variables(&[(&name, value)]));
        assert!(error.contains(says), "{name}: {error}");
    }
    assert!(variables(&[("PATH", "/bin"), ("region_cache_url", "x")]).is_ok());
}

/// Secrets are in no `Debug`, and in no error, whichever format they come from.
#[test]
fn secrets_are_never_shown() {
    let file = read(
        "store = { host = 'h', password = 'secret' }\nreplicas = [{ url = 'redis://:secret@r' }]\n\
         tls = { cert_pem = 'c', key_pem = 'secret' }",
    );
    assert!(!format!("{file:?} {file:#?}").contains("secret"));
    assert!(!format!("{:?}", file.redis_store().unwrap()).contains("secret"));
    let given =
        [("REGION_CACHE_URL", "redis://:secret@h"), ("REGION_CACHE_SENTINEL_PASSWORD", "secret")];
    assert!(!format!("{:?}", variables(&given).unwrap()).contains("secret"));
    // A URL where a table has to be.
    for (toml, says) in [
        ("store = 'redis://:secret@h'", "store: it is not a table of settings"),
        ("replicas = 'redis://:secret@h'", "replicas: it is not a list"),
        ("replicas = [['redis://:secret@h']]", "replicas[0]: it is not a table"),
        ("regions.'a.b' = 'redis://:secret@h'", "regions.\"a.b\": it is not a table"),
    ] {
        let error = toml::from_str::<Configuration>(toml).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    // A wrong type, whose value a format would repeat, with the line that it stands in.
    for toml in
        ["store.password = 987654", "store.url = 987654", "[[replicas]]\npassword = 98765.4"]
    {
        let error = toml::from_str::<Configuration>(toml).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("it is not text") && !shown.contains("98765"), "{shown}");
    }
}

/// The Python library reads from its replica whenever there is one.
#[tokio::test]
async fn a_replica_that_is_named_by_its_host_is_read_from() {
    let given =
        [("REGION_CACHE_HOST", "h"), ("REGION_CACHE_RR_HOST", "r"), ("REGION_CACHE_RR_PORT", "7")];
    let shown = |configuration: Configuration| format!("{:?}", configuration.builder().unwrap());
    let replica = format!("read_from: Some({:?})", ReadFrom::Replica);
    assert!(shown(variables(&given).unwrap()).contains(&replica));
    let file = read("policy.read_from = 'primary'").with_variables(given).unwrap();
    assert!(!shown(file).contains(&replica));
    let named = read("store.host = 'h'\nreplicas = [{ host = 'r', port = 7 }]");
    assert!(!shown(named).contains(&replica));
}

#[tokio::test]
async fn the_bound_of_memory_is_kept() {
    let configuration =
        variables(&[("REGION_CACHE_URL", "memory:"), ("REGION_CACHE_MAX_BYTES", "1 MiB")]);
    let cache = configuration.unwrap().open().await.unwrap();
    for n in 0..1024 {
        cache.root().set(&format!("k{n}"), &"x".repeat(4096)).await.unwrap();
    }
    let mut kept = 0;
    for n in 0..1024 {
        kept += usize::from(cache.root().contains(&format!("k{n}")).await.unwrap());
    }
    assert!((1..512).contains(&kept), "{kept}");
}

/// A test changes no environment: it runs itself in a process of its own, which has another.
#[tokio::test]
async fn the_environment_of_the_process_is_read() {
    if let Ok(expected) = std::env::var(CHILD) {
        let configuration = Configuration::from_env();
        match expected.as_str() {
            "" => {
                let cache = RegionCache::from_env().await.unwrap();
                assert_eq!(cache.root().path().as_str(), "shop");
                let file = read("root = 'of-file'\npolicy.version = 3").with_env().unwrap();
                assert_eq!(file.root.as_deref(), Some("shop"));
            }
            says => {
                for text in [refusal(configuration), refusal(RegionCache::from_env().await)] {
                    assert!(text.contains(says), "{text}");
                }
            }
        }
        return;
    }
    for (name, value, expected) in [
        ("REGION_CACHE_ROOT", "shop", ""),
        ("REGION_CACHE_PORT", "tcp://10.0.0.1:80", "REGION_CACHE_PORT is not a whole number"),
        ("REGION_CACHE_SERVICE_HOST", "10.0.0.1", "REGION_CACHE_SERVICE_HOST is unknown"),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "the_environment_of_the_process_is_read"]).env(CHILD, expected);
        child.env("REGION_CACHE_URL", "memory:").env(name, value);
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{name}: {text}");
    }
}
