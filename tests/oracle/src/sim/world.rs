use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use region_core::{
    Clock, Lease, LeaseTerms, LeaseToken, MARKER_KEY, RegionPath, Store as _, TakeLease, Timestamp,
    TokioClock, Verb,
};
use region_memory::{Backup, MemoryStore};
use tokio::time::Instant;

use super::ghost::Ghosts;
use crate::history::{Effect, History, Seq, ValueId, What};
use crate::plan::{Key, LEASE, Plan};

/// The name of the root.
pub(super) const ROOT: &str = "w";

/// The turns that a call waits at most where it waits without time passing.
const MOST_TURNS: u32 = 3;

/// All that the processes share.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) memory: MemoryStore,
    pub(super) ghosts: Ghosts,
    pub(super) paths: Vec<RegionPath>,
    start: Instant,
    state: Mutex<State>,
}

struct State {
    history: History,
    rng: StdRng,
    /// The version of the source of truth, of each key.
    truth: BTreeMap<Key, u64>,
    values: ValueId,
    loads: usize,
    /// The number of loads that run.
    running: usize,
    /// The call that the store executes at this moment.
    executing: Option<Seq>,
    /// The last copy of the store, and its time.
    backup: Option<(Backup, Seq)>,
    /// The number of times that the store was put back.
    rollbacks: usize,
}

