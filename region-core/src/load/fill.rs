//! Storing what was loaded, if nothing ended meanwhile.

use bytes::Bytes;

use crate::error::Result;
use crate::handle::RegionHandle;
use crate::lineage::Lineage;
use crate::store::{Guard, LeaseToken, Op, RegionTtl, Write, Written};

/// What a load holds: the lineage it began under and the token of its leases.
pub(super) struct Fence {
    pub(super) lineage: Lineage,
    pub(super) token: LeaseToken,
}

impl Fence {
    /// Stores the encoded values under this fence, in one step if all of them may be stored. One
    /// whose key was written or removed meanwhile does not keep the others from it.
    ///
    /// Its failure is not its callers': they have their values. It is counted and logged.
    pub(super) async fn fill(&self, region: &RegionHandle, values: &[(&str, Bytes)]) {
        if values.is_empty() || self.fill_all(region, values).await {
            return;
        }
        if let [_] = values {
            return self.fenced(region, values);
        }
        for value in values {
            let value = std::slice::from_ref(value);
            if !self.fill_all(region, value).await {
                self.fenced(region, value);
            }
        }
    }

    /// Gives the leases of `keys` back: their load failed, and others need not wait for it.
    pub(super) fn release(&self, region: &RegionHandle, keys: &[&str]) {
        if !keys.is_empty() {
            region.shared().store.release(region.region_path(), keys, self.token);
        }
    }

    /// Whether the values were stored or the store failed; not if something fenced them.
    async fn fill_all(&self, region: &RegionHandle, values: &[(&str, Bytes)]) -> bool {
        let put = |&(key, ref bytes): &(_, Bytes)| {
            region.put_op(key, Bytes::clone(bytes), None).map(Op::Put)
        };
        let keys: Vec<_> = values.iter().map(|(key, _)| *key).collect();
        let written = match values.iter().map(put).collect::<Result<Vec<_>>>() {
            Ok(ops) => {
                self.write(region, &ops, &keys, region.resolved().region_ttl_on_write()).await
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(Written::Applied(_)) => region.shared().counters.fills.add(values.len()),
            Ok(Written::Fenced) => return false,
            Err(error) => {
                region.shared().counters.store_failures.add(1);
                tracing::warn!(region = %region.region_path(), %error, "a load was not stored");
            }
        }
        true
    }

    fn fenced(&self, region: &RegionHandle, values: &[(&str, Bytes)]) {
        region.shared().counters.fenced_fills.add(values.len());
        tracing::debug!(
            region = %region.region_path(), key = values.first().map(|(key, _)| key),
            "a load was not stored: what it was loaded under has ended"
        );
    }

    async fn write(
        &self,
        region: &RegionHandle,
        ops: &[Op<'_>],
        keys: &[&str],
        region_ttl: RegionTtl,
    ) -> Result<Written> {
        let guard = Guard::new(&self.lineage, keys, self.token);
        let write = Write::new(ops).guard(guard).region_ttl(region_ttl);
        region.shared().store.write(region.region_path(), write).await
    }
}
