//! Reading and writing single entries and batches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::RegionHandle;
use super::steps::check_transaction;
use crate::error::{Error, ErrorKind, Result};
use crate::lifetime::Lifetime;
use crate::path::check_key;
use crate::policy::OnOutage;
use crate::region::{Batch, EncodedWrite, SetOptions};
use crate::store::{Entry, Op, OpOutcome, Put, Read, ReadTerms, When, Write};
use crate::value::envelope::BadBytes;
use crate::value::serializer::Value;

/// How often `set_if_absent` looks again when bytes that are of no use keep changing under it.
const ABSENT_ATTEMPTS: usize = 16;

impl RegionHandle {
    /// Reads `keys` where the policy says; `None` if the store cannot be asked and that is a miss.
    pub(crate) async fn read(&self, keys: &[&str]) -> Result<Option<Read>> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let shared = self.shared();
        let terms = ReadTerms::new(self.resolved().read_from);
        match shared.store.read(&self.0.path, keys, terms).await {
            Ok(read) => Ok(Some(read)),
            Err(error) if self.tolerates(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `error` is an outage that the policy makes a miss of. Counts and logs it if so.
    pub(crate) fn tolerates(&self, error: &Error) -> bool {
        let tolerated = error.is_outage() && self.resolved().on_outage == OnOutage::Miss;
        if tolerated {
            self.shared().counters.store_failures.add(1);
            if error.kind() == ErrorKind::Denied {
                // No retry mends this: someone has to.
                tracing::error!(region = %self.0.path, %error, "the store refuses this process");
            } else {
                tracing::warn!(region = %self.0.path, %error, "the store failed; going on without it");
            }
        }
        tolerated
    }

    /// The value in `entry`, found at `key`, or `None`, counted and logged, if its bytes are bad.
    pub(crate) fn decode<V: Value>(&self, key: &str, entry: &Entry) -> Option<V> {
        self.good(key, self.codec().decode(key, &entry.bytes))
    }

    pub(super) fn good<T>(&self, key: &str, decoded: Result<T, BadBytes>) -> Option<T> {
        decoded
            .inspect_err(|bad| {
                self.shared().counters.bad_bytes.add(1);
                tracing::warn!(
                    region = %self.0.path, key, reason = bad.reason(), %bad, "entry ignored"
                );
            })
            .ok()
    }

    pub(super) async fn read_fresh<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        let entries = match self.read(keys).await? {
            Some(read) => read.entries,
            None => vec![None; keys.len()],
        };
        let mut hits = 0;
        let mut value = |key: &&str, entry: Option<Entry>| {
            let value = self.decode(key, &entry.filter(Entry::is_fresh)?)?;
            hits += 1;
            Some(Arc::new(value))
        };
        let values = keys.iter().zip(entries).map(|(key, entry)| value(key, entry)).collect();
        self.shared().counters.hits.add(hits);
        self.shared().counters.misses.add(keys.len() - hits);
        Ok(values)
    }

    /// As [`read_fresh`](Self::read_fresh) for the most common case, which takes no lists.
    pub(super) async fn read_one<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        let entry = self.read(&[key]).await?.and_then(|mut read| read.entries.pop().flatten());
        let value = entry.filter(Entry::is_fresh).and_then(|entry| self.decode(key, &entry));
        let counters = &self.shared().counters;
        if value.is_some() {
            counters.hits.add(1)
        } else {
            counters.misses.add(1)
        }
        Ok(value.map(Arc::new))
    }

    pub(super) async fn has_fresh(&self, key: &str) -> Result<bool> {
        let Some(mut read) = self.read(&[key]).await? else {
            return Ok(false);
        };
        let fresh = read.entries.pop().flatten().filter(Entry::is_fresh);
        Ok(fresh.is_some_and(|entry| self.codec().check(key, &entry.bytes).is_ok()))
    }

    /// A put under this region's policy.
    pub(crate) fn put_op<'a>(
        &self,
        key: &'a str,
        bytes: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Put<'a>> {
        let fresh_for = match ttl {
            Some(ttl) => Lifetime::of(ttl).map_err(|error| error.at_key(key))?,
            None => self.resolved().ttl,
        };
        let stale_for = self.resolved().stale_for;
        Ok(Put::new(key, bytes).fresh_for(fresh_for).stale_for(stale_for))
    }

    pub(super) async fn write(&self, ops: &[Op<'_>]) -> Result<Vec<OpOutcome>> {
        let write = Write::new(ops).region_ttl(self.resolved().region_ttl_on_write());
        let written = self.shared().store.write(&self.0.path, write).await?;
        written
            .outcomes()
            .filter(|outcomes| outcomes.len() == ops.len())
            .ok_or_else(|| broken_contract("an unguarded write was not applied"))
    }

    pub(super) async fn put<V: Value>(
        &self,
        values: &[(&str, &V)],
        options: SetOptions,
    ) -> Result<()> {
        let mut ops = Vec::with_capacity(values.len());
        for &(key, value) in values {
            check_key(key)?;
            let bytes = self.codec().encode(key, value)?;
            ops.push(Op::Put(self.put_op(key, bytes, options.ttl)?));
        }
        if ops.is_empty() {
            return Ok(());
        }
        self.write_in_steps(&ops).await.map(drop)
    }

    pub(super) async fn put_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        check_key(key)?;
        let mut put = self.put_op(key, self.codec().encode(key, value)?, None)?;
        put.when = When::Absent;
        for _ in 0..ABSENT_ATTEMPTS {
            match self.write(&[Op::Put(put.clone())]).await?.pop() {
                Some(OpOutcome::Stored) => return Ok(true),
                Some(OpOutcome::Exists(entry)) => {
                    if self.decode::<V>(key, &entry).is_some() {
                        return Ok(false);
                    }
                    // To everyone of this type the key is absent; but another may replace the bytes
                    // meanwhile, so only these very bytes may be written over.
                    put.when = When::AbsentOrHolding(entry.bytes);
                }
                _ => return Err(broken_contract("a put was answered with something else")),
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
        let entry = match self.write(&[Op::Take { key }]).await?.pop() {
            Some(OpOutcome::Taken(entry)) => entry.filter(Entry::is_fresh),
            _ => return Err(broken_contract("a take was answered with something else")),
        };
        let value = entry.and_then(|entry| self.decode(key, &entry)).map(Arc::new);
        let counters = &self.shared().counters;
        if value.is_some() {
            counters.hits.add(1)
        } else {
            counters.misses.add(1)
        }
        Ok(value)
    }

    pub(super) async fn apply_batch(&self, batch: Batch) -> Result<()> {
        batch.keys().try_for_each(check_key)?;
        if batch.is_empty() {
            return Ok(());
        }
        let writes = batch.encode(self.codec())?;
        let ops = writes.iter().map(|write| self.batch_op(write)).collect::<Result<Vec<_>>>()?;
        check_transaction(&ops)?;
        self.write(&ops).await.map(drop)
    }

    fn batch_op<'a>(&self, write: &'a EncodedWrite) -> Result<Op<'a>> {
        match write {
            EncodedWrite::Put { key, bytes, options } => {
                self.put_op(key, bytes.clone(), options.ttl).map(Op::Put)
            }
            EncodedWrite::Remove { key } => Ok(Op::Remove { key }),
        }
    }
}

fn broken_contract(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the store broke its contract: {what}"))
}
