use std::marker::PhantomData;

use super::*;
use crate::path::RegionPath;
use crate::value::serializer::Postcard;

const SECRET: &str = "the doll is hollow";

fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::new(&[byte; 32])
}

fn encrypted(keys: KeyRing) -> Encrypted<Postcard> {
    Encrypted::new(Postcard, keys)
}

fn region() -> RegionPath {
    RegionPath::parse("shop.org:42").unwrap()
}

fn write(encrypted: &Encrypted<Postcard>, context: &ValueContext<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encrypted.serialize_for(context, SECRET, &mut out).unwrap();
    out.split_off(6)
}

fn read(
    encrypted: &Encrypted<Postcard>,
    context: &ValueContext<'_>,
    bytes: &[u8],
) -> Result<String, String> {
    let read = encrypted.deserialize_for(context, bytes, PhantomData::<String>);
    read.map_err(|error| error.to_string())
}

#[test]
fn a_value_comes_back_at_its_own_entry_alone() {
    let (region, other) = (region(), RegionPath::parse("shop.org:4").unwrap());
    let alike = RegionPath::parse("shop.org:43").unwrap();
    let encrypted = encrypted(KeyRing::new(1, key(1)));
    let own = ValueContext::new(&region, "summary", 7);
    let bytes = write(&encrypted, &own);
    assert_eq!(read(&encrypted, &own, &bytes).unwrap(), SECRET);
    let elsewhere = [
        ValueContext::new(&other, "summary", 7),
        ValueContext::new(&alike, "summary", 7),
        // The same letters, parted elsewhere.
        ValueContext::new(&other, "2summary", 7),
        ValueContext::new(&region, "summar", 7),
        ValueContext::new(&region, "summary", 8),
        own.of_absence(),
    ];
    for context in elsewhere {
        let error = read(&encrypted, &context, &bytes).unwrap_err();
        assert!(error.contains("not encrypted for this entry"), "{error}");
    }
    assert!(encrypted.deserialize(&bytes, PhantomData::<String>).is_err());
    let mut without = Vec::new();
    encrypted.serialize(SECRET, &mut without).unwrap();
    assert_eq!(encrypted.deserialize(&without, PhantomData::<String>).unwrap(), SECRET);
    assert!(read(&encrypted, &own, &without).is_err());
}

#[test]
fn any_change_of_any_bit_is_noticed() {
    let region = region();
    let context = ValueContext::new(&region, "summary", 7);
    let encrypted = encrypted(KeyRing::new(1, key(1)));
    let bytes = write(&encrypted, &context);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut tampered = bytes.clone();
            tampered[at] ^= 1 << bit;
            assert!(read(&encrypted, &context, &tampered).is_err(), "byte {at} bit {bit}");
        }
        assert!(read(&encrypted, &context, &bytes[..at]).is_err(), "cut to {at}");
        assert!(read(&encrypted, &context, &bytes[at + 1..]).is_err(), "without {at}");
    }
    assert!(read(&encrypted, &context, &[&bytes[..], b"x"].concat()).is_err());
}

#[test]
fn nothing_of_a_value_is_seen() {
    let region = region();
    let context = ValueContext::new(&region, "summary", 7);
    let encrypted = encrypted(KeyRing::new(1, key(1)));
    let (one, other) = (write(&encrypted, &context), write(&encrypted, &context));
    // Version and key are alike; nonce, value and tag are not, even of the same value.
    assert_eq!(one[..5], other[..5]);
    assert!(one[5..].chunks(4).zip(other[5..].chunks(4)).all(|(one, other)| one != other));
    assert!(!one.windows(4).any(|window| SECRET.as_bytes().windows(4).any(|part| part == window)));
    let mut plain = Vec::new();
    Postcard.serialize(SECRET, &mut plain).unwrap();
    assert_eq!(one.len(), plain.len() + 45);
}

#[test]
fn keys_are_rotated_one_program_at_a_time() {
    let region = region();
    let context = ValueContext::new(&region, "summary", 7);
    let before = encrypted(KeyRing::new(1, key(1)));
    let reads_both = encrypted(KeyRing::new(1, key(1)).reading(2, key(2)).unwrap());
    let writes_new = encrypted(KeyRing::new(2, key(2)).reading(1, key(1)).unwrap());
    let after = encrypted(KeyRing::new(2, key(2)));
    let (old, new) = (write(&before, &context), write(&writes_new, &context));
    for (keys, reads_old, reads_new) in [
        (&before, true, false),
        (&reads_both, true, true),
        (&writes_new, true, true),
        (&after, false, true),
    ] {
        assert_eq!(read(keys, &context, &old).is_ok(), reads_old);
        assert_eq!(read(keys, &context, &new).is_ok(), reads_new);
    }
    let error = read(&after, &context, &old).unwrap_err();
    assert!(error.contains("the key 1, which is not in the key ring"), "{error}");
    let reused = encrypted(KeyRing::new(1, key(3)));
    assert!(read(&reused, &context, &old).is_err());
}

#[test]
fn a_ring_has_one_key_for_an_id() {
    let error = KeyRing::new(1, key(1)).reading(1, key(2)).unwrap_err();
    assert!(error.to_string().contains("two keys with the id 1"), "{error}");
    for wrong in [&[0; 31][..], &[0; 33], &[]] {
        assert!(EncryptionKey::try_from(wrong).unwrap_err().to_string().contains("32"));
    }
}

#[test]
fn keys_are_never_printed() {
    let secret: [u8; 32] = std::array::from_fn(|at| 0xA0 + at as u8);
    let keys = KeyRing::new(1, EncryptionKey::new(&secret)).reading(2, key(0xAB)).unwrap();
    let encrypted = encrypted(keys.clone());
    let region = region();
    let context = ValueContext::new(&region, "summary", 7);
    let error = read(&encrypted, &context, &[1; 60]).unwrap_err();
    let long = EncryptionKey::try_from([&secret[..], b"x"].concat().as_slice()).unwrap_err();
    let printed = format!("{encrypted:?} {keys:#?} {error} {long} {long:?}").to_lowercase();
    for part in ["a1", "ab", "161", "171", "ac", "172"] {
        assert!(!printed.contains(part), "{part}: {printed}");
    }
}

/// What another implementation encrypted: `tests/golden/encrypted.py` with PyNaCl 1.6.2. If this fails,
/// every stored value is lost on upgrade: make a version 2 instead.
#[test]
fn bytes_of_another_implementation_are_read() {
    let region = region();
    let context = ValueContext::new(&region, "summary", 0x0123_4567_89AB_CDEF);
    let secret: [u8; 32] = std::array::from_fn(|at| at as u8);
    let encrypted = encrypted(KeyRing::new(7, EncryptionKey::new(&secret)));
    let golden = include_bytes!("../../../../tests/golden/encrypted-value.v1");
    assert_eq!(read(&encrypted, &context, golden).unwrap(), SECRET);
    let golden = include_bytes!("../../../../tests/golden/encrypted-absence.v1");
    encrypted.deserialize_for(&context.of_absence(), golden, PhantomData::<()>).unwrap();
}

/// Each key is wiped when it is dropped.
#[test]
fn keys_are_wiped() {
    fn wipes<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    wipes(&zeroize::Zeroizing::new([0u8; 32]));
    wipes(&<chacha20poly1305::XChaCha20Poly1305 as chacha20poly1305::KeyInit>::new(
        &[0; 32].into(),
    ));
}
