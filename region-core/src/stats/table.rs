//! The statistics, each declared once.

use std::iter::Sum;
use std::ops::AddAssign;

use super::LoadTime;
use super::counter::{Counter, LoadTimer};

/// A count that is a metric too.
#[cfg(feature = "metrics")]
pub(crate) struct Counted {
    pub(crate) metric: &'static str,
    pub(crate) description: &'static str,
    pub(crate) of: fn(&Stats) -> u64,
}

/// Declares the statistics: those that are sums of others, those that are counted, and the reasons of misses.
macro_rules! stats {
    (
        sums { $($(#[doc = $sum_doc:literal])* $sum:ident = $($part:ident)+;)* }
        counted { $($(#[doc = $doc:literal])* $name:ident,)* }
        reasons { $($(#[doc = $reason_doc:literal])* $reason:ident counts $of:ident,)* }
    ) => {
        /// The statistics of a cache, or of one region, since the cache was built. All handles share them.
        ///
        /// Each key of each read counts once: as one of `hits`, `absent_hits` and `misses`. A hit is one of
        /// `near_hits` and `store_hits`; a miss has one reason. Writes, listings and
        /// [`contains`](crate::Region::contains) are neither.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $sum_doc])* pub $sum: u64,)*
            $($(#[doc = $doc])* pub $name: u64,)*
            /// The durations of the loads that have ended.
            pub load_time: LoadTime,
        }

        /// The live form of [`Stats`], without the sums.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            pub(crate) load_time: LoadTimer,
        }

        /// The reason of a miss.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MissReason {
            $($(#[doc = $reason_doc])* $reason,)*
        }

        impl MissReason {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$reason,)*];
        }

        impl Counters {
            pub(super) fn get(&self) -> Stats {
                let mut stats = Stats {
                    $($name: self.$name.get(),)*
                    load_time: self.load_time.get(),
                    ..Stats::default()
                };
                $(stats.$sum = 0 $(+ stats.$part)+;)*
                stats
            }

            /// The counter of the misses that have this reason.
            #[inline]
            pub(crate) fn misses(&self, reason: MissReason) -> &Counter {
                match reason {
                    $(MissReason::$reason => &self.$of,)*
                }
            }
        }

        #[cfg(feature = "metrics")]
        impl Counted {
            /// Each count once.
            pub(crate) const ALL: &'static [Self] = &[
                $(Self {
                    metric: concat!("region_cache_", stringify!($name), "_total"),
                    description: concat!("Stats::", stringify!($name), " of the cache"),
                    of: |stats| stats.$name,
                },)*
            ];
        }

        impl AddAssign<&Stats> for Stats {
            fn add_assign(&mut self, other: &Stats) {
                $(self.$sum += other.$sum;)*
                $(self.$name += other.$name;)*
                self.load_time.add(&other.load_time);
            }
        }
    };
}

stats! {
    sums {
        /// Keys for which a read found a fresh value: `near_hits` and `store_hits`.
        hits = near_hits store_hits;
        /// Keys for which a read found no fresh value, for whatever reason.
        misses = absent_misses expired_misses fenced_misses bad_bytes_misses other_type_misses
            dependency_misses unavailable_misses;
    }
    counted {
        /// Hits whose value was held near.
        near_hits,
        /// Hits whose value was read from the store.
        store_hits,
        /// Lookups that were answered by the record, held near, that there is no value. Each is one of
        /// `absent_hits` and `absent_misses` too.
        near_absences,
        /// Those of the near hits and near absences that were neither trusted nor verified: see
        /// [`Policy::near_unverified_for`](crate::Policy::near_unverified_for) and
        /// [`Policy::near_outage_for`](crate::Policy::near_outage_for).
        near_unverified_hits,
        /// Misses of keys for which the store has no entry: there never was one, or it was removed, evicted,
        /// or freed after its end. Keys whose entry says that there is no value count here too, unless they
        /// are `absent_hits`.
        absent_misses,
        /// Misses of keys whose value has expired: it is stale, or over and not yet freed.
        ///
        /// A store frees what is over sooner or later, and need not tell it from what never was: then the
        /// miss is one of `absent_misses`. The same holds for `fenced_misses`.
        expired_misses,
        /// Misses of keys whose value is from before an `invalidate` or `expire` of the region or of one
        /// around it, and not yet freed. What the verb drops at once is absent: mostly the region's own
        /// entries.
        fenced_misses,
        /// Misses of keys whose bytes are damaged, or from another place.
        bad_bytes_misses,
        /// Misses of keys whose value has another type, version or serializer than the read expects.
        other_type_misses,
        /// Misses of keys whose value depends on a region that has ended since: see
        /// [`LoadOptions::depends_on`](crate::LoadOptions::depends_on).
        dependency_misses,
        /// Misses because the store could not be read.
        unavailable_misses,
        /// Reads that asked the store if values held near are still valid.
        near_verifications,
        /// Keys whose value was held near, but in doubt: the store had to be asked about it.
        near_doubts,
        /// Those of the doubts that were unfounded: the value was still valid.
        near_retrusted,
        /// Values that the near cache has dropped to keep within its bound.
        near_evictions,
        /// Lookups that found the record that there is no value. They are neither hits nor misses.
        absent_hits,
        /// Stale values that were returned because a load was under way or had failed, one for each call that
        /// got one. The read that found them counts as a miss too.
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
        /// Entries of any operation whose bytes were not a value of the requested type: those of
        /// `bad_bytes_misses` and `other_type_misses`, and what listings and writes have met.
        bad_bytes,
        /// Loads that were started.
        loads,
        /// Loads that failed with an error, a panic or a timeout.
        load_failures,
        /// Callers that waited for a load that another caller had started.
        joined_loads,
        /// Calls that waited because another process had the lease of one of their keys.
        lease_waits,
        /// Loaded values that were stored.
        fills,
        /// Loaded values that were not stored because the key was invalidated or written during the load.
        fenced_fills,
        /// Reads that counted as misses, and loaded values that were not stored, because the store failed.
        store_failures,
    }
    reasons {
        /// The store has no entry, or the record that there is no value.
        Absent counts absent_misses,
        /// The value has expired: it is stale, or over and not yet freed.
        Expired counts expired_misses,
        /// The value is from before an `invalidate` or `expire` of the region or of one around it, and not
        /// yet freed.
        Fenced counts fenced_misses,
        /// The bytes are damaged, or from another place.
        BadBytes counts bad_bytes_misses,
        /// The value has another type, version or serializer than the read expects.
        OtherType counts other_type_misses,
        /// A region that the value depends on has ended since.
        Dependency counts dependency_misses,
        /// The store could not be read.
        Unavailable counts unavailable_misses,
    }
}

impl Stats {
    /// A measure of how busy a region is: its reads and loads.
    pub(super) fn activity(&self) -> u64 {
        let Self { hits, absent_hits, misses, loads, .. } = self;
        hits + absent_hits + misses + loads
    }
}

impl<'a> Sum<&'a Stats> for Stats {
    fn sum<I: Iterator<Item = &'a Stats>>(stats: I) -> Self {
        stats.fold(Self::default(), |mut sum, stats| {
            sum += stats;
            sum
        })
    }
}
