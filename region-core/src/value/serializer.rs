//! How values become bytes.

mod any;
mod erased;
mod guard;
#[cfg(feature = "json")]
mod json;
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

/// What can be kept in a region: a type that serde writes and reads.
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// Names a serializer in what it wrote. Never use an id for two formats, nor for two versions of
/// one that cannot read each other.
///
/// Ids below [`SerializerId::FIRST_OF_USERS`] are this project's; the others are yours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SerializerId(u8);

impl SerializerId {
    /// The lowest id that this project will never use.
    pub const FIRST_OF_USERS: u8 = 128;

    /// The id with this number.
    #[must_use]
    pub const fn new(id: u8) -> Self {
        Self(id)
    }

    /// The id's number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A format for values: serde in, bytes out.
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
    /// Names the format in what it wrote.
    fn id(&self) -> SerializerId;

    /// Whether types that look different in a text and in a binary format are written as text:
    /// what serde calls `is_human_readable`.
    fn readability(&self) -> Readability;

    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    /// When the format cannot express the value. What was appended is then thrown away.
    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError>;

    /// Reads a value with `seed` (a `PhantomData<T>` reads a `T`). All of `bytes` must be used up.
    ///
    /// The bytes may be hostile: it must neither panic nor take memory out of proportion to their
    /// number.
    ///
    /// # Errors
    /// When the bytes are not such a value.
    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError>;
}
