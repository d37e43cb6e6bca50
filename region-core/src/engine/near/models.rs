//! Models of trust, which `loom` runs under all schedules: an own change, pushes and lost connections
//! beside answers that come late. No hit may show what was there before a change that had ended, or
//! before a push that had been heard, when the hit began.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, JoinHandle};
use tokio::time::Instant;

use super::known::{Shown, Sources};
use super::region::Judgement;
use super::values::{Held, Label, NearEntry, NearTimes};
use super::word::{Mark, Word};
use super::{Covers, Near, NearRegion, OwnChange};
use crate::lineage::{Incarnation, Incarnations, Lineage};
use crate::path::RegionPath;
use crate::stats::CountersByRegion;
use crate::store::{Change, ChangeId, ChangeRing, ChangedKey, Event, Listener, Source, Verb};

const KEY: &str = "k";

/// The most threads that run instead of one that could go on.
const PREEMPTIONS: usize = 2;

const STACK_WORDS: usize = 64 * 1024;

/// One region over a store with one entry, whose value is the number of its last change.
struct World {
    near: Near,
    region: Arc<NearRegion>,
    source: Source,
    store: Mutex<Stored>,
    /// In the place of the concurrent cache, whose locks `loom` does not see.
    entry: Mutex<Option<NearEntry>>,
    /// No hit that begins from here on may be older than this.
    least: AtomicU32,
}

struct Stored {
    lineage: Arc<Lineage>,
    changes: Vec<u32>,
}

fn check(model: impl Fn() + Copy + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    // The first thread has a small stack.
    builder.check(move || spawn_large(model).join().unwrap());
}

fn spawn_large(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().stack_size(STACK_WORDS).spawn(run).unwrap()
}

fn lineage(tree: u64) -> Arc<Lineage> {
    let id = Incarnation::from_bits;
    Arc::new(Lineage::new([Incarnations { tree: id(tree), soft: id(1) }]).unwrap())
}

fn spawn(world: &Arc<World>, run: impl FnOnce(&World) + Send + 'static) -> JoinHandle<()> {
    let world = Arc::clone(world);
    spawn_large(move || run(&world))
}

impl World {
    /// The value 1 is held near, and is trusted.
    fn new() -> Arc<Self> {
        let near = Near::new(1024, Arc::new(CountersByRegion::new(1)));
        let region = near.registry.intern(&RegionPath::parse("r").unwrap());
        let world = Self {
            near,
            region,
            source: Source::unique(),
            store: Mutex::new(Stored { lineage: lineage(1), changes: vec![1] }),
            entry: Mutex::new(None),
            least: AtomicU32::new(1),
        };
        world.read();
        assert_eq!(world.hit(), Some(1));
        Arc::new(world)
    }

    /// Asks the store as a read does, and keeps what it shows. Returns the value.
    fn read(&self) -> u32 {
        let under = self.region.marks();
        let shown = self.shown();
        self.region.learn(&shown, under);
        self.keep(&shown)
    }

    fn shown(&self) -> Shown {
        let stored = self.store.lock().unwrap();
        let change = |&id| Change::new(ChangeId::from_bits(id), ChangedKey::of(KEY));
        let ring = ChangeRing::from_changes(stored.changes.iter().map(change));
        let sources = Some(Sources { lineage: self.source, ring: self.source });
        Shown { lineage: Arc::clone(&stored.lineage), ring, sources }
    }

    fn keep(&self, shown: &Shown) -> u32 {
        let ring = shown.ring.as_ref().unwrap();
        let since = self.region.place(&shown.lineage, ring);
        let lineage = Arc::clone(&shown.lineage);
        let label = Label { lineage, change: ring.last(), since, sent: Instant::now() };
        let value = ring.last().to_bits();
        let held = Held::decoded(Some(&Arc::new(value)));
        let entry = NearEntry::new(held, &label, NearTimes::until(None), 1);
        *self.entry.lock().unwrap() = Some(entry);
        value
    }

    /// Gives the store its next value, and returns it.
    fn change(&self) -> u32 {
        let mut stored = self.store.lock().unwrap();
        let next = stored.changes[stored.changes.len() - 1] + 1;
        stored.changes.push(next);
        next
    }

    /// The same in another life of the region.
    fn end(&self) -> u32 {
        let mut stored = self.store.lock().unwrap();
        let next = stored.changes[stored.changes.len() - 1] + 1;
        *stored = Stored { lineage: lineage(2), changes: vec![next] };
        next
    }

    /// The value that is served without a question.
    fn hit(&self) -> Option<u32> {
        let mut entry = self.entry.lock().unwrap().clone()?;
        match self.region.judge(&mut entry, KEY) {
            Judgement::Valid => {}
            Judgement::ValidAt(sum) => {
                *self.entry.lock().unwrap() = Some(entry.clone().verified_at(sum));
            }
            Judgement::Outdated | Judgement::Doubted => return None,
        }
        entry.value.into_value::<u32>().map(|value| *value)
    }

