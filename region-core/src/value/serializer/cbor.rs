use serde::Serialize;
use serde::de::DeserializeSeed;

use super::guard::Guard;
use super::{Serializer, SerializerId};
use crate::error::BoxError;
use crate::value::fingerprint::Readability;

/// The [CBOR](https://cbor.io) format of RFC 8949: it describes itself, takes less space than JSON, and has a
/// library in most languages.
///
/// A struct is a map from the names of its fields, a variant of an enum its name or a map from its name.
/// Numbers take the shortest form that holds them; each form is read, an integer where a float is asked for
/// too, and so are strings and lists of indefinite length. Tags that a type does not ask for are skipped.
/// `Vec<u8>` is an array of numbers, and is read from a byte string too; a type that calls
/// [`serialize_bytes`](serde::Serializer::serialize_bytes), as those of the crate `serde_bytes` do, is a
/// byte string. Types with a text form (addresses, ids) are stored in their compact form.
///
/// The format has one null: `Some(None)` and `Some(())` are read as `None`. A region refuses with
/// [`Encode`](crate::ErrorKind::Encode) to store values that are nested more than 128 levels deep.
///
/// ```
/// use region_core::{Cbor, Policy};
///
/// let policy = Policy::new().serializer(Cbor);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cbor;

impl Serializer for Cbor {
    fn id(&self) -> SerializerId {
        SerializerId::new(4)
    }

    fn readability(&self) -> Readability {
        Readability::Binary
    }

    fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        Ok(cbor2::to_writer(value, out)?)
    }

    fn deserialize<'de, S: DeserializeSeed<'de>>(
        &self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, BoxError> {
        let mut deserializer = cbor2::de::Deserializer::from_slice(bytes);
        let guard = Guard::of_any_numbers(bytes.len());
        let value = seed.deserialize(guard.watch(&mut deserializer))?;
        match bytes.len().saturating_sub(deserializer.offset()) {
            0 => Ok(value),
            left => Err(format!("{left} bytes are left over").into()),
        }
    }
}
