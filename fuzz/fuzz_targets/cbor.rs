#![no_main]

use libfuzzer_sys::fuzz_target;
use region_cache_fuzz::{decode, decode_all};
use region_core::Cbor;

fuzz_target!(|bytes: &[u8]| {
    decode_all(&Cbor, bytes);
    decode::<serde_json::Value>(&Cbor, bytes);
});