    /// A hit at any time.
    fn check_hit(&self) {
        let least = self.least.load(Ordering::Acquire);
        if let Some(hit) = self.hit() {
            assert!(hit >= least, "a hit of {hit} began after {least} was there");
        }
    }

    fn is_there(&self, value: u32) {
        self.least.fetch_max(value, Ordering::AcqRel);
    }

    fn own_change(&self, covers: Covers) -> OwnChange<'_> {
        OwnChange::begin(&self.near, covers, Some(&self.region))
    }

    fn own_write(&self) {
        let change = self.own_change(Covers::Entries(ChangedKey::of(KEY)));
        let value = self.change();
        let shown = self.shown();
        change.learn(&shown);
        self.keep(&shown);
        drop(change);
        self.is_there(value);
    }

    /// Another process writes, and the store pushes it.
    fn pushed_write(&self) {
        let value = self.change();
        self.near.registry.heard(Event::Entries(self.region.path().clone()));
        self.is_there(value);
    }

    /// Nothing is under way any more: trust comes back with the next answer.
    fn check_end(&self) {
        self.check_hit();
        let last = self.read();
        assert_eq!(self.hit(), Some(last), "trust does not come back");
    }
}

/// Runs `one` and `other` at the same time, beside hits.
fn check_beside_hits(one: fn(&World), other: fn(&World)) {
    check(move || {
        let world = World::new();
        let threads = [spawn(&world, one), spawn(&world, other)];
        world.check_hit();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.check_end();
    });
}

/// Runs `change` beside hits and a read whose answer may come late.
fn check_beside_reads(change: fn(&World)) {
    check_beside_hits(change, |world| {
        world.read();
    });
}

/// The base of every hit: two equal sums are two equal states, if the second is read after the first
/// was.
#[test]
fn equal_sums_are_equal_states() {
    check(|| {
        let words = Arc::new([Word::default(), Word::default()]);
        let known = Arc::new(Mutex::new(None));
        let marks = |words: &[Word; 2]| [words[0].mark(), words[1].mark()];
        let sum = |[one, other]: [Mark; 2]| one.plus(other);
        let threads = [0, 1].map(|at| {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                words[at].begin_change();
                words[at].end_change();
            })
        });
        let reader = {
            let (words, known) = (Arc::clone(&words), Arc::clone(&known));
            thread::spawn(move || *known.lock().unwrap() = Some(marks(&words)))
        };
        let before = *known.lock().unwrap();
        if let Some(before) = before {
            let now = marks(&words);
            assert_eq!(sum(before) == sum(now), before == now);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        reader.join().unwrap();
    });
}

#[test]
fn no_hit_is_older_than_an_own_write_that_has_ended() {
    check_beside_reads(World::own_write);
}

#[test]
fn no_hit_is_older_than_own_writes_at_the_same_time() {
    check_beside_hits(World::own_write, World::own_write);
}

#[test]
fn no_hit_is_older_than_an_own_write_beside_a_push() {
    check_beside_hits(World::own_write, World::pushed_write);
}

/// Nobody learns from its answer, if there is one.
#[test]
fn no_hit_is_older_than_an_own_write_that_was_dropped() {
    check_beside_reads(|world| {
        let change = world.own_change(Covers::Entries(ChangedKey::of(KEY)));
        let value = world.change();
        drop(change);
        world.is_there(value);
    });
}

#[test]
fn no_hit_is_older_than_an_own_verb_that_has_ended() {
    check_beside_reads(|world| {
        let change = world.own_change(Covers::Ended(Verb::Invalidate));
        let value = world.end();
        change.learn(&world.shown());
        drop(change);
        world.is_there(value);
    });
}

#[test]
fn no_hit_is_older_than_a_push_of_entries_that_was_heard() {
    check_beside_reads(World::pushed_write);
}

#[test]
fn no_hit_is_older_than_a_push_of_the_lineage_that_was_heard() {
    check_beside_reads(|world| {
        let value = world.end();
        world.near.registry.heard(Event::Lineage(world.region.path().clone()));
        world.is_there(value);
    });
}

/// The answer of one that was asked earlier may come later.
#[test]
fn no_hit_is_older_than_a_read_that_has_ended() {
    check(|| {
        let world = World::new();
        let read = |world: &World| world.is_there(world.read());
        let late = spawn(&world, read);
        let changed = spawn(&world, |world| {
            world.change();
        });
        read(&world);
        world.check_hit();
        [late, changed].into_iter().for_each(|thread| thread.join().unwrap());
        world.check_hit();
    });
}

/// Once a connection is lost, nothing tells of what happens to what was read over it.
#[test]
fn no_hit_hangs_on_a_connection_that_is_lost() {
    check(|| {
        let world = World::new();
        let lost = spawn(&world, |world| {
            world.near.registry.heard(Event::Lost(world.source));
            let value = world.change();
            world.is_there(value);
        });
        let late = spawn(&world, |world| {
            world.read();
        });
        world.check_hit();
        [lost, late].into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.hit(), None);
    });
}
