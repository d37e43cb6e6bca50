use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::value::serializer::{Postcard, Serializer};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum List {
    Cons(Box<List>),
    Tuple(u8, Box<List>),
    Struct { tail: Option<Box<List>> },
    Nil,
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    Postcard.deserialize(bytes, PhantomData::<T>).map_err(|error| error.to_string())
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Postcard.serialize(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn nesting_does_not_overflow_the_stack() {
    for variant in [0u8, 1, 2] {
        assert!(read::<List>(&vec![variant; 10_000_000]).is_err());
    }
    assert!(read::<Vec<Vec<Vec<u8>>>>(&[1, 1, 1, 7]).is_ok());
}

#[test]
fn ordinary_nesting_is_allowed() {
    let mut list = List::Nil;
    for _ in 0..MAX_NESTING / 2 - 1 {
        list = List::Cons(Box::new(List::Struct { tail: None }));
        list = List::Tuple(1, Box::new(list));
    }
    assert_eq!(read::<List>(&written(&list)), Ok(list));
}

#[test]
fn elements_without_bytes_end() {
    let endless = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    assert!(read::<Vec<()>>(&endless).is_err());
    assert!(read::<Vec<[u64; 0]>>(&endless).is_err());
    assert!(read::<Vec<Vec<()>>>(&[&[100][..], &endless].concat()).is_err());
    assert_eq!(read::<Vec<()>>(&written(&vec![(); 4000])), Ok(vec![(); 4000]));
}

#[test]
fn many_elements_with_bytes_are_read() {
    let numbers: Vec<u8> = vec![7; 1 << 20];
    assert_eq!(read::<Vec<u8>>(&written(&numbers)), Ok(numbers));
    type Pair = (u8, ((), (u8, [u8; 0])));
    let pairs: Vec<Pair> = vec![(1, ((), (2, []))); 100_000];
    assert_eq!(read::<Vec<Pair>>(&written(&pairs)), Ok(pairs));
    let map: BTreeMap<u32, Vec<String>> =
        (0..20_000).map(|key| (key, vec![key.to_string(); 3])).collect();
    assert_eq!(read::<BTreeMap<u32, Vec<String>>>(&written(&map)), Ok(map));
}

/// Bug: a map's claimed size was believed up to the number of elements that may be free, and memory
/// set aside for it. Effect: ten bytes took 400 kB. Fix: no more is believed than there are bytes.
#[test]
fn claims_are_believed_up_to_the_bytes() {
    let guard = Guard::new(10);
    assert_eq!(guard.believe(3), 3);
    assert_eq!(guard.believe(usize::MAX), 7);
}

/// Bug: each level of nested claims was believed as many elements as the value has bytes, which took
/// memory in proportion to their number times the nesting. Now they share.
#[test]
fn nested_claims_share_what_is_believed() {
    let guard = Guard::new(100);
    assert_eq!(guard.believe(60), 60);
    assert_eq!(guard.believe(60), 40);
    assert_eq!(guard.believe(usize::MAX), 0);
}
