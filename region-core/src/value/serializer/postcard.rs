use serde::Serialize;
use serde::de::DeserializeSeed;

use super::guard::Guard;
use super::{Serializer, SerializerId};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// The [postcard](https://docs.rs/postcard) format: compact and fast. The default.
///
/// It does not describe itself. The type's [`Fingerprint`](crate::Fingerprint) beside the bytes keeps
/// a value of another type from being read as garbage.
///
/// A region refuses with [`Encode`](crate::ErrorKind::Encode) to store what this format cannot read
/// back: internally tagged and untagged enums, flattened fields, fields that are left out
/// (`skip_serializing_if`), values nested more than 128 levels deep, and more than 4,096 elements that
/// take no bytes, such as `()`. (The last two limits keep hostile bytes from making a reader
/// overflow its stack or count for ever.) Use `Json` for such types, or another format
/// that describes itself.
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
