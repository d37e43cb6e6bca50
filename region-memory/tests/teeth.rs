//! The conformance suite has teeth: a store with one mechanism taken out fails the case that is
//! there for it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use region_core::conformance::{Able, Harness, cases, run};
use region_core::{
    Applied, Begun, Change, ChangeRing, ChangedKey, EndTerms, Ended, Entry, Event, Freshness,
    Guard, Lease, LeaseTerms, LeaseToken, Leftover, Lifetime, Listener, Listening, ManualClock, Op,
    Page, PageTerms, Put, Read, ReadFrom, ReadTerms, RegionPath, RegionTtl, Result, ScanItem,
    Segment, Show, Store, StoreHealth, StoreProblem, TakeLease, Timestamp, Trust, Verb, When,
    Write, Written,
};
use region_memory::MemoryStore;
use tokio::runtime::Handle;

/// The mechanism that is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    NoGuard,
    NoLineageGuard,
    NoLeaseGuard,
    InvalidateOwnOnly,
    TouchOwnOnly,
    ExpireNothing,
    StaleIsFresh,
    StaleIsForever,
    ExtendTakesAnew,
    LeasesForAll,
    AbsentIsAlways,
    OperationsOneByOne,
    CreatesOnRead,
    NoTimeouts,
    ReplicaLags,
    SilentVerbs,
    CountsStale,
    FirstPageOnly,
    ClockStands,
    ValuesComeBack,
    ReleaseNothing,
    ReleaseAnyones,
    InvalidateAndTouchInTwo,
    TouchForgotten,
    OneKeyIsAll,
    ManyKeysAreOne,
    RingGoesOn,
    TtlChangesNothing,
    AnswersOfBefore,
    TouchIsALineage,
    BeginUntracked,
    TtlUntold,
    LatePushes,
    LossUnsaid,
    KeysWithBytes,
    SlowWhenLate,
    AssumedIsEchoed,
    AssumedFindsNothing,
    LeftoversHaveExpired,
    LeftoversOfValid,
    AlwaysIll,
    IllForEver,
    HealthInARuntime,
}

#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    flaw: Flaw,
    rings: Arc<Mutex<HashMap<RegionPath, ChangeRing>>>,
    was_cut: Arc<AtomicBool>,
}

impl Broken {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// The trust of a caller, without the mechanism that the flaw takes out.
    fn distort_changes(&self, region: &RegionPath, changes: &mut Option<ChangeRing>) {
        let Some(ring) = changes else { return };
        let rewrite = |key: fn(ChangedKey) -> ChangedKey, ring: &ChangeRing| {
            let changes =
                ring.changes().iter().map(|change| Change::new(change.id, key(change.key)));
            ChangeRing::from_changes(changes)
        };
        match self.flaw {
            Flaw::OneKeyIsAll => *changes = rewrite(|_| ChangedKey::All, ring),
            Flaw::ManyKeysAreOne => *changes = rewrite(|_| ChangedKey::of("a"), ring),
            // As if a ring were never begun anew.
            Flaw::RingGoesOn => {
                let mut kept = self.rings.lock();
                let kept = kept.entry(region.clone()).or_insert_with(|| ring.clone());
                for change in ring.changes() {
                    if !kept.changes().iter().any(|known| known.id == change.id) {
                        kept.push(Change::new(change.id, ChangedKey::of("a")));
                    }
                }
                *changes = Some(kept.clone());
            }
            Flaw::TtlChangesNothing => {
                let of_keys = |change: &&Change| change.key != ChangedKey::All;
                let first = ring.changes().iter().take(1);
                let later = ring.changes().iter().skip(1).filter(of_keys);
                *changes = ChangeRing::from_changes(first.chain(later).copied());
            }
            _ => {}
        }
    }

    fn distort(&self, entry: &mut Entry) {
        if self.is(Flaw::StaleIsFresh) {
            entry.freshness = Freshness::Fresh { left: Lifetime::Unlimited };
        }
    }

    async fn write_distorted(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let mut ops = write.ops.to_vec();
        for op in &mut ops {
            if let Op::Put(Put { stale_for, when, .. }) = op {
                if self.is(Flaw::StaleIsForever) && !stale_for.is_zero() {
                    *stale_for = region_core::MAX_LIFETIME;
                }
                if self.is(Flaw::AbsentIsAlways) {
                    *when = When::Always;
                }
            }
        }
        let mut distorted = Write::new(&ops).region_ttl(write.region_ttl).trust(write.trust);
        distorted.guard = write.guard;
        if self.is(Flaw::NoTimeouts) {
            distorted.region_ttl = RegionTtl::Leave;
        }
        self.store.write(region, distorted).await
    }
}

