//! Reading and writing single entries and batches.

use std::sync::Arc;

use super::RegionHandle;
use super::steps::check_transaction;
use crate::engine::{Accept, Fetched, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::path::check_key;
use crate::region::{Batch, EncodedWrite, SetOptions};
use crate::stats::MissReason;
use crate::store::{Entry, Op, OpOutcome, When, Write, Written};
use crate::value::codec::Decoded;
use crate::value::serializer::Value;

/// The number of attempts of `set_if_absent` while others keep writing entries of other types to the key.
const ABSENT_ATTEMPTS: usize = 16;

impl RegionHandle {
    pub(super) async fn has_fresh(&self, key: &str) -> Result<bool> {
        check_key(key)?;
        if let Some(is_there) = self.context.near_contains(key) {
            return Ok(is_there);
        }
        let mut started = Started::default();
        let Fetched::Read(mut read, _) = self.context.fetch(&[key], &mut started).await? else {
            return Ok(false);
        };
        let fresh = read.entries.pop().flatten().filter(Entry::is_fresh);
        match fresh.map(|entry| self.context.codec().check(key, &entry.bytes)) {
            Some(Ok(dependencies)) => Ok(self.context.are_fresh(dependencies, started).await?.0),
            _ => Ok(false),
        }
    }

    pub(super) async fn write(&self, ops: &[Op<'_>]) -> Result<Vec<OpOutcome>> {
        self.write_within(ops, Started::default()).await
    }

    /// Writes `ops` as a part of an operation that began at `started`.
    async fn write_within(&self, ops: &[Op<'_>], started: Started) -> Result<Vec<OpOutcome>> {
        let region_ttl = self.context.policy().region_ttl_on_write();
        let write = Write { started: started.noted(), ..Write::new(ops).region_ttl(region_ttl) };
        match self.context.write(write).await {
            Ok(Written::Applied(applied)) if applied.outcomes.len() == ops.len() => {
                Ok(applied.outcomes)
            }
            Ok(_) => Err(broken_contract("an unguarded write was not applied")),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn put<V: Value>(
        &self,
        values: &[(&str, &V)],
        options: SetOptions,
    ) -> Result<()> {
        match values {
            [] => Ok(()),
            // Most calls: they need neither a list nor steps.
            [one] => self.write(&[self.put_op(*one, options)?]).await.map(drop),
            values => {
                let ops = values.iter().map(|value| self.put_op(*value, options));
                let ops = ops.collect::<Result<Vec<_>>>()?;
                self.write_in_steps(&ops).await.map(drop)
            }
        }
    }

    fn put_op<'k, V: Value>(
        &self,
        (key, value): (&'k str, &V),
        options: SetOptions,
    ) -> Result<Op<'k>> {
        check_key(key)?;
        let bytes = self.context.codec().encode(key, value)?;
        self.context.put(key, bytes, options.ttl).map(Op::Put)
    }

    pub(super) async fn put_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        check_key(key)?;
        let mut put = self.context.put(key, self.context.codec().encode(key, value)?, None)?;
        put.when = When::Absent;
        let started = Started::now();
        for _ in 0..ABSENT_ATTEMPTS {
            match self.write_within(&[Op::Put(put.clone())], started).await?.pop() {
                Some(OpOutcome::Stored) => return Ok(true),
                Some(OpOutcome::Exists(entry)) => {
                    let decoded = self.context.decode_or_miss::<V>(key, &entry);
                    if let Some(Decoded { value: Some(_), dependencies, .. }) = decoded {
                        match self.context.are_fresh(dependencies, started).await? {
                            (true, _) => return Ok(false),
                            (false, Some(outage)) => return Err(outage),
                            (false, None) => {}
                        }
                    }
                    // The entry cannot be decoded or a dependency of it has ended, so the key counts as absent.
                    // Another caller may store a value meanwhile, so only exactly these bytes may be replaced.
                    put.when = When::AbsentOrHolding(entry.bytes);
                }
                _ => return Err(broken_contract("the outcome of a put is of another kind")),
            }
        }
        Err(Error::new(ErrorKind::Store, "entries of other types keep being written to this key")
            .at_key(key)
            .retryable())
    }

    pub(super) async fn delete(&self, keys: &[&str]) -> Result<usize> {
        keys.iter().try_for_each(|key| check_key(key))?;
        if keys.is_empty() {
            return Ok(0);
        }
        let ops: Vec<_> = keys.iter().map(|key| Op::Remove { key }).collect();
        let outcomes = self.write_in_steps(&ops).await?;
        Ok(outcomes.iter().filter(|outcome| **outcome == OpOutcome::Removed(true)).count())
    }

    pub(super) async fn take_fresh<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        check_key(key)?;
        let started = Started::now();
        let entry = match self.write_within(&[Op::Take { key }], started).await?.pop() {
            Some(OpOutcome::Taken(entry)) => entry.ok_or(MissReason::Absent),
            _ => return Err(broken_contract("the outcome of a take is of another kind")),
        };
        let found = self.context.find_counted(key, entry, Accept::Fresh, started).await?;
        Ok(found.found.fresh())
    }

    pub(super) async fn apply_batch(&self, batch: Batch) -> Result<()> {
        batch.keys().try_for_each(check_key)?;
        if batch.is_empty() {
            return Ok(());
        }
        let writes = batch.encode(self.context.codec())?;
        let ops = writes.iter().map(|write| self.batch_op(write)).collect::<Result<Vec<_>>>()?;
        check_transaction(&ops)?;
        self.write(&ops).await.map(drop)
    }

    fn batch_op<'a>(&self, write: &'a EncodedWrite) -> Result<Op<'a>> {
        match write {
            EncodedWrite::Put { key, bytes, options } => {
                self.context.put(key, bytes.clone(), options.ttl).map(Op::Put)
            }
            EncodedWrite::Remove { key } => Ok(Op::Remove { key }),
        }
    }
}

fn broken_contract(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the store broke its contract: {what}"))
}
