use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::SetOptions;
use crate::error::{BoxError, Result};
use crate::value::codec::Codec;
use crate::value::serializer::{AnySerializer, Value};

/// The writes of a [`Transaction`](crate::Transaction), in their order. They are not encoded yet,
/// because each [`Region`](crate::Region) has a serializer of its own.
///
/// An implementation of [`Region::apply`](crate::Region::apply) goes through them:
///
/// ```
/// use std::any::Any;
/// use std::collections::HashMap;
/// use std::sync::Arc;
/// use region_core::{Batch, BatchWrite, SetOptions};
///
/// /// The entries of a double that keeps values as they are.
/// type Entries = HashMap<String, Arc<dyn Any + Send + Sync>>;
///
/// fn apply(batch: Batch, entries: &mut Entries) {
///     for write in batch {
///         match write {
///             BatchWrite::Set { key, value, .. } => entries.insert(key, value.into_any()),
///             BatchWrite::Remove { key } => entries.remove(&key),
///         };
///     }
/// }
///
/// let mut batch = Batch::new();
/// batch.set("count", 7u32, SetOptions::new());
/// let mut entries = Entries::new();
/// apply(batch, &mut entries);
/// assert_eq!(entries["count"].downcast_ref::<u32>(), Some(&7));
/// ```
#[derive(Default)]
pub struct Batch(Vec<BatchWrite>);

/// One write of a [`Batch`].
#[derive(Debug)]
pub enum BatchWrite {
    /// A value to store.
    Set {
        /// The key of the entry.
        key: String,
        /// The value.
        value: BatchValue,
        /// The options of the entry.
        options: SetOptions,
    },
    /// An entry to remove.
    Remove {
        /// The key of the entry.
        key: String,
    },
}

/// A value in a [`Batch`], of a type that only its reader knows.
pub struct BatchValue(Box<dyn ErasedValue>);

/// A write of a batch, encoded for its region.
pub(crate) enum EncodedWrite {
    Put { key: String, bytes: Bytes, options: SetOptions },
    Remove { key: String },
}

trait ErasedValue: Send + Sync {
    fn encode(&self, codec: &Codec, key: &str) -> Result<Bytes>;
    fn serialize(&self, serializer: &AnySerializer, out: &mut Vec<u8>) -> Result<(), BoxError>;
    fn into_any(self: Box<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<V: Value> ErasedValue for V {
    fn encode(&self, codec: &Codec, key: &str) -> Result<Bytes> {
        codec.encode(key, self)
    }

    fn serialize(&self, serializer: &AnySerializer, out: &mut Vec<u8>) -> Result<(), BoxError> {
        serializer.serialize(self, out)
    }

    fn into_any(self: Box<Self>) -> Arc<dyn Any + Send + Sync> {
        Arc::new(*self)
    }
}

impl Batch {
    /// Creates a batch without writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write of `value` at `key`.
    pub fn set<V: Value>(&mut self, key: &str, value: V, options: SetOptions) {
        let value = BatchValue(Box::new(value));
        self.0.push(BatchWrite::Set { key: key.to_owned(), value, options });
    }

    /// Adds a removal of the entry at `key`.
    pub fn remove(&mut self, key: &str) {
        self.0.push(BatchWrite::Remove { key: key.to_owned() });
    }

    /// Returns the number of writes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there are no writes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the keys that are written, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(BatchWrite::key)
    }

    pub(crate) fn encode(self, codec: &Codec) -> Result<Vec<EncodedWrite>> {
        let encode = |write| match write {
            BatchWrite::Remove { key } => Ok(EncodedWrite::Remove { key }),
            BatchWrite::Set { key, value, options } => {
                let bytes = value.0.encode(codec, &key)?;
                Ok(EncodedWrite::Put { key, bytes, options })
            }
        };
        self.0.into_iter().map(encode).collect()
    }
}

impl IntoIterator for Batch {
    type Item = BatchWrite;
    type IntoIter = std::vec::IntoIter<BatchWrite>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl BatchWrite {
    /// Returns the key that is written.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Set { key, .. } | Self::Remove { key } => key,
        }
    }
}

impl BatchValue {
    /// Appends the value to `out`, as `serializer` writes it.
    ///
    /// # Errors
    /// When the format cannot express the value.
    pub fn serialize(&self, serializer: &AnySerializer, out: &mut Vec<u8>) -> Result<(), BoxError> {
        self.0.serialize(serializer, out)
    }

    /// Returns the value itself, for a reader that downcasts it to its type.
    #[must_use]
    pub fn into_any(self) -> Arc<dyn Any + Send + Sync> {
        self.0.into_any()
    }
}

impl fmt::Debug for BatchValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchValue(..)")
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}