/// A listener that hears what the flaw lets through.
struct Muffled {
    listener: Arc<dyn Listener>,
    flaw: Flaw,
    runtime: Handle,
}

impl Listener for Muffled {
    fn heard(&self, event: Event) {
        let is_silent = match self.flaw {
            Flaw::SilentVerbs => matches!(event, Event::Lineage(_)),
            Flaw::BeginUntracked | Flaw::TtlUntold => matches!(event, Event::Entries(_)),
            Flaw::LossUnsaid => matches!(event, Event::Lost(_)),
            _ => false,
        };
        if is_silent {
            return;
        }
        if self.flaw == Flaw::LatePushes {
            let (listener, late) = (Arc::clone(&self.listener), Duration::from_millis(5));
            self.runtime.spawn(async move {
                tokio::time::sleep(late).await;
                listener.heard(event);
            });
        } else {
            self.listener.heard(event);
        }
    }
}

#[async_trait]
impl Store for Broken {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        if self.is(Flaw::CreatesOnRead) {
            let terms = LeaseTerms::new(LeaseToken::random(), Duration::from_millis(1))
                .take(TakeLease::Extend);
            self.store.begin(region, &[], terms).await?;
        }
        let lagging = self.is(Flaw::ReplicaLags) && terms.from == ReadFrom::Replica;
        let store = if lagging { self.store.client() } else { self.store.clone() };
        if self.is(Flaw::SlowWhenLate) && terms.started.is_some() {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let mut read = store.read(region, keys, terms).await?;
        if self.is(Flaw::AssumedIsEchoed) {
            read.lineage = terms.lineage.cloned().or(read.lineage);
        }
        if self.is(Flaw::AssumedFindsNothing) && terms.lineage.is_some() {
            read.entries.fill(None);
        }
        read.entries.iter_mut().flatten().for_each(|entry| self.distort(entry));
        self.distort_changes(region, &mut read.changes);
        if self.is(Flaw::LeftoversHaveExpired) {
            read.leftovers.iter_mut().for_each(|(_, leftover)| *leftover = Leftover::Expired);
        }
        if self.is(Flaw::LeftoversOfValid) {
            read.leftovers = (0..keys.len()).map(|at| (at, Leftover::Expired)).collect();
        }
        Ok(read)
    }

    async fn begin(
        &self,
        region: &RegionPath,
        keys: &[&str],
        mut terms: LeaseTerms,
    ) -> Result<Begun> {
        if self.is(Flaw::ExtendTakesAnew) && terms.take == TakeLease::Extend {
            terms.take = TakeLease::Always;
        }
        let mut begun = self.store.begin(region, keys, terms).await?;
        for key in &mut begun.keys {
            key.entry.iter_mut().for_each(|entry| self.distort(entry));
            if self.is(Flaw::LeasesForAll) && matches!(key.lease, Lease::Held { .. }) {
                key.lease = Lease::Granted;
            }
        }
        Ok(begun)
    }

    async fn write(&self, region: &RegionPath, mut write: Write<'_>) -> Result<Written> {
        let read = self.store.read(region, &[], ReadTerms::default()).await?;
        if self.is(Flaw::NoGuard) {
            write.guard = None;
        }
        if let (true, Some(now), Some(guard)) =
            (self.is(Flaw::NoLineageGuard), &read.lineage, write.guard)
        {
            // As if the lease alone were looked at, by its token.
            let guard = Guard::new(now, &[], guard.token);
            return self.write_distorted(region, write.guard(guard)).await;
        }
        if let (true, Some(guard)) = (self.is(Flaw::NoLeaseGuard), write.guard) {
            write.guard = Some(Guard::new(guard.lineage, &[], guard.token));
        }
        if self.is(Flaw::OperationsOneByOne) && write.guard.is_none() {
            let mut outcomes = Vec::new();
            for op in write.ops {
                let write = Write::new(std::slice::from_ref(op)).region_ttl(write.region_ttl);
                let written = self.store.write(region, write).await?;
                outcomes.extend(written.outcomes().into_iter().flatten());
                tokio::task::yield_now().await;
            }
            return Ok(Written::Applied(Applied::new(outcomes)));
        }
        self.write_distorted(region, write).await
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        match terms.verb {
            Verb::Invalidate if self.is(Flaw::InvalidateOwnOnly) => {
                self.store.lose(region, region_memory::Loss::Entries);
                Ok(Ended::new())
            }
            Verb::Touch if self.is(Flaw::TouchOwnOnly) => {
                self.store.lose(region, region_memory::Loss::Entries);
                self.store.lose(region, region_memory::Loss::Leases);
                Ok(Ended::new())
            }
            // As if the page above were told by its lineage.
            Verb::Touch if self.is(Flaw::TouchIsALineage) => {
                if let Some(parent) = region.parent() {
                    self.store.end(&parent, Verb::Expire.into()).await?;
                }
                self.store.end(region, terms).await
            }
            Verb::Expire if self.is(Flaw::ExpireNothing) => Ok(Ended::new()),
            Verb::InvalidateAndTouch if self.is(Flaw::TouchForgotten) => {
                self.store.end(region, Verb::Invalidate.into()).await
            }
            Verb::InvalidateAndTouch if self.is(Flaw::InvalidateAndTouchInTwo) => {
                self.store.end(region, Verb::Touch.into()).await?;
                tokio::task::yield_now().await;
                self.store.end(region, Verb::Invalidate.into()).await
            }
            _ if self.is(Flaw::AnswersOfBefore) => {
                let before = ReadTerms::default().trust(Trust::Kept);
                let before = self.store.read(region, &[], before).await?;
                self.store.end(region, terms).await?;
                Ok(Ended::new().lineage(before.lineage).changes(before.changes))
            }
            _ => self.store.end(region, terms).await,
        }
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        match self.flaw {
            Flaw::ReleaseNothing => {}
            Flaw::ReleaseAnyones => self.store.lose(region, region_memory::Loss::Leases),
            _ => self.store.release(region, keys, token),
        }
    }

