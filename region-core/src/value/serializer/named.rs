//! Serializers by their names in configuration files.

use serde::de::{Deserialize, Deserializer, Error};

#[cfg(feature = "cbor")]
use super::Cbor;
#[cfg(feature = "json")]
use super::Json;
#[cfg(feature = "msgpack")]
use super::MessagePack;
use super::{AnySerializer, Postcard};

/// A name, and what it stands for.
type Named = (&'static str, fn() -> AnySerializer);

/// The serializers of this build.
const NAMED: &[Named] = &[
    ("postcard", || AnySerializer::new(Postcard)),
    #[cfg(feature = "json")]
    ("json", || AnySerializer::new(Json)),
    #[cfg(feature = "msgpack")]
    ("msgpack", || AnySerializer::new(MessagePack)),
    #[cfg(feature = "cbor")]
    ("cbor", || AnySerializer::new(Cbor)),
];

/// The names of serializers that need a feature of the same name.
const FEATURES: &[&str] = &["json", "msgpack", "cbor"];

impl AnySerializer {
    /// Returns the serializer with this name: `postcard`, or `json`, `msgpack` or `cbor` with the feature of
    /// that name.
    ///
    /// ```
    /// use region_core::AnySerializer;
    ///
    /// assert!(AnySerializer::named("postcard").is_some());
    /// assert!(AnySerializer::named("pickle").is_none());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMED.iter().find(|(named, _)| *named == name).map(|(_, make)| make())
    }
}

impl<'de> Deserialize<'de> for AnySerializer {
    /// Reads a name.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            if FEATURES.contains(&name.as_str()) {
                return D::Error::custom(format!("{name:?} needs the feature of that name"));
            }
            let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
            D::Error::custom(format!("{name:?} is no serializer; there are {}", names.join(", ")))
        })
    }
}
