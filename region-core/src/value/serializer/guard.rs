//! A deserializer that keeps hostile bytes from taking more than their due.
//!
//! A format that is read by recursion, as all are with serde, overflows the stack on deeply nested
//! input; and elements that take no bytes can be claimed in any number. Formats that do not see to
//! that themselves are read through a guard.

mod access;
mod visit;

use std::cell::Cell;

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

use visit::GuardedVisitor;

/// The deepest nesting of a value: as many levels as `serde_json` allows.
pub(crate) const MAX_NESTING: usize = 128;

/// The number of elements that a value may have in all its sequences and maps, if that is more than the number
/// of its bytes.
pub(crate) const MAX_FREE_ELEMENTS: usize = 4096;

/// The remaining budget of one value.
pub(super) struct Guard {
    /// For how many elements memory may still be set aside before they are read.
    believed: Cell<usize>,
    nesting: Cell<usize>,
    elements: Cell<usize>,
    floats: Floats,
}

/// Anything of serde's, under guard.
pub(super) struct Guarded<'g, T> {
    inner: T,
    guard: &'g Guard,
}

/// The numbers that are read where a type asks for a float.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Floats {
    /// Those that the format reads as floats.
    AsFormat,
    #[cfg_attr(not(feature = "cbor"), expect(dead_code, reason = "other formats do so themselves"))]
    /// Integers too: a writer whose language has one type of number writes 1 for 1.0.
    AnyNumber,
}

/// The party that says how many elements there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Claimed,
    OfType,
}

impl Guard {
    /// A guard for a value of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let elements = bytes.max(MAX_FREE_ELEMENTS);
        Self {
            believed: Cell::new(bytes),
            nesting: Cell::new(MAX_NESTING),
            elements: Cell::new(elements),
            floats: Floats::AsFormat,
        }
    }

    /// As [`new`](Self::new), of a format that would refuse an integer where a float is asked for.
    #[cfg(feature = "cbor")]
    pub(super) fn of_any_numbers(bytes: usize) -> Self {
        Self { floats: Floats::AnyNumber, ..Self::new(bytes) }
    }

    pub(super) fn watch<T>(&self, inner: T) -> Guarded<'_, T> {
        Guarded { inner, guard: self }
    }

    /// Reads what lies one level deeper.
    fn nested<T, E: Error>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let left = self.nesting.get();
        self.nesting.set(left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?);
        let result = read();
        self.nesting.set(left);
        result
    }

    /// The number of elements that memory is reserved for, when so many are claimed: each takes a byte, or
    /// takes no memory either. All claims of a value share its bytes, nested ones too.
    fn believe(&self, claimed: usize) -> usize {
        let left = self.believed.get();
        let believed = claimed.min(left);
        self.believed.set(left - believed);
        believed
    }

    /// Counts an element of something whose length the bytes claim. A tuple's is the type's own.
    fn count<E: Error>(&self, length: Length) -> Result<(), E> {
        if length == Length::OfType {
            return Ok(());
        }
        let left = self.elements.get().checked_sub(1);
        self.elements.set(left.ok_or_else(|| E::custom("more elements than bytes"))?);
        Ok(())
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guarded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Guarded { inner: deserializer, guard: self.guard })
    }
}

/// Values without inner values are passed on as they are; others are read under guard.
macro_rules! forward {
    ($($plain:ident)* ; $($length:ident: $($nesting:ident($($argument:ident: $ty:ty),*))*;)*) => {
        $(fn $plain<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$plain(visitor)
        })*
        $($(fn $nesting<V: Visitor<'de>>(
            self,
            $($argument: $ty,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            let visitor = GuardedVisitor::new(visitor, self.guard, Length::$length);
            self.guard.nested(|| self.inner.$nesting($($argument,)* visitor))
        })*)*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guarded<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_identifier ;
        Claimed:
            deserialize_any()
            deserialize_ignored_any()
            deserialize_seq()
            deserialize_map();
        OfType:
            deserialize_option()
            deserialize_unit_struct(name: &'static str)
            deserialize_newtype_struct(name: &'static str)
            deserialize_tuple(len: usize)
            deserialize_tuple_struct(name: &'static str, len: usize)
            deserialize_struct(name: &'static str, fields: &'static [&'static str])
            deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        match self.guard.floats {
            Floats::AsFormat => self.inner.deserialize_f32(visitor),
            Floats::AnyNumber => self.inner.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        match self.guard.floats {
            Floats::AsFormat => self.inner.deserialize_f64(visitor),
            Floats::AnyNumber => self.inner.deserialize_any(visitor),
        }
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

#[cfg(test)]
mod tests;
