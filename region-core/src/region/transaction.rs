use std::fmt;

use bytes::Bytes;

use super::{Region, SetOptions};
use crate::error::Result;
use crate::value::codec::Codec;
use crate::value::serializer::Value;

/// Writes to one region that are applied together, or not at all.
///
/// Nothing is stored before [`commit`](Self::commit); dropping the transaction drops the writes.
/// Reads do not see them until then.
///
/// All writes are one step on the server, which serves nobody else meanwhile: some 50 ms at the limits
/// of [`MAX_TRANSACTION_WRITES`](crate::MAX_TRANSACTION_WRITES) and
/// [`MAX_TRANSACTION_BYTES`](crate::MAX_TRANSACTION_BYTES).
/// [`Region::set_many`] takes any number, in several steps.
///
/// ```
/// use region_core::{Region, RegionCache};
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
    pub(super) fn new(region: R) -> Self {
        Self { region, batch: Batch::default() }
    }

    /// Adds a write, with the policy's lifetime.
    pub fn set<V: Value>(&mut self, key: &str, value: V) -> &mut Self {
        self.set_with(key, value, SetOptions::new())
    }

    /// Adds a write, with options for this entry.
    pub fn set_with<V: Value>(&mut self, key: &str, value: V, options: SetOptions) -> &mut Self {
        self.batch.set_with(key, value, options);
        self
    }

    /// Adds a removal.
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

/// The writes of a [`Transaction`], not encoded yet: each [`Region`] has a serializer of its own.
#[derive(Default)]
pub struct Batch(Vec<BatchWrite>);

type Encode = Box<dyn FnOnce(&Codec, &str) -> Result<Bytes> + Send>;

enum BatchWrite {
    Set { key: String, encode: Encode, options: SetOptions },
    Remove { key: String },
}

/// One write of a batch, encoded for its region.
pub(crate) enum EncodedWrite {
    Put { key: String, bytes: Bytes, options: SetOptions },
    Remove { key: String },
}

impl Batch {
    /// A batch without writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many writes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that are written, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|write| match write {
            BatchWrite::Set { key, .. } | BatchWrite::Remove { key } => key.as_str(),
        })
    }

    fn set_with<V: Value>(&mut self, key: &str, value: V, options: SetOptions) {
        let encode: Encode = Box::new(move |codec, key| codec.encode(key, &value));
        self.0.push(BatchWrite::Set { key: key.to_owned(), encode, options });
    }

    fn remove(&mut self, key: &str) {
        self.0.push(BatchWrite::Remove { key: key.to_owned() });
    }

    pub(crate) fn encode(self, codec: &Codec) -> Result<Vec<EncodedWrite>> {
        let encode = |write| match write {
            BatchWrite::Remove { key } => Ok(EncodedWrite::Remove { key }),
            BatchWrite::Set { key, encode, options } => {
                let bytes = encode(codec, &key)?;
                Ok(EncodedWrite::Put { key, bytes, options })
            }
        };
        self.0.into_iter().map(encode).collect()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}
