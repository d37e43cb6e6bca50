//! Own changes and loads, and what they leave in the near cache.

use std::sync::Arc;

use tokio::time::Instant;

use super::evidence::Asked;
use super::known::{Marks, Shown, Sources};
use super::values::{Held, Label, NearEntry, NearTimes};
use super::{Covers, NearHandle, OwnChange};
use crate::engine::Context;
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;
use crate::store::{
    Applied, Begun, ChangeRing, Ended, Op, OpOutcome, Put, RegionTtl, Source, Trust, Write,
};

/// A call whose answer will be learned from: the marks before it was sent, and when it was.
pub(in crate::engine) struct Sent {
    under: Marks,
    at: Instant,
    asked: Option<Asked>,
}

impl Context {
    /// Says if answers are kept.
    pub(in crate::engine) fn trust(&self) -> Trust {
        if self.near.is_some() { Trust::Kept } else { Trust::NotKept }
    }

    /// Begins an own change, before it is sent: nothing that it covers is trusted until it is dropped.
    #[inline]
    pub(in crate::engine) fn own_change(&self, covers: Covers) -> OwnChange<'_> {
        OwnChange::begin(&self.engine.near, covers, self.record())
    }

    /// Returns the time at which a write is sent, if its answer is learned from.
    pub(in crate::engine) fn write_sent(&self) -> Option<Instant> {
        self.near.as_ref().map(|_| Instant::now())
    }

    /// Learns from the answer of an own write, and keeps what it has put.
    pub(in crate::engine) fn learn_write(
        &self,
        change: &OwnChange<'_>,
        write: Write<'_>,
        applied: &Applied,
        sent: Instant,
    ) {
        let Some(near) = &self.near else { return };
        let answer = (applied.lineage.as_ref(), applied.changes.as_ref(), applied.source);
        let label = self.shown(answer).and_then(|shown| {
            change.learn(&shown);
            near.label(&shown, sent)
        });
        let left = applied.region_ttl_left;
        for (op, outcome) in write.ops.iter().zip(&applied.outcomes) {
            match (op, outcome, &label) {
                (Op::Put(put), OpOutcome::Stored, Some(label)) => {
                    self.keep_put(near, put, lifetime(put, write.region_ttl, left), label);
                }
                (_, OpOutcome::Exists(_), _) => {}
                // A put earlier in the same write has the same change.
                _ => self.drop_bytes(near, op.key()),
            }
        }
    }

    /// Learns from the answer of an own verb.
    #[inline]
    pub(in crate::engine) fn learn_end(&self, change: &OwnChange<'_>, ended: &Ended) {
        if self.near.is_some() {
            let answer = (ended.lineage.as_ref(), ended.changes.as_ref(), ended.source);
            self.shown(answer).map(|shown| change.learn(&shown));
        }
    }

    /// Notes that a load is about to ask the store.
    pub(in crate::engine) fn begin_sent(&self) -> Option<Sent> {
        let near = self.near.as_ref()?;
        let asked = near.region.asked();
        Some(Sent { under: near.region.marks(), at: Instant::now(), asked })
    }

    /// Learns from the answer to a load's question, and keeps the entries that it shows.
    pub(in crate::engine) fn learn_begun(&self, keys: &[&str], begun: &Begun, sent: &Sent) {
        let Some(near) = &self.near else { return };
        let answer = (Some(&begun.lineage), begun.changes.as_ref(), begun.source);
        let Some(shown) = self.shown(answer) else { return };
        near.region.learn(&shown, sent.under);
        if let Some(asked) = sent.asked {
            near.region.witness(asked, Some(&shown), None);
        }
        let Some(label) = near.label(&shown, sent.at) else { return };
        for (key, begun) in keys.iter().zip(&begun.keys) {
            if let Some(entry) = &begun.entry {
                self.keep_bytes(near, key, entry, &label);
            }
        }
    }

    fn shown(
        &self,
        (lineage, ring, source): (Option<&Lineage>, Option<&ChangeRing>, Option<Source>),
    ) -> Option<Shown> {
        let source = source.filter(|_| self.engine.near.is_listening());
        let sources = source.map(|source| Sources { lineage: source, ring: source });
        Some(Shown { lineage: Arc::new(lineage?.clone()), ring: ring.cloned(), sources })
    }

    fn keep_put(
        &self,
        near: &NearHandle,
        put: &Put<'_>,
        lifetime: Option<Lifetime>,
        label: &Label,
    ) {
        let Some(values) = self.engine.near.values() else { return };
        let Some(lifetime) = lifetime else {
            return values.remove(near.encoded(), put.key);
        };
        let (value, size) = (Held::encoded(put.bytes.clone()), put.key.len() + put.bytes.len());
        let times = NearTimes::until(label.end_of(lifetime.duration()));
        let entry = NearEntry::new(value, label, times, size);
        values.insert(&near.region, near.encoded(), put.key, entry);
    }

    fn drop_bytes(&self, near: &NearHandle, key: &str) {
        if let Some(values) = self.engine.near.values() {
            values.remove(near.encoded(), key);
        }
    }
}

/// The time for which what is put is fresh, `None` if it is not known. `left` is what is left of the
/// region's TTL.
fn lifetime(put: &Put<'_>, region_ttl: RegionTtl, left: Option<Lifetime>) -> Option<Lifetime> {
    let region = match region_ttl {
        RegionTtl::Restart(ttl) => Lifetime::of(ttl).ok()?,
        RegionTtl::Leave | RegionTtl::Start(_) => left?,
    };
    Some(put.fresh_for.shorter(region))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_put_is_kept_no_longer_than_the_region() {
        let limited = |secs| Lifetime::of(Duration::from_secs(secs)).unwrap();
        let (short, long, unlimited) = (limited(1), limited(9), Lifetime::Unlimited);
        let restart = |secs| RegionTtl::Restart(Duration::from_secs(secs));
        let start = RegionTtl::Start(Duration::from_secs(9));
        let table = [
            (unlimited, RegionTtl::Leave, Some(unlimited), Some(unlimited)),
            (long, RegionTtl::Leave, Some(unlimited), Some(long)),
            (long, RegionTtl::Leave, Some(short), Some(short)),
            (unlimited, RegionTtl::Leave, Some(short), Some(short)),
            (long, RegionTtl::Leave, None, None),
            (unlimited, restart(1), None, Some(short)),
            (long, restart(1), Some(long), Some(short)),
            (short, restart(9), None, Some(short)),
            (unlimited, start, Some(short), Some(short)),
            (short, start, Some(long), Some(short)),
            (short, start, None, None),
        ];
        for (own, region_ttl, left, kept) in table {
            let put = Put::new("k", "v").fresh_for(own);
            assert_eq!(lifetime(&put, region_ttl, left), kept, "{own} {region_ttl:?} {left:?}");
        }
    }
}
