//! The suite that every [`Store`] passes.
//!
//! One line in a backend's tests runs every case as a named test of its own:
//!
//! ```
//! use std::time::Duration;
//! use region_core::conformance::{Able, Harness};
//! use region_core::{RegionPath, SharedStore};
//!
//! struct MyHarness;
//!
//! impl Harness for MyHarness {
//!     type Store = SharedStore;
//!
//!     async fn store(&self) -> SharedStore {
//!         new_and_empty().await
//!     }
//!
//!     async fn client(&self, store: &SharedStore) -> SharedStore {
//!         store.clone()
//!     }
//!
//!     async fn advance(&self, _: &SharedStore, by: Duration) {
//!         tokio::time::sleep(by).await;
//!     }
//!
//!     // What this store, or this harness, cannot do; the cases for it are then passed over.
//!     async fn lose_all(&self, _: &SharedStore) -> Able {
//!         Able::No
//!     }
//!     async fn lose_incarnations(&self, _: &SharedStore, _: &RegionPath) -> Able {
//!         Able::No
//!     }
//!     async fn hold_replica(&self, _: &SharedStore) -> Able {
//!         Able::No
//!     }
//!     async fn cut_pushes(&self, _: &SharedStore) -> Able {
//!         Able::No
//!     }
//! }
//!
//! region_core::conformance!(MyHarness);
//! # async fn new_and_empty() -> SharedStore { std::future::pending().await }
//! # fn main() {}
//! ```
//!
//! `MyHarness` is an expression of a type that implements [`Harness`]: how to make a store, and how
//! to let its time pass. Each case is also a plain function in [`cases`], for suites of another form.
//! A case that fails panics and says what it expected; one that takes longer than [`CASE_LIMIT`]
//! fails too, for a store never waits without a bound.

pub mod cases;
mod fixture;
mod gate;
mod heard;
mod model;
mod wrapped;

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::path::RegionPath;
use crate::policy::NearCache;
use crate::store::Store;

pub use wrapped::{Arced, Boxed, InFaulty, InRecorder, Near, Referenced};

/// Makes stores of one kind.
///
/// A harness says with [`Able::No`] that it cannot do something; no case is skipped in silence.
///
/// The suite makes a store for each case and each thread of its own; the durations it lets pass are
/// short, so that a store with a real clock may sleep.
pub trait Harness: Send + Sync + 'static {
    /// The kind of store.
    type Store: Store;

    /// A new store with nothing in it, that nobody else uses.
    fn store(&self) -> impl Future<Output = Self::Store> + Send;

    /// Another client of the same data, as another process would be.
    fn client(&self, store: &Self::Store) -> impl Future<Output = Self::Store> + Send;

    /// Lets time pass by the store's clock: at least `by`, and no more than a little longer.
    fn advance(&self, store: &Self::Store, by: Duration) -> impl Future<Output = ()> + Send;

    /// Makes the store lose everything it holds, if the harness can.
    fn lose_all(&self, store: &Self::Store) -> impl Future<Output = Able> + Send;

    /// Makes the store lose the incarnations of one region, and nothing else, if the harness can.
    fn lose_incarnations(
        &self,
        store: &Self::Store,
        region: &RegionPath,
    ) -> impl Future<Output = Able> + Send;

    /// Makes the store's replica lag until the store is dropped, if it has one and the harness can.
    fn hold_replica(&self, store: &Self::Store) -> impl Future<Output = Able> + Send;

    /// Breaks the connection that pushes for what was read come over, if there is one and the harness
    /// can. The store may open another.
    fn cut_pushes(&self, store: &Self::Store) -> impl Future<Output = Able> + Send;

    /// Says if a region and its ancestors lie in one place. [`Able::No`] where they may lie on several servers:
    /// then a touch reaches the outer ones last, and a child may be listed that was written to in vain.
    fn keeps_paths_together(&self) -> Able {
        Able::Yes
    }

    /// Says if the cases about handles hold values near. Only for stores whose time is that of tokio:
    /// the near cache goes by it.
    fn near(&self) -> NearCache {
        NearCache::Off
    }

    /// The runtime that a case runs on: one of several threads. A store whose time is that of tokio may have one of
    /// a single thread with paused time, on which no case waits.
    fn runtime(&self) -> Runtime {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
    }
}

/// True if a [`Harness`] could do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Able {
    /// It did.
    Yes,
    /// It cannot, for this kind of store.
    No,
}

/// The longest that a case may take.
pub const CASE_LIMIT: Duration = Duration::from_secs(120);

/// Runs a case to its end on a runtime of its own. For the macro.
#[doc(hidden)]
pub fn run(harness: &impl Harness, case: impl Future<Output = ()>) {
    let ended = harness.runtime().block_on(async { tokio::time::timeout(CASE_LIMIT, case).await });
    assert!(ended.is_ok(), "the case has not ended after {CASE_LIMIT:?}");
}

