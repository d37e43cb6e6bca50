//! Encrypted values through regions: every way to store and to read them, and what an attacker may try who
//! can write to the store.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use region_core::{
    Compressed, Encrypted, EncryptionKey, Envelope, EnvelopeContent, Fingerprint, KeyRing,
    LoadOptions, Loaded, Op, Place, Policy, Postcard, Put, ReadFrom, ReadTerms, Region,
    RegionCache, RegionExt, RegionHandle, RegionPath, Store, Write,
};
use region_memory::MemoryStore;
use serde::{Deserialize, Serialize};

const SECRET: &str = "the doll is hollow";

fn keys() -> KeyRing {
    KeyRing::new(1, EncryptionKey::new(&[1; 32]))
}

fn encrypting(keys: KeyRing) -> Policy {
    Policy::new().serializer(Encrypted::new(Compressed::zstd(Postcard).above(64), keys))
}

fn cache(store: &MemoryStore, near: u64, keys: KeyRing) -> RegionCache {
    let policy = encrypting(keys).stale_for(Duration::from_secs(60));
    let builder = RegionCache::builder(store.clone()).root("r").policy(policy);
    match near {
        0 => builder.build().unwrap(),
        bytes => builder.near(bytes).build().unwrap(),
    }
}

/// A value that shows if it is not encrypted, whether it is compressed or not.
fn secret(size: usize) -> String {
    SECRET.repeat(size)
}

async fn stored(store: &MemoryStore, path: &RegionPath, key: &str) -> Option<Bytes> {
    let read = store.read(path, &[key], ReadTerms::new(ReadFrom::Primary)).await.unwrap();
    read.entries.into_iter().flatten().next().map(|entry| entry.bytes)
}

async fn put(store: &MemoryStore, path: &RegionPath, key: &str, bytes: Bytes) {
    store.write(path, Write::new(&[Op::Put(Put::new(key, bytes))])).await.unwrap();
}

/// The same payload, as an attacker would lay it out for another entry or as another type.
fn moved(
    bytes: &[u8],
    from: (&RegionPath, &str),
    to: (&RegionPath, &str),
    type_bits: Option<u64>,
) -> Bytes {
    let place = |(region, key): (&RegionPath, &str)| Place::of_region(region).of_key(key);
    let open = Envelope::open(bytes, place(from)).unwrap();
    let fingerprint = Fingerprint::from_bits(type_bits.unwrap_or(open.fingerprint));
    let write = |out: &mut Vec<u8>| {
        out.extend_from_slice(open.payload);
        Ok::<_, Infallible>(())
    };
    Envelope::seal(place(to), open.serializer, fingerprint, &[], write).unwrap()
}

fn shows_secret(bytes: &[u8]) -> bool {
    let parts = |window: &[u8]| SECRET.as_bytes().windows(6).any(|part| part == window);
    bytes.windows(6).any(parts)
}

/// Stores a value at each key, each in another way.
async fn store_in_every_way(region: &RegionHandle) -> Vec<&'static str> {
    let (short, long) = (secret(1), secret(20));
    region.set("set", &short).await.unwrap();
    region.set_many(&[("many-1", &short), ("many-2", &long)]).await.unwrap();
    assert!(region.set_if_absent("if-absent", &long).await.unwrap());
    let mut transaction = region.transaction();
    transaction.set("transaction", long.clone());
    transaction.commit().await.unwrap();
    let load = || async { Ok::<_, Infallible>(secret(20)) };
    region.get_or_compute("load", load).await.unwrap();
    region.reload("reload", load).await.unwrap();
    let many = |_| async { Ok::<_, Infallible>([("loads".to_owned(), secret(20))].into()) };
    let keys = ["loads"];
    let loads = region.get_or_compute_many::<_, _, _, _, std::hash::RandomState>(&keys, many);
    assert_eq!(loads.await.unwrap().len(), 1);
    let other = region.region("other").unwrap();
    let options = LoadOptions::new().depends_on(&other);
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(secret(20))) };
    region.get_or_compute_with("depends", options, load).await.unwrap();
    vec![
        "set",
        "many-1",
        "many-2",
        "if-absent",
        "transaction",
        "load",
        "reload",
        "loads",
        "depends",
    ]
}

