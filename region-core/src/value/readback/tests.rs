use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;
use crate::path::RegionPath;
use crate::value::serializer::{Postcard, Serializer};

fn write<V: Value>(serializer: &AnySerializer, value: &V) -> Result<Vec<u8>, String> {
    let mut out = b"before".to_vec();
    let region = RegionPath::root("r").unwrap();
    let readback = Readback::of::<V>(serializer);
    let context = ValueContext::new(&region, "k", readback.fingerprint().to_bits());
    let written = readback.write(serializer, &context, value, &mut out);
    written.map(|()| out.split_off(6)).map_err(|error| error.to_string())
}

fn postcard<V: Value>(value: &V) -> Result<Vec<u8>, String> {
    write(&AnySerializer::new(Postcard), value)
}

fn assert_refused<V: Value>(value: &V, why: &[&str]) {
    let error = postcard(value).unwrap_err();
    for part in why.iter().chain(&["use Json"]) {
        assert!(error.contains(part), "{part}: {error}");
    }
    #[cfg(feature = "json")]
    write(&AnySerializer::new(crate::Json), value).unwrap();
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Move { x: u8 },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
}

#[derive(Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

/// Bug: types that ask for a format that describes itself were accepted with Postcard.
/// Effect: they were never read back: every call loaded, without a word.
/// Fix: the type's trace tells, and nothing of it is stored.
#[test]
fn types_that_ask_for_a_description_are_refused() {
    assert_refused(&Tagged::Move { x: 1 }, &["Tagged", "at $"]);
    assert_refused(&vec![Untagged::Number(1)], &["Untagged", "at $[]"]);
    assert_refused(&Vec::<Untagged>::new(), &["Untagged"]);
    assert_refused(&Flat { id: 1, rest: BTreeMap::new() }, &["Flat"]);
}

#[derive(Serialize, Deserialize)]
struct Sparse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<u8>,
    text: String,
}

#[derive(Serialize, Deserialize)]
enum Holds {
    Nothing,
    It(Sparse),
    Fields {
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        next: u8,
    },
}

/// Bug: with Postcard a field that is left out shifts those after it, which may even be read as
/// another value.
/// Effect: misses, or a wrong value, for some values of a type only.
/// Fix: the value itself is refused when it is written, however many were fine before.
#[test]
fn values_that_leave_fields_out_are_refused() {
    let sparse = |note| Sparse { note, text: "x".to_owned() };
    for _ in 0..10 {
        postcard(&sparse(Some(1))).unwrap();
        postcard(&Holds::It(sparse(Some(1)))).unwrap();
        postcard(&Holds::Nothing).unwrap();
    }
    assert_refused(&sparse(None), &["\"note\"", "skip_serializing_if"]);
    assert_refused(&vec![Holds::Nothing, Holds::It(sparse(None))], &["\"note\""]);
    assert_refused(&Holds::Fields { name: String::new(), next: 1 }, &["\"name\""]);
}

#[derive(Serialize, Deserialize)]
enum Lopsided {
    Fine(u8),
    WritesLess {
        #[serde(skip_serializing, default)]
        first: u8,
        second: u8,
    },
}

/// Bug: what a type writes and what it reads may differ in a variant that its first values lack.
/// Effect: those values were stored and never read back.
/// Fix: a value is read back when it holds a variant or struct that was not seen before.
#[test]
fn a_variant_is_read_back_when_it_is_first_seen() {
    for _ in 0..10 {
        postcard(&Lopsided::Fine(1)).unwrap();
    }
    for _ in 0..3 {
        let error = postcard(&Lopsided::WritesLess { first: 1, second: 2 }).unwrap_err();
        assert!(error.contains("cannot be read back"), "{error}");
    }
    postcard(&Lopsided::Fine(1)).unwrap();
}

#[derive(Serialize, Deserialize)]
struct Chain(Option<Box<Chain>>);

fn chain(links: usize) -> Chain {
    (1..links).fold(Chain(None), |inner, _| Chain(Some(Box::new(inner))))
}

/// Bug: values that the guard of `Postcard` refuses to read could be written.
/// Effect: they were stored and never read back.
/// Fix: writing has the limits that reading has.
#[test]
fn what_the_guard_refuses_is_not_written() {
    let deepest = chain(64);
    assert!(postcard(&deepest).is_ok(), "128 levels");
    let error = postcard(&chain(65)).unwrap_err();
    assert!(error.contains("128 levels"), "{error}");
    assert!(postcard(&vec![(); 4095]).is_ok());
    assert!(postcard(&vec![(); 4096]).unwrap_err().contains("4096"));
    assert!(postcard(&vec![0u8; 100_000]).is_ok());
}

/// A deep value is read back each time if the format itself has a limit on depth.
#[cfg(feature = "json")]
#[test]
fn json_that_is_nested_too_deeply_is_refused() {
    let json = AnySerializer::new(crate::Json);
    let nested =
        |levels| (0..levels).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    for _ in 0..10 {
        write(&json, &nested(3)).unwrap();
    }
    assert!(write(&json, &nested(126)).is_ok());
    assert!(write(&json, &nested(200)).unwrap_err().contains("recursion limit"));
}

#[derive(Serialize, Deserialize)]
#[serde(from = "String")]
struct Trimmed(String);

impl From<String> for Trimmed {
    fn from(text: String) -> Self {
        Self(text.trim().to_owned())
    }
}

#[test]
fn types_that_read_something_else_than_they_wrote_are_accepted() {
    postcard(&Trimmed(" x ".to_owned())).unwrap();
    let map: std::collections::HashMap<u8, u8> = (0..100).map(|n| (n, n)).collect();
    postcard(&map).unwrap();
}

/// Bytes are the same as without a watcher.
#[test]
fn watching_changes_no_byte() {
    let value = (1u8, "two", Some(3.0f32), vec![(4u64, ())], Holds::Nothing, [5i128; 2]);
    let mut plain = Vec::new();
    Postcard.serialize(&value, &mut plain).unwrap();
    let mut watched = Vec::new();
    let watcher = Watcher::new(format::Fields::Positional, format::Limits::OfPostcard);
    watcher.watch(&value, |value| Postcard.serialize(value, &mut watched)).unwrap();
    assert_eq!(plain, watched);
}

#[test]
fn formats_are_known_by_trying() {
    let postcard = Format::of(&AnySerializer::new(Postcard));
    assert!(!postcard.describes_itself && postcard.fields == format::Fields::Positional);
    #[cfg(feature = "json")]
    {
        let json = Format::of(&AnySerializer::new(crate::Json));
        assert!(json.describes_itself && json.fields == format::Fields::Named);
    }
}
