//! Parts that the fuzz targets share: types to decode, and a limit on the memory that decoding takes.

mod tokens;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use region_core::Serializer;
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use tokens::code;

/// Decoding may take this much, however few bytes there are.
const FREE_BYTES: usize = 64 * 1024;

/// And this many bytes for each byte of input: the largest type below, in a collection that grows by
/// doubling.
const BYTES_PER_BYTE: usize = 1024;

struct Watched;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Watched = Watched;

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[derive(Deserialize)]
#[allow(dead_code)]
enum Recursive {
    Leaf,
    One(Box<Recursive>),
    Two(Box<Recursive>, Box<Recursive>),
    Many(Vec<Recursive>),
    Named { by: HashMap<String, Recursive>, maybe: Option<Box<Recursive>> },
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Wide {
    text: String,
    pair: (f64, char),
    array: [u64; 8],
    list: Vec<Option<i128>>,
    set: HashSet<u16>,
    map: BTreeMap<u8, Vec<u8>>,
    nothing: (),
    bits: bool,
}

/// Decodes `bytes` as values of many types: no panic, no endless loop, no more memory than the
/// bytes justify.
pub fn decode_all(serializer: &impl Serializer, bytes: &[u8]) {
    decode_all_of(serializer, bytes, bytes.len());
}

/// The same of bytes that stand for `size` bytes.
pub fn decode_all_of(serializer: &impl Serializer, bytes: &[u8], size: usize) {
    decode_of::<u64>(serializer, bytes, size);
    decode_of::<String>(serializer, bytes, size);
    decode_of::<Vec<u8>>(serializer, bytes, size);
    decode_of::<Vec<u64>>(serializer, bytes, size);
    decode_of::<Vec<()>>(serializer, bytes, size);
    decode_of::<Vec<[u32; 0]>>(serializer, bytes, size);
    decode_of::<Vec<Vec<String>>>(serializer, bytes, size);
    decode_of::<Vec<Wide>>(serializer, bytes, size);
    decode_of::<HashMap<String, Vec<u8>>>(serializer, bytes, size);
    decode_of::<BTreeMap<(), ()>>(serializer, bytes, size);
    decode_of::<Vec<HashSet<()>>>(serializer, bytes, size);
    decode_of::<Wide>(serializer, bytes, size);
    decode_of::<Recursive>(serializer, bytes, size);
    decode_of::<Vec<Recursive>>(serializer, bytes, size);
    decode_of::<Result<Box<str>, std::net::IpAddr>>(serializer, bytes, size);
    decode_of::<std::time::SystemTime>(serializer, bytes, size);
}

/// Decodes `bytes` as a `T`.
pub fn decode<T: DeserializeOwned>(serializer: &impl Serializer, bytes: &[u8]) {
    decode_of::<T>(serializer, bytes, bytes.len());
}

fn decode_of<T: DeserializeOwned>(serializer: &impl Serializer, bytes: &[u8], size: usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let decoded = serializer.deserialize(bytes, PhantomData::<T>);
    let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    drop(decoded);
    let justified = FREE_BYTES + BYTES_PER_BYTE * size;
    assert!(
        taken <= justified,
        "{} bytes for {} of input, as {}",
        taken,
        bytes.len(),
        std::any::type_name::<T>()
    );
}
