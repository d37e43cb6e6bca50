use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a cache has counted since it was built; all its handles count together.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.get(),)* }
            }
        }
    };
}

stats! {
    /// Keys that a read found fresh.
    hits,
    /// Keys that a read did not find, stale and undecodable ones included.
    misses,
    /// Stale values that were returned in place of a load's result.
    stale_hits,
    /// Entries that were misses because their bytes are not a value of the type asked for.
    bad_bytes,
    /// Loads that were run.
    loads,
    /// Loads that failed: by error, panic or timeout.
    load_failures,
    /// Callers that shared a load begun by another.
    joined_loads,
    /// Loads' results that were stored.
    fills,
    /// Loads' results that were not stored because what they were loaded under had ended.
    fenced_fills,
    /// Reads that were misses, and loads' results that were not stored, because the store failed.
    store_failures,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
