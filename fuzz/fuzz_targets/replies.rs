#![no_main]

use libfuzzer_sys::fuzz_target;
use region_redis::fuzzing::replies;

fuzz_target!(|bytes: &[u8]| replies(bytes));
