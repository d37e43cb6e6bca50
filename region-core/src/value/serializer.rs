//! Serializers: the formats of stored values.

mod any;
#[cfg(feature = "cbor")]
mod cbor;
#[cfg(any(feature = "lz4", feature = "zstd"))]
mod compressed;
mod context;
mod detached;
#[cfg(feature = "encryption")]
mod encrypted;
mod erased;
mod guard;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
mod named;
mod postcard;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::BoxError;
use crate::value::fingerprint::Readability;

pub use any::AnySerializer;
#[cfg(feature = "cbor")]
pub use cbor::Cbor;
#[cfg(any(feature = "lz4", feature = "zstd"))]
pub use compressed::Compressed;
pub use context::ValueContext;
#[cfg(feature = "encryption")]
pub use encrypted::{Encrypted, EncryptionKey, KeyRing};
pub(crate) use guard::{MAX_FREE_ELEMENTS, MAX_NESTING};
#[cfg(feature = "json")]
pub use json::Json;
#[cfg(feature = "msgpack")]
pub use msgpack::MessagePack;
pub use postcard::Postcard;

/// A type whose values can be stored in a region. Every owned type that implements serde's traits is one.
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// Identifies the serializer that wrote a stored value. Never use one id for two formats, nor for two
/// versions of a format that cannot read each other's bytes.
///
/// Ids below [`SerializerId::FIRST_OF_USERS`] are reserved for this project; the others are free for
/// your own formats. A serializer that changes what another one writes has an id for each: see
/// [`around`](Self::around).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SerializerId {
    number: u8,
    /// A hash of the ids of the serializers inside; 0 if there is none.
    inner: u64,
}

impl SerializerId {
    /// The lowest id that this project will never use.
    pub const FIRST_OF_USERS: u8 = 128;

    /// Creates the id with this number.
    #[must_use]
    pub const fn new(id: u8) -> Self {
        Self { number: id, inner: 0 }
    }

    /// Returns the id of this format around what the serializer `inner` writes, such as compression around
    /// JSON.
    ///
    /// The number that is stored stays that of this format; `inner` is mixed into the fingerprint that is
    /// stored with the value. So compressed JSON and compressed CBOR are misses to each other.
    ///
    /// ```
    /// use region_core::SerializerId;
    ///
    /// let (outer, json, cbor) = (SerializerId::new(130), SerializerId::new(2), SerializerId::new(4));
    /// assert_eq!(outer.around(json).get(), 130);
    /// assert_ne!(outer.around(json), outer.around(cbor));
    /// assert_ne!(outer.around(json), outer);
    /// ```
    #[must_use]
    pub fn around(self, inner: Self) -> Self {
        Self { inner: xxh3_64_with_seed(&[inner.number], inner.inner).max(1), ..self }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.number
    }

    /// The hash of the ids of the serializers inside, unless there is none.
    pub(crate) fn inner(self) -> Option<u64> {
        (self.inner != 0).then_some(self.inner)
    }
}

/// A format for stored values. It converts any type that implements serde's traits to bytes and back.
///
/// ```
/// use region_core::{BoxError, Policy, Readability, Serializer, SerializerId};
/// use serde::{Serialize, de::DeserializeSeed};
///
/// /// JSON with line breaks.
/// struct Pretty;
///
/// impl Serializer for Pretty {
///     fn id(&self) -> SerializerId {
///         SerializerId::new(SerializerId::FIRST_OF_USERS)
///     }
///     fn readability(&self) -> Readability {
///         Readability::HumanReadable
///     }
///     fn serialize<T: Serialize + ?Sized>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         Ok(serde_json::to_writer_pretty(out, value)?)
///     }
///     fn deserialize<'de, S: DeserializeSeed<'de>>(&self, bytes: &'de [u8], seed: S) -> Result<S::Value, BoxError> {
///         let mut deserializer = serde_json::Deserializer::from_slice(bytes);
///         let value = seed.deserialize(&mut deserializer)?;
///         deserializer.end()?;
///         Ok(value)
///     }
/// }
///
/// let policy = Policy::new().serializer(Pretty);
/// ```
pub trait Serializer: Send + Sync + 'static {
    /// Returns the id that is stored with every value, to identify the format.
    fn id(&self) -> SerializerId;

    /// Says if the format writes types that have a text form as text, as serde's `is_human_readable`.
    fn readability(&self) -> Readability;

    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    /// If the format cannot express the value. The caller then discards the appended bytes.
    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError>;

    /// Reads a value with `seed` (a `PhantomData<T>` reads a `T`).
    ///
    /// The bytes may be corrupt or malicious. An implementation must not panic, and must not allocate
    /// more memory than their number justifies.
    ///
    /// # Errors
    /// If the bytes are not such a value, or bytes are left over after it.
    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError>;

    /// As [`serialize`](Self::serialize), of a value for the entry that `context` names. Regions call this
    /// method.
    ///
    /// A serializer whose bytes hang on the entry implements it, and one around another serializer hands
    /// `context` on.
    ///
    /// # Errors
    /// As [`serialize`](Self::serialize).
    fn serialize_for<T: Serialize + ?Sized>(
        &self,
        context: &ValueContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        let _ = context;
        self.serialize(value, out)
    }

    /// As [`deserialize`](Self::deserialize), of bytes found at the entry that `context` names. Regions
    /// call this method.
    ///
    /// # Errors
    /// As [`deserialize`](Self::deserialize).
    fn deserialize_for<'de, S: DeserializeSeed<'de>>(
        &self,
        context: &ValueContext<'_>,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        let _ = context;
        self.deserialize(bytes, seed)
    }

    /// Returns true if [`deserialize_for`](Self::deserialize_for) tells bytes that were written for this
    /// very entry, by a party that may write it, from all others.
    ///
    /// A region then has the record that there is no value written and read by the serializer too, as a `()`.
    fn authenticates(&self) -> bool {
        false
    }
}
