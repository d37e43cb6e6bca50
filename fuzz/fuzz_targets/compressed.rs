#![no_main]

use std::marker::PhantomData;

use libfuzzer_sys::fuzz_target;
use region_cache_fuzz::decode_all_of;
use region_core::{Compressed, Postcard, Serializer};

/// Small, so that a value that is as large as it may be is unpacked in no time.
const MAX_SIZE: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    for compressed in [Compressed::zstd(Postcard), Compressed::lz4(Postcard)] {
        let compressed = compressed.above(0).max_size(MAX_SIZE);
        decode_all_of(&compressed, bytes, MAX_SIZE);
        let mut written = Vec::new();
        if compressed.serialize(bytes, &mut written).is_err() {
            continue;
        }
        let mut plain = Vec::new();
        Postcard.serialize(bytes, &mut plain).expect("bytes are written");
        assert!(written.len() <= plain.len() + 1);
        let read = compressed.deserialize(&written, PhantomData::<Vec<u8>>);
        assert_eq!(read.expect("what is written is read"), bytes);
    }
});
