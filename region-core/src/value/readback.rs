//! Checks that the values of a type can be read back from the bytes that a format writes.
//!
//! serde allows a type to write what it cannot read: a format that is not self-describing stores an
//! untagged enum, or a struct whose empty fields are left out, and reads garbage. Such a value would
//! be stored, miss at every read and be loaded again for ever. So before anything is stored:
//!
//! - the type's trace shows if it needs a self-describing format;
//! - every value is written through [`Watched`], which refuses a field that is left out and a
//!   nesting or a number of elements that is not read back;
//! - a value is read back from its bytes, and written again, when it holds a struct or variant that
//!   no value of its type held before, and now and then.

mod compound;
mod format;
mod key;
mod marks;
mod watched;

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::RwLock;

use crate::error::{BoxError, catch_panic};
use crate::value::fingerprint::{Fingerprint, Readability, Shape};
use crate::value::serializer::{AnySerializer, SerializerId, Value, ValueContext};

use format::Format;
use key::KeyHasher;
use marks::VerifiedMarks;
use watched::Watcher;
pub(crate) use watched::with_all_fields;

/// A type in a format.
type Key = (TypeId, SerializerId, Readability);

/// The most bytes that are taken for a value before it is written.
const MAX_USUAL_SIZE: usize = 16 * 1024;

type Known = HashMap<Key, &'static Readback, BuildHasherDefault<KeyHasher>>;

/// The facts known about a type in a format. One per pair, kept until the process ends.
pub(super) struct Readback {
    of: TypeId,
    fingerprint: Fingerprint,
    format: Format,
    /// The first place where the type needs a self-describing format, if there is one.
    undescribed: Option<String>,
    /// The structs and variants seen in values that were read back.
    verified: VerifiedMarks,
    /// The number of values written. Approximate: threads may overwrite each other's count.
    written: AtomicU32,
    /// The number of bytes of the last value written, if that was not large: the next is likely to be as long.
    last_size: AtomicU32,
    /// True once a value could not be read back: from then on every value is checked.
    is_suspect: AtomicBool,
}

impl Readback {
    pub(super) fn of<V: Value>(serializer: &AnySerializer) -> &'static Self {
        static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);
        let key = (TypeId::of::<V>(), serializer.id(), serializer.readability());
        if let Some(known) = KNOWN.read().get(&key) {
            return known;
        }
        // Traced without the lock: reading a type may be slow. All traces come to the same.
        let traced = Self::trace::<V>(serializer);
        // Never freed: the number of types bounds it.
        KNOWN.write().entry(key).or_insert_with(|| Box::leak(Box::new(traced)))
    }

    fn trace<V: Value>(serializer: &AnySerializer) -> Self {
        let shape = Shape::of::<V>(serializer.readability());
        Self {
            of: TypeId::of::<V>(),
            fingerprint: shape.fingerprint(),
            format: Format::of(serializer),
            undescribed: shape.undescribed().map(ToOwned::to_owned),
            verified: VerifiedMarks::default(),
            written: AtomicU32::new(0),
            last_size: AtomicU32::new(0),
            is_suspect: AtomicBool::new(false),
        }
    }

    /// Returns true if these are the facts of `V`.
    #[inline]
    pub(super) fn is_of<V: Value>(&self) -> bool {
        self.of == TypeId::of::<V>()
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The number of bytes that the next value is likely to take. At most [`MAX_USUAL_SIZE`].
    pub(super) fn usual_size(&self) -> usize {
        self.last_size.load(Ordering::Relaxed) as usize
    }

    /// Appends the bytes of `value` to `out`. Returns an error if it cannot be read back from them.
    pub(super) fn write<V: Value>(
        &self,
        serializer: &AnySerializer,
        context: &ValueContext<'_>,
        value: &V,
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        if let Some(place) = self.undescribed.as_deref().filter(|_| !self.format.describes_itself) {
            return Err(self.not_readable::<V>(&format!(
                "at {place} it asks for a format that describes itself, as internally tagged and \
                 untagged enums and flattened fields do"
            )));
        }
        let start = out.len();
        let watcher = Watcher::new(self.format.fields, self.format.limits);
        watcher.watch(value, |value| serializer.serialize_for(context, value, out))?;
        let payload = out.get(start..).unwrap_or_default();
        watcher.check_elements(payload.len())?;
        self.last_size.store(payload.len().min(MAX_USUAL_SIZE) as u32, Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed).saturating_add(1);
        self.written.store(written, Ordering::Relaxed);
        let is_due = written.is_power_of_two()
            || watcher.is_deep()
            || watcher.has_free_elements(payload.len())
            || self.is_suspect.load(Ordering::Relaxed);
        if !is_due && self.verified.cover(watcher.marks()) {
            return Ok(());
        }
        if let Err(error) = catch_panic(|| read_back::<V>(serializer, context, payload)).flatten() {
            self.is_suspect.store(true, Ordering::Relaxed);
            return Err(self.not_readable::<V>(&error.to_string()));
        }
        self.verified.add(watcher.marks());
        Ok(())
    }

    fn not_readable<V>(&self, why: &str) -> BoxError {
        let name = type_name::<V>();
        let remedy = match self.format.describes_itself {
            true => "its Deserialize does not take what its Serialize writes",
            false => {
                "use Json or another serializer of a format that describes itself \
                 (Policy::serializer)"
            }
        };
        format!("a {name} cannot be read back from what this serializer writes: {why}; {remedy}")
            .into()
    }
}

impl fmt::Debug for Readback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readback").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Reads `payload`, writes the value again and reads that too: bytes that were misread once rarely pass
/// twice. The two need not be equal: a map may come in another order, and a type may normalise what it
/// reads.
fn read_back<V: Value>(
    serializer: &AnySerializer,
    context: &ValueContext<'_>,
    payload: &[u8],
) -> Result<(), BoxError> {
    let value: V = serializer.deserialize_for(context, payload)?;
    let mut again = Vec::with_capacity(payload.len());
    serializer.serialize_for(context, &value, &mut again)?;
    serializer.deserialize_for::<V>(context, &again).map(drop)
}

#[cfg(test)]
mod tests;
