#![no_main]

use std::marker::PhantomData;

use libfuzzer_sys::fuzz_target;
use region_core::{
    Encrypted, EncryptionKey, KeyRing, Postcard, RegionPath, Serializer, ValueContext,
};

fuzz_target!(|input: (&str, &str, u64, &[u8], usize, u8)| {
    let (key, other, fingerprint, bytes, at, flip) = input;
    let Ok(region) = RegionPath::root("root") else { return };
    let encrypted = Encrypted::new(Postcard, KeyRing::new(1, EncryptionKey::new(&[7; 32])));
    let read = |context: &ValueContext<'_>, bytes: &[u8]| {
        encrypted.deserialize_for(context, bytes, PhantomData::<Vec<u8>>)
    };
    let context = ValueContext::new(&region, key, fingerprint);
    // Nobody can make up bytes.
    assert!(read(&context, bytes).is_err());

    // What is written is read, as it is and where it is, and nothing else.
    let mut written = Vec::new();
    encrypted.serialize_for(&context, bytes, &mut written).expect("bytes are written");
    assert_eq!(read(&context, &written).expect("what is written is read"), bytes);
    let elsewhere = ValueContext::new(&region, other, fingerprint);
    assert_eq!(read(&elsewhere, &written).is_ok(), key == other);
    let at = at % written.len();
    assert!(read(&context, &written[..at]).is_err());
    written[at] ^= flip;
    assert_eq!(read(&context, &written).is_ok(), flip == 0);
});
