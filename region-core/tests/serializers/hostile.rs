//! Bytes that nobody wrote: no panic, no overflow of the stack, no memory beyond what they justify.

use std::collections::{BTreeMap, HashMap};

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;
use region_core::{AnySerializer, Cbor, ErrorKind, MessagePack, Region, RegionCache, RegionExt};
use region_memory::MemoryStore;
use serde::de::DeserializeOwned;

use super::shapes::{self, Choice, Described, Everything, Tree};
use super::{Named, all, written};

/// The bytes of memory that reading may take for each byte of input, and in any case.
const BYTES_PER_BYTE: u64 = 1024;
const FREE_BYTES: u64 = 512 * 1024;

fn read_within_bounds<V: DeserializeOwned>(serializer: &AnySerializer, bytes: &[u8]) -> Option<V> {
    let mut read = None;
    let taken = measure(|| read = serializer.deserialize::<V>(bytes).ok());
    let justified = FREE_BYTES + BYTES_PER_BYTE * bytes.len() as u64;
    let name = std::any::type_name::<V>();
    assert!(taken.bytes_max <= justified, "{} bytes for {}: {name}", taken.bytes_max, bytes.len());
    read
}

fn read_as_anything(serializer: &AnySerializer, bytes: &[u8]) {
    read_within_bounds::<Everything>(serializer, bytes);
    read_within_bounds::<Described>(serializer, bytes);
    read_within_bounds::<Vec<Choice>>(serializer, bytes);
    read_within_bounds::<Tree>(serializer, bytes);
    read_within_bounds::<Vec<u64>>(serializer, bytes);
    read_within_bounds::<Vec<()>>(serializer, bytes);
    read_within_bounds::<String>(serializer, bytes);
    read_within_bounds::<HashMap<String, Vec<u8>>>(serializer, bytes);
    read_within_bounds::<BTreeMap<u8, Vec<Vec<f64>>>>(serializer, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn foreign_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        for Named { serializer, .. } in all() {
            read_as_anything(&serializer, &bytes);
        }
    }

    #[test]
    fn damaged_bytes_do_no_harm(
        value in shapes::everything(),
        flips in vec((any::<prop::sample::Index>(), 0..8u8), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for Named { name, serializer, .. } in all() {
            let written = written(&serializer, &value);
            read_as_anything(&serializer, &written[..cut.index(written.len())]);
            let mut bytes = written.clone();
            for (at, bit) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            read_as_anything(&serializer, &bytes);
            let is_refused = serializer.deserialize::<Everything>(&bytes).is_err();
            prop_assert!(is_refused || bytes == written || !name.starts_with("encrypted"));
        }
    }

    #[test]
    fn bytes_after_a_value_are_refused(value in shapes::everything(), more in vec(any::<u8>(), 1..9)) {
        // White space after JSON is part of it.
        prop_assume!(!more.iter().all(u8::is_ascii_whitespace));
        for Named { name, serializer, .. } in all() {
            let bytes = [written(&serializer, &value), more.clone()].concat();
            prop_assert!(serializer.deserialize::<Everything>(&bytes).is_err(), "{}", name);
        }
    }
}

/// What a list, a map, a string and a byte string look like that claim to be as long as can be.
#[test]
fn claims_take_no_memory() {
    let longest = [0xFF; 8];
    let msgpack = AnySerializer::new(MessagePack);
    for claim in [0xDD, 0xDF, 0xDB, 0xC6] {
        read_as_anything(&msgpack, &[&[claim][..], &longest[..4]].concat());
        // Each level of nesting claims anew.
        read_as_anything(&msgpack, &[claim, 0, 1, 0, 0].repeat(40));
    }
    let cbor = AnySerializer::new(Cbor);
    for claim in [0x9B, 0xBB, 0x7B, 0x5B] {
        read_as_anything(&cbor, &[&[claim][..], &longest].concat());
        read_as_anything(&cbor, &[claim, 0, 0, 0, 0, 0, 1, 0, 0].repeat(40));
    }
}

/// A byte opens a level in each format. The stack of a thread of a test has two megabytes.
#[test]
fn nesting_does_not_overflow_the_stack() {
    const LEVELS: usize = 1_000_000;
    let openings: [(&str, &[u8]); 9] = [
        ("json", b"["),
        ("json", b"{\"Node\":["),
        ("msgpack", &[0x91]),
        ("msgpack", b"\x81\xA4Node\x91"),
        ("cbor", &[0x81]),
        ("cbor", &[0x9F]),
        ("cbor", &[0xD8, 0x18]),
        ("cbor", b"\xA1\x64Node\x81"),
        ("cbor", &[0x7F]),
    ];
    for (name, opening) in openings {
        let serializer = all().into_iter().find(|named| named.name == name).unwrap().serializer;
        let bytes = opening.repeat(LEVELS);
        assert!(serializer.deserialize::<Tree>(&bytes).is_err());
        assert!(serializer.deserialize::<Vec<Choice>>(&bytes).is_err());
        assert!(serializer.deserialize::<serde_json::Value>(&bytes).is_err());
        assert!(serializer.deserialize::<serde::de::IgnoredAny>(&bytes).is_err());
    }
}

/// What could not be read back is refused when it is stored.
#[tokio::test]
async fn values_nested_too_deeply_are_not_stored() {
    let nested = |levels| (0..levels).fold(Tree::Leaf(7), |inner, _| Tree::Node(vec![inner]));
    let cache = RegionCache::builder(MemoryStore::new()).root("r").build().unwrap();
    for Named { name, policy, .. } in all() {
        let region = cache.region("a").unwrap().with_policy(policy).unwrap();
        // A node is an enum and a list, and a leaf an enum: two levels and one.
        region.set("k", &nested(60)).await.unwrap();
        assert!(region.get::<Tree>("k").await.unwrap().is_some(), "{name}");
        for levels in [64, 100, 150] {
            let error = region.set("k", &nested(levels)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Encode, "{name} {levels}");
        }
    }
}
