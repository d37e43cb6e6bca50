#![no_main]

use libfuzzer_sys::fuzz_target;
use region_redis::fuzzing::stored;

fuzz_target!(|bytes: &[u8]| stored(bytes));
