//! Serializers: the formats of stored values.

mod any;
mod erased;
mod guard;
#[cfg(feature = "json")]
mod json;
mod named;
mod postcard;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::error::BoxError;
use crate::value::fingerprint::Readability;

pub use any::AnySerializer;
pub(crate) use guard::{MAX_FREE_ELEMENTS, MAX_NESTING};
#[cfg(feature = "json")]
pub use json::Json;
pub use postcard::Postcard;

/// A type whose values can be stored in a region. Every owned type that implements serde's traits is one.
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// Identifies the serializer that wrote a stored value. Never use one id for two formats, nor for two
/// versions of a format that cannot read each other's bytes.
///
/// Ids below [`SerializerId::FIRST_OF_USERS`] are reserved for this project; the others are free for
/// your own formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SerializerId(u8);

impl SerializerId {
    /// The lowest id that this project will never use.
    pub const FIRST_OF_USERS: u8 = 128;

    /// Creates the id with this number.
    #[must_use]
    pub const fn new(id: u8) -> Self {
        Self(id)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
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
}
