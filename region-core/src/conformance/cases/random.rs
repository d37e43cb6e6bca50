//! Anything at all, compared with a plain model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::super::fixture::{Fixture, LONG, lifetime, path};
use super::super::model::{Fence, Model};
use super::super::{Able, Harness};
use super::poll_and_drop;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;
use crate::path::RegionPath;
use crate::store::{
    Begun, Entry, Freshness, Guard, Lease, LeaseTerms, LeaseToken, Op, OpOutcome, PageTerms, Put,
    ReadTerms, RegionTtl, ScanItem, Show, Store, TakeLease, Verb, When, Write,
};

const SEQUENCES: usize = 250;
const STEPS: usize = 60;

/// No sequence is begun after this, once there were [`FEWEST_SEQUENCES`]: real time is dear.
const BUDGET: Duration = Duration::from_secs(2);
const FEWEST_SEQUENCES: usize = 3;

/// Set to the number that a failure names, this variable of the environment has the same sequence
/// run, alone.
pub const SEED_VARIABLE: &str = "REGION_CONFORMANCE_SEED";

const REGIONS: [&str; 8] = ["r", "r.a", "r.a.b", "r.a.b:1", "r.a.b.c", "r.ab", "r.z", "other.a"];
const KEYS: [&str; 3] = ["k", "l", "m"];
const CLIENTS: usize = 2;
const TOKENS: u64 = 3;

/// The longest listing has fewer pages than this.
const MOST_PAGES: usize = 64;

/// Random operations of two clients on random regions, time, loads that anything may happen in the
/// middle of, and dropped calls: the store answers each as a plain model does.
///
/// A sequence in which the store's time does not tell whether something was over is given up there.
pub async fn random_operations_agree_with_a_model<H: Harness>(harness: &H) {
    if let Some(seed) = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()) {
        sequence(harness, seed).await;
        return;
    }
    let begun = Instant::now();
    for done in 0..SEQUENCES {
        if done >= FEWEST_SEQUENCES && begun.elapsed() > BUDGET {
            return;
        }
        sequence(harness, rand::random()).await;
    }
}

async fn sequence<H: Harness>(harness: &H, seed: u64) {
    let first = Fixture::new(harness).await;
    let second = first.client().await;
    let drift = drift_of(&first.store).await;
    let mut run = Run {
        clients: [first, second],
        model: Model::default(),
        rng: StdRng::seed_from_u64(seed),
        loads: Vec::new(),
        now: Timestamp::default(),
        drift,
        trace: format!("{SEED_VARIABLE}={seed}"),
        keeps_paths_together: harness.keeps_paths_together(),
    };
    for _ in 0..STEPS {
        if run.step().await.is_none() {
            return;
        }
    }
}

/// Nothing for a clock that stands still until it is moved. One that flows is known to the millisecond
/// at best.
async fn drift_of(store: &impl Store) -> Duration {
    const UNIT: Duration = Duration::from_millis(1);
    let before = store.now().await.unwrap();
    tokio::time::sleep(UNIT * 2).await;
    store.now().await.unwrap().since(before).min(UNIT)
}

/// A load that has begun.
#[derive(Clone)]
struct Load {
    region: RegionPath,
    keys: Vec<&'static str>,
    token: LeaseToken,
    lineage: Lineage,
    ends: usize,
}

struct Run<'h, H: Harness> {
    clients: [Fixture<'h, H>; CLIENTS],
    model: Model,
    rng: StdRng,
    loads: Vec<Load>,
    /// The store's time when the last call began.
    now: Timestamp,
    /// The largest difference between the model's time and the store's.
    drift: Duration,
    trace: String,
    keeps_paths_together: Able,
}

