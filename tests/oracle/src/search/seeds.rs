use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Calls `look` with each seed, on all cores, until it breaks. A panic goes on in the caller.
pub fn each_seed(seeds: Range<u64>, look: impl Fn(u64) -> ControlFlow<()> + Sync) {
    let (next, is_over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        return;
                    }
                    if look(seed).is_break() {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}
