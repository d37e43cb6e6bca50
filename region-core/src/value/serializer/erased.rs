//! A serializer behind a pointer: serde's generic methods made ones that a vtable can hold.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _};

use super::detached::Detached;

use super::{Serializer, SerializerId, ValueContext};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// The receiver of the open deserializer in [`ErasedSerializer::deserialize_erased`].
type Visit<'a> =
    &'a mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>;

/// A [`Serializer`] whose type is not known.
pub(super) trait ErasedSerializer: Send + Sync {
    fn id_erased(&self) -> SerializerId;
    fn readability_erased(&self) -> Readability;
    fn authenticates_erased(&self) -> bool;
    fn serialize_erased(
        &self,
        context: Option<&ValueContext<'_>>,
        value: &dyn erased_serde::Serialize,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError>;
    fn deserialize_erased(
        &self,
        context: Option<&ValueContext<'_>>,
        bytes: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), BoxError>;
}

impl<S: Serializer> ErasedSerializer for S {
    fn id_erased(&self) -> SerializerId {
        Serializer::id(self)
    }

    fn readability_erased(&self) -> Readability {
        Serializer::readability(self)
    }

    fn authenticates_erased(&self) -> bool {
        Serializer::authenticates(self)
    }

    fn serialize_erased(
        &self,
        context: Option<&ValueContext<'_>>,
        value: &dyn erased_serde::Serialize,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        match context {
            Some(context) => self.serialize_for(context, value, out),
            None => self.serialize(value, out),
        }
    }

    fn deserialize_erased(
        &self,
        context: Option<&ValueContext<'_>>,
        bytes: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), BoxError> {
        match context {
            Some(context) => self.deserialize_for(context, bytes, VisitSeed(visit)),
            None => self.deserialize(bytes, VisitSeed(visit)),
        }
    }
}

impl dyn ErasedSerializer {
    pub(super) fn deserialize<T: DeserializeOwned>(
        &self,
        context: Option<&ValueContext<'_>>,
        bytes: &[u8],
    ) -> Result<T, BoxError> {
        let mut value = None;
        self.deserialize_erased(context, bytes, &mut |deserializer| {
            value = Some(T::deserialize(deserializer)?);
            Ok(())
        })?;
        value.ok_or_else(|| "the serializer read nothing".into())
    }

    /// Reads a value by a seed that borrows nothing.
    pub(super) fn deserialize_by<'de, S: DeserializeSeed<'de>>(
        &self,
        context: Option<&ValueContext<'_>>,
        bytes: &[u8],
        seed: Detached<'de, S>,
    ) -> Result<S::Value, BoxError> {
        let (mut seed, mut value) = (Some(seed), None);
        self.deserialize_erased(context, bytes, &mut |deserializer| {
            let seed = seed.take().ok_or_else(|| erased_serde::Error::custom("read twice"))?;
            value = Some(seed.deserialize(deserializer)?);
            Ok(())
        })?;
        value.ok_or_else(|| "the serializer read nothing".into())
    }
}

struct VisitSeed<'a>(Visit<'a>);

impl<'de> DeserializeSeed<'de> for VisitSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(deserializer);
        (self.0)(&mut erased).map_err(D::Error::custom)
    }
}

/// The seed that reads a `T` by its own [`Deserialize`].
pub(super) fn seed<'de, T: Deserialize<'de>>() -> PhantomData<T> {
    PhantomData
}
