//! What a store still holds of a life that has ended: who assumes that life is shown it.
//!
//! A server that is asked for entries alone, under a lineage that the caller trusts, does not look if a region
//! around has ended meanwhile. The memory store always looks; so what was put is remembered here, as a
//! server keeps it: until the region's own entries are dropped, or put to under another life.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use region_core::{
    ChangeRing, Entry, Freshness, Lifetime, Lineage, Op, OpOutcome, Read, RegionPath, RegionTtl,
    Verb, Write,
};
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Ghosts(Mutex<BTreeMap<RegionPath, Ghost>>);

/// The entries of a region, as the last write has left them.
struct Ghost {
    life: Lineage,
    changes: Option<ChangeRing>,
    deadline: Option<Instant>,
    entries: BTreeMap<String, Put>,
}

struct Put {
    bytes: Bytes,
    under: Lineage,
    at: Instant,
    fresh_for: Option<Duration>,
    stale_for: Duration,
}

impl Ghosts {
    /// Remembers a write that was applied, and left the region with this lineage and these changes.
    pub(super) fn written(
        &self,
        region: &RegionPath,
        write: &Write<'_>,
        done: &[OpOutcome],
        (lineage, changes): (Lineage, Option<ChangeRing>),
    ) {
        let mut ghosts = self.0.lock();
        let (at, now) = (Instant::now(), lineage.clone());
        let new = || Ghost { life: now, changes: None, deadline: None, entries: BTreeMap::new() };
        let ghost = ghosts.entry(region.clone()).or_insert_with(new);
        let is_over = ghost.deadline.is_some_and(|deadline| deadline <= at);
        if is_over || !ghost.life.same_life(&lineage) {
            (ghost.deadline, ghost.entries) = (None, BTreeMap::new());
        }
        match write.region_ttl {
            RegionTtl::Restart(ttl) => ghost.deadline = Some(at + ttl),
            RegionTtl::Start(ttl) => ghost.deadline = ghost.deadline.or(Some(at + ttl)),
            RegionTtl::Leave => {}
        }
        for (op, outcome) in write.ops.iter().zip(done) {
            match (op, outcome) {
                (Op::Put(put), OpOutcome::Stored) => {
                    let (bytes, under, stale_for) =
                        (put.bytes.clone(), lineage.clone(), put.stale_for);
                    let fresh_for = put.fresh_for.duration();
                    let new = Put { bytes, under, at, fresh_for, stale_for };
                    ghost.entries.insert(put.key.to_owned(), new);
                }
                (Op::Put(_), _) => {}
                (Op::Remove { key } | Op::Take { key }, _) => drop(ghost.entries.remove(*key)),
            }
        }
        (ghost.life, ghost.changes) = (lineage, changes);
    }

    /// Forgets the entries that a verb drops; those of the regions below are only out of reach.
    pub(super) fn ended(&self, region: &RegionPath, verb: Verb) {
        let mut ghosts = self.0.lock();
        match verb {
            Verb::Expire => {}
            Verb::Invalidate => drop(ghosts.remove(region)),
            Verb::Touch | Verb::InvalidateAndTouch => {
                ghosts.retain(|path, _| !region.is_within(path))
            }
        }
    }

    pub(super) fn lost(&self, region: &RegionPath) {
        self.0.lock().remove(region);
    }

    pub(super) fn flushed(&self) {
        self.0.lock().clear();
    }

    /// The answer to a caller that assumes a lineage which has ended.
    pub(super) fn read(&self, region: &RegionPath, keys: &[&str], assumed: &Lineage) -> Read {
        let ghosts = self.0.lock();
        let now = Instant::now();
        let alive = |ghost: &&Ghost| {
            ghost.life.same_life(assumed) && ghost.deadline.is_none_or(|deadline| now < deadline)
        };
        let Some(ghost) = ghosts.get(region).filter(alive) else {
            return Read::nothing(keys.len()).lineage(Some(assumed.clone()));
        };
        let entry = |key: &&str| {
            let put = ghost.entries.get(*key)?;
            let freshness = put.freshness(assumed, now, ghost.deadline)?;
            Some(Entry::new(put.bytes.clone(), freshness))
        };
        let entries = keys.iter().map(entry).collect();
        Read::new(entries).lineage(Some(assumed.clone())).changes(ghost.changes.clone())
    }
}

impl Put {
    /// As under `assumed`; `None`: it is over, or was expired at a time that is not known here.
    fn freshness(
        &self,
        assumed: &Lineage,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Option<Freshness> {
        if self.under.soft_mark() != assumed.soft_mark() {
            return None;
        }
        let left = |end: Option<Instant>| {
            let ends = end.into_iter().chain(deadline);
            match ends.map(|end| end.saturating_duration_since(now)).min() {
                None => Some(Lifetime::Unlimited),
                Some(left) => Lifetime::of(left).ok(),
            }
        };
        let fresh_until = self.fresh_for.map(|fresh_for| self.at + fresh_for);
        let fresh = left(fresh_until).map(|left| Freshness::Fresh { left });
        fresh.or_else(|| {
            let stale_until = fresh_until.map(|until| until + self.stale_for);
            left(stale_until).map(|left| Freshness::Stale { left })
        })
    }
}
