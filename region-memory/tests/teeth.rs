//! The conformance suite has teeth: a store with one mechanism taken out fails the case that is
//! there for it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use region_core::conformance::{Able, Harness, cases, run};
use region_core::{
    Applied, Begun, EndTerms, Ended, Entry, Event, Freshness, Guard, Lease, LeaseTerms, LeaseToken,
    Lifetime, Listener, Listening, ManualClock, Op, Page, PageTerms, Put, Read, ReadFrom,
    ReadTerms, RegionPath, RegionTtl, Result, ScanItem, Segment, Store, TakeLease, Timestamp, Verb,
    When, Write, Written,
};
use region_memory::MemoryStore;

/// What is taken out.
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
    BirthOnRead,
    NoTimeouts,
    ReplicaLags,
    SilentVerbs,
    CountsStale,
    FirstPageOnly,
    ClockStands,
    ValuesComeBack,
}

#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    flaw: Flaw,
}

impl Broken {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
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
}

impl Listener for Muffled {
    fn heard(&self, event: Event) {
        let is_silent = self.flaw == Flaw::SilentVerbs && matches!(event, Event::Lineage(_));
        if !is_silent {
            self.listener.heard(event);
        }
    }
}

#[async_trait]
impl Store for Broken {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms) -> Result<Read> {
        if self.is(Flaw::BirthOnRead) {
            let terms = LeaseTerms::new(LeaseToken::random(), Duration::from_millis(1))
                .take(TakeLease::Extend);
            self.store.begin(region, &[], terms).await?;
        }
        let lagging = self.is(Flaw::ReplicaLags) && terms.from == ReadFrom::Replica;
        let store = if lagging { self.store.client() } else { self.store.clone() };
        let mut read = store.read(region, keys, terms).await?;
        read.entries.iter_mut().flatten().for_each(|entry| self.distort(entry));
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
            Verb::Expire if self.is(Flaw::ExpireNothing) => Ok(Ended::new()),
            _ => self.store.end(region, terms).await,
        }
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        self.store.release(region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
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
        self.store.listen(Arc::new(Muffled { listener, flaw: self.flaw }))
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
        Broken { store, flaw: self.0 }
    }

    async fn client(&self, store: &Broken) -> Broken {
        Broken { store: store.store.client(), flaw: self.0 }
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
}

/// Asserts that the case passes over a whole store and fails over one with the flaw.
macro_rules! bites {
    ($($flaw:ident: $($topic:ident::$case:ident),+;)*) => {$(
        #[test]
        #[allow(non_snake_case)]
        fn $flaw() {
            $(
                run(cases::$topic::$case(&Flawed(Flaw::None, ManualClock::new())));
                let broken = Flawed(Flaw::$flaw, ManualClock::new());
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    run(cases::$topic::$case(&broken));
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
    BirthOnRead: reading::reading_creates_nothing;
    NoTimeouts: lifetimes::a_timeout_ends_the_whole_region, values::policies_set_lifetimes;
    ReplicaLags: sharing::own_changes_are_seen_in_replicas;
    SilentVerbs: sharing::pushes_cover_every_change;
    CountsStale: listing::counting_counts_the_fresh;
    FirstPageOnly: listing::scanning_pages_through_all;
    ClockStands: lifetimes::the_clock_goes_forward;
    ValuesComeBack: sharing::losing_all_is_a_miss, sharing::losing_incarnations_is_a_miss;
}
