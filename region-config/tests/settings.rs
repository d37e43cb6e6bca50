//! Every setting: its default, its form in a file and in a variable, its effect, and the error of a wrong value.

use std::collections::BTreeSet;
use std::time::Duration;

use region_config::Configuration;
use region_core::{
    EntryAge, Json, NearCache, OnOutage, OnStale, OnUpdate, Policy, ReadFrom, RegionCache,
    RegionCacheBuilder,
};
use region_memory::MemoryStore;
use region_redis::{Backoff, OnInvalidationFailure, OnTimeout, RedisStore, RedisStoreBuilder, Tls};

const SECOND: Duration = Duration::from_secs(1);

/// One setting. The file is TOML, and so is `beside`: what has to be set as well.
struct Row {
    file: &'static str,
    beside: &'static str,
    variables: &'static [(&'static str, &'static str)],
    effect: Effect,
    /// A file with a wrong value, or with the setting where it cannot be, and what the error says.
    wrong: (&'static str, &'static str),
}

/// What code that sets the same leads to.
enum Effect {
    Cache(fn(RegionCacheBuilder) -> RegionCacheBuilder),
    Policy(fn(Policy) -> Policy),
    Store(fn(RedisStoreBuilder) -> RedisStoreBuilder),
    /// Of a store by another URL than the one of the other rows.
    StoreAt(&'static str, fn(RedisStoreBuilder) -> RedisStoreBuilder),
    /// It is not shown: other tests see it work.
    Hidden,
}

fn read(toml: &str) -> Configuration {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

fn of_file(toml: &str) -> Result<Configuration, String> {
    let configuration: Configuration = toml::from_str(toml).map_err(|error| error.to_string())?;
    configuration.check().map_err(|error| error.to_string())?;
    Ok(configuration)
}

fn redis(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url).unwrap()
}

fn shown(configuration: &Configuration, effect: &Effect) -> String {
    match effect {
        Effect::Cache(_) | Effect::Policy(_) => format!("{:?}", configuration.builder().unwrap()),
        Effect::Store(_) | Effect::StoreAt(..) => {
            format!("{:?}", configuration.redis_store().unwrap())
        }
        Effect::Hidden => String::new(),
    }
}

fn expected(effect: &Effect) -> String {
    let cache = RegionCache::builder(MemoryStore::new());
    match effect {
        Effect::Cache(set) => format!("{:?}", set(cache)),
        Effect::Policy(set) => format!("{:?}", cache.policy(set(Policy::new()))),
        Effect::Store(set) => format!("{:?}", set(redis("redis://h"))),
        Effect::StoreAt(url, set) => format!("{:?}", set(redis(url))),
        Effect::Hidden => String::new(),
    }
}

/// The store of a row, as a file names it.
fn store(effect: &Effect) -> &'static str {
    match effect {
        Effect::Cache(_) | Effect::Policy(_) => "store.url = 'memory:'\n",
        Effect::Store(_) => "store.url = 'redis://h'\n",
        Effect::StoreAt(..) | Effect::Hidden => "",
    }
}

#[tokio::test]
async fn every_setting_does_the_same_by_file_by_variable_and_in_code() {
    for row in rows() {
        let base = format!("{}{}\n", store(&row.effect), row.beside);
        let from_file = read(&format!("{base}{}", row.file));
        let from_variables = read(&base).with_variables(row.variables.iter().copied()).unwrap();
        let wanted = expected(&row.effect);
        for configuration in [&from_file, &from_variables] {
            configuration.check().unwrap_or_else(|error| panic!("{}: {error}", row.file));
            assert_eq!(shown(configuration, &row.effect), wanted, "{}", row.file);
        }
        let (file, says) = row.wrong;
        let error = of_file(file).err().unwrap_or_else(|| panic!("{file} is accepted"));
        assert!(error.contains(says), "{file}: {error}");
    }
}

