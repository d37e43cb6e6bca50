use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::detached::Detached;
use super::erased::{ErasedSerializer, seed};
use super::{Postcard, Serializer, SerializerId, ValueContext};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// Any [`Serializer`]: what a policy holds. It is one itself, so another can stand around it.
///
/// ```
/// use region_core::{AnySerializer, Postcard, Serializer};
///
/// let any = AnySerializer::new(Postcard);
/// assert_eq!(Serializer::id(&any), Postcard.id());
/// assert_eq!(AnySerializer::new(any).id(), Postcard.id());
/// ```
#[derive(Clone)]
pub struct AnySerializer(Inner);

/// The default is called directly; others go through a vtable at every value they read or write.
#[derive(Clone)]
enum Inner {
    Postcard,
    Other(Arc<dyn ErasedSerializer>),
}

impl AnySerializer {
    /// Keeps `serializer` and forgets its type.
    #[must_use]
    pub fn new<S: Serializer>(serializer: S) -> Self {
        let mut serializer = Some(serializer);
        let any: &mut dyn Any = &mut serializer;
        if any.is::<Option<Postcard>>() {
            return Self(Inner::Postcard);
        }
        if let Some(same) = any.downcast_mut::<Option<Self>>().and_then(Option::take) {
            return same;
        }
        serializer.map_or(Self(Inner::Postcard), |other| Self(Inner::Other(Arc::new(other))))
    }

    /// Names the format in what it wrote.
    #[must_use]
    pub fn id(&self) -> SerializerId {
        match &self.0 {
            Inner::Postcard => Postcard.id(),
            Inner::Other(other) => other.id_erased(),
        }
    }

    /// As [`Serializer::readability`].
    #[must_use]
    pub fn readability(&self) -> Readability {
        match &self.0 {
            Inner::Postcard => Postcard.readability(),
            Inner::Other(other) => other.readability_erased(),
        }
    }

    /// As [`Serializer::serialize`].
    ///
    /// # Errors
    /// When the format cannot express the value.
    pub fn serialize<T: Serialize>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        match &self.0 {
            Inner::Postcard => Postcard.serialize(value, out),
            Inner::Other(other) => other.serialize_erased(None, value, out),
        }
    }

    /// As [`Serializer::serialize_for`].
    ///
    /// # Errors
    /// When the format cannot express the value.
    pub fn serialize_for<T: Serialize>(
        &self,
        context: &ValueContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        match &self.0 {
            Inner::Postcard => Postcard.serialize(value, out),
            Inner::Other(other) => other.serialize_erased(Some(context), value, out),
        }
    }

    /// As [`Serializer::deserialize_for`].
    ///
    /// # Errors
    /// When the bytes are not a `T` that was written for this entry.
    pub fn deserialize_for<T: DeserializeOwned>(
        &self,
        context: &ValueContext<'_>,
        bytes: &[u8],
    ) -> Result<T, BoxError> {
        match &self.0 {
            Inner::Postcard => Postcard.deserialize(bytes, seed::<T>()),
            Inner::Other(other) => other.deserialize(Some(context), bytes),
        }
    }

    /// As [`Serializer::authenticates`].
    #[must_use]
    pub fn authenticates(&self) -> bool {
        match &self.0 {
            Inner::Postcard => Postcard.authenticates(),
            Inner::Other(other) => other.authenticates_erased(),
        }
    }

    /// As [`Serializer::deserialize`].
    ///
    /// # Errors
    /// When the bytes are not a `T`.
    pub fn deserialize<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, BoxError> {
        match &self.0 {
            Inner::Postcard => Postcard.deserialize(bytes, seed::<T>()),
            Inner::Other(other) => other.deserialize(None, bytes),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Serializer for AnySerializer {
    fn id(&self) -> SerializerId {
        self.id()
    }

    fn readability(&self) -> Readability {
        self.readability()
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        self.serialize(&value, out)
    }

    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        match &self.0 {
            Inner::Postcard => Postcard.deserialize(bytes, seed),
            Inner::Other(other) => other.deserialize_by(None, bytes, Detached::new(seed)),
        }
    }

    fn serialize_for<T: Serialize + ?Sized>(
        &self,
        context: &ValueContext<'_>,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        self.serialize_for(context, &value, out)
    }

    fn deserialize_for<'de, S: DeserializeSeed<'de>>(
        &self,
        context: &ValueContext<'_>,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        match &self.0 {
            Inner::Postcard => Postcard.deserialize_for(context, bytes, seed),
            Inner::Other(other) => other.deserialize_by(Some(context), bytes, Detached::new(seed)),
        }
    }

    fn authenticates(&self) -> bool {
        self.authenticates()
    }
}

impl Default for AnySerializer {
    fn default() -> Self {
        Self(Inner::Postcard)
    }
}

impl fmt::Debug for AnySerializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnySerializer({})", self.id().get())
    }
}
