//! A model of loads that callers share, which `shuttle` runs under many schedules: callers that come,
//! wait and go at any time, beside an invalidation. A caller that nobody serves waits for ever, and that
//! is an error.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::brought::Brought;
use super::flight::{Fence, Group};
use super::flights::{Flights, Joining, NewFlight, Start};
use super::key::KeySpace;
use super::open::OpenFlight;
use crate::lineage::{Incarnation, Incarnations, Lineage};
use crate::path::RegionPath;
use crate::region::UncachedReason;
use crate::stats::{Counters, MissReason};
use crate::store::{LeaseToken, TakeLease};
use crate::sync::{Mutex, check};

const KEY: &str = "k";

/// The most polls after which a caller goes away.
const MOST_POLLS: usize = 8;

/// The most steps that a load takes, and that others leave between theirs.
const MOST_STEPS: usize = 20;

const CALLS: usize = 2;

const INVALIDATIONS: usize = 3;

/// Polls `call` a few times, and drops it.
pub(super) async fn leave_early(call: impl Future) {
    let mut call = pin!(call);
    for _ in 0..thread_rng().gen_range(0..=MOST_POLLS) {
        if poll!(&mut call).is_ready() {
            return;
        }
        yield_now().await;
    }
}

async fn wait_a_while() {
    for _ in 0..thread_rng().gen_range(0..=MOST_STEPS) {
        yield_now().await;
    }
}

/// One cache's loads of one key, over a store that gives a lease for it.
struct Loads {
    flights: Arc<Flights>,
    region: RegionPath,
    counters: Counters,
    store: Mutex<Leased>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Loads end when nobody waits for them, and not before.
    are_endless: bool,
}

#[derive(Default)]
struct Leased {
    /// Raised by each invalidation. A load brings the number from when it began.
    life: u64,
    lease: Option<LeaseToken>,
    tokens: u64,
}

/// A load's lease, given back when it is dropped.
struct Lease(Arc<Loads>, LeaseToken);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.store.lock().lease.take_if(|held| *held == self.1);
    }
}

impl Loads {
    fn new(are_endless: bool) -> Arc<Self> {
        Arc::new(Self {
            are_endless,
            flights: Arc::new(Flights::new(1)),
            region: RegionPath::parse("r").unwrap(),
            counters: Counters::default(),
            store: Mutex::default(),
            tasks: Mutex::default(),
        })
    }

    /// Finds nothing, and loads.
    async fn call(self: &Arc<Self>) {
        let life = self.store.lock().life;
        let started = self.flights.tick();
        let hold = self.flights.hold::<u64>(KeySpace::of_region(&self.region), KEY);
        yield_now().await;
        let mut joining = Joining::new(&self.flights, started, Start::Asking, self.group());
        let missed = (MissReason::Absent, &self.counters);
        let waiter =
            joining.join_or_start::<u64>(KeySpace::of_region(&self.region), KEY, hold, missed);
        if joining.has_started() {
            let (group, new) = joining.into_new();
            let tasks =
                new.into_iter().map(|new| spawn(serve(Arc::clone(self), group.clone(), new)));
            self.tasks.lock().extend(tasks);
        }
        let loaded = waiter.answer::<u64>().await.unwrap().into_value().unwrap();
        assert!(*loaded >= life, "a load of life {loaded} for a caller of life {life}");
    }

    fn group(&self) -> Group {
        let mut store = self.store.lock();
        store.tokens += 1;
        Group::new(LeaseToken::from_bits(store.tokens))
    }

    fn invalidate(&self) {
        let mut store = self.store.lock();
        store.life += 1;
        store.lease = None;
    }

    async fn load(&self) {
        if self.are_endless {
            std::future::pending::<()>().await;
        }
        wait_a_while().await;
    }

    fn check_end(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.into_iter().for_each(|task| block_on(task).unwrap());
        assert!(
            !self.flights.is_loading::<u64>(KeySpace::of_region(&self.region), KEY),
            "a flight is left"
        );
        assert_eq!(self.store.lock().lease, None);
    }

    /// The life of the region, and the holder of the lease: `token`, unless another has it.
    fn begin(&self, token: LeaseToken) -> (u64, LeaseToken) {
        let mut store = self.store.lock();
        (store.life, *store.lease.get_or_insert(token))
    }
}

/// Does what a group's task does.
async fn serve(loads: Arc<Loads>, group: Arc<Group>, new: NewFlight) {
    let open = OpenFlight::<u64>::new(&loads.flights, new);
    let open = tokio::select! {
        biased;
        open = open.after_previous() => open,
        () = group.abandoned() => None,
    };
    let Some(mut open) = open else { return };
    let lease = Lease(Arc::clone(&loads), group.token);
    while !group.is_abandoned() {
        open.asking(loads.flights.tick());
        yield_now().await;
        let (life, holder) = loads.begin(group.token);
        yield_now().await;
        let id = Incarnation::from_bits(life);
        let lineage = Lineage::new([Incarnations { tree: id, soft: id }]).unwrap();
        let fence = Fence { lineage, token: holder };
        if holder == group.token {
            open.loading(Some(fence), None);
            tokio::select! {
                biased;
                () = group.abandoned() => return,
                () = loads.load() => {}
            }
            drop(lease);
            let loaded = Brought::loaded(Some(Arc::new(life)), Err(UncachedReason::Declined), None);
            return open.finish(Ok(loaded));
        }
        if let Some(previous) = open.previous_under(&fence) {
            return open.follow(previous);
        }
        open.ask_again(TakeLease::Always);
        yield_now().await;
    }
}

/// Each caller takes a load that has begun after it came, or that nothing has ended since.
#[test]
fn a_load_goes_on_for_as_long_as_anybody_waits() {
    check(|| {
        let loads = Loads::new(false);
        let callers = [(); 2].map(|()| {
            let loads = Arc::clone(&loads);
            thread::spawn(move || {
                for _ in 0..CALLS {
                    block_on(wait_a_while());
                    block_on(loads.call());
                }
            })
        });
        let leaver = {
            let loads = Arc::clone(&loads);
            thread::spawn(move || block_on(leave_early(loads.call())))
        };
        for _ in 0..INVALIDATIONS {
            block_on(wait_a_while());
            loads.invalidate();
        }
        callers.into_iter().chain([leaver]).for_each(|thread| thread.join().unwrap());
        loads.check_end();
    });
}

#[test]
fn a_load_that_nobody_waits_for_ends() {
    check(|| {
        let loads = Loads::new(true);
        let leavers = [(); 3].map(|()| {
            let loads = Arc::clone(&loads);
            thread::spawn(move || block_on(leave_early(loads.call())))
        });
        leavers.into_iter().for_each(|thread| thread.join().unwrap());
        loads.check_end();
    });
}