impl<H: Harness> Run<'_, H> {
    /// Does one thing; `None` if the sequence cannot go on.
    async fn step(&mut self) -> Option<()> {
        let client = self.rng.random_range(0..CLIENTS);
        let region = path(REGIONS.choose(&mut self.rng)?);
        match self.rng.random_range(0..100) {
            0..20 => self.read(client, &region).await,
            20..40 => self.begin(client, &region).await,
            40..55 => self.write(client, &region).await,
            55..72 => self.fill(client).await,
            72..82 => self.end(client, &region).await,
            82..86 => self.list(client, &region).await,
            86..88 => self.release(client).await,
            88..90 => self.drop_write(client, &region).await,
            _ => {
                let by = *[1, 9, 10, 20, 41].choose(&mut self.rng)?;
                let _ = write!(self.trace, "\nadvance {by} ms");
                self.clients[0].advance(Duration::from_millis(by)).await;
                Some(())
            }
        }
    }

    /// The store's answer, if the time it took leaves no doubt what it has to be.
    async fn answer<T>(
        &mut self,
        client: usize,
        call: impl AsyncFnOnce(&H::Store) -> Result<T>,
    ) -> Option<T> {
        let store = &self.clients[client].store;
        let from = store.now().await.unwrap();
        let answer = call(store).await.unwrap_or_else(|error| panic!("{error}\n{}", self.trace));
        let to = store.now().await.unwrap();
        self.drift = self.drift.max(to.since(from));
        self.now = from;
        let drift = u64::try_from(self.drift.as_millis()).ok()?;
        let earliest = Timestamp::from_millis(from.as_millis().saturating_sub(drift));
        let is_clear = !self.model.ends_within(earliest, to.saturating_add(self.drift));
        (drift == 0 || is_clear).then_some(answer)
    }

    fn note(&mut self, what: impl std::fmt::Display) {
        let _ = write!(self.trace, "\n{} ms: {what}", self.now.as_millis());
    }

    fn agree<T: PartialEq + std::fmt::Debug>(&self, what: &str, found: T, expected: T) {
        assert!(
            found == expected,
            "{what} is {found:?}, and should be {expected:?}, after {}",
            self.trace
        );
    }

    /// The part of an entry that is compared: all of it, unless time flows.
    fn seen(&self, entry: Option<Entry>) -> Option<Entry> {
        let mut entry = entry?;
        if !self.drift.is_zero() {
            entry.freshness = match entry.freshness {
                Freshness::Fresh { .. } => Freshness::Fresh { left: Lifetime::Unlimited },
                Freshness::Stale { .. } => Freshness::Stale { left: Lifetime::Unlimited },
            };
        }
        Some(entry)
    }

    async fn read(&mut self, client: usize, region: &RegionPath) -> Option<()> {
        let read = async |store: &H::Store| store.read(region, &KEYS, ReadTerms::default()).await;
        let read = self.answer(client, read).await?;
        self.note(format_args!("read {region}"));
        for (key, entry) in KEYS.iter().zip(read.entries) {
            let expected = self.seen(self.model.entry(region, key, self.now));
            self.agree(&format!("{region}/{key}"), self.seen(entry), expected);
        }
        Some(())
    }

    async fn begin(&mut self, client: usize, region: &RegionPath) -> Option<()> {
        let many = self.rng.random_range(1..=2);
        let keys: Vec<&'static str> = KEYS.sample(&mut self.rng, many).copied().collect();
        let takes =
            [TakeLease::UnlessFresh, TakeLease::UnlessFresh, TakeLease::Always, TakeLease::Extend];
        let token = LeaseToken::from_bits(self.rng.random_range(1..=TOKENS));
        let duration = *[Duration::from_millis(25), LONG, LONG].choose(&mut self.rng)?;
        let terms = LeaseTerms::new(token, duration).take(*takes.choose(&mut self.rng)?);
        let begin = async |store: &H::Store| store.begin(region, &keys, terms).await;
        let Begun { lineage, keys: found, .. } = self.answer(client, begin).await?;
        self.note(format_args!("begin {region} {keys:?} {terms:?}"));
        for (key, found) in keys.iter().zip(found) {
            let expected = self.model.begin(region, key, terms, self.now);
            let what = format!("{region}/{key}");
            self.agree(&what, self.seen(found.entry), self.seen(expected.entry));
            let exactly = |lease| match lease {
                Lease::Held { by, .. } if !self.drift.is_zero() => {
                    Lease::Held { by, left: Duration::ZERO }
                }
                lease => lease,
            };
            self.agree(&what, exactly(found.lease), exactly(expected.lease));
        }
        // A store may lose the ids of a region that holds nothing; what began before is fenced then.
        let model = &self.model;
        self.loads.retain(|load| {
            load.region != *region
                || load.lineage == lineage
                || model.ended_since(region, load.ends)
        });
        let (region, token, ends) = (region.clone(), terms.token, self.model.ends());
        self.loads.push(Load { region, keys, token, lineage, ends });
        Some(())
    }

    fn some_put(&mut self, region: &RegionPath, key: &'static str) -> Put<'static> {
        let lifetimes =
            [Lifetime::Unlimited, Lifetime::Unlimited, lifetime(Duration::from_millis(30))];
        let there = self.model.entry(region, key, self.now).map(|entry| entry.bytes);
        let value = self.rng.random_range(0..u32::MAX);
        Put {
            key,
            bytes: Bytes::from(value.to_string()),
            when: match self.rng.random_range(0..6) {
                0 => When::Absent,
                1 => When::AbsentOrHolding(there.unwrap_or_default()),
                2 => When::AbsentOrHolding(Bytes::from_static(b"other")),
                _ => When::Always,
            },
            fresh_for: lifetimes.choose(&mut self.rng).copied().unwrap_or_default(),
            stale_for: Duration::from_millis(if self.rng.random() { 40 } else { 0 }),
        }
    }

    fn some_ops(&mut self, region: &RegionPath) -> Vec<Op<'static>> {
        let many = self.rng.random_range(1..=3);
        let op = |run: &mut Self| {
            let key = KEYS[run.rng.random_range(0..KEYS.len())];
            match run.rng.random_range(0..7) {
                0 => Op::Remove { key },
                1 => Op::Take { key },
                _ => Op::Put(run.some_put(region, key)),
            }
        };
        (0..many).map(|_| op(self)).collect()
    }

    async fn write(&mut self, client: usize, region: &RegionPath) -> Option<()> {
        if self.model.has_idle_timeout(region, self.now) {
            return self.end_with(client, region, Verb::Invalidate).await;
        }
        let mut ops = self.some_ops(region);
        let region_ttl = match self.rng.random_range(0..6) {
            0 => RegionTtl::Start(Duration::from_millis(50)),
            1 => RegionTtl::Restart(Duration::from_millis(70)),
            _ => RegionTtl::Leave,
        };
        if region_ttl != RegionTtl::Leave {
            // It is for stores to say what the timeout of an empty region is; so it is not empty.
            ops.push(Op::Put(Put { when: When::Always, ..self.some_put(region, KEYS[0]) }));
        }
        self.apply(client, region, &ops, None, region_ttl).await
    }

    async fn fill(&mut self, client: usize) -> Option<()> {
        let latest = self.loads.len().saturating_sub(4);
        let Some(load) = self.loads[latest..].choose(&mut self.rng).cloned() else {
            return Some(());
        };
        if self.model.has_idle_timeout(&load.region, self.now) {
            return self.end_with(client, &load.region, Verb::Invalidate).await;
        }
        let mut ops = Vec::new();
        for key in &load.keys {
            ops.push(Op::Put(self.some_put(&load.region, key)));
        }
        self.apply(client, &load.region, &ops, Some(&load), RegionTtl::Leave).await
    }

    async fn apply(
        &mut self,
        client: usize,
        region: &RegionPath,
        ops: &[Op<'_>],
        load: Option<&Load>,
        region_ttl: RegionTtl,
    ) -> Option<()> {
        let mut write = Write::new(ops).region_ttl(region_ttl);
        write.guard = load.map(|load| Guard::new(&load.lineage, &load.keys, load.token));
        let write = async |store: &H::Store| store.write(region, write).await;
        let written = self.answer(client, write).await?;
        let fence = load.map(|load| Fence { keys: &load.keys, token: load.token, ends: load.ends });
        self.note(format_args!("write {region} {ops:?} {region_ttl:?} {fence:?}"));
        let found = written.outcomes().map(|outcomes| self.all_seen(outcomes));
        let expected = self.model.write(region, ops, fence, region_ttl, self.now);
        let expected = expected.map(|outcomes| self.all_seen(outcomes));
        self.agree("what was written", found, expected);
        Some(())
    }

    fn all_seen(&self, outcomes: Vec<OpOutcome>) -> Vec<OpOutcome> {
        let seen = |outcome| match outcome {
            OpOutcome::Taken(entry) => OpOutcome::Taken(self.seen(entry)),
            OpOutcome::Exists(entry) => {
                self.seen(Some(entry.clone())).map_or(OpOutcome::Exists(entry), OpOutcome::Exists)
            }
            outcome => outcome,
        };
        outcomes.into_iter().map(seen).collect()
    }

    async fn end(&mut self, client: usize, region: &RegionPath) -> Option<()> {
        let verb = *[Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch]
            .choose(&mut self.rng)?;
        self.end_with(client, region, verb).await
    }

    async fn end_with(&mut self, client: usize, region: &RegionPath, verb: Verb) -> Option<()> {
        self.answer(client, async |store: &H::Store| store.end(region, verb.into()).await).await?;
        self.note(format_args!("{verb:?} {region}"));
        self.model.end(region, verb, self.now);
        Some(())
    }

    /// Gives back a lease that is held: only then can be waited until it is.
    async fn release(&mut self, client: usize) -> Option<()> {
        let Some((region, key, token)) = self.model.some_lease(self.now, &mut self.rng) else {
            return Some(());
        };
        let store = async |store: &H::Store| {
            store.release(&region, &[&key], token);
            Ok(())
        };
        self.answer(client, store).await?;
        self.clients[client].is_free(region.as_str(), &key, token).await;
        self.note(format_args!("release {region}/{key} of {token:?}"));
        self.model.release(&region, &key, token);
        Some(())
    }

    async fn list(&mut self, client: usize, region: &RegionPath) -> Option<()> {
        let limit = self.rng.random_range(0..4);
        let scan = async |store: &H::Store| {
            let terms = PageTerms::new(limit).show(Show::Entries);
            pages(async |cursor| store.scan(region, terms.clone().cursor(cursor)).await).await
        };
        let items = self.answer(client, scan).await?;
        self.note(format_args!("scan {region} by {limit}"));
        let found: BTreeMap<_, _> =
            items.into_iter().map(|item| (item.key.clone(), self.seen(entry(&item)))).collect();
        let expected = self.model.list(region, self.now);
        let fresh = expected.values().filter(|entry| entry.is_fresh()).count() as u64;
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(key, entry)| (key, self.seen(Some(entry)))).collect();
        self.agree("the listing", found, expected);

        let len = self.answer(client, async |store: &H::Store| store.len(region).await).await?;
        self.agree("the number of fresh entries", len, fresh);

        let children = async |store: &H::Store| {
            pages(async |cursor| store.children(region, PageTerms::new(limit).cursor(cursor)).await)
                .await
        };
        let found: BTreeSet<_> = self.answer(client, children).await?.into_iter().collect();
        let (must, may) = self.model.children(region, self.now);
        assert!(
            must.is_subset(&found)
                && (found.is_subset(&may) || self.keeps_paths_together == Able::No),
            "the children are {found:?}, and should be {must:?} or as many as {may:?}, after {}",
            self.trace
        );
        Some(())
    }

    /// Asks for a write and drops it half-way.
    async fn drop_write(&mut self, client: usize, region: &RegionPath) -> Option<()> {
        self.answer(client, async |store: &H::Store| store.now().await).await?;
        if self.model.has_idle_timeout(region, self.now) {
            return Some(());
        }
        let ops = self.some_ops(region);
        let write = Write::new(&ops);
        let polls = self.rng.random_range(0..3);
        // It may be done later than it was begun, by a machine that is busy.
        let write_and_drop =
            async |store: &H::Store| Ok(poll_and_drop(store.write(region, write), polls));
        let is_done = self.answer(client, write_and_drop).await?;
        self.note(format_args!("write {region} {ops:?} dropped after {polls} polls"));
        if is_done {
            self.model.write(region, &ops, None, RegionTtl::Leave, self.now);
            return Some(());
        }
        // Whether it happens, and when, is not known, if it was begun at all.
        (polls == 0).then_some(())
    }
}

/// The entry that an item of a listing shows.
fn entry(item: &ScanItem) -> Option<Entry> {
    Some(Entry::new(item.bytes.clone()?, item.freshness))
}

/// All the items of a listing.
async fn pages<T>(
    page: impl AsyncFn(Option<crate::store::Cursor>) -> Result<crate::store::Page<T>>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let page = page(cursor).await?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(items);
        }
    }
    panic!("the listing does not end");
}
