//! Random numbers: ids, jitter, and who is first.

#[cfg(feature = "testing")]
use std::cell::RefCell;

use rand::{Rng, RngExt};

#[cfg(feature = "testing")]
thread_local! {
    /// The source that a simulation has given this thread.
    static SEEDED: RefCell<Option<rand::rngs::StdRng>> = const { RefCell::new(None) };
}

/// Draws from the thread's source.
pub(crate) fn draw<T>(draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
    #[cfg(feature = "testing")]
    return SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(seeded) => draw(seeded),
        None => draw(&mut rand::rng()),
    });
    #[cfg(not(feature = "testing"))]
    draw(&mut rand::rng())
}

pub(crate) fn bits() -> u64 {
    draw(|rng| rng.random())
}

pub(crate) fn long_bits() -> u128 {
    draw(|rng| rng.random())
}

/// Has the thread draw the numbers that follow from a seed.
#[cfg(feature = "testing")]
pub(crate) fn seed_thread(seed: u64) {
    let source = rand::SeedableRng::seed_from_u64(seed);
    SEEDED.set(Some(source));
}
