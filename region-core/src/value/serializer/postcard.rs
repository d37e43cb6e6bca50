use serde::Serialize;
use serde::de::DeserializeSeed;

use super::guard::Guard;
use super::{Serializer, SerializerId};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// The [postcard](https://docs.rs/postcard) format: compact and fast. The default.
///
/// It does not describe itself; the type's [`Fingerprint`](crate::Fingerprint) beside the bytes is
/// what keeps a value of another type from being read as garbage.
///
/// Values that are nested more than 128 levels deep, or have more elements than bytes (and more than
/// 4096: elements of types that take no bytes, such as `()`), can be written but are not read back:
/// no hostile bytes can make a reader overflow its stack or count for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postcard;

impl Serializer for Postcard {
    fn id(&self) -> SerializerId {
        SerializerId::new(1)
    }

    fn readability(&self) -> Readability {
        Readability::Binary
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        let start = std::mem::take(out);
        *out = postcard::to_extend(value, start)?;
        Ok(())
    }

    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        let mut deserializer = postcard::Deserializer::from_bytes(bytes);
        let guard = Guard::new(bytes.len());
        let value = seed.deserialize(guard.watch(&mut deserializer))?;
        match deserializer.finalize()? {
            [] => Ok(value),
            rest => Err(format!("{} bytes are left over", rest.len()).into()),
        }
    }
}
