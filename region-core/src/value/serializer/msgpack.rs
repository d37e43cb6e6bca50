use std::io::ErrorKind;

use rmp_serde::decode::Error as ReadError;
use serde::de::{DeserializeSeed, Deserializer};
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::{Serializer, SerializerId};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// The [MessagePack](https://msgpack.org) format: it describes itself, takes less space than JSON, and has
/// a library in most languages.
///
/// A struct is a map from the names of its fields, a variant of an enum its name or a map from its name, a
/// [`u128`] or [`i128`] a byte string of 16 bytes. `Vec<u8>` is an array of numbers; a type that calls
/// [`serialize_bytes`](serde::Serializer::serialize_bytes), as those of the crate `serde_bytes` do, is a byte
/// string. Types with a text form (addresses, ids) are stored in their compact form.
///
/// The format has one null: `Some(None)` and `Some(())` are read as `None`. A region refuses with
/// [`Encode`](crate::ErrorKind::Encode) to store values that are nested more than 128 levels deep.
///
/// ```
/// use region_core::{MessagePack, Policy};
///
/// let policy = Policy::new().serializer(MessagePack);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl Serializer for MessagePack {
    fn id(&self) -> SerializerId {
        SerializerId::new(3)
    }

    fn readability(&self) -> Readability {
        Readability::Binary
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
        Ok(value.serialize(&mut serializer)?)
    }

    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        let guard = Guard::new(bytes.len());
        let value = seed.deserialize(guard.watch(&mut deserializer))?;
        match is_at_end(&mut deserializer) {
            true => Ok(value),
            false => Err("bytes are left over".into()),
        }
    }
}

/// The reader does not tell its position. An attempt to read one more value fails at its first byte if, and
/// only if, there is none.
fn is_at_end<'de, D: Deserializer<'de, Error = ReadError>>(deserializer: D) -> bool {
    match bool::deserialize(deserializer) {
        Err(ReadError::InvalidMarkerRead(error)) => error.kind() == ErrorKind::UnexpectedEof,
        _ => false,
    }
}
