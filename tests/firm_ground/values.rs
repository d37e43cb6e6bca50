//! Values that a format cannot read back, errors of loads, and the verbs.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use region_cache::{
    Error, ErrorKind, Json, MemoryStore, Policy, Postcard, Region, RegionExt, RegionHandle, Value,
};
use serde::{Deserialize, Serialize};

use crate::kit::{cache, cache_with, loaded};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { value: u32 },
    Two,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u32>,
    second: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SkipsLast {
    first: u32,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    last: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flattens {
    first: u32,
    #[serde(flatten)]
    rest: HashMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nests {
    inner: Vec<Option<Tagged>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Deep {
    Plain(u32),
    Holds(Box<Untagged>),
}

/// Sets and loads each value in turn: it is found again as it was, or refused by name.
async fn never_a_silent_miss<V: Value + Clone + Debug + PartialEq>(values: &[V]) {
    let region = cache(MemoryStore::new()).region("r").unwrap();
    for (n, value) in values.iter().enumerate() {
        let key = format!("set{n}");
        match region.set(&key, value).await {
            Ok(()) => {
                let got = region.get::<V>(&key).await.unwrap();
                assert_eq!(got.as_deref(), Some(value), "a silent miss");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
                assert!(error.to_string().contains("Json"), "{error}");
                let name = std::any::type_name::<V>().rsplit("::").next().unwrap();
                assert!(error.to_string().contains(name), "{name}: {error}");
            }
        }
    }
    other_ways_to_write(&region, &values[values.len() - 1]).await;
    for (n, value) in values.iter().enumerate() {
        let (loads, key) = (Arc::new(AtomicU32::new(0)), format!("load{n}"));
        let mut failed = 0;
        for _ in 0..3 {
            let (value, loads) = (value.clone(), Arc::clone(&loads));
            let load = move || async move {
                loads.fetch_add(1, SeqCst);
                loaded(value).await
            };
            failed += u32::from(region.get_or_compute(&key, load).await.is_err());
        }
        let loads = loads.load(SeqCst);
        assert!(loads == 1 || failed == 3, "{value:?}: {loads} loads, {failed} errors");
    }
}

/// A value that is written in any other way is found too, or refused.
async fn other_ways_to_write<V: Value + Clone + Debug + PartialEq>(
    region: &RegionHandle,
    value: &V,
) {
    let mut transaction = region.transaction();
    transaction.set("transaction", value.clone());
    let mut taken = vec![];
    for (key, done) in [
        ("many", region.set_many(&[("many", value)]).await),
        ("absent", region.set_if_absent("absent", value).await.map(drop)),
        ("transaction", transaction.commit().await),
    ] {
        match done {
            Ok(()) => taken.push(key),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Encode, "{error}"),
        }
    }
    for key in taken {
        let got = region.get::<V>(key).await.unwrap();
        assert_eq!(got.as_deref(), Some(value), "a silent miss at {key}");
    }
    let loaded_value = value.clone();
    let load = move |keys: Vec<String>| {
        let value = loaded_value.clone();
        async move {
            loaded(keys.into_iter().map(|key| (key, value.clone())).collect::<HashMap<_, _>>())
                .await
        }
    };
    if region.get_or_compute_many(&["x", "y"], load).await.is_ok() {
        let got = region.get_many::<V>(&["x", "y"]).await.unwrap();
        assert!(got.iter().all(|got| got.as_deref() == Some(value)), "a silent miss");
    }
}

/// Bug: types that Postcard cannot read back were stored all the same.
/// Effect: each call missed and loaded, for ever, without a word.
/// Fix: they are refused with an error that names the type and the way out.
#[tokio::test]
async fn a_type_that_cannot_be_read_back_is_refused() {
    never_a_silent_miss(&[Tagged::Two, Tagged::One { value: 7 }]).await;
    never_a_silent_miss(&[Untagged::Number(7), Untagged::Text("x".into())]).await;
    never_a_silent_miss(&[Flattens { first: 1, rest: HashMap::from([("a".into(), 2)]) }]).await;
    never_a_silent_miss(&[Flattens { first: 1, rest: HashMap::new() }]).await;
    never_a_silent_miss(&[Nests { inner: vec![] }, Nests { inner: vec![Some(Tagged::Two)] }]).await;
    never_a_silent_miss(&[Deep::Plain(1), Deep::Holds(Box::new(Untagged::Number(7)))]).await;
}

/// The first values can be read back, later ones cannot.
#[tokio::test]
async fn a_value_that_cannot_be_read_back_is_refused_whenever_it_comes() {
    let with = |first| Skips { first, second: 300 };
    let mut many: Vec<_> = (0..200).map(|n| with(Some(n))).collect();
    many.push(with(None));
    never_a_silent_miss(&many).await;
    let with = |last| SkipsLast { first: 1, last };
    let mut many: Vec<_> = (0..200).map(|n| with(vec![n])).collect();
    many.extend([with(vec![]), with(vec![1, 2])]);
    never_a_silent_miss(&many).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plain {
    id: u64,
    name: String,
    tags: Vec<String>,
    by: HashMap<String, Option<f64>>,
    kind: Kind,
    bytes: (u8, i128, char),
    unit: (),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(u8),
    Tuple(u8, String),
    Struct { a: Option<Box<Kind>> },
}

/// A type that can be read back is never refused; a self-describing format takes every type.
#[tokio::test]
async fn a_type_that_can_be_read_back_is_taken() {
    let plain = |kind| Plain {
        id: u64::MAX,
        name: "é".into(),
        tags: vec![String::new()],
        by: HashMap::from([("x".into(), Some(f64::MAX)), ("y".into(), None)]),
        kind,
        bytes: (0, i128::MIN, '\u{10ffff}'),
        unit: (),
    };
    let kinds = [
        Kind::Unit,
        Kind::New(1),
        Kind::Tuple(1, "x".into()),
        Kind::Struct { a: Some(Box::new(Kind::Struct { a: None })) },
    ];
    for format in [Policy::new().serializer(Postcard), Policy::new().serializer(Json)] {
        let region = cache_with(MemoryStore::new(), format).region("r").unwrap();
        for kind in &kinds {
            region.set("k", &plain(kind.clone())).await.unwrap();
            assert_eq!(
                region.get::<Plain>("k").await.unwrap().as_deref(),
                Some(&plain(kind.clone()))
            );
        }
        region.set("nan", &f64::INFINITY).await.map(drop).unwrap_or_default();
    }
    let json = Policy::new().serializer(Json);
    let region = cache_with(MemoryStore::new(), json).region("r").unwrap();
    region.set("t", &Tagged::Two).await.unwrap();
    assert_eq!(region.get::<Tagged>("t").await.unwrap().as_deref(), Some(&Tagged::Two));
    let skips = Skips { first: None, second: 1 };
    region.set("s", &skips).await.unwrap();
    assert_eq!(region.get::<Skips>("s").await.unwrap().as_deref(), Some(&skips));
}

/// Bug: `load_error` looked at one step of the chain of causes only.
/// Effect: nested loads hid the error that a caller looked for.
#[tokio::test]
async fn a_loaders_error_is_found_in_nested_loads() {
    let region = cache(MemoryStore::new()).region("r").unwrap();
    let (outer, middle) = (region.clone(), region.clone());
    let load = move || async move {
        let inner = middle.clone();
        let load = move || async move {
            let fail = || async { Err::<u8, _>(std::io::Error::other("the disk is gone")) };
            inner.get_or_compute("inner", fail).await.map(|value| *value)
        };
        middle.get_or_compute("middle", load).await.map(|value| *value)
    };
    let error: Error = outer.get_or_compute("outer", load).await.unwrap_err();
    let found = error.load_error::<std::io::Error>().unwrap();
    assert_eq!(found.to_string(), "the disk is gone");
}
