//! The shape of a type, as serde sees it.

mod access;
mod candidates;
mod run;
mod search;
mod tracer;

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::LazyLock;

use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A hash of the shape of a type, as its `Deserialize` implementation shows it.
///
/// It is stored with every value, so that the bytes of another type, or of an earlier version of the
/// same type, are a miss. A format such as postcard does not detect that: it would read them as garbage.
///
/// The shape is found by tracing: once per process, the type is deserialized from a deserializer that
/// records every call and answers with dummy values. It is the same in every process, build and
/// machine. Two types have different shapes if they differ in the kinds, order, number or names of
/// fields, in the variants of an enum, in the types of any of these at any depth, or in their own
/// (serde) names.
///
/// # What it cannot see
///
/// - *Meaning*: metres became feet.
/// - The parts of a recursive type below its second nested occurrence (a tree's children's children),
///   and the parts of a very large type that the limit on steps leaves out.
/// - The fields after one that refuses every dummy value, as a type that parses a special syntax may:
///   their names are seen, their types are not. [`Shape::is_complete`] returns false then.
/// - Types that call [`deserialize_any`](serde::Deserializer::deserialize_any) and accept whatever the
///   format contains.
///
/// Where that is not enough, change [`Policy::version`](crate::Policy::version) with the type.
///
/// ```
/// use region_core::{Fingerprint, Readability};
/// use serde::Deserialize;
///
/// # mod v1 { use serde::Deserialize;
/// #[derive(Deserialize)]
/// # pub
/// struct Summary { open: u32, closed: u32 }
/// # }
/// # mod v2 { use serde::Deserialize;
/// // later:
/// #[derive(Deserialize)]
/// # pub
/// struct Summary { closed: u32, open: u32 }
/// # }
///
/// let before = Fingerprint::of::<v1::Summary>(Readability::Binary);
/// assert_ne!(before, Fingerprint::of::<v2::Summary>(Readability::Binary));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

/// Says if a format writes types that have a text form (addresses, dates) as text. This is serde's
/// `is_human_readable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readability {
    /// As compact bytes, as postcard does.
    Binary,
    /// As text, as JSON does.
    HumanReadable,
}

impl Fingerprint {
    /// Returns the fingerprint of `V`. The first call for a type traces it; later calls look it up.
    ///
    /// A panic in the type's own `Deserialize` is caught (the panic hook still runs) and leaves the
    /// shape incomplete.
    #[must_use]
    pub fn of<V: DeserializeOwned + 'static>(readability: Readability) -> Self {
        static KNOWN: LazyLock<RwLock<HashMap<(TypeId, Readability), Fingerprint>>> =
            LazyLock::new(RwLock::default);
        let key = (TypeId::of::<V>(), readability);
        if let Some(known) = KNOWN.read().get(&key) {
            return *known;
        }
        // Traced without the lock: reading a type may be slow. All traces come to the same.
        let traced = Shape::of::<V>(readability).fingerprint();
        KNOWN.write().insert(key, traced);
        traced
    }

    /// Mixes a version number into the fingerprint; see [`Policy::version`](crate::Policy::version).
    /// Version 0 leaves it unchanged.
    #[must_use]
    pub fn with_version(self, version: u32) -> Self {
        match version {
            0 => self,
            version => Self(xxh3_64_with_seed(&version.to_le_bytes(), self.0)),
        }
    }

    /// Mixes in a hash of the formats inside of the one that wrote the value, if there are any.
    pub(crate) fn with_inner_formats(self, inner: Option<u64>) -> Self {
        match inner {
            None => self,
            Some(inner) => Self(xxh3_64_with_seed(&inner.to_le_bytes(), self.0)),
        }
    }
}

bits!(Fingerprint(u64), "Fingerprint({:016x})");

/// The shape of a type: everything that its `Deserialize` implementation asked for, in every place of
/// the type. A [`Fingerprint`] is its hash. Use it in tests, to see how much of a type is covered.
///
/// ```
/// use region_core::{Readability, Shape};
///
/// let shape = Shape::of::<Vec<(u8, bool)>>(Readability::Binary);
/// assert!(shape.is_complete());
/// assert_eq!(shape.to_string(), "$ seq\n$[] tuple 2\n$[].0 u8\n$[].1 bool\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    facts: BTreeSet<Fact>,
    is_complete: bool,
    /// The first place that needs a self-describing format.
    undescribed: Option<String>,
}

/// A place in a type, and the kind of value that was asked for there.
type Fact = (String, String);

impl Shape {
    /// Traces the shape of `V`.
    #[must_use]
    pub fn of<V: DeserializeOwned>(readability: Readability) -> Self {
        search::trace::<V>(readability)
    }

    /// Returns true if tracing reached every place of the type.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the first place where the type needs a self-describing format, if there is one. Such a type
    /// cannot be read from a format that is not, such as [`Postcard`](crate::Postcard).
    ///
    /// ```
    /// use region_core::{Readability, Shape};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// #[serde(untagged)]
    /// # #[allow(dead_code)]
    /// enum Id { Number(u64), Name(String) }
    ///
    /// assert_eq!(Shape::of::<Vec<Id>>(Readability::Binary).undescribed(), Some("$[]"));
    /// assert_eq!(Shape::of::<Vec<u64>>(Readability::Binary).undescribed(), None);
    /// ```
    #[must_use]
    pub fn undescribed(&self) -> Option<&str> {
        self.undescribed.as_deref()
    }

    /// Returns the hash of the shape.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(xxh3_64(self.to_string().as_bytes()))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.iter().try_for_each(|(place, asked)| writeln!(f, "{place} {asked}"))
    }
}

#[cfg(test)]
mod tests;
