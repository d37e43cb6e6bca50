use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI64, NonZeroU32};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::*;
use crate::value::serializer::{Postcard, Serializer};

const BOTH: [Readability; 2] = [Readability::Binary, Readability::HumanReadable];

fn shape<V: DeserializeOwned>() -> Shape {
    Shape::of::<V>(Readability::Binary)
}

fn assert_complete<V: DeserializeOwned>() {
    for readability in BOTH {
        let shape = Shape::of::<V>(readability);
        assert!(shape.is_complete(), "{}:\n{shape}", std::any::type_name::<V>());
    }
}

/// Asserts that all of these types have different shapes, in both kinds of format.
macro_rules! assert_distinct {
    ($($t:ty),+ $(,)?) => {
        for readability in BOTH {
            let shapes = [$((stringify!($t), Shape::of::<$t>(readability).fingerprint())),+];
            for (at, (one, first)) in shapes.iter().enumerate() {
                for (other, second) in &shapes[at + 1..] {
                    assert_ne!(first, second, "{one} and {other}");
                }
            }
        }
    };
}

/// A module per variation, so that the types share one name.
macro_rules! variations {
    ($($module:ident { $($item:item)+ })*) => {$(
        mod $module {
            use super::*;
            $(#[derive(Serialize, Deserialize)] #[allow(dead_code)] $item)+
        }
    )*};
}

variations! {
    base { pub(super) struct T { pub(super) a: u32, pub(super) b: u64 } }
    renamed { pub(super) struct T { pub(super) a: u32, c: u64 } }
    swapped { pub(super) struct T { b: u64, a: u32 } }
    added { pub(super) struct T { a: u32, b: u64, c: Option<u8> } }
    removed { pub(super) struct T { a: u32 } }
    retyped { pub(super) struct T { a: u32, b: i64 } }
    other_name { pub(super) struct U { a: u32, b: u64 } }
    tuple { pub(super) struct T(u32, u64); }
    newtype { pub(super) struct T(u32); }
    newtype_u { pub(super) struct U(u32); }
    unit { pub(super) struct T; }
    one { pub(super) enum E { A, B(u8), C { x: u16 } } }
    reordered { pub(super) enum E { B(u8), A, C { x: u16 } } }
    variant_added { pub(super) enum E { A, B(u8), C { x: u16 }, D } }
    variant_retyped { pub(super) enum E { A, B(i8), C { x: u16 } } }
    variant_field { pub(super) enum E { A, B(u8), C { y: u16 } } }
    variant_grown { pub(super) enum E { A, B(u8, u8), C { x: u16 } } }
    last_variant { pub(super) enum E { A, B(u8), C { x: u32 } } }
    wrap { pub(super) struct W<X> { x: X }
          pub(super) struct P { a: W<u32>, b: W<String> } }
    wrap_swapped { pub(super) struct W<X> { x: X }
          pub(super) struct P { a: W<String>, b: W<u32> } }
}

#[test]
fn every_change_of_shape_is_seen() {
    assert_distinct!(
        base::T,
        renamed::T,
        swapped::T,
        added::T,
        removed::T,
        retyped::T,
        other_name::U,
        tuple::T,
        newtype::T,
        newtype_u::U,
        unit::T,
    );
    assert_distinct!(
        one::E,
        reordered::E,
        variant_added::E,
        variant_retyped::E,
        variant_field::E,
        variant_grown::E,
        last_variant::E,
    );
    assert_distinct!(wrap::P, wrap_swapped::P);
    assert_distinct!(Vec<one::E>, Vec<last_variant::E>, Option<one::E>, HashMap<String, one::E>);
}

#[test]
fn plain_types_are_told_apart() {
    assert_distinct!(
        u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, bool, char, String, (), (u8,),
        (u8, u16), (u16, u8), [u8; 4], [u8; 5], Vec<u8>, Vec<Vec<u8>>, Option<u8>,
        Option<Option<u8>>, HashMap<u8, u8>, HashMap<u8, u16>, HashMap<u8, ()>,
    );
    assert_eq!(shape::<BTreeMap<u8, u8>>(), shape::<HashMap<u8, u8>>());
    assert_eq!(shape::<HashSet<u8>>(), shape::<Vec<u8>>());
    assert_eq!(shape::<Box<Arc<Cow<'static, str>>>>(), shape::<String>());
}

#[test]
fn ordinary_types_are_seen_whole() {
    assert_complete::<base::T>();
    assert_complete::<Vec<one::E>>();
    assert_complete::<(NonZeroU32, NonZeroI64, Duration, SystemTime, Range<u8>)>();
    assert_complete::<(IpAddr, SocketAddr, char, Arc<str>, Result<u8, String>)>();
    assert_complete::<[[u16; 32]; 3]>();
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Node {
    name: String,
    children: Vec<Node>,
    parent: Option<Box<Node>>,
    index: HashMap<String, Node>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
enum List {
    Nil,
    Cons(u8, Box<List>),
}

#[derive(Deserialize)]
#[allow(dead_code)]
enum Expr {
    Add(Box<Expr>, Box<Expr>),
    Call { name: String, args: Vec<Expr>, hint: Hint },
    Literal(i32),
}

#[derive(Deserialize)]
#[allow(dead_code)]
enum Hint {
    Of(Box<Expr>),
    None,
}

#[test]
fn recursion_ends() {
    assert_complete::<Node>();
    assert_complete::<List>();
    assert_complete::<Expr>();
    let text = shape::<Expr>().to_string();
    assert!(text.contains("$#Literal.0 i32") && text.contains("$#Call.hint#Of.0 "), "{text}");
}

macro_rules! nasty {
    ($($v:ident)*) => {
        #[derive(Deserialize)]
        #[allow(dead_code)]
        enum Nasty { $($v(Box<Nasty>, Box<Nasty>),)* End }
    };
}
nasty!(A B C D E F G H I J K L M N O P Q R S T U V W X Y Z Aa Bb Cc Dd);

#[test]
fn a_nasty_type_takes_bounded_time() {
    let start = Instant::now();
    let first = shape::<Nasty>();
    // Far more than it takes; what would hang takes ages.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(first, shape::<Nasty>());
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Picky {
    before: u8,
    #[serde(deserialize_with = "never")]
    never: u16,
    after: u32,
}

fn never<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let number = u16::deserialize(deserializer)?;
    Err(serde::de::Error::custom(format!("{number} is not the magic number")))
}

#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Panics;

impl TryFrom<u8> for Panics {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        panic!("no {number}, thanks")
    }
}

#[test]
fn what_cannot_be_seen_is_said() {
    let picky = shape::<Picky>();
    assert!(!picky.is_complete());
    assert!(picky.to_string().contains("struct Picky {before, never, after}"));
    assert!(!shape::<Panics>().is_complete());
    assert!(!Shape::of::<serde_json::Value>(Readability::HumanReadable).is_complete());
}

/// Were these to change, every stored value would be a miss after an upgrade.
#[test]
fn golden_fingerprints() {
    let text = "$ struct T {a, b}\n$.a u32\n$.b u64\n";
    assert_eq!(shape::<base::T>().to_string(), text);
    let text = "$ enum E {A, B, C}\n$#A unit variant\n$#B newtype variant\n$#B.0 u8\n\
                $#C struct variant {x}\n$#C.x u16\n";
    assert_eq!(shape::<one::E>().to_string(), text);
    assert_eq!(Fingerprint::of::<base::T>(Readability::Binary).to_bits(), 0x5b59051dbdf0506d);
    assert_eq!(Fingerprint::of::<one::E>(Readability::Binary).to_bits(), 0x82d677d943c97676);
}

#[test]
fn versions_differ_and_zero_is_none() {
    let plain = Fingerprint::of::<u8>(Readability::Binary);
    assert_eq!(plain.with_version(0), plain);
    assert_ne!(plain.with_version(1), plain);
    assert_ne!(plain.with_version(1), plain.with_version(2));
}

/// Postcard reads these bytes as the wrong type without complaint: the fingerprint must object.
#[test]
fn what_postcard_takes_for_granted_is_told_apart() {
    let mut bytes = Vec::new();
    Postcard.serialize(&base::T { a: 1, b: 2 }, &mut bytes).unwrap();
    let seed = std::marker::PhantomData::<(u64, u32)>;
    assert_eq!(Postcard.deserialize(&bytes, seed).unwrap(), (1, 2));
    assert_ne!(shape::<base::T>().fingerprint(), shape::<(u64, u32)>().fingerprint());
}
