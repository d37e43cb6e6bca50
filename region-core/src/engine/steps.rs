//! Reads and `begin`s of many keys, in steps of bounded size: no step keeps a server busy for long.

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::Engine;
use crate::error::Result;
use crate::path::RegionPath;
use crate::region::MAX_STEP_KEYS;
use crate::store::{Begun, LeaseTerms, Leftover, Read, ReadTerms, Trust};

impl Engine {
    /// Reads `keys`, in as many steps as it takes. They share one limit.
    ///
    /// The answer tells of the region what its first step has shown. If the region has ended in between,
    /// only what was read after that is in it: nobody sees one half of an `invalidate`.
    pub(super) fn read_steps<'a>(
        &'a self,
        path: &'a RegionPath,
        keys: &'a [&'a str],
        terms: ReadTerms<'a>,
    ) -> BoxFuture<'a, Result<Read>> {
        // The store's own future, where it is enough: another around it would cost each small read.
        if keys.len() <= MAX_STEP_KEYS {
            self.store.read(path, keys, terms)
        } else {
            Box::pin(self.read_many(path, keys, terms))
        }
    }

    async fn read_many(
        &self,
        path: &RegionPath,
        keys: &[&str],
        terms: ReadTerms<'_>,
    ) -> Result<Read> {
        // The steps are compared by their lineage, which a store may leave out for others.
        let terms = terms.trust(Trust::Kept).started(terms.started.unwrap_or_else(Instant::now));
        let mut steps = Vec::with_capacity(keys.len().div_ceil(MAX_STEP_KEYS));
        for step in keys.chunks(MAX_STEP_KEYS) {
            steps.push(self.store.read(path, step, terms).await?);
        }
        Ok(join_reads(steps))
    }

    /// Begins a load of `keys`, in as many steps as it takes. They share one limit.
    ///
    /// The answer tells of the region what its first step has shown: values loaded under an earlier lineage
    /// than the present one are not stored, which is safe.
    pub(super) fn begin_steps<'a>(
        &'a self,
        path: &'a RegionPath,
        keys: &'a [&'a str],
        terms: LeaseTerms,
    ) -> BoxFuture<'a, Result<Begun>> {
        if keys.len() <= MAX_STEP_KEYS {
            self.store.begin(path, keys, terms)
        } else {
            Box::pin(self.begin_many(path, keys, terms))
        }
    }

    async fn begin_many(
        &self,
        path: &RegionPath,
        keys: &[&str],
        terms: LeaseTerms,
    ) -> Result<Begun> {
        let (step, rest) = keys.split_at(MAX_STEP_KEYS);
        let terms = terms.started(terms.started.unwrap_or_else(Instant::now));
        let mut begun = self.store.begin(path, step, terms).await?;
        begun.keys.reserve(rest.len());
        for step in rest.chunks(MAX_STEP_KEYS) {
            begun.keys.extend(self.store.begin(path, step, terms).await?.keys);
        }
        Ok(begun)
    }
}

fn join_reads(steps: Vec<Read>) -> Read {
    let now = steps.last().and_then(|step| step.lineage.clone());
    let mut joined = Read::new(Vec::new());
    let is_one = steps.iter().all(|step| step.lineage == now);
    if let Some(first) = steps.first().filter(|_| is_one) {
        joined = joined.lineage(now.clone()).changes(first.changes.clone()).source(first.source);
    }
    for step in steps {
        let before = joined.entries.len();
        joined.leftovers.extend(step.leftovers.iter().map(|(at, it)| (before + at, *it)));
        if step.lineage == now {
            joined.entries.extend(step.entries);
        } else {
            let ended = step.entries.iter().enumerate().filter(|(_, entry)| entry.is_some());
            joined.leftovers.extend(ended.map(|(at, _)| (before + at, Leftover::Fenced)));
            joined.leftovers.sort_unstable_by_key(|(at, _)| *at);
            joined.entries.resize(joined.entries.len() + step.entries.len(), None);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::lifetime::Lifetime;
    use crate::lineage::{Incarnations, Lineage};
    use crate::stats::MissReason;
    use crate::store::{Change, ChangeId, ChangeRing, ChangedKey, Entry, Freshness, Source};

    fn ring(id: u32) -> ChangeRing {
        let change = Change::new(ChangeId::from_bits(id), ChangedKey::All);
        ChangeRing::from_changes([change]).unwrap()
    }

    fn step(lineage: &Lineage, id: u32, source: Source) -> Read {
        let fresh = Freshness::Fresh { left: Lifetime::Unlimited };
        let entry = Some(Entry::new(Bytes::from_static(b"v"), fresh));
        let read = Read::new(vec![entry, None]).lineage(Some(lineage.clone()));
        read.changes(Some(ring(id))).source(Some(source))
    }

    #[test]
    fn steps_under_one_lineage_are_one_answer_as_of_the_first() {
        let lineage = Lineage::new([Incarnations::random()]).unwrap();
        let (first, second) = (Source::unique(), Source::unique());
        let read = join_reads(vec![step(&lineage, 1, first), step(&lineage, 2, second)]);
        let are_there: Vec<_> = read.entries.iter().map(Option::is_some).collect();
        assert_eq!(are_there, [true, false, true, false]);
        assert_eq!((read.lineage, read.source), (Some(lineage), Some(first)));
        assert_eq!(read.changes, Some(ring(1)));
    }

    #[test]
    fn what_was_read_before_the_region_ended_is_left_out_and_nothing_is_trusted() {
        let lineage = || Lineage::new([Incarnations::random()]).unwrap();
        let (before, after, source) = (lineage(), lineage(), Source::unique());
        let read = join_reads(vec![step(&before, 1, source), step(&after, 2, source)]);
        let are_there: Vec<_> = read.entries.iter().map(Option::is_some).collect();
        assert_eq!(are_there, [false, false, true, false]);
        assert_eq!((read.lineage, read.changes, read.source), (None, None, None));
        // It has ended, and nobody has written since.
        let gone = Read::nothing(2);
        let read = join_reads(vec![step(&before, 1, source), gone]);
        assert!(read.entries.iter().all(Option::is_none));
    }

    #[test]
    fn each_missing_entry_keeps_its_reason() {
        let lineage = || Lineage::new([Incarnations::random()]).unwrap();
        let (before, after, source) = (lineage(), lineage(), Source::unique());
        let step = |lineage, leftovers| step(lineage, 1, source).leftovers(leftovers);
        let expired = || vec![(1, Leftover::Expired)];
        let read = join_reads(vec![step(&after, vec![]), step(&after, expired())]);
        let reasons = |read: &Read| [0, 1, 2, 3].map(|at| read.miss_reason(at));
        let (absent, gone) = (MissReason::Absent, MissReason::Expired);
        assert_eq!(reasons(&read), [absent, absent, absent, gone]);
        // What the step has shown, the region's end has fenced.
        let read = join_reads(vec![step(&before, expired()), step(&after, expired())]);
        assert_eq!(reasons(&read), [MissReason::Fenced, gone, absent, gone]);
    }
}