/// The clock of the store, which differs from that of the processes.
#[derive(Debug)]
struct StoreClock {
    clock: TokioClock,
    ahead: Duration,
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        self.clock.now().saturating_add(self.ahead)
    }
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let ahead = Duration::from_millis(plan.setup.clock_ahead);
        let clock = StoreClock { clock: TokioClock::new(), ahead };
        let memory = MemoryStore::builder().clock(clock).seed(plan.seed).replica();
        let memory = memory.max_bytes(plan.setup.max_bytes);
        let path = |region: &String| {
            let text = if region.is_empty() { ROOT.to_owned() } else { format!("{ROOT}.{region}") };
            RegionPath::parse(&text).unwrap_or_else(|error| panic!("{error}"))
        };
        let state = State {
            history: History::default(),
            rng: StdRng::seed_from_u64(plan.seed.wrapping_add(0x5eed)),
            truth: BTreeMap::new(),
            values: 0,
            loads: 0,
            running: 0,
            executing: None,
            backup: None,
            rollbacks: 0,
        };
        Self {
            memory: memory.build(),
            ghosts: Ghosts::default(),
            paths: plan.setup.regions.iter().map(path).collect(),
            start: Instant::now(),
            state: Mutex::new(state),
            plan,
        }
    }

    pub(super) fn record(&self, what: What) -> Seq {
        self.state.lock().history.push(self.start.elapsed(), what)
    }

    pub(super) fn take_history(&self) -> History {
        std::mem::take(&mut self.state.lock().history)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Copies what the store holds.
    pub(super) fn back_up(&self) {
        let copy = (self.memory.back_up(), self.now());
        self.state.lock().backup = Some(copy);
    }

    /// Puts the store back to the last copy; returns false if there is none.
    pub(super) fn roll_back(&self) -> bool {
        let Some((backup, to)) = self.state.lock().backup.take() else { return false };
        self.memory.release_replica();
        self.memory.roll_back(&backup);
        self.ghosts.flushed();
        let mut state = self.state.lock();
        state.rollbacks += 1;
        state.backup = Some((backup, to));
        drop(state);
        self.record(What::ReplicaReleased);
        self.record(What::RolledBack { to });
        true
    }

    /// The number of times that the store was put back.
    pub(super) fn rollbacks(&self) -> usize {
        self.state.lock().rollbacks
    }

    /// Returns the place of the next event.
    pub(super) fn now(&self) -> Seq {
        self.state.lock().history.events().len()
    }

    /// Executes a change, which pushes are told of meanwhile, and records its effects.
    pub(super) fn execute<T>(
        &self,
        process: Option<usize>,
        late: bool,
        change: impl FnOnce() -> T,
        effects: impl FnOnce(&T) -> Vec<Effect>,
    ) -> T {
        let seq = self.record(What::Executed { process, late, effects: Vec::new() });
        self.state.lock().executing = Some(seq);
        let answer = change();
        let mut state = self.state.lock();
        state.executing = None;
        state.history.set_effects(seq, effects(&answer));
        answer
    }

    /// The call that the store executes at this moment.
    pub(super) fn executing(&self) -> Seq {
        let state = self.state.lock();
        state.executing.unwrap_or(state.history.events().len())
    }

    /// Returns true if something like that has happened since.
    pub(super) fn any_since(&self, since: Seq, is_it: impl Fn(&What) -> bool) -> bool {
        let state = self.state.lock();
        state.history.events()[since..].iter().any(|event| is_it(&event.what))
    }

    /// Returns true for so many of 1,000.
    pub(super) fn happens(&self, rate: u32) -> bool {
        rate > 0 && self.state.lock().rng.random_ratio(rate, 1000)
    }

    pub(super) fn draw(&self, most: u64) -> u64 {
        self.state.lock().rng.random_range(0..=most)
    }

    /// Lets others go first, some turns or some time.
    pub(super) async fn wait(&self) {
        let turns = self.draw(MOST_TURNS.into());
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        let delay = self.draw(self.plan.setup.rates.latency);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }

    /// Lets others go first so many times, or for so many milliseconds where calls take time; for ever if `None`.
    pub(super) async fn turns(&self, turns: Option<u32>) {
        let Some(turns) = turns else { return std::future::pending().await };
        if self.plan.setup.rates.latency > 0 {
            return tokio::time::sleep(Duration::from_millis(turns.into())).await;
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn next_load(&self) -> usize {
        let mut state = self.state.lock();
        state.loads += 1;
        state.running += 1;
        state.loads
    }

    pub(super) fn load_is_over(&self) {
        self.state.lock().running -= 1;
    }

    /// Records the leases that are left once nothing runs any more.
    pub(super) async fn look_for_leases(&self) {
        // Longer than a call, and much shorter than a lease.
        const SETTLED: Duration = Duration::from_millis(100);
        loop {
            let loads = self.loads();
            tokio::time::sleep(SETTLED).await;
            if loads == self.loads() && loads.1 == 0 {
                break;
            }
        }
        let nobody = LeaseTerms::new(LeaseToken::from_bits(u64::MAX), LEASE);
        let nobody = nobody.take(TakeLease::Extend);
        for (region, path) in self.paths.iter().enumerate() {
            // The last stands for the region's marker.
            for key in 0..=self.plan.setup.keys {
                let is_marker = key == self.plan.setup.keys;
                let name = if is_marker { MARKER_KEY.to_owned() } else { name(key) };
                let begun = self.memory.begin(path, &[&name], nobody).await;
                let lease = begun.ok().and_then(|begun| begun.keys.first().map(|key| key.lease));
                if matches!(lease, Some(Lease::Held { .. })) {
                    self.record(What::LeaseLeft { key: Key { region, key } });
                }
            }
        }
    }

    /// The number of loads so far, and of those that run.
    fn loads(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.loads, state.running)
    }

    pub(super) fn next_value(&self) -> ValueId {
        let mut state = self.state.lock();
        state.values += 1;
        state.values
    }

    pub(super) fn truth(&self, key: Key) -> u64 {
        self.state.lock().truth.get(&key).copied().unwrap_or(0)
    }

    /// The truth about a key changes.
    pub(super) fn change_truth(&self, key: Key) -> u64 {
        let mut state = self.state.lock();
        let version = state.truth.entry(key).or_default();
        *version += 1;
        *version
    }

    /// The truth changes about all that the verb covers.
    pub(super) fn change_truth_below(&self, region: usize, verb: Verb) {
        for (other, path) in self.paths.iter().enumerate() {
            let below = path.is_within(&self.paths[region]) && verb != Verb::Touch;
            let above = matches!(verb, Verb::Touch | Verb::InvalidateAndTouch)
                && self.paths[region].is_within(path);
            if below || above {
                for key in 0..self.plan.setup.keys {
                    self.change_truth(Key { region: other, key });
                }
            }
        }
    }

    pub(super) fn region_of(&self, path: &RegionPath) -> Option<usize> {
        self.paths.iter().position(|other| other == path)
    }

    pub(super) fn key_of(&self, path: &RegionPath, name: &str) -> Option<Key> {
        let key = name.strip_prefix('k')?.parse().ok()?;
        Some(Key { region: self.region_of(path)?, key })
    }
}

/// The name of a key.
pub(super) fn name(key: usize) -> String {
    format!("k{key}")
}
