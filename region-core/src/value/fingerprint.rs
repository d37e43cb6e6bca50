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

/// A number that stands for the shape of a type: what it asks serde for when it is read.
///
/// It stands beside every stored value, so that the bytes of another type, or of the same type
/// before it was changed, are a miss. A format such as postcard could not tell: it would read them
/// as garbage.
///
/// The shape is found by tracing: the type is read, once per process, from a deserializer that
/// writes down what is asked and answers with dummy values. It is the same in every process, build and
/// machine. Two types have different shapes if they differ in the kinds, order, number or names of
/// fields, in the variants of an enum, in the types of any of these at any depth, or in their own
/// (serde) names.
///
/// # What it cannot see
///
/// - *Meaning*: metres became feet.
/// - What lies below the second nested occurrence of one type in itself (a tree's children's
///   children), and what a budget of steps leaves out in very large types.
/// - What comes after a field that refuses every dummy value, as a type that parses a special syntax
///   may: the names of its siblings are seen, the types of the later ones are not.
///   [`Shape::is_complete`] tells.
/// - Types that ask for [`any`](serde::Deserializer::deserialize_any) value and go by what comes.
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

/// Whether a format writes types that have a text form (addresses, dates) in that form: serde's
/// `is_human_readable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readability {
    /// It does not, as postcard.
    Binary,
    /// It does, as JSON.
    HumanReadable,
}

impl Fingerprint {
    /// The fingerprint of `V`. Traced at the first call for a type, looked up after that.
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

    /// This fingerprint for a version of what the values mean; version 0 leaves it as it is.
    #[must_use]
    pub fn with_version(self, version: u32) -> Self {
        match version {
            0 => self,
            version => Self(xxh3_64_with_seed(&version.to_le_bytes(), self.0)),
        }
    }
}

bits!(Fingerprint(u64), "Fingerprint({:016x})");

/// What a [`Fingerprint`] is made of: what a type asked for, place by place. For tests that want to
/// know how much of a type is seen.
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
    /// The first place that asked for a format that describes itself.
    undescribed: Option<String>,
}

/// A place in a type, and what was asked for there.
type Fact = (String, String);

impl Shape {
    /// Traces `V`.
    #[must_use]
    pub fn of<V: DeserializeOwned>(readability: Readability) -> Self {
        search::trace::<V>(readability)
    }

    /// Whether every place of the type was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The place at which the type asks for a format that describes itself, if it does: such a type
    /// cannot be read from a format such as [`Postcard`](crate::Postcard).
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

    /// The number that stands for this shape.
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
