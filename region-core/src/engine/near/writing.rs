//! What own changes and loads leave in the near cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::known::{Marks, Shown, Sources};
use super::values::{Held, Label, NearEntry};
use super::{Covers, NearHandle, OwnChange};
use crate::engine::Context;
use crate::lineage::Lineage;
use crate::store::{
    Applied, Begun, ChangeRing, Ended, Op, OpOutcome, Put, RegionTtl, Source, Trust, Write,
};

/// A call whose answer will be learned from: the marks before it was sent, and when it was.
pub(in crate::engine) struct Sent {
    under: Marks,
    at: Instant,
}

impl Context {
    /// Says if answers are kept.
    pub(in crate::engine) fn trust(&self) -> Trust {
        if self.near.is_some() { Trust::Kept } else { Trust::NotKept }
    }

    /// Begins an own change, before it is sent: nothing that it covers is trusted until it is dropped.
    pub(in crate::engine) fn own_change(&self, covers: Covers) -> OwnChange<'_> {
        OwnChange::begin(&self.engine.near, covers, || self.record().cloned())
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
        for (op, outcome) in write.ops.iter().zip(&applied.outcomes) {
            match (op, outcome, &label) {
                (Op::Put(put), OpOutcome::Stored, Some(label)) => {
                    self.keep_put(near, put, write.region_ttl, label);
                }
                (_, OpOutcome::Exists(_), _) => {}
                // A put earlier in the same write has the same change.
                _ => self.drop_bytes(near, op.key()),
            }
        }
    }

    /// Learns from the answer of an own verb.
    pub(in crate::engine) fn learn_end(&self, change: &OwnChange<'_>, ended: &Ended) {
        let answer = (ended.lineage.as_ref(), ended.changes.as_ref(), ended.source);
        if let Some(shown) = self.near.as_ref().and_then(|_| self.shown(answer)) {
            change.learn(&shown);
        }
    }

    /// Notes that a load is about to ask the store.
    pub(in crate::engine) fn begin_sent(&self) -> Option<Sent> {
        let near = self.near.as_ref()?;
        Some(Sent { under: near.region.marks(), at: Instant::now() })
    }

    /// Learns from the answer to a load's question, and keeps the entries that it shows.
    pub(in crate::engine) fn learn_begun(&self, keys: &[&str], begun: &Begun, sent: &Sent) {
        let Some(near) = &self.near else { return };
        let answer = (Some(&begun.lineage), begun.changes.as_ref(), begun.source);
        let Some(shown) = self.shown(answer) else { return };
        near.region.learn(&shown, sent.under);
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

    fn keep_put(&self, near: &NearHandle, put: &Put<'_>, region_ttl: RegionTtl, label: &Label) {
        let Some(values) = self.engine.near.values() else { return };
        let Some(lifetime) = lifetime(put, region_ttl) else {
            return values.remove(near.encoded(), put.key);
        };
        let (value, size) = (Held::Encoded(put.bytes.clone()), put.key.len() + put.bytes.len());
        let entry = NearEntry::new(value, label, label.end_of(lifetime), size);
        values.insert(near.encoded(), put.key, entry);
    }

    fn drop_bytes(&self, near: &NearHandle, key: &str) {
        if let Some(values) = self.engine.near.values() {
            values.remove(near.encoded(), key);
        }
    }
}

/// The time for which what is put is fresh; `None` within if it is unlimited, `None` if it is not
/// known: the region's TTL may have begun earlier.
fn lifetime(put: &Put<'_>, region_ttl: RegionTtl) -> Option<Option<Duration>> {
    let own = put.fresh_for.duration();
    match region_ttl {
        RegionTtl::Leave => Some(own),
        RegionTtl::Restart(ttl) => Some(Some(own.map_or(ttl, |own| own.min(ttl)))),
        RegionTtl::Start(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifetime::Lifetime;

    #[test]
    fn a_put_is_kept_no_longer_than_the_region() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        let put = |own| Put::new("k", "v").fresh_for(own);
        let limited = |own| put(Lifetime::of(own).unwrap());
        let table = [
            (put(Lifetime::Unlimited), RegionTtl::Leave, Some(None)),
            (limited(long), RegionTtl::Leave, Some(Some(long))),
            (put(Lifetime::Unlimited), RegionTtl::Restart(short), Some(Some(short))),
            (limited(long), RegionTtl::Restart(short), Some(Some(short))),
            (limited(short), RegionTtl::Restart(long), Some(Some(short))),
            (limited(short), RegionTtl::Start(long), None),
        ];
        for (put, region_ttl, kept) in table {
            assert_eq!(lifetime(&put, region_ttl), kept, "{put:?} {region_ttl:?}");
        }
    }
}
