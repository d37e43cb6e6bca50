//! A type that has every shape that serde knows, and random values of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Everything {
    scalars: Scalars,
    text: String,
    bytes: Bytes,
    numbers: Vec<u8>,
    maybe: Option<u64>,
    nothing: (),
    unit: Unit,
    newtype: Newtype,
    pair: Pair,
    array: [i16; 3],
    by_name: BTreeMap<String, i64>,
    by_number: BTreeMap<u32, Option<String>>,
    choices: Vec<Choice>,
    tree: Tree,
    address: IpAddr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scalars {
    flag: bool,
    letter: char,
    signed: (i8, i16, i32, i64, i128),
    unsigned: (u8, u16, u32, u64, u128),
    floats: (f32, f64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(bool, String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Choice {
    Nothing,
    One(i64),
    Two(u8, String),
    Named { left: Option<bool>, right: Vec<u16> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Tree {
    Leaf(u32),
    Node(Vec<Tree>),
}

/// Shapes that need a format which describes itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Described {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<u32>,
    tagged: Tagged,
    untagged: Vec<Untagged>,
    #[serde(flatten)]
    rest: BTreeMap<String, u16>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Empty,
    Full { text: String, list: Vec<i32> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    List(Vec<bool>),
}

/// A byte string, as the crate `serde_bytes` has it.
#[derive(Clone, Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyBytes;
        impl<'de> Visitor<'de> for AnyBytes {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(AnyBytes)
    }
}

/// Floats that a decimal text holds exactly.
fn float() -> impl Strategy<Value = f64> {
    any::<i32>().prop_map(|number| f64::from(number) / 8.0)
}

fn small_float() -> impl Strategy<Value = f32> {
    any::<i16>().prop_map(|number| f32::from(number) / 8.0)
}

fn scalars() -> impl Strategy<Value = Scalars> {
    let signed = any::<(i8, i16, i32, i64, i128)>();
    let unsigned = any::<(u8, u16, u32, u64, u128)>();
    let parts = (any::<bool>(), any::<char>(), signed, unsigned, (small_float(), float()));
    parts.prop_map(|(flag, letter, signed, unsigned, floats)| Scalars {
        flag,
        letter,
        signed,
        unsigned,
        floats,
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Nothing),
        any::<i64>().prop_map(Choice::One),
        any::<(u8, String)>().prop_map(|(first, second)| Choice::Two(first, second)),
        (any::<Option<bool>>(), vec(any::<u16>(), 0..4))
            .prop_map(|(left, right)| Choice::Named { left, right }),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = any::<u32>().prop_map(Tree::Leaf);
    leaf.prop_recursive(6, 24, 4, |inner| vec(inner, 0..4).prop_map(Tree::Node))
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
    ]
}

pub(super) fn everything() -> impl Strategy<Value = Everything> {
    let plain = (
        scalars(),
        any::<String>(),
        vec(any::<u8>(), 0..40).prop_map(Bytes),
        vec(any::<u8>(), 0..40),
        any::<Option<u64>>(),
        any::<u32>().prop_map(Newtype),
        any::<(bool, String)>().prop_map(|(first, second)| Pair(first, second)),
        any::<[i16; 3]>(),
    );
    let nested = (
        btree_map(any::<String>(), any::<i64>(), 0..4),
        btree_map(any::<u32>(), option::of(any::<String>()), 0..4),
        vec(choice(), 0..5),
        tree(),
        address(),
    );
    (plain, nested).prop_map(|(plain, nested)| {
        let (scalars, text, bytes, numbers, maybe, newtype, pair, array) = plain;
        let (by_name, by_number, choices, tree, address) = nested;
        Everything {
            scalars,
            text,
            bytes,
            numbers,
            maybe,
            nothing: (),
            unit: Unit,
            newtype,
            pair,
            array,
            by_name,
            by_number,
            choices,
            tree,
            address,
        }
    })
}

pub(super) fn described() -> impl Strategy<Value = Described> {
    let tagged = prop_oneof![
        Just(Tagged::Empty),
        (any::<String>(), vec(any::<i32>(), 0..4))
            .prop_map(|(text, list)| Tagged::Full { text, list }),
    ];
    let untagged = prop_oneof![
        any::<i64>().prop_map(Untagged::Number),
        any::<String>().prop_map(Untagged::Text),
        vec(any::<bool>(), 0..4).prop_map(Untagged::List),
    ];
    let rest = btree_map("r_[a-z]{1,6}", any::<u16>(), 0..4);
    (any::<Option<u32>>(), tagged, vec(untagged, 0..4), rest).prop_map(
        |(left_out, tagged, untagged, rest)| Described { left_out, tagged, untagged, rest },
    )
}