/// Runs the suite on the stores of a [`Harness`]: see the [module](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        $crate::__conformance_cases!($crate::__conformance_test, $harness);
    };
}

/// The cases about this crate's own code, which need not be run on every store: the suite through
/// `&`, `Box`, `Arc` and the wrappers of the test kit, and the cases about handles and loads.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_of_core {
    ($harness:expr) => {
        $crate::__conformance_module!(by_reference, $crate::conformance::Referenced($harness));
        $crate::__conformance_module!(in_box, $crate::conformance::Boxed($harness));
        $crate::__conformance_module!(in_arc, $crate::conformance::Arced($harness));
        $crate::__conformance_module!(in_faulty, $crate::conformance::InFaulty($harness));
        $crate::__conformance_module!(in_recorder, $crate::conformance::InRecorder($harness));
        mod handles {
            #[allow(unused_imports)]
            use super::*;
            $crate::__conformance_cases_of_core!($crate::__conformance_test, $harness);
        }
    };
}

/// The cases about handles and loads, with the near cache in front of the stores.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_of_near {
    ($harness:expr) => {
        mod near {
            #[allow(unused_imports)]
            use super::*;
            $crate::__conformance_cases_of_core!(
                $crate::__conformance_test,
                $crate::conformance::Near($harness)
            );
        }
    };
}

/// A module of tests over one harness.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_module {
    ($module:ident, $harness:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $crate::__conformance_cases!($crate::__conformance_test, $harness);
        }
    };
}

/// One test.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    ($topic:ident, $case:ident, $harness:expr) => {
        #[test]
        fn $case() {
            let harness = $harness;
            let case = $crate::conformance::cases::$topic::$case(&harness);
            $crate::conformance::run(&harness, case);
        }
    };
}

