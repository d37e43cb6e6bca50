//! Compression and encryption that a configuration sets: what is stored then, and what is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use region_config::Configuration;
use region_core::{
    AnySerializer, Compressed, Encrypted, EncryptionKey, Error, ErrorKind, Json, KeyRing, Policy,
    Postcard, ReadTerms, Region, RegionCache, RegionExt, Store,
};
use region_memory::MemoryStore;

/// Its value tells a test that it runs in a process of its own.
const CHILD: &str = "TEST_OF_KEYS";

/// Keys as text.
const ONE: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn read(toml: &str) -> Configuration {
    let text = format!("store.url = 'memory:'\n{toml}");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

/// The text of a refusal, which shows no key.
fn refusal<T>(result: Result<T, Error>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let text = format!("{error} {error:?}");
    for key in [ONE, TWO, "0101", "AgICAg"] {
        assert!(!text.contains(key), "{text}");
    }
    text
}

/// A cache as the configuration says, over a store that is at hand.
fn cache(toml: &str, store: &MemoryStore) -> RegionCache {
    // The configuration's own store is of no use here, and its cache has another.
    let configured = read(toml);
    configured.apply_to(RegionCache::builder(store.clone())).unwrap().build().unwrap()
}

fn repeated() -> String {
    "a doll in a doll in a doll, ".repeat(500)
}

async fn bytes(store: &MemoryStore, cache: &RegionCache, key: &str) -> Vec<u8> {
    let read = store.read(cache.root().path(), &[key], ReadTerms::default()).await.unwrap();
    read.entries[0].as_ref().unwrap().bytes.to_vec()
}

fn shows(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn values_are_compressed_as_the_settings_say() {
    // So large that the ratio counts too.
    let plain: String = (0..20_000).map(|n| format!("doll {n}, ")).collect();
    for (toml, is_compressed) in [
        ("", false),
        ("compression.algorithm = 'off'", false),
        ("compression.algorithm = 'zstd'", true),
        ("compression = { algorithm = 'zstd', level = 19 }", true),
        ("compression.algorithm = 'lz4'", true),
        ("compression = { algorithm = 'lz4', above = '1 MiB' }", false),
        ("compression = { algorithm = 'zstd', max_ratio = 1 }", false),
    ] {
        let store = MemoryStore::new();
        let cache = cache(toml, &store);
        cache.root().set("k", &plain).await.unwrap();
        assert_eq!(cache.root().get::<String>("k").await.unwrap().as_deref(), Some(&plain));
        let stored = bytes(&store, &cache, "k").await.len();
        assert_eq!(stored < plain.len() / 4 * 3, is_compressed, "{toml}: {stored}");
    }
    let bound = "compression = { algorithm = 'lz4', max_size = '1 KiB' }";
    let bounded = cache(bound, &MemoryStore::new());
    assert_eq!(bounded.root().set("k", &plain).await.unwrap_err().kind(), ErrorKind::Encode);
}

/// It is the same as what code sets, and so two programs can share a store.
#[tokio::test]
async fn code_reads_what_a_configuration_has_written() {
    let keys = || KeyRing::new(1, EncryptionKey::new(&[1; 32]));
    let store = MemoryStore::new();
    let toml = format!(
        "compression.algorithm = 'lz4'\nencryption.keys.1 = '{ONE}'\npolicy.serializer = 'json'"
    );
    let configured = cache(&toml, &store);
    configured.root().set("k", &repeated()).await.unwrap();
    let stored = bytes(&store, &configured, "k").await;
    assert!(stored.len() < 600 && !shows(&stored, "doll"), "{}", stored.len());
    let by_hand = Policy::new().serializer(Encrypted::new(Compressed::zstd(Json), keys()));
    let coded = RegionCache::builder(store).policy(by_hand).build().unwrap();
    assert_eq!(coded.root().get::<String>("k").await.unwrap().as_deref(), Some(&repeated()));
}

/// Bug guarded against: a region whose format is set in code, or by its type, would not be encrypted.
#[tokio::test]
async fn no_region_is_left_out() {
    let store = MemoryStore::new();
    let configured =
        cache(&format!("encryption.keys.1 = '{ONE}'\nregions.b.serializer = 'json'"), &store);
    let root = configured.root();
    let coded = root.with_policy(Policy::new().serializer(Json)).unwrap();
    let text = "the doll is hollow".to_owned();
    root.set("default", &text).await.unwrap();
    coded.set("coded", &text).await.unwrap();
    configured.region("b").unwrap().set("configured", &text).await.unwrap();
    let mut seen = BTreeMap::new();
    for (region, key) in [("root", "default"), ("root", "coded"), ("root.b", "configured")] {
        let path = region_core::RegionPath::parse(region).unwrap();
        let read = store.read(&path, &[key], ReadTerms::default()).await.unwrap();
        seen.insert(key, shows(&read.entries[0].as_ref().unwrap().bytes, "hollow"));
    }
    assert!(seen.len() == 3 && seen.values().all(|is_seen| !is_seen), "{seen:?}");
}

#[tokio::test]
async fn keys_are_rotated_by_their_settings() {
    let store = MemoryStore::new();
    let before = cache(&format!("encryption.keys.1 = '{ONE}'"), &store);
    let both = format!("encryption = {{ current = 2, keys = {{ 1 = '{ONE}', 2 = '{TWO}' }} }}");
    let (both, after) =
        (cache(&both, &store), cache(&format!("encryption.keys.2 = '{TWO}'"), &store));
    before.root().set("old", &1u8).await.unwrap();
    both.root().set("new", &2u8).await.unwrap();
    assert_eq!(both.root().get::<u8>("old").await.unwrap().as_deref(), Some(&1));
    assert_eq!(after.root().get::<u8>("new").await.unwrap().as_deref(), Some(&2));
    assert_eq!(after.root().get::<u8>("old").await.unwrap(), None);
    assert_eq!(before.root().get::<u8>("new").await.unwrap(), None);
}

#[test]
fn the_environment_goes_over_a_file() {
    let file = read(&format!("compression.algorithm = 'zstd'\nencryption.keys.1 = '{ONE}'"));
    let keys = format!(r#"{{"2": "{TWO}", "3": {{"file": "/run/secrets/key"}}}}"#);
    let given = [
        ("REGION_CACHE_COMPRESSION", "off"),
        ("REGION_CACHE_ENCRYPTION_KEYS", keys.as_str()),
        ("REGION_CACHE_ENCRYPTION_CURRENT", "2"),
    ];
    let both = file.with_variables(given).unwrap();
    let shown = format!("{both:?}");
    assert!(
        shown.contains("algorithm: Some(Off)") && shown.contains("current: Some(2)"),
        "{shown}"
    );
    let ids: Vec<_> = both.encryption.keys.as_ref().unwrap().keys().collect();
    assert_eq!(ids, [&2, &3], "they take the place of all keys of the file");
    assert!(!shown.contains(TWO) && !shown.contains(ONE), "{shown}");
}

#[test]
fn what_is_wrong_is_named_and_no_key_is_shown() {
    let several = format!("encryption.keys = {{ 1 = '{ONE}', 2 = '{TWO}' }}");
    let short = format!("encryption.keys.1 = '{}'", &ONE[..62]);
    for (toml, says) in [
        ("encryption.current = 1", "encryption.current: it needs encryption.keys"),
        ("encryption.keys = {}", "encryption.keys: there is no key"),
        (&several, "encryption.keys: there are several: say by encryption.current"),
        (&short, "encryption.keys.1: it is no key: write 32 bytes as 64 hexadecimal digits"),
        (
            "encryption.keys.1 = { env = 'NOT_THERE' }",
            "encryption.keys.1: the environment variable NOT_THERE is not set",
        ),
        (
            "encryption.keys.1 = { env = 'REGION_CACHE_KEY' }",
            "encryption.keys.1: variables that begin with REGION_CACHE_",
        ),
        (
            "encryption.keys.1 = { file = '/not/there' }",
            "encryption.keys.1: its file cannot be read: entity not found",
        ),
        ("encryption.keys.1 = { file = '/dev/zero' }", "encryption.keys.1: its file is too large"),
        ("encryption.keys.1 = { file = '/dev/null' }", "encryption.keys.1: it is no key"),
    ] {
        let error = refusal(read(toml).apply_to(RegionCache::builder(MemoryStore::new())));
        assert!(error.contains(says), "{toml}: {error}");
    }
    let misplaced = format!("encryption.keys.1 = {{ env = '{ONE}' }}");
    let error = refusal(read(&misplaced).builder());
    assert!(error.contains("encryption.keys.1: its environment variable is not set"), "{error}");
    for wrong in [
        format!("encryption = '{ONE}'"),
        format!("encryption.keys = '{ONE}'"),
        format!("encryption.keys.1 = ['{ONE}']"),
        format!("encryption.keys.1.value = ['{ONE}']"),
        "encryption.keys.1 = 987654".to_owned(),
        "encryption.keys.1.value = 987654".to_owned(),
    ] {
        let error = toml::from_str::<Configuration>(&wrong).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("0101") && !text.contains("987654"), "{text}");
        assert!(text.contains("encryption"), "{text}");
    }
}

#[test]
fn checking_reads_no_key() {
    read("encryption.keys.1 = { file = '/not/there' }").check().unwrap();
    assert!(read("encryption = { current = 2, keys = { 1 = { file = 'x' } } }").check().is_err());
}

#[tokio::test]
async fn keys_come_from_files() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (name, content) in [("raw", vec![1; 32]), ("text", format!("{ONE}\n").into_bytes())] {
        let file = folder.join(format!("key-{name}"));
        std::fs::write(&file, content).unwrap();
        let store = MemoryStore::new();
        let toml = format!("encryption.keys.1.file = '{}'", file.display());
        cache(&toml, &store).root().set("k", &7u8).await.unwrap();
        let other = cache(&format!("encryption.keys.1 = '{ONE}'"), &store);
        assert_eq!(other.root().get::<u8>("k").await.unwrap().as_deref(), Some(&7), "{name}");
    }
}

/// A test changes no environment: it runs itself in a process of its own, which has another.
#[tokio::test]
async fn keys_come_from_the_environment() {
    if std::env::var(CHILD).is_ok() {
        let configuration = Configuration::from_env().unwrap();
        let keys = KeyRing::new(7, EncryptionKey::new(&[1; 32]));
        let store = MemoryStore::new();
        let cache = configuration.apply_to(RegionCache::builder(store.clone())).unwrap();
        cache.build().unwrap().root().set("k", &7u8).await.unwrap();
        let by_hand = RegionCache::builder(store)
            .wrap_serializers(move |inner| AnySerializer::new(Encrypted::new(inner, keys.clone())))
            .serializer(Postcard)
            .build()
            .unwrap();
        assert_eq!(by_hand.root().get::<u8>("k").await.unwrap().as_deref(), Some(&7));
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "keys_come_from_the_environment"]).env(CHILD, "");
    child.env("REGION_CACHE_URL", "memory:").env("SHOP_KEY", ONE);
    child.env("REGION_CACHE_ENCRYPTION_KEYS", r#"{"7": {"env": "SHOP_KEY"}}"#);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
