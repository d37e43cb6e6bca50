//! Changes that their caller has given up, and that are executed later.

use bytes::Bytes;
use region_core::{
    EndTerms, Guard, LeaseToken, Lifetime, Lineage, Op, Put, RegionPath, RegionTtl, When, Write,
};
use std::time::Duration;

/// A change that owns what it needs.
pub(super) enum LateCall {
    End(RegionPath, EndTerms),
    Write(Box<OwnedWrite>),
}

pub(super) struct OwnedWrite {
    pub(super) region: RegionPath,
    ops: Vec<OwnedOp>,
    guard: Option<(Lineage, Vec<String>, LeaseToken)>,
    region_ttl: RegionTtl,
}

enum OwnedOp {
    Put { key: String, bytes: Bytes, when: When, fresh_for: Lifetime, stale_for: Duration },
    Remove(String),
    Take(String),
}

impl OwnedOp {
    fn borrowed(&self) -> Op<'_> {
        match self {
            Self::Put { key, bytes, when, fresh_for, stale_for } => {
                let put = Put::new(key, bytes.clone()).when(when.clone());
                Op::Put(put.fresh_for(*fresh_for).stale_for(*stale_for))
            }
            Self::Remove(key) => Op::Remove { key },
            Self::Take(key) => Op::Take { key },
        }
    }
}

impl OwnedWrite {
    pub(super) fn new(region: &RegionPath, write: &Write<'_>) -> Self {
        let guard = write.guard.map(|guard| {
            let keys = guard.keys.iter().map(|&key| key.to_owned()).collect();
            (guard.lineage.clone(), keys, guard.token)
        });
        let op = |op: &Op<'_>| match op {
            Op::Put(put) => OwnedOp::Put {
                key: put.key.to_owned(),
                bytes: put.bytes.clone(),
                when: put.when.clone(),
                fresh_for: put.fresh_for,
                stale_for: put.stale_for,
            },
            Op::Remove { key } => OwnedOp::Remove((*key).to_owned()),
            Op::Take { key } => OwnedOp::Take((*key).to_owned()),
        };
        Self {
            region: region.clone(),
            ops: write.ops.iter().map(op).collect(),
            guard,
            region_ttl: write.region_ttl,
        }
    }

    /// Removes these keys.
    pub(super) fn removing<'k>(region: &RegionPath, keys: impl Iterator<Item = &'k str>) -> Self {
        let ops = keys.map(|key| OwnedOp::Remove(key.to_owned())).collect();
        Self { region: region.clone(), ops, guard: None, region_ttl: RegionTtl::Leave }
    }

    /// Calls `with` with the write.
    pub(super) fn with<T>(&self, with: impl FnOnce(Write<'_>) -> T) -> T {
        let ops: Vec<Op<'_>> = self.ops.iter().map(OwnedOp::borrowed).collect();
        let keys: Vec<&str> =
            self.guard.iter().flat_map(|(_, keys, _)| keys.iter().map(String::as_str)).collect();
        let mut write = Write::new(&ops).region_ttl(self.region_ttl);
        if let Some((lineage, _, token)) = &self.guard {
            write = write.guard(Guard::new(lineage, &keys, *token));
        }
        with(write)
    }
}
