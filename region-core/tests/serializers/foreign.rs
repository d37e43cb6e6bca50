//! Entries that a program in another language wrote.
//!
//! The files were made by `tests/golden/foreign.py` with Python 3.11.7, its own `json`, msgpack 1.2.4,
//! cbor2 6.3.0 and xxhash 4.1.0.

use std::collections::BTreeMap;

use region_core::{
    Cbor, Fingerprint, Json, MessagePack, Op, Policy, Put, Readability, Region, RegionCache, Store,
    Write,
};
use region_memory::MemoryStore;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Doll {
    name: String,
    size: u32,
    weight: f64,
    painted: bool,
    owner: Option<String>,
    colours: Vec<String>,
    prices: BTreeMap<String, i64>,
    kind: Kind,
    made: u64,
    inside: Option<Box<Doll>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Signed(String),
    Lot { number: u64 },
}

fn doll() -> Doll {
    let inner = Doll {
        name: "Маша".to_owned(),
        size: 3,
        weight: 2.0,
        painted: false,
        owner: Some("Anna".to_owned()),
        colours: Vec::new(),
        prices: BTreeMap::new(),
        kind: Kind::Plain,
        made: 0,
        inside: None,
    };
    Doll {
        name: "Матрёшка".to_owned(),
        size: 7,
        weight: 0.5,
        painted: true,
        owner: None,
        colours: vec!["red".to_owned(), "gold".to_owned()],
        prices: [("EUR".to_owned(), 1200), ("JPY".to_owned(), -1)].into(),
        kind: Kind::Lot { number: 12 },
        made: u64::MAX,
        inside: Some(Box::new(inner)),
    }
}

/// The numbers that the other program has to know. They are the same on every machine.
#[test]
fn the_fingerprints_are_those_of_the_script() {
    let readable = Fingerprint::of::<Doll>(Readability::HumanReadable).to_bits();
    let binary = Fingerprint::of::<Doll>(Readability::Binary).to_bits();
    let script = include_str!("../golden/foreign.py");
    for (format, bits) in
        [("json\": (2", readable), ("msgpack\": (3", binary), ("cbor\": (4", binary)]
    {
        let line = format!("\"{format}, {bits:#x},");
        assert!(script.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn entries_of_another_program_are_read() {
    let store = MemoryStore::new();
    let cache = RegionCache::builder(store.clone()).root("shop").build().unwrap();
    let entries: [(Policy, &'static [u8]); 4] = [
        (Policy::new().serializer(Json), include_bytes!("../golden/foreign-json.v1")),
        (Policy::new().serializer(MessagePack), include_bytes!("../golden/foreign-msgpack.v1")),
        (Policy::new().serializer(Cbor), include_bytes!("../golden/foreign-cbor.v1")),
        (Policy::new().serializer(Cbor), include_bytes!("../golden/foreign-cbor-other-forms.v1")),
    ];
    for (policy, bytes) in entries {
        let region = cache.region("shelf:7").unwrap().with_policy(policy).unwrap();
        let put = Op::Put(Put::new("doll", bytes));
        store.write(region.path(), Write::new(&[put])).await.unwrap();
        assert_eq!(region.get::<Doll>("doll").await.unwrap().as_deref(), Some(&doll()));
    }
    assert_eq!(cache.stats().bad_bytes, 0);
}
