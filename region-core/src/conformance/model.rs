//! A model of a store, as plain as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rand::seq::IteratorRandom;

use crate::clock::Timestamp;
use crate::lifetime::Lifetime;
use crate::path::{RegionPath, Segment};
use crate::store::{
    BegunKey, Entry, Freshness, Lease, LeaseTerms, LeaseToken, Op, OpOutcome, Put, RegionTtl,
    TakeLease, Verb, When,
};

type Place = (RegionPath, String);

/// A store without incarnations: a verb visits everything that it covers, which is exactly what real
/// stores must not need to do, and so cannot share a mistake with them.
#[derive(Debug, Default)]
pub(super) struct Model {
    entries: BTreeMap<Place, Kept>,
    leases: BTreeMap<Place, (LeaseToken, Timestamp)>,
    timeouts: BTreeMap<RegionPath, Timestamp>,
    children: BTreeMap<RegionPath, BTreeSet<Segment>>,
    ends: Vec<(RegionPath, Verb)>,
}

#[derive(Debug)]
struct Kept {
    bytes: Bytes,
    fresh_until: Option<Timestamp>,
    stale_for: Duration,
}

/// The contents of a guard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence<'a> {
    pub(super) keys: &'a [&'a str],
    pub(super) token: LeaseToken,
    /// The answer of [`Model::ends`] when the load began.
    pub(super) ends: usize,
}

fn place(region: &RegionPath, key: &str) -> Place {
    (region.clone(), key.to_owned())
}

impl Model {
    /// The number of verbs so far, which a load remembers.
    pub(super) fn ends(&self) -> usize {
        self.ends.len()
    }

    /// Returns true if the lineage of `region` has changed since [`ends`](Self::ends) answered `ends`: then
    /// what is loaded under it is fenced, whatever token holds the lease.
    pub(super) fn ended_since(&self, region: &RegionPath, ends: usize) -> bool {
        self.ends[ends..]
            .iter()
            .any(|(ended, verb)| verb.changes_lineage() && region.is_within(ended))
    }

    pub(super) fn entry(&self, region: &RegionPath, key: &str, now: Timestamp) -> Option<Entry> {
        let kept = self.entries.get(&place(region, key))?;
        let region_left = Lifetime::left(self.timeouts.get(region).copied(), now)?;
        let freshness = match Lifetime::left(kept.fresh_until, now) {
            Some(left) => Freshness::Fresh { left: shorter(left, region_left) },
            None => {
                let gone_at = kept.gone_at();
                Freshness::Stale { left: shorter(Lifetime::left(gone_at, now)?, region_left) }
            }
        };
        Some(Entry { bytes: kept.bytes.clone(), freshness })
    }

    /// The valid entries of a region.
    pub(super) fn list(&self, region: &RegionPath, now: Timestamp) -> BTreeMap<String, Entry> {
        let keys = self.entries.keys().filter(|(of, _)| of == region);
        let entry = |(_, key): &Place| Some((key.clone(), self.entry(region, key, now)?));
        keys.filter_map(entry).collect()
    }

    /// The children that must be listed, and those that may be.
    pub(super) fn children(
        &self,
        region: &RegionPath,
        now: Timestamp,
    ) -> (BTreeSet<Segment>, BTreeSet<Segment>) {
        let may = self.children.get(region).cloned().unwrap_or_default();
        let holds = |child: &Segment| {
            let Ok(child) = region.join(child) else { return false };
            let below = self.entries.keys().filter(|(of, _)| of.is_within(&child));
            below.into_iter().any(|(of, key)| self.entry(of, key, now).is_some())
        };
        (may.iter().filter(|child| holds(child)).cloned().collect(), may)
    }

    pub(super) fn begin(
        &mut self,
        region: &RegionPath,
        key: &str,
        terms: LeaseTerms,
        now: Timestamp,
    ) -> BegunKey {
        let entry = self.entry(region, key, now);
        let is_fresh = entry.as_ref().is_some_and(Entry::is_fresh);
        let lease = match self.holder(region, key, now) {
            Some((by, _)) if by == terms.token => Lease::Granted,
            _ if is_fresh && terms.take == TakeLease::UnlessFresh => Lease::NotTaken,
            Some((by, until)) => Lease::Held { by, left: until.since(now) },
            None if terms.take == TakeLease::Extend => Lease::NotTaken,
            None => Lease::Granted,
        };
        if lease == Lease::Granted {
            let until = now.saturating_add(terms.duration);
            self.leases.insert(place(region, key), (terms.token, until));
        }
        BegunKey::new(entry, lease)
    }

    fn holder(
        &self,
        region: &RegionPath,
        key: &str,
        now: Timestamp,
    ) -> Option<(LeaseToken, Timestamp)> {
        self.leases.get(&place(region, key)).copied().filter(|(_, until)| *until > now)
    }

    /// One of the leases that are held.
    pub(super) fn some_lease(
        &self,
        now: Timestamp,
        rng: &mut impl rand::Rng,
    ) -> Option<(RegionPath, String, LeaseToken)> {
        let held = self.leases.iter().filter(|(_, (_, until))| *until > now);
        let ((region, key), (token, _)) = held.choose(rng)?;
        Some((region.clone(), key.clone(), *token))
    }

