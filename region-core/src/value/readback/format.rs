use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::value::serializer::{AnySerializer, Postcard, Serializer};

/// The capabilities of a format, found by experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// True if a value can be read without knowing its type.
    pub(super) describes_itself: bool,
    pub(super) fields: Fields,
    pub(super) limits: Limits,
}

/// The limits on the nesting and the number of elements of the values that can be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// The guard of [`Postcard`].
    OfPostcard,
    /// The format itself.
    OfFormat,
}

/// The way in which a format stores the fields of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// By name: fields may be left out.
    Named,
    /// By position: a field that is left out shifts those after it.
    Positional,
}

impl Format {
    pub(super) fn of(serializer: &AnySerializer) -> Self {
        let fields = match passes::<Sparse, Sparse>(serializer, &Sparse::default()) {
            Some(Sparse { left_out: 0, kept: 7 }) => Fields::Named,
            _ => Fields::Positional,
        };
        let limits = match serializer.id() == Postcard.id() {
            true => Limits::OfPostcard,
            false => Limits::OfFormat,
        };
        let describes_itself = passes::<_, Anything>(serializer, &7u8).is_some();
        Self { describes_itself, fields, limits }
    }
}

fn passes<V: Serialize, R: for<'de> Deserialize<'de>>(
    serializer: &AnySerializer,
    value: &V,
) -> Option<R> {
    let mut bytes = Vec::new();
    serializer.serialize(value, &mut bytes).ok()?;
    serializer.deserialize(&bytes).ok()
}

/// A struct whose first field is not written.
#[derive(Serialize, Deserialize)]
struct Sparse {
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: u8,
    kept: u8,
}

impl Default for Sparse {
    fn default() -> Self {
        Self { left_out: 0, kept: 7 }
    }
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Reads whatever is there.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IgnoredAny).map(|_| Self)
    }
}
