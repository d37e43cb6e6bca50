use serde::Serialize;
use serde::de::DeserializeSeed;

use super::{Serializer, SerializerId};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// The JSON format: larger and slower than [`Postcard`](super::Postcard), readable with any tool on
/// the server, and able to hold types that need a self-describing format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

impl Serializer for Json {
    fn id(&self) -> SerializerId {
        SerializerId::new(2)
    }

    fn readability(&self) -> Readability {
        Readability::HumanReadable
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, value)?)
    }

    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = seed.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }
}