    /// Gives back the lease of `key`, if `token` holds it.
    pub(super) fn release(&mut self, region: &RegionPath, key: &str, token: LeaseToken) {
        let place = place(region, key);
        if self.leases.get(&place).is_some_and(|(holder, _)| *holder == token) {
            self.leases.remove(&place);
        }
    }

    /// Applies a write; `None` if it is fenced.
    pub(super) fn write(
        &mut self,
        region: &RegionPath,
        ops: &[Op<'_>],
        fence: Option<Fence<'_>>,
        region_ttl: RegionTtl,
        now: Timestamp,
    ) -> Option<Vec<OpOutcome>> {
        if fence.is_some_and(|fence| !self.holds(region, fence, now)) {
            return None;
        }
        if self.timeouts.get(region).is_some_and(|end| *end <= now) {
            self.clear(region);
        }
        let outcomes = ops.iter().map(|op| self.apply(region, op, now)).collect();
        match region_ttl {
            RegionTtl::Leave => {}
            RegionTtl::Start(after) => {
                self.timeouts.entry(region.clone()).or_insert(now.saturating_add(after));
            }
            RegionTtl::Restart(after) => {
                self.timeouts.insert(region.clone(), now.saturating_add(after));
            }
        }
        Some(outcomes)
    }

    fn holds(&self, region: &RegionPath, fence: Fence<'_>, now: Timestamp) -> bool {
        !self.ended_since(region, fence.ends)
            && fence.keys.iter().all(|key| {
                self.holder(region, key, now).is_some_and(|(holder, _)| holder == fence.token)
            })
    }

    fn apply(&mut self, region: &RegionPath, op: &Op<'_>, now: Timestamp) -> OpOutcome {
        let place = place(region, op.key());
        let valid = self.entry(region, op.key(), now);
        let fresh = valid.clone().filter(Entry::is_fresh);
        if let (Op::Put(put), Some(fresh)) = (op, &fresh)
            && stands_in_the_way(put, fresh)
        {
            return OpOutcome::Exists(fresh.clone());
        }
        self.leases.remove(&place);
        match op {
            Op::Put(put) => {
                let kept = Kept {
                    bytes: put.bytes.clone(),
                    fresh_until: put.fresh_for.end(now),
                    stale_for: put.stale_for,
                };
                self.entries.insert(place, kept);
                self.register(region);
                OpOutcome::Stored
            }
            Op::Remove { .. } => {
                self.entries.remove(&place);
                OpOutcome::Removed(fresh.is_some())
            }
            Op::Take { .. } => {
                self.entries.remove(&place);
                OpOutcome::Taken(valid)
            }
        }
    }

    fn register(&mut self, region: &RegionPath) {
        let mut child = region.clone();
        while let Some(parent) = child.parent() {
            self.children.entry(parent.clone()).or_default().insert(child.last());
            child = parent;
        }
    }

    pub(super) fn end(&mut self, region: &RegionPath, verb: Verb, now: Timestamp) {
        self.leases.retain(|(of, _), _| !verb.covers(region, of));
        match verb {
            Verb::Expire => {
                let covered = self.entries.iter_mut().filter(|((of, _), _)| of.is_within(region));
                for (_, kept) in covered {
                    kept.fresh_until = Some(kept.fresh_until.map_or(now, |until| until.min(now)));
                }
            }
            Verb::Invalidate | Verb::Touch | Verb::InvalidateAndTouch => {
                self.entries.retain(|(of, _), _| !verb.covers(region, of));
                self.timeouts.retain(|of, _| !verb.covers(region, of));
            }
        }
        if matches!(verb, Verb::Invalidate | Verb::InvalidateAndTouch) {
            self.children.retain(|of, _| !of.is_within(region));
        }
        self.ends.push((region.clone(), verb));
    }

    /// Returns whether a timeout runs though no entry is left for it to end: the contract does not say how
    /// long a store remembers that.
    pub(super) fn has_idle_timeout(&self, region: &RegionPath, now: Timestamp) -> bool {
        self.timeouts.contains_key(region) && self.list(region, now).is_empty()
    }

    /// Returns whether anything ends by itself after `from` and not after `to`.
    pub(super) fn ends_within(&self, from: Timestamp, to: Timestamp) -> bool {
        let entries = self.entries.values();
        let mut ends = entries
            .flat_map(|kept| [kept.fresh_until, kept.gone_at()])
            .flatten()
            .chain(self.timeouts.values().copied())
            .chain(self.leases.values().map(|(_, until)| *until));
        ends.any(|end| from < end && end <= to)
    }

    fn clear(&mut self, region: &RegionPath) {
        self.entries.retain(|(of, _), _| of != region);
        self.timeouts.remove(region);
    }
}

impl Kept {
    fn gone_at(&self) -> Option<Timestamp> {
        self.fresh_until.map(|until| until.saturating_add(self.stale_for))
    }
}

fn stands_in_the_way(put: &Put<'_>, fresh: &Entry) -> bool {
    match &put.when {
        When::Always => false,
        When::Absent => true,
        When::AbsentOrHolding(bytes) => *bytes != fresh.bytes,
    }
}

fn shorter(a: Lifetime, b: Lifetime) -> Lifetime {
    match (a.duration(), b.duration()) {
        (Some(left), Some(right)) if right < left => b,
        (None, Some(_)) => b,
        _ => a,
    }
}
