use std::sync::atomic::{AtomicU64, Ordering};

use crate::striped::Striped;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of a cache since it was built. All handles of the cache share them.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The live counters, as some of the threads have counted.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Striped<Counters> {
            pub(crate) fn snapshot(&self) -> Stats {
                let mut stats = Stats::default();
                for counters in self.iter() {
                    $(stats.$name += counters.$name.get();)*
                }
                // A near hit is counted once, where it is cheapest.
                stats.hits += stats.near_hits;
                stats
            }
        }
    };
}

stats! {
    /// Keys for which a read found a fresh value.
    hits,
    /// Those of the hits whose value was held near.
    near_hits,
    /// Those of the near hits whose value was neither trusted nor verified: see
    /// [`Policy::near_unverified_for`](crate::Policy::near_unverified_for) and
    /// [`Policy::near_outage_for`](crate::Policy::near_outage_for).
    near_unverified_hits,
    /// Reads that asked the store if values held near are still valid.
    near_verifications,
    /// Keys for which a read found no fresh value. Stale and undecodable entries count too.
    misses,
    /// Lookups that found the record that there is no value. They are neither hits nor misses.
    absent_hits,
    /// Stale values that were returned because a load was under way or had failed.
    stale_hits,
    /// Loads that were left to the background: by [`OnStale::Refresh`](crate::OnStale::Refresh), or
    /// after a soft timeout.
    background_loads,
    /// Loads in the background that were started before the value expired: by
    /// [`Policy::early_refresh_at`](crate::Policy::early_refresh_at) or
    /// [`Policy::early_refresh_beta`](crate::Policy::early_refresh_beta). `background_loads` counts
    /// them too.
    early_refreshes,
    /// Refreshes in the background that were not started because
    /// [`RegionCacheBuilder::max_refreshes`](crate::RegionCacheBuilder::max_refreshes) ran already.
    skipped_refreshes,
    /// Stale values that were returned after [`Policy::soft_timeout`](crate::Policy::soft_timeout).
    soft_timeouts,
    /// Stale values that were returned without a load because one had failed lately: see
    /// [`Policy::load_retry_after`](crate::Policy::load_retry_after).
    throttled_loads,
    /// Entries that counted as misses because their bytes are not a value of the requested type.
    bad_bytes,
    /// Loads that were started.
    loads,
    /// Loads that failed with an error, a panic or a timeout.
    load_failures,
    /// Callers that waited for a load that another caller had started.
    joined_loads,
    /// Loaded values that were stored.
    fills,
    /// Loaded values that were not stored because the key was invalidated or written during the load.
    fenced_fills,
    /// Reads that counted as misses, and loaded values that were not stored, because the store failed.
    store_failures,
}

/// The memory that the near cache of a cache uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearUse {
    /// The bytes that its entries are counted with: see
    /// [`RegionCacheBuilder::near`](crate::RegionCacheBuilder::near).
    pub bytes: u64,
    /// The number of its entries.
    pub entries: u64,
    /// The number of regions with a record: those with handles or entries, and their ancestors.
    pub regions: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