#[tokio::test]
async fn every_way_of_storing_a_value_encrypts_it_and_every_way_of_reading_it_decrypts_it() {
    for near in [0, 1 << 20] {
        let store = MemoryStore::new();
        let writer = cache(&store, near, keys()).region("a").unwrap();
        let written = store_in_every_way(&writer).await;
        for key in &written {
            let bytes = stored(&store, writer.path(), key).await.unwrap();
            assert!(!shows_secret(&bytes), "{key}");
        }
        let reading = cache(&store, near, keys());
        let reader = reading.region("a").unwrap();
        // Twice: from the store, and from near where that is on.
        for region in [&writer, &reader, &reader] {
            for key in &written {
                let value = region.get::<String>(key).await.unwrap();
                assert!(value.is_some_and(|value| value.starts_with(SECRET)), "{key}");
            }
            let found = region.get_many::<String>(&written).await.unwrap();
            assert!(found.iter().all(Option::is_some));
        }
        let entries: Vec<_> = reader.entries::<String>().try_collect().await.unwrap();
        assert_eq!(entries.len(), written.len());
        assert!(reader.contains("set").await.unwrap());
        assert!(reader.take::<String>("set").await.unwrap().is_some());
        assert!(!reader.set_if_absent("if-absent", &secret(1)).await.unwrap());
        reader.expire().await.unwrap();
        let load = || async { Err::<String, _>("no") };
        assert_eq!(*reader.get_or_compute("load", load).await.unwrap(), secret(20), "stale");
        assert_eq!(reading.stats().bad_bytes, 0);
    }
}

#[derive(Serialize, Deserialize)]
struct Price {
    cents: u64,
}

/// The same bytes in the same shape, by another name.
#[derive(Serialize, Deserialize)]
struct Discount {
    percent: u64,
}

#[tokio::test]
async fn bytes_that_were_moved_are_counted_misses() {
    let store = MemoryStore::new();
    let cache = cache(&store, 0, keys());
    let (region, other) = (cache.region("a").unwrap(), cache.region("b").unwrap());
    region.set("price", &Price { cents: 80 }).await.unwrap();
    region.set("discount", &Discount { percent: 10 }).await.unwrap();
    let own = (region.path(), "price");
    let bytes = stored(&store, own.0, own.1).await.unwrap();

    // To where it was: the layout below is right.
    put(&store, own.0, own.1, moved(&bytes, own, own, None)).await;
    assert_eq!(region.get::<Price>("price").await.unwrap().unwrap().cents, 80);
    assert_eq!(cache.stats().bad_bytes, 0);

    for (at, place) in [(region.path(), "cheaper"), (other.path(), "price")].into_iter().enumerate()
    {
        put(&store, place.0, place.1, moved(&bytes, own, place, None)).await;
        let there = if at == 0 { &region } else { &other };
        assert!(there.get::<Price>(place.1).await.unwrap().is_none(), "{place:?}");
        assert_eq!(cache.stats().bad_bytes, at as u64 + 1);
    }

    // As another type at the same entry.
    let discount = stored(&store, region.path(), "discount").await.unwrap();
    let place = Place::of_region(region.path()).of_key("discount");
    let bits = Envelope::open(&discount, place).unwrap().fingerprint;
    put(&store, own.0, own.1, moved(&bytes, own, own, Some(bits))).await;
    assert!(region.get::<Discount>("price").await.unwrap().is_none());
    assert_eq!(cache.stats().bad_bytes, 3);
    assert_eq!(cache.stats().bad_bytes_misses, 3);
}

