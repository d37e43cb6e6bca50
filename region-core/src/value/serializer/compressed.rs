//! Compression of what another serializer writes.

mod algorithm;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "zstd")]
mod zstd;

use serde::Serialize;
use serde::de::DeserializeSeed;

use super::detached::Detached;
use super::{Serializer, SerializerId, ValueContext};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

use algorithm::Algorithm;

/// The id of compressed values, whatever the algorithm: each value says by which it is compressed.
const ID: SerializerId = SerializerId::new(16);

/// The marker of a value that is stored as it is.
const STORED: u8 = 0;

/// The size from which values are compressed. See [`Compressed::above`].
const ABOVE: usize = 1024;

/// The most bytes of a value. See [`Compressed::max_size`].
const MAX_SIZE: usize = 64 * 1024 * 1024;

/// The most bytes of a value for each compressed byte. See [`Compressed::max_ratio`].
const MAX_RATIO: usize = 256;

/// A value may have so many bytes, however few they are compressed to.
const FREE_SIZE: usize = 64 * 1024;

/// Compresses the values that another serializer writes, if they are large and become smaller.
///
/// A value takes one byte more than without compression at most: it says by which algorithm, if any, the
/// value is compressed. So the algorithm, its level and the limits can be changed, and earlier values are
/// still read; a program reads what it has the feature for.
///
/// | constructor | feature | for |
/// |---|---|---|
/// | [`zstd`](Self::zstd) | `zstd` | the smallest values |
/// | [`lz4`](Self::lz4) | `lz4` | the least time; written in Rust alone |
///
/// Reading is bounded, whatever the bytes claim: by [`max_size`](Self::max_size), by
/// [`max_ratio`](Self::max_ratio), and memory is taken as values are unpacked, not as their headers say.
///
/// ```
/// # #[cfg(all(feature = "json", feature = "zstd"))] {
/// use region_core::{Compressed, Json, Policy};
///
/// let policy = Policy::new().serializer(Compressed::zstd(Json).above(2048));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Compressed<S> {
    inner: S,
    algorithm: Algorithm,
    above: usize,
    max_size: usize,
    max_ratio: usize,
}

impl<S: Serializer> Compressed<S> {
    /// Compresses what `inner` writes by [Zstandard](https://facebook.github.io/zstd/), at level 1.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn zstd(inner: S) -> Self {
        Self::zstd_level(1, inner)
    }

    /// As [`zstd`](Self::zstd), at a level of your choice: from 1, the fastest, to 22, which is very slow;
    /// negative levels are faster still. A level out of range counts as the nearest one.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn zstd_level(level: i32, inner: S) -> Self {
        Self::new(Algorithm::Zstd { level }, inner)
    }

    /// Compresses what `inner` writes by [LZ4](https://lz4.org).
    #[cfg(feature = "lz4")]
    #[must_use]
    pub fn lz4(inner: S) -> Self {
        Self::new(Algorithm::Lz4, inner)
    }

    fn new(algorithm: Algorithm, inner: S) -> Self {
        let (above, max_size, max_ratio) = (ABOVE, MAX_SIZE, MAX_RATIO);
        Self { inner, algorithm, above, max_size, max_ratio }
    }

    /// Sets the size in bytes from which values are compressed. The default is 1,024.
    #[must_use]
    pub fn above(mut self, bytes: usize) -> Self {
        self.above = bytes;
        self
    }

    /// Sets the largest size of a value in bytes, before it is compressed. The default is 64 MiB.
    ///
    /// A region refuses with [`Encode`](crate::ErrorKind::Encode) to store a larger one, and compressed
    /// bytes that become more are a miss. All programs that share a region need the same limit, or at least
    /// as high a one.
    #[must_use]
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// Sets the most bytes that one byte may become. The default is 256.
    ///
    /// Compressed bytes that become more are a miss, unless they stay below 64 KiB. A value that compresses
    /// better is stored as it is. All programs that share a region need the same limit, or at least as high
    /// a one.
    #[must_use]
    pub fn max_ratio(mut self, ratio: usize) -> Self {
        self.max_ratio = ratio;
        self
    }

    /// The most bytes that so many compressed bytes may become.
    fn limit(&self, compressed: usize) -> usize {
        compressed.saturating_mul(self.max_ratio).max(FREE_SIZE).min(self.max_size)
    }

    /// Appends a marker and what `write` appends, compressed if that is of use.
    fn write(
        &self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let start = out.len();
        out.push(STORED);
        write(out)?;
        self.compress(start, out)
    }

    /// Compresses the value that begins behind the marker at `start`.
    fn compress(&self, start: usize, out: &mut Vec<u8>) -> Result<(), BoxError> {
        let value = out.get(start + 1..).unwrap_or_default();
        let size = value.len();
        if size > self.max_size {
            let limit = self.max_size;
            return Err(format!("the value has {size} bytes, and its limit is {limit}").into());
        }
        if size < self.above {
            return Ok(());
        }
        let compressed = self.algorithm.compress(value)?;
        if compressed.len() < size && size <= self.limit(compressed.len()) {
            out.truncate(start);
            out.push(self.algorithm.marker());
            out.extend_from_slice(&compressed);
        }
        Ok(())
    }

    fn read<'b>(&self, bytes: &'b [u8]) -> Result<Payload<'b>, BoxError> {
        match bytes.split_first() {
            None => Err("no byte says how the value is compressed".into()),
            Some((&STORED, value)) => Ok(Payload::Stored(value)),
            Some((marker, compressed)) => {
                let limit = self.limit(compressed.len());
                Algorithm::decompress(*marker, compressed, limit).map(Payload::Unpacked)
            }
        }
    }
}

/// The bytes that the inner serializer wrote.
enum Payload<'b> {
    Stored(&'b [u8]),
    Unpacked(Vec<u8>),
}

#[deny(clippy::missing_trait_methods)]
impl<S: Serializer> Serializer for Compressed<S> {
    fn id(&self) -> SerializerId {
        ID.around(self.inner.id())
    }

    fn readability(&self) -> Readability {
        self.inner.readability()
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        self.write(out, |out| self.inner.serialize(value, out))
    }

    fn deserialize<'de, T: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: T,
    ) -> Result<T::Value, BoxError> {
        match self.read(bytes)? {
            Payload::Stored(value) => self.inner.deserialize(value, seed),
            Payload::Unpacked(value) => self.inner.deserialize(&value, Detached::new(seed)),
        }
    }

    fn serialize_for<T: Serialize + ?Sized>(
        &self,
        context: &ValueContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        self.write(out, |out| self.inner.serialize_for(context, value, out))
    }

    fn deserialize_for<'de, T: DeserializeSeed<'de>>(
        &self,
        context: &ValueContext<'_>,
        bytes: &'de [u8],
        seed: T,
    ) -> Result<T::Value, BoxError> {
        match self.read(bytes)? {
            Payload::Stored(value) => self.inner.deserialize_for(context, value, seed),
            Payload::Unpacked(value) => {
                self.inner.deserialize_for(context, &value, Detached::new(seed))
            }
        }
    }

    fn authenticates(&self) -> bool {
        self.inner.authenticates()
    }
}

#[cfg(test)]
mod tests;
