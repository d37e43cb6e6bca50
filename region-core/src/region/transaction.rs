use std::fmt;

use super::{Batch, Region, SetOptions};
use crate::error::Result;
use crate::value::serializer::Value;

/// Writes to one region that are applied together, or not at all.
///
/// Nothing is stored before [`commit`](Self::commit), and reads do not see the writes until then.
/// Dropping the transaction drops them.
///
/// All writes are one step on the server, which serves nobody else meanwhile: some 50 ms at the limits
/// of [`MAX_TRANSACTION_WRITES`](crate::MAX_TRANSACTION_WRITES) and
/// [`MAX_TRANSACTION_BYTES`](crate::MAX_TRANSACTION_BYTES).
/// [`RegionExt::set_many`](crate::RegionExt::set_many) takes any number, in several steps.
///
/// ```
/// use region_core::{Region, RegionCache, RegionExt};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let region = RegionCache::builder(MemoryStore::new()).build()?.root();
/// let mut transaction = region.transaction();
/// transaction.set("open", 3u32).set("title", "Dolls".to_owned()).remove("draft");
/// transaction.commit().await?;
/// assert_eq!(region.get::<u32>("open").await?.as_deref(), Some(&3));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is written until `commit` is called"]
pub struct Transaction<R> {
    region: R,
    batch: Batch,
}

impl<R: Region> Transaction<R> {
    pub(super) fn new(region: R, batch: Batch) -> Self {
        Self { region, batch }
    }

    /// Adds a write of `value` at `key`, with the policy's lifetime.
    pub fn set<V: Value>(&mut self, key: &str, value: V) -> &mut Self {
        self.set_with(key, value, SetOptions::new())
    }

    /// Adds a write of `value` at `key`, with options for this entry.
    pub fn set_with<V: Value>(&mut self, key: &str, value: V, options: SetOptions) -> &mut Self {
        self.batch.set(key, value, options);
        self
    }

    /// Adds a removal of the entry at `key`.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.batch.remove(key);
        self
    }

    /// Applies every write in one step, in the order they were added.
    ///
    /// # Errors
    /// Any value's encoding error, a bad key, [`TooLarge`](crate::ErrorKind::TooLarge) beyond the limits of
    /// a transaction, or the store's error: nothing was applied.
    ///
    /// # Cancel safety
    /// If the future is dropped, everything was applied or nothing.
    pub async fn commit(self) -> Result<()> {
        self.region.apply(self.batch).await
    }
}

impl<R: Region> fmt::Debug for Transaction<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("region", self.region.path())
            .field("batch", &self.batch)
            .finish()
    }
}