    async fn scan(&self, region: &RegionPath, mut terms: PageTerms) -> Result<Page<ScanItem>> {
        if self.is(Flaw::KeysWithBytes) {
            terms = terms.show(Show::Entries);
        }
        let mut page = self.store.scan(region, terms).await?;
        if self.is(Flaw::FirstPageOnly) {
            page.next = None;
        }
        Ok(page)
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.store.children(region, terms).await
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        if self.is(Flaw::CountsStale) {
            let page = self.store.scan(region, PageTerms::new(usize::MAX)).await?;
            return Ok(page.items.len() as u64);
        }
        self.store.len(region).await
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        self.store.listen(Arc::new(Muffled {
            listener,
            flaw: self.flaw,
            runtime: Handle::current(),
        }))
    }

    fn health(&self) -> StoreHealth {
        let is_ill = match self.flaw {
            Flaw::AlwaysIll => true,
            Flaw::IllForEver => self.was_cut.load(Ordering::SeqCst),
            Flaw::HealthInARuntime => Handle::current().metrics().num_workers() == 0,
            _ => false,
        };
        StoreHealth::new(is_ill.then_some(StoreProblem::PushesLost))
    }

    async fn now(&self) -> Result<Timestamp> {
        if self.is(Flaw::ClockStands) {
            return Ok(Timestamp::default());
        }
        self.store.now().await
    }
}

struct Flawed(Flaw, ManualClock);

impl Harness for Flawed {
    type Store = Broken;

    async fn store(&self) -> Broken {
        let store = MemoryStore::builder().clock(self.1.clone()).replica().build();
        Broken { store, flaw: self.0, rings: Arc::default(), was_cut: Arc::default() }
    }

    async fn client(&self, store: &Broken) -> Broken {
        Broken { store: store.store.client(), ..store.clone() }
    }

    async fn advance(&self, _: &Broken, by: Duration) {
        self.1.advance(by);
    }

    async fn lose_all(&self, store: &Broken) -> Able {
        if self.0 != Flaw::ValuesComeBack {
            store.store.flush();
        }
        Able::Yes
    }

    async fn lose_incarnations(&self, store: &Broken, region: &RegionPath) -> Able {
        if self.0 != Flaw::ValuesComeBack {
            store.store.lose(region, region_memory::Loss::Incarnations);
        }
        Able::Yes
    }

    async fn hold_replica(&self, store: &Broken) -> Able {
        store.store.hold_replica();
        Able::Yes
    }

    async fn cut_pushes(&self, store: &Broken) -> Able {
        store.store.cut_pushes();
        store.was_cut.store(true, Ordering::SeqCst);
        Able::Yes
    }
}

/// Asserts that the case passes over a whole store and fails over one with the flaw.
macro_rules! bites {
    ($($flaw:ident: $($topic:ident::$case:ident),+;)*) => {$(
        #[test]
        #[allow(non_snake_case)]
        fn $flaw() {
            $(
                let whole = Flawed(Flaw::None, ManualClock::new());
                run(&whole, cases::$topic::$case(&whole));
                let broken = Flawed(Flaw::$flaw, ManualClock::new());
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    run(&broken, cases::$topic::$case(&broken));
                }));
                assert!(outcome.is_err(), "{} does not notice", stringify!($case));
            )+
        }
    )*};
}

