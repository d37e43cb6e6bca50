#![no_main]

use libfuzzer_sys::fuzz_target;
use region_redis::fuzzing::{settings, url};

fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, rest)) => settings(rest),
    _ => url(&String::from_utf8_lossy(bytes)),
});
