#![no_main]

use libfuzzer_sys::fuzz_target;
use region_redis::fuzzing::told;

fuzz_target!(|bytes: &[u8]| told(bytes));