#[tokio::test]
async fn what_is_left_out_has_the_default_of_the_code() {
    let memory = read("store.url = 'memory:'");
    let cache = RegionCache::builder(MemoryStore::new());
    assert_eq!(format!("{:?}", memory.builder().unwrap()), format!("{cache:?}"));
    let store = read("store.url = 'redis://h'").redis_store().unwrap();
    assert_eq!(format!("{store:?}"), format!("{:?}", redis("redis://h")));
}

/// Bug guarded against: a setting that is added, and that this table does not know.
#[test]
fn the_table_has_every_variable() {
    let known: BTreeSet<&str> =
        rows().iter().flat_map(|row| row.variables).map(|(name, _)| *name).collect();
    for setting in Configuration::settings() {
        let is_refused = setting.paths.is_empty();
        assert!(is_refused || known.contains(setting.variable.as_str()), "{}", setting.variable);
    }
}

/// Rows: file, what stands beside it, variables, effect, wrong file and its error.
macro_rules! rows {
    ($($file:literal, $beside:literal, [$($name:ident = $text:literal),+], $effect:expr, $wrong:literal => $says:literal;)*) => {
        vec![$(Row {
            file: $file,
            beside: $beside,
            variables: &[$((concat!("REGION_CACHE_", stringify!($name)), $text)),+],
            effect: $effect,
            wrong: ($wrong, $says),
        }),*]
    };
}