/// The record that there is no value cannot be made up either, nor made of a value.
#[tokio::test]
async fn absences_are_authenticated() {
    let store = MemoryStore::new();
    let cache = cache(&store, 0, keys());
    let region = cache.region("a").unwrap();
    let absent = |_| async { Ok::<_, Infallible>(Loaded::<String>::absent()) };
    let ask = async |key: &str| {
        region.get_or_compute_with(key, LoadOptions::new(), absent).await.unwrap().is_none()
    };
    assert!(ask("none").await && ask("none").await);
    assert_eq!((cache.stats().loads, cache.stats().absent_hits), (1, 1));
    assert!(!region.contains("none").await.unwrap());

    let bytes = stored(&store, region.path(), "none").await.unwrap();
    let own = Place::of_region(region.path()).of_key("none");
    assert!(Envelope::open(&bytes, own).is_err(), "an absence with a payload");
    // One without authentication, for an entry that has a value.
    region.set("some", &secret(1)).await.unwrap();
    let place = Place::of_region(region.path()).of_key("some");
    let some = stored(&store, region.path(), "some").await.unwrap();
    let open = Envelope::open(&some, place).unwrap();
    assert_eq!(open.content, EnvelopeContent::Value);
    let fingerprint = Fingerprint::from_bits(open.fingerprint);
    let forged = Envelope::seal_absence(place, open.serializer, fingerprint, &[]);
    put(&store, region.path(), "some", forged).await;
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(secret(2))) };
    let loaded = region.get_or_compute_with("some", LoadOptions::new(), load).await.unwrap();
    assert_eq!(loaded.as_deref(), Some(&secret(2)));
    assert!(cache.stats().bad_bytes > 0);
}

#[tokio::test]
async fn keys_are_rotated_between_caches() {
    let store = MemoryStore::new();
    let new = || EncryptionKey::new(&[2; 32]);
    let before = cache(&store, 0, keys()).region("a").unwrap();
    let both =
        cache(&store, 0, KeyRing::new(2, new()).reading(1, EncryptionKey::new(&[1; 32])).unwrap());
    let both = both.region("a").unwrap();
    let after = cache(&store, 0, KeyRing::new(2, new()));
    before.set("old", &secret(1)).await.unwrap();
    both.set("new", &secret(1)).await.unwrap();
    assert!(both.get::<String>("old").await.unwrap().is_some());
    let region = after.region("a").unwrap();
    assert!(region.get::<String>("new").await.unwrap().is_some());
    assert!(region.get::<String>("old").await.unwrap().is_none());
    assert_eq!(after.stats().bad_bytes, 1);
    let load = || async { Ok::<_, Infallible>(secret(3)) };
    assert_eq!(*region.get_or_compute("old", load).await.unwrap(), secret(3));
    assert!(before.get::<String>("old").await.unwrap().is_none());
}

/// What is compressed or encrypted around one format is a miss to what is so around another.
#[tokio::test]
async fn formats_inside_are_told_apart() {
    use region_core::{Json, MessagePack};

    let cache = RegionCache::builder(MemoryStore::new()).root("r").near(1 << 20).build().unwrap();
    let policies = [
        Policy::new().serializer(Compressed::zstd(Postcard)),
        Policy::new().serializer(Compressed::zstd(Json)),
        Policy::new().serializer(Encrypted::new(Json, keys())),
        Policy::new().serializer(Encrypted::new(MessagePack, keys())),
        Policy::new().serializer(Encrypted::new(Compressed::lz4(MessagePack), keys())),
    ];
    for writer in &policies {
        let writer = cache.region("a").unwrap().with_policy(writer.clone()).unwrap();
        writer.set("k", &7u32).await.unwrap();
        let mut reads = 0;
        for reader in &policies {
            let reader = cache.region("a").unwrap().with_policy(reader.clone()).unwrap();
            reads += usize::from(reader.get::<u32>("k").await.unwrap().is_some());
        }
        assert_eq!(reads, 1);
    }
}
