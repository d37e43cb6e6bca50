//! State that is spread over several cache lines, so that threads which write to it rarely meet.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of stripes. Threads beyond it share some.
const STRIPES: usize = 16;

/// A thread that has none yet.
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(UNASSIGNED) };
}

/// One `T` for each of a few groups of threads.
#[derive(Debug, Default)]
pub(crate) struct Striped<T>([Stripe<T>; STRIPES]);

/// Two cache lines: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe<T>(T);

impl<T> Striped<T> {
    /// The `T` of the calling thread's group.
    #[inline]
    pub(crate) fn here(&self) -> &T {
        &self.0[stripe()].0
    }

    /// The `T`s of all groups.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|stripe| &stripe.0)
    }
}

/// The stripe of the calling thread.
#[inline]
fn stripe() -> usize {
    let stripe = STRIPE.get();
    if stripe == UNASSIGNED { assign() } else { stripe % STRIPES }
}

#[cold]
fn assign() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let stripe = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    STRIPE.set(stripe);
    stripe
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn a_thread_keeps_its_stripe_and_another_has_its_own() {
        let striped: Striped<AtomicU64> = Striped::default();
        let add = || striped.here().fetch_add(1, Ordering::Relaxed);
        assert_eq!((add(), add()), (0, 1));
        let other = std::thread::scope(|scope| scope.spawn(add).join().unwrap());
        let counts: Vec<_> = striped.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts.iter().sum::<u64>(), 3);
        // Tests run in more threads than there are stripes, so the two may share one.
        assert!(other == 0 || other == 2, "{other}");
    }
}