fn rows() -> Vec<Row> {
    [of_the_cache(), of_serializers(), of_policies(), of_the_store(), of_tls(), of_limits()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_the_cache() -> Vec<Row> {
    use Effect::Cache;
    rows! {
        "root = 'shop'", "", [ROOT = "shop"], Cache(|cache| cache.root("shop")),
            "root = 'shop.'\nstore.url = 'memory:'" => "root: \"shop.\": ";
        "max_refreshes = 3", "", [MAX_REFRESHES = "3"], Cache(|cache| cache.max_refreshes(3)),
            "max_refreshes = -1" => "max_refreshes: invalid value: integer `-1`";
        "max_region_stats = 3", "", [MAX_REGION_STATS = "3"],
            Cache(|cache| cache.max_region_stats(3)),
            "max_region_stats = 'few'" => "max_region_stats: invalid type: string \"few\"";
        "near.bytes = '64 MiB'", "", [NEAR_BYTES = "64 MiB"], Cache(|cache| cache.near(64 << 20)),
            "near.bytes = '64 apples'" => "near.bytes: invalid value: string \"64 apples\", expected a number of bytes";
        "near.bytes = 4096", "", [NEAR_BYTES = "4096"], Cache(|cache| cache.near(4096)),
            "near.byte = 4096" => "near.byte: unknown field `byte`";
        "regions.'org.project'.ttl = '1s'", "",
            [REGIONS = r#"{"org.project": {"ttl": "1s"}}"#],
            Cache(|cache| cache.default_region_policy("org.project", Policy::new().ttl(SECOND))),
            "regions.'org.project'.ttl = 'soon'" => "regions.\"org.project\".ttl: invalid value: string \"soon\"";
        "regions.org.ttl_jitter = 5", "", [REGIONS = r#"{"org": {"ttl_jitter": 5}}"#],
            Cache(|cache| cache.default_region_policy("org", Policy::new().ttl_jitter(5))),
            "store.url = 'memory:'\nregions.'org:1'.ttl = '1s'" => "regions.\"org:1\": a policy is for all regions";
    }
}

/// What each of them does to a value, `tests/serializers.rs` shows.
fn of_serializers() -> Vec<Row> {
    use Effect::Cache;
    const WRAPS: Effect = Cache(|cache| cache.wrap_serializers(|format| format));
    rows! {
        "compression.algorithm = 'zstd'", "", [COMPRESSION = "zstd"], WRAPS,
            "compression.algorithm = 'gzip'" => "compression.algorithm: unknown variant `gzip`, expected one of `off`, `zstd`, `lz4`";
        "compression.algorithm = 'off'", "", [COMPRESSION = "off"], Cache(|cache| cache),
            "compression = 'zstd'" => "compression: it is not a table of settings";
        "compression.level = -3", "compression.algorithm = 'zstd'", [COMPRESSION_LEVEL = "-3"], WRAPS,
            "store.url = 'memory:'\ncompression = { algorithm = 'lz4', level = 3 }" => "compression.level: compression.algorithm is lz4, which has no levels";
        "compression.above = '2 KiB'", "compression.algorithm = 'lz4'", [COMPRESSION_ABOVE = "2 KiB"], WRAPS,
            "store.url = 'memory:'\ncompression.above = 9" => "compression.above: it needs compression.algorithm";
        "compression.max_size = '1 MiB'", "compression.algorithm = 'lz4'", [COMPRESSION_MAX_SIZE = "1 MiB"], WRAPS,
            "compression.max_size = 'much'" => "compression.max_size: invalid value: string \"much\", expected a number of bytes";
        "compression.max_ratio = 8", "compression.algorithm = 'lz4'", [COMPRESSION_MAX_RATIO = "8"], WRAPS,
            "store.url = 'memory:'\ncompression = { algorithm = 'lz4', max_ratio = 0 }" => "compression.max_ratio: it must be more than zero";
        "encryption.keys.7 = '0707070707070707070707070707070707070707070707070707070707070707'", "",
            [ENCRYPTION_KEYS = r#"{"7": "0707070707070707070707070707070707070707070707070707070707070707"}"#], WRAPS,
            "encryption.keys.seven = { env = 'KEY' }" => "encryption.keys.seven: the id of a key is a number";
        "encryption.current = 7", "encryption.keys.7 = 'BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc='",
            [ENCRYPTION_CURRENT = "7"], WRAPS,
            "store.url = 'memory:'\nencryption = { current = 7, keys = { 8 = { env = 'KEY' } } }" => "encryption.current: no key in encryption.keys has the id 7";
    }
}

fn of_policies() -> Vec<Row> {
    use Effect::Policy;
    rows! {
        "policy.ttl = '1s'", "", [TTL = "1s"], Policy(|policy| policy.ttl(SECOND)),
            "policy.ttl = 0" => "policy.ttl: the value is 0ns; it must be more than zero";
        "policy.ttl = 'unlimited'", "", [TTL = "unlimited"], Policy(|policy| policy.no_ttl()),
            "policy.tll = '1s'" => "policy.tll: unknown field `tll`";
        "policy.ttl_jitter = 10", "", [TTL_JITTER = "10"], Policy(|policy| policy.ttl_jitter(10)),
            "policy.ttl_jitter = 101" => "policy.ttl_jitter: the value is 101; it must be from 0 to 100";
        "policy.absent_ttl = 1000", "", [ABSENT_TTL = "1000"],
            Policy(|policy| policy.absent_ttl(SECOND)),
            "policy.absent_ttl = 'never'" => "policy.absent_ttl: invalid value: string \"never\"";
        "policy.region_ttl = '1 s'", "", [REGION_TTL = "1 s"],
            Policy(|policy| policy.region_ttl(SECOND)),
            "policy.region_ttl = true" => "policy.region_ttl: invalid type: boolean `true`";
        "policy.on_update = 'keep'", "", [ON_UPDATE = "keep"],
            Policy(|policy| policy.on_update(OnUpdate::Keep)),
            "store.url = 'memory:'\npolicy = { ttl = '2s', region_ttl = '1s', on_update = 'keep' }" => "policy: bad policy: ttl is 2s";
        "policy.stale_for = '1s'", "", [STALE_FOR = "1s"],
            Policy(|policy| policy.stale_for(SECOND)),
            "policy.stale_for = '200 years'" => "policy.stale_for: the value is";
        "policy.on_stale = 'refresh'", "", [ON_STALE = "refresh"],
            Policy(|policy| policy.on_stale(OnStale::Refresh)),
            "policy.on_stale = 'Refresh'" => "policy.on_stale: unknown variant `Refresh`, expected `wait` or `refresh`";
        "policy.soft_timeout = '1s'", "", [SOFT_TIMEOUT = "1s"],
            Policy(|policy| policy.soft_timeout(SECOND)),
            "policy.soft_timeout = -1" => "policy.soft_timeout: invalid value: integer `-1`";
        "policy.load_retry_after = '1s'", "", [LOAD_RETRY_AFTER = "1s"],
            Policy(|policy| policy.load_retry_after(SECOND)),
            "policy.load_retry_after = 'unlimited'" => "policy.load_retry_after: invalid value";
        "policy.early_refresh_at = 80", "", [EARLY_REFRESH_AT = "80"],
            Policy(|policy| policy.early_refresh_at(80)),
            "policy.early_refresh_at = 0" => "policy.early_refresh_at: the value is 0; it must be from 1 to 100";
        "policy.early_refresh_beta = 100", "", [EARLY_REFRESH_BETA = "100"],
            Policy(|policy| policy.early_refresh_beta(100)),
            "policy.early_refresh_beta = 10001" => "policy.early_refresh_beta: the value is 10001";
        "policy.load_timeout = '1s'", "", [LOAD_TIMEOUT = "1s"],
            Policy(|policy| policy.load_timeout(SECOND)),
            "policy.load_timeout = []" => "policy.load_timeout: invalid type: sequence";
        "policy.lease = '1s'", "", [LEASE = "1s"], Policy(|policy| policy.lease(SECOND)),
            "policy.lease = 'unlimited'" => "policy.lease: invalid value: string \"unlimited\"";
        "policy.read_from = 'replica'", "", [READ_FROM = "replica"],
            Policy(|policy| policy.read_from(ReadFrom::Replica)),
            "policy.read_from = 'master'" => "policy.read_from: unknown variant `master`";
        "policy.on_outage = 'error'", "", [ON_OUTAGE = "error"],
            Policy(|policy| policy.on_outage(OnOutage::Error)),
            "policy.on_outage = true" => "policy.on_outage: ";
        "policy.on_outage = 'error'", "", [OP_TIMEOUT_RAISE = "True"],
            Policy(|policy| policy.on_outage(OnOutage::Error)),
            "policy.on_outage = 'raise'" => "expected `miss` or `error`";
        "policy.on_outage = 'miss'", "", [OP_TIMEOUT_RAISE = "0"],
            Policy(|policy| policy.on_outage(OnOutage::Miss)),
            "policy.on_outage = 1" => "policy.on_outage: ";
        "policy.near = 'on'", "", [NEAR = "on"], Policy(|policy| policy.near(NearCache::On)),
            "policy.near = true" => "policy.near: ";
        "policy.near_unverified_for = '1s'", "", [NEAR_UNVERIFIED_FOR = "1s"],
            Policy(|policy| policy.near_unverified_for(SECOND)),
            "policy.near_unverified_for = '1 fortnight'" => "policy.near_unverified_for: ";
        "policy.near_outage_for = '1s'", "", [NEAR_OUTAGE_FOR = "1s"],
            Policy(|policy| policy.near_outage_for(SECOND)),
            "policy.near_outage_for = 1.5" => "policy.near_outage_for: invalid type: floating point";
        "policy.age = 'recorded'", "", [AGE = "recorded"],
            Policy(|policy| policy.age(EntryAge::Recorded)),
            "policy.age = 'known'" => "policy.age: unknown variant `known`, expected `unknown` or `recorded`";
        "policy.serializer = 'json'", "", [SERIALIZER = "json"],
            Policy(|policy| policy.serializer(Json)),
            "policy.serializer = 'pickle'" => "policy.serializer: \"pickle\" is no serializer; there are postcard, json";
        "policy.version = 3", "", [VERSION = "3"], Policy(|policy| policy.version(3)),
            "policy.version = 4294967296" => "policy.version: invalid value: integer `4294967296`";
    }
}

fn of_the_store() -> Vec<Row> {
    use Effect::{Hidden, StoreAt};
    rows! {
        "store.url = 'redis://h:7/3'", "", [URL = "redis://h:7/3"],
            StoreAt("redis://h:7/3", |store| store),
            "store.url = 'redis://h/x'" => "store.url: the URL is wrong: the database is not a number";
        "store.host = 'cache.internal'", "", [HOST = "cache.internal"],
            StoreAt("redis://cache.internal", |store| store),
            "store.host = 'h:6379'" => "store.host: it has a port in it, which stands apart";
        "store.port = 7000", "", [PORT = "7000"], StoreAt("redis://localhost:7000", |store| store),
            "store.port = 65536" => "store.port: invalid value: integer `65536`, expected u16";
        "store.db = 3", "store.host = 'h'", [DB = "3"], StoreAt("redis://h/3", |store| store),
            "store = { url = 'redis://h', db = 3 }" => "store.db: store.url names the server already";
        "store.user = 'app'", "store.host = 'h'\nstore.password = 'p'", [USER = "app"],
            StoreAt("redis://app:p@h", |store| store),
            "store = { host = 'h', user = 'app' }" => "store.user: there is no password for it: set store.password";
        "store.password = 'p'", "store.host = 'h'", [PASSWORD = "p"], Hidden,
            "store.password = 5" => "store.password: it is not text: write it in quotes";
        "store.sentinel_user = 's'",
            "store.url = 'redis-sentinel://h/main'\nstore.sentinel_password = 'p'",
            [SENTINEL_USER = "s"],
            StoreAt("redis-sentinel://h/main?sentinel_user=s&sentinel_password=p", |store| store),
            "store = { url = 'redis-sentinel://h/main', sentinel_user = 's' }" => "store.sentinel_user: there is no password";
        "store.sentinel_password = 'p'", "store.url = 'redis-sentinel://h/main'",
            [SENTINEL_PASSWORD = "p"], Hidden,
            "store = { url = 'redis://h', sentinel_password = 'p' }" => "store.sentinel_password: there are credentials for sentinels";
        "store.max_bytes = '1 MiB'", "store.url = 'memory:'", [MAX_BYTES = "1 MiB"], Hidden,
            "store.max_bytes = 0" => "store.max_bytes: invalid value: integer `0`";
        "replicas = [{ url = 'redis://r1' }, { url = 'redis://r2' }]", "store.url = 'redis://h'",
            [REPLICAS = "redis://r1, redis://r2"],
            StoreAt("redis://h", |s| s.replica("redis://r1").unwrap().replica("redis://r2").unwrap()),
            "store.url = 'redis://h'\nreplicas = [{ url = 'redis://r1' }, { url = 'r2' }]" => "replicas[1].url: the URL is wrong";
        "replicas = ['redis://r1', 'redis://u:p@r2']", "store.url = 'redis://h'",
            [REPLICAS = "redis://r1,redis://u:p@r2"],
            StoreAt("redis://h", |s| s.replica("redis://r1").unwrap().replica("redis://u:p@r2").unwrap()),
            "store.url = 'redis://h'\nreplicas = ['r1']" => "replicas[0].url: the URL is wrong";
        "replicas = [{ url = 'redis://r:7' }]", "store.url = 'redis://h'", [RR_URL = "redis://r:7"],
            StoreAt("redis://h", |store| store.replica("redis://r:7").unwrap()),
            "store.url = 'redis://h'\nreplicas = [{ url = 'redis://r', port = 7 }]" => "replicas[0].url: port and db are part of it";
        "replicas = [{ host = 'r', port = 7 }]", "store.url = 'redis://h'",
            [RR_HOST = "r", RR_PORT = "7"],
            StoreAt("redis://h", |store| store.replica("redis://r:7").unwrap()),
            "store.url = 'redis://h'\nreplicas = [{ host = 'r' }]" => "replicas[0].port: is not set";
        "replicas = [{ host = 'r', port = 7, db = 2, user = 'u', password = 'p' }]",
            "store.url = 'redis://h'",
            [RR_HOST = "r", RR_PORT = "7", RR_DB = "2", RR_USER = "u", RR_PASSWORD = "p"],
            StoreAt("redis://h", |store| store.replica("redis://u:p@r:7/2").unwrap()),
            "store.url = 'redis://h'\nreplicas = [{ host = 'r', port = 7, user = 'u' }]" => "replicas[0].user: there is no password";
    }
}

fn of_tls() -> Vec<Row> {
    use Effect::{Hidden, StoreAt};
    rows! {
        "tls.enabled = true", "store.host = 'h'", [TLS = "true"],
            StoreAt("rediss://h", |store| store),
            "store.url = 'redis://h'\ntls.enabled = true" => "tls.enabled: store.url does not ask for TLS";
        "tls.ca_file = 'ca.pem'", "store.url = 'rediss://h'", [TLS_CA_FILE = "ca.pem"],
            StoreAt("rediss://h", |store| store.tls(Tls::new().ca_file("ca.pem"))),
            "store.url = 'redis://h'\ntls.ca_file = 'ca.pem'" => "tls.ca_file: store.url does not ask for TLS";
        "tls.ca_pem = 'text'", "store.host = 'h'", [TLS_CA_PEM = "text"],
            StoreAt("rediss://h", |store| store.tls(Tls::new().ca_pem("text"))),
            "store.host = 'h'\ntls = { ca_file = 'a', ca_pem = 'b' }" => "tls.ca_file: tls.ca_pem is set too";
        "tls.cert_file = 'c'\ntls.key_file = 'k'", "store.host = 'h'",
            [TLS_CERT_FILE = "c", TLS_KEY_FILE = "k"],
            StoreAt("rediss://h", |store| store.tls(Tls::new().client_files("c", "k"))),
            "store.host = 'h'\ntls.cert_file = 'c'" => "tls.cert_file: it needs tls.key_file";
        "tls.cert_pem = 'c'\ntls.key_pem = 'k'", "store.host = 'h'",
            [TLS_CERT_PEM = "c", TLS_KEY_PEM = "k"],
            StoreAt("rediss://h", |store| store.tls(Tls::new().client_pem("c", "k"))),
            "store.host = 'h'\ntls = { cert_file = 'c', key_pem = 'k' }" => "tls.cert_file: it needs tls.key_file";
        "tls.server_name = 'n'", "store.host = 'h'", [TLS_SERVER_NAME = "n"],
            StoreAt("rediss://h", |store| store.tls(Tls::new().server_name("n"))),
            "store.host = 'h'\ntls = { enabled = false, server_name = 'n' }" => "tls.server_name: tls.enabled says";
        "tls.enabled = false", "store.host = 'h'", [TLS = "off"], Hidden,
            "store.url = 'rediss://h'\ntls.enabled = false" => "tls.enabled: store.url asks for TLS";
    }
}

fn of_limits() -> Vec<Row> {
    use Effect::Store;
    rows! {
        "redis.call_timeout = '250 ms'", "", [CALL_TIMEOUT = "250"],
            Store(|store| store.call_timeout(SECOND / 4)),
            "store.url = 'redis://h'\nredis.call_timeout = 0" => "redis.call_timeout: the setting call_timeout is 0ns";
        "redis.call_timeout = '250 ms'", "", [OP_TIMEOUT = "0.25"],
            Store(|store| store.call_timeout(SECOND / 4)),
            "redis.call_timeout = '0.25'" => "redis.call_timeout: invalid value: string \"0.25\"";
        "redis.connect_timeout = '2s'", "", [CONNECT_TIMEOUT = "2s"],
            Store(|store| store.connect_timeout(2 * SECOND)),
            "store.url = 'redis://h'\nredis.connect_timeout = '2h'" => "redis.connect_timeout: the setting";
        "redis.on_timeout = 'drop'", "", [ON_TIMEOUT = "drop"],
            Store(|store| store.on_timeout(OnTimeout::Drop)),
            "redis.on_timeout = 'close'" => "redis.on_timeout: unknown variant `close`";
        "redis.on_timeout = 'drop'", "", [OP_TIMEOUT_RECONNECT = "true"],
            Store(|store| store.on_timeout(OnTimeout::Drop)),
            "redis.on_timeout = 1" => "redis.on_timeout: ";
        "redis.backoff_first = '1s'", "", [BACKOFF_FIRST = "1s"],
            Store(|store| store.backoff(Backoff::new(SECOND, 10 * SECOND).unwrap())),
            "store.url = 'redis://h'\nredis.backoff_first = '11s'" => "redis.backoff_first: a backoff from 11s to 10s";
        "redis.backoff_longest = '1s'", "", [BACKOFF_LONGEST = "1s"],
            Store(|store| store.backoff(Backoff::new(SECOND / 10, SECOND).unwrap())),
            "store.url = 'redis://h'\nredis.backoff_longest = '2h'" => "redis.backoff_longest: a backoff";
        "redis.backoff_first = '5s'\nredis.backoff_longest = '5s'", "", [RECONNECT_BACKOFF = "5"],
            Store(|store| store.backoff(Backoff::new(5 * SECOND, 5 * SECOND).unwrap())),
            "redis.backoff = '5s'" => "redis.backoff: unknown field `backoff`";
        "redis.max_in_flight = 9", "", [MAX_IN_FLIGHT = "9"], Store(|store| store.max_in_flight(9)),
            "store.url = 'redis://h'\nredis.max_in_flight = 0" => "redis.max_in_flight: the setting max_in_flight must be";
        "redis.large_entries = '1 KiB'", "", [LARGE_ENTRIES = "1KiB"],
            Store(|store| store.large_entries(1024)),
            "redis.large_entries = 0" => "redis.large_entries: invalid value: integer `0`";
        "redis.max_entry_bytes = '1 MiB'", "", [MAX_ENTRY_BYTES = "1 MiB"],
            Store(|store| store.max_entry_bytes(1 << 20)),
            "store.url = 'redis://h'\nredis.max_entry_bytes = '1 GiB'" => "redis.max_entry_bytes: the setting";
        "redis.max_lag = '9s'", "", [MAX_LAG = "9s"], Store(|store| store.max_lag(9 * SECOND)),
            "store.url = 'redis://h'\nredis.max_lag = '1 ms'" => "redis.max_lag: the setting max_lag must be at least twice";
        "redis.on_invalidation_failure = 'queue'", "", [ON_INVALIDATION_FAILURE = "queue"],
            Store(|store| store.on_invalidation_failure(OnInvalidationFailure::Queue)),
            "redis.on_invalidation_failure = 'retry'" => "redis.on_invalidation_failure: unknown variant";
        "redis.max_queued = 9", "", [MAX_QUEUED = "9"], Store(|store| store.max_queued(9)),
            "redis.max_queued = '9'" => "redis.max_queued: invalid type: string \"9\"";
        "redis.client_name = 'shop'", "", [CLIENT_NAME = "shop"],
            Store(|store| store.client_name("shop")),
            "store.url = 'redis://h'\nredis.client_name = 'my shop'" => "redis.client_name: the setting client_name";
        "redis.watch_every = '1s'", "", [WATCH_EVERY = "1s"],
            Store(|store| store.watch(SECOND, SECOND / 2)),
            "store.url = 'redis://h'\nredis.watch_every = 0" => "redis.watch_every: the setting watch: every";
        "redis.watch_silence = '1s'", "", [WATCH_SILENCE = "1s"],
            Store(|store| store.watch(SECOND / 2, SECOND)),
            "store.url = 'redis://h'\nredis.watch_silence = 0" => "redis.watch_silence: the setting watch: silence";
        "redis.wait_for_replicas = 2\nredis.wait_for_replicas_within = '1s'", "",
            [WAIT_FOR_REPLICAS = "2", WAIT_FOR_REPLICAS_WITHIN = "1s"],
            Store(|store| store.wait_for_replicas(2, SECOND)),
            "store.url = 'redis://h'\nredis.wait_for_replicas = 2" => "redis.wait_for_replicas: it needs redis.wait_for_replicas_within";
        "redis.reclaim = false", "", [RECLAIM = "no"], Store(|store| store.without_reclaimer()),
            "redis.reclaim = 'no'" => "redis.reclaim: invalid type: string \"no\"";
        "redis.client_name = 'shop'\nredis.max_queued = 9", "",
            [REDIS_OPTIONS = r#"{"client_name": "shop", "max_queued": 9}"#],
            Store(|store| store.client_name("shop").max_queued(9)),
            "redis.socket_timeout = 1" => "redis.socket_timeout: unknown field `socket_timeout`";
    }
}