/// Calls a macro with every case: `callback!(topic, case, argument)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    (@topic $callback:path, $argument:expr, $topic:ident: $($case:ident)*) => {
        $( $callback!($topic, $case, $argument); )*
    };
    ($callback:path, $argument:expr) => {
        $crate::__conformance_cases!(@topic $callback, $argument, reading:
            missing_regions_are_empty
            reading_creates_nothing
            what_is_put_is_read
            time_counts_from_when_the_operation_began
            keys_are_answered_in_order
            leftovers_have_their_reason
            lineage_stays_while_nothing_happens
            paths_and_keys_are_distinct
            any_bytes_are_kept);
        $crate::__conformance_cases!(@topic $callback, $argument, leases:
            begin_creates_once
            one_holder_at_a_time
            fresh_entries_need_no_lease
            a_lease_ends_in_time
            extending_keeps_a_lease
            a_lost_lease_is_not_extended
            changes_of_the_key_void_its_lease
            a_released_lease_is_free
            a_release_needs_no_runtime
            ends_void_leases
            one_of_many_is_granted);
        $crate::__conformance_cases!(@topic $callback, $argument, fences:
            a_fill_under_its_fence_is_stored
            a_fill_is_fenced_by_invalidation
            a_fill_is_fenced_by_touch
            a_fill_is_fenced_by_expiry
            a_fill_is_fenced_by_a_set
            a_fill_is_fenced_by_a_removal
            a_fill_needs_its_own_live_lease
            a_fenced_write_changes_nothing
            a_guard_on_a_missing_region_is_fenced);
        $crate::__conformance_cases!(@topic $callback, $argument, writing:
            operations_see_those_before
            removing_tells_what_was_there
            absent_means_no_fresh_entry
            absent_or_holding_compares_bytes
            one_of_many_absent_puts_stores
            batches_are_seen_whole);
        $crate::__conformance_cases!(@topic $callback, $argument, verbs:
            invalidate_covers_the_subtree
            invalidate_again_and_again
            touch_covers_the_path_upwards
            touch_below_what_exists
            invalidate_and_touch_covers_both
            invalidate_and_touch_is_one_step
            expire_makes_the_subtree_stale
            a_region_is_filled_again);
        $crate::__conformance_cases!(@topic $callback, $argument, lifetimes:
            an_entry_ends_with_its_lifetime
            a_stale_entry_is_kept_its_window
            an_expired_entry_is_kept_its_window
            a_timeout_ends_the_whole_region
            a_restarted_timeout_starts_over
            a_started_timeout_goes_on
            unlimited_entries_stay
            the_clock_goes_forward);
        $crate::__conformance_cases!(@topic $callback, $argument, listing:
            scanning_pages_through_all
            scanning_survives_changes
            children_are_those_put_to
            children_end_with_their_parent
            counting_counts_the_fresh
            odd_cursors_do_no_harm);
        $crate::__conformance_cases!(@topic $callback, $argument, health:
            a_store_that_serves_tells_no_problem
            health_needs_no_runtime
            a_cut_connection_is_no_lasting_problem);
        $crate::__conformance_cases!(@topic $callback, $argument, sharing:
            clients_see_each_other
            pushes_cover_every_change
            own_changes_do_not_silence_pushes
            losing_all_is_a_miss
            losing_incarnations_is_a_miss
            own_changes_are_seen_in_replicas);
        $crate::__conformance_cases!(@topic $callback, $argument, trust:
            one_key_is_one_change
            many_keys_are_a_change_of_all
            old_changes_leave_the_ring
            entries_that_begin_anew_are_a_change_of_all
            a_shorter_region_ttl_is_a_change_of_all
            histories_that_are_alike_have_different_changes
            answers_agree_with_a_following_read
            touch_keeps_every_lineage
            touch_pushes_nothing_of_siblings_and_children
            begin_is_covered_by_pushes
            a_trusted_write_is_covered_by_pushes
            a_region_ttl_alone_is_pushed
            pushes_come_before_replies
            pushes_come_before_replies_under_load
            a_lost_source_is_said);
        $crate::__conformance_cases!(@topic $callback, $argument, assumed:
            an_assumed_lineage_changes_no_answer
            an_outdated_lineage_is_not_given_to_later_entries);
        $crate::__conformance_cases!(@topic $callback, $argument, near:
            changes_by_others_are_seen_near
            own_changes_are_seen_near
            an_own_change_and_then_anothers_is_seen_near
            a_change_while_pushes_are_cut_is_seen_near
            a_loss_is_seen_near);
        $crate::__conformance_cases!(@topic $callback, $argument, absence:
            an_absence_near_ends_with_changes_by_others
            an_absence_near_ends_with_own_changes
            an_absence_near_ends_with_its_ttl);
        $crate::__conformance_cases!(@topic $callback, $argument, unverified:
            own_changes_are_seen_unverified
            unverified_values_end_with_the_next_answer
            unverified_values_are_of_one_moment
            an_outage_is_bridged_near);
        $crate::__conformance_cases!(@topic $callback, $argument, depends:
            a_value_ends_with_what_it_depends_on
            every_read_asks_for_dependencies
            a_dependency_that_ends_during_the_load_is_noticed
            a_value_is_stale_once_its_dependency_has_expired
            a_batch_depends_on_what_its_load_declares
            a_marker_makes_no_child
            the_key_of_markers_is_refused
            markers_are_not_seen);
        $crate::__conformance_cases!(@topic $callback, $argument, outcomes:
            a_call_tells_how_it_came_by_its_value
            waiting_for_another_process_is_told
            stale_values_are_told
            ages_are_told_where_they_are_recorded
            values_that_are_not_stored_are_told);
        $crate::__conformance_cases!(@topic $callback, $argument, races:
            no_stale_fill_under_invalidation
            no_stale_fill_under_ancestor_invalidation
            no_stale_fill_under_touch
            no_stale_fill_under_removal
            dropped_calls_happen_wholly_or_not);
        $crate::__conformance_cases!(@topic $callback, $argument, random:
            random_operations_agree_with_a_model);
    };
}

/// As `__conformance_cases`, with those about handles and loads.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases_of_core {
    ($callback:path, $argument:expr) => {
        $crate::__conformance_cases!(@topic $callback, $argument, values:
            values_survive_the_round_trip
            regions_are_dictionaries
            transactions_are_all_or_nothing
            what_cannot_be_written_loses_nothing
            bad_bytes_are_a_miss
            two_versions_miss_each_other
            policies_set_lifetimes
            an_explanation_changes_nothing);
        $crate::__conformance_cases!(@topic $callback, $argument, misses:
            a_miss_has_one_reason);
        $crate::__conformance_cases!(@topic $callback, $argument, loading:
            many_callers_share_one_load
            two_processes_share_one_load
            a_dead_holder_is_taken_over_from
            a_living_holder_keeps_its_lease
            a_failed_load_frees_everyone
            a_panic_frees_everyone
            late_callers_join_good_loads
            a_load_outlives_its_first_caller
            an_abandoned_load_is_dropped
            different_keys_do_not_wait
            a_load_has_a_time_limit
            stale_values_bridge_loads);
        $crate::__conformance_cases!(@topic $callback, $argument, outliving:
            a_load_that_is_outlived_is_not_stored
            late_callers_do_not_join_outlived_loads
            one_fenced_key_of_many_is_left_out);
        $crate::__conformance_cases!(@topic $callback, $argument, batches:
            many_keys_are_loaded_together);
    };
}
