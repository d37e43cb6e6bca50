use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = 8;
const BITS: usize = WORDS * 64;

/// The structs, variants and other forms that occur in a value, a bit for each.
///
/// The variants of one enum have different bits; two types share one rarely.
#[derive(Default)]
pub(super) struct Marks([Cell<u64>; WORDS]);

impl Marks {
    #[inline]
    pub(super) fn add(&self, name: &'static str, variant: u32) {
        // Names are constants: their addresses tell them apart faster than their letters.
        let name = (name.as_ptr().addr() as u64) ^ ((name.len() as u64) << 48);
        let hash = name.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        let bit = (hash as usize).wrapping_add(variant as usize) % BITS;
        let word = &self.0[bit / 64];
        let (marked, mark) = (word.get(), 1 << (bit % 64));
        if marked & mark == 0 {
            word.set(marked | mark);
        }
    }
}

/// The marks of all values of a type that were read back.
#[derive(Default)]
pub(super) struct VerifiedMarks([AtomicU64; WORDS]);

impl VerifiedMarks {
    pub(super) fn cover(&self, marks: &Marks) -> bool {
        let mut words = self.0.iter().zip(&marks.0);
        words.all(|(verified, seen)| seen.get() & !verified.load(Ordering::Relaxed) == 0)
    }

    pub(super) fn add(&self, marks: &Marks) {
        for (verified, seen) in self.0.iter().zip(&marks.0) {
            verified.fetch_or(seen.get(), Ordering::Relaxed);
        }
    }
}
