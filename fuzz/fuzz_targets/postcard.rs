#![no_main]

use libfuzzer_sys::fuzz_target;
use region_cache_fuzz::decode_all;
use region_core::Postcard;

fuzz_target!(|bytes: &[u8]| decode_all(&Postcard, bytes));