bites! {
    NoGuard: fences::a_fill_is_fenced_by_invalidation, fences::a_fenced_write_changes_nothing,
        outliving::a_load_that_is_outlived_is_not_stored, races::no_stale_fill_under_invalidation;
    NoLineageGuard: fences::a_fill_is_fenced_by_invalidation, fences::a_fill_is_fenced_by_touch,
        fences::a_fill_is_fenced_by_expiry, races::no_stale_fill_under_ancestor_invalidation;
    NoLeaseGuard: fences::a_fill_is_fenced_by_a_set, fences::a_fill_is_fenced_by_a_removal,
        fences::a_fill_needs_its_own_live_lease, races::no_stale_fill_under_removal,
        random::random_operations_agree_with_a_model;
    InvalidateOwnOnly: verbs::invalidate_covers_the_subtree, leases::ends_void_leases;
    TouchOwnOnly: verbs::touch_covers_the_path_upwards, fences::a_fill_is_fenced_by_touch,
        random::random_operations_agree_with_a_model;
    ExpireNothing: verbs::expire_makes_the_subtree_stale;
    StaleIsFresh: verbs::expire_makes_the_subtree_stale, lifetimes::a_stale_entry_is_kept_its_window;
    StaleIsForever: lifetimes::a_stale_entry_is_kept_its_window,
        lifetimes::an_expired_entry_is_kept_its_window;
    ExtendTakesAnew: leases::a_lost_lease_is_not_extended;
    LeasesForAll: leases::one_of_many_is_granted, loading::two_processes_share_one_load;
    AbsentIsAlways: writing::absent_means_no_fresh_entry, writing::one_of_many_absent_puts_stores;
    OperationsOneByOne: writing::batches_are_seen_whole,
        races::dropped_calls_happen_wholly_or_not;
    CreatesOnRead: reading::reading_creates_nothing;
    NoTimeouts: lifetimes::a_timeout_ends_the_whole_region, values::policies_set_lifetimes;
    ReplicaLags: sharing::own_changes_are_seen_in_replicas;
    SilentVerbs: sharing::pushes_cover_every_change;
    CountsStale: listing::counting_counts_the_fresh;
    FirstPageOnly: listing::scanning_pages_through_all;
    ClockStands: lifetimes::the_clock_goes_forward;
    ReleaseNothing: leases::a_released_lease_is_free, leases::a_release_needs_no_runtime,
        random::random_operations_agree_with_a_model;
    ReleaseAnyones: leases::a_released_lease_is_free;
    InvalidateAndTouchInTwo: verbs::invalidate_and_touch_is_one_step;
    TouchForgotten: verbs::invalidate_and_touch_covers_both,
        fences::a_fill_is_fenced_by_touch, random::random_operations_agree_with_a_model;
    OneKeyIsAll: trust::one_key_is_one_change, trust::old_changes_leave_the_ring;
    ManyKeysAreOne: trust::many_keys_are_a_change_of_all;
    RingGoesOn: trust::entries_that_begin_anew_are_a_change_of_all;
    TtlChangesNothing: trust::a_shorter_region_ttl_is_a_change_of_all;
    AnswersOfBefore: trust::answers_agree_with_a_following_read;
    TouchIsALineage: trust::touch_keeps_every_lineage,
        trust::touch_pushes_nothing_of_siblings_and_children;
    BeginUntracked: trust::begin_is_covered_by_pushes,
        trust::a_trusted_write_is_covered_by_pushes, sharing::pushes_cover_every_change;
    TtlUntold: trust::a_region_ttl_alone_is_pushed;
    LatePushes: trust::pushes_come_before_replies;
    LossUnsaid: trust::a_lost_source_is_said;
    KeysWithBytes: listing::scanning_pages_through_all;
    SlowWhenLate: reading::time_counts_from_when_the_operation_began;
    AssumedIsEchoed: assumed::an_outdated_lineage_is_not_given_to_later_entries;
    LeftoversHaveExpired: reading::leftovers_have_their_reason, misses::a_miss_has_one_reason;
    LeftoversOfValid: reading::leftovers_have_their_reason, reading::what_is_put_is_read;
    AssumedFindsNothing: assumed::an_assumed_lineage_changes_no_answer;
    AlwaysIll: health::a_store_that_serves_tells_no_problem;
    IllForEver: health::a_cut_connection_is_no_lasting_problem;
    HealthInARuntime: health::health_needs_no_runtime;
    ValuesComeBack: sharing::losing_all_is_a_miss, sharing::losing_incarnations_is_a_miss;
}
