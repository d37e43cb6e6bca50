//! A value that is watched while it is written.

use std::cell::{Cell, RefCell};
use std::fmt::Display;

use serde::ser::{Error, Serialize, Serializer};

use super::compound::Compound;
use super::format::{Fields, Limits};
use super::marks::Marks;
use crate::error::BoxError;
use crate::value::serializer::{MAX_FREE_ELEMENTS, MAX_NESTING};

/// Marks of forms that have no name of their own.
const SOME: &str = "Some";
const FILLED_SEQUENCE: &str = "[..]";
const FILLED_MAP: &str = "{..}";

/// Values nested deeper than this are read back each time, where the format has limits of its own.
const DEEP: usize = 64;

/// The findings while one value is written.
pub(super) struct Watcher {
    fields: Fields,
    limits: Limits,
    marks: Marks,
    is_deep: Cell<bool>,
    elements: Cell<usize>,
    /// The reason why the value is refused: a format may drop the message of an error.
    refusal: RefCell<Option<String>>,
}

impl Watcher {
    pub(super) fn new(fields: Fields, limits: Limits) -> Self {
        Self {
            fields,
            limits,
            marks: Marks::default(),
            is_deep: Cell::new(false),
            elements: Cell::new(0),
            refusal: RefCell::default(),
        }
    }

    /// Calls `write` with `value` watched.
    pub(super) fn watch<T: ?Sized>(
        &self,
        value: &T,
        write: impl FnOnce(&Watched<'_, T>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        write(&Watched { value, watcher: self, nesting: 1 })
            .map_err(|error| self.refusal.take().map_or(error, Into::into))
    }

    fn refuse<E: Error>(&self, why: String) -> E {
        let error = E::custom(&why);
        self.refusal.replace(Some(why));
        error
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(super) fn is_deep(&self) -> bool {
        self.is_deep.get()
    }

    /// Returns true if there seem to be elements that take no bytes. Readers limit these, and a value that is
    /// compressed does not tell.
    pub(super) fn has_free_elements(&self, bytes: usize) -> bool {
        self.elements.get() > bytes.max(MAX_FREE_ELEMENTS)
    }

    /// Refuses what readers refuse because hostile bytes could claim it: see
    /// [`Postcard`](crate::Postcard).
    pub(super) fn check_elements(&self, bytes: usize) -> Result<(), BoxError> {
        let elements = self.elements.get();
        if self.limits == Limits::OfPostcard && self.has_free_elements(bytes) {
            let text = format!(
                "{elements} elements in {bytes} bytes are not read back: elements that take no \
                 bytes are limited to {MAX_FREE_ELEMENTS}"
            );
            return Err(text.into());
        }
        Ok(())
    }

    /// Notes a value that holds others.
    #[inline]
    fn hold<E: Error>(&self, nesting: usize, name: &'static str, variant: u32) -> Result<(), E> {
        self.marks.add(name, variant);
        if nesting <= DEEP {
            return Ok(());
        }
        self.is_deep.set(true);
        if self.limits == Limits::OfPostcard && nesting > MAX_NESTING {
            let why =
                format!("a value nested more than {MAX_NESTING} levels deep is not read back");
            return Err(self.refuse(why));
        }
        Ok(())
    }

    fn hold_elements<E: Error>(
        &self,
        nesting: usize,
        name: &'static str,
        count: Option<usize>,
    ) -> Result<(), E> {
        let count = count.unwrap_or(1);
        // Readers count the end of a sequence too.
        self.elements.set(self.elements.get().saturating_add(count).saturating_add(1));
        self.hold(nesting, name, u32::from(count > 0))
    }

    /// Notes a field that a type leaves out.
    pub(super) fn leave_out<E: Error>(&self, field: &'static str) -> Result<(), E> {
        match self.fields {
            Fields::Named => Ok(()),
            Fields::Positional => Err(self.refuse(format!(
                "the field {field:?} is left out (skip_serializing_if), and this serializer cannot \
                 read that back: use Json or another serializer that keeps the fields' names"
            ))),
        }
    }
}

/// Calls `write` with `value`, and fails if the value leaves a field out: its bytes would not tell
/// which.
pub(crate) fn with_all_fields<T: ?Sized>(
    value: &T,
    write: impl FnOnce(&Watched<'_, T>) -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    Watcher::new(Fields::Positional, Limits::OfFormat).watch(value, write)
}

/// A value, watched.
pub(crate) struct Watched<'a, T: ?Sized> {
    value: &'a T,
    watcher: &'a Watcher,
    /// The nesting depth of this value, itself included.
    nesting: usize,
}

impl<'a, T: ?Sized> Watched<'a, T> {
    pub(super) fn new(value: &'a T, watcher: &'a Watcher, nesting: usize) -> Self {
        Self { value, watcher, nesting }
    }
}

impl<T: Serialize + ?Sized> Serialize for Watched<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { watcher, nesting, .. } = *self;
        self.value.serialize(WatchedSerializer { serializer, watcher, nesting })
    }
}

/// The serializer that a watched value is written by.
struct WatchedSerializer<'a, S> {
    serializer: S,
    watcher: &'a Watcher,
    nesting: usize,
}

impl<'a, S: Serializer> WatchedSerializer<'a, S> {
    #[inline]
    fn hold(&self, name: &'static str, variant: u32) -> Result<(), S::Error> {
        self.watcher.hold(self.nesting, name, variant)
    }

    fn watch<'v, T: ?Sized>(&self, value: &'v T) -> Watched<'v, T>
    where
        'a: 'v,
    {
        Watched::new(value, self.watcher, self.nesting + 1)
    }
}

macro_rules! forward {
    ($($method:ident($ty:ty))*) => {
        $(#[inline]
        fn $method(self, value: $ty) -> Result<S::Ok, S::Error> {
            self.serializer.$method(value)
        })*
    };
}

/// Methods that open something with fields or elements.
macro_rules! open {
    ($($compound:ident $method:ident($($argument:ident: $ty:ty),*) $note:expr;)*) => {
        $(#[inline]
        fn $method(self, $($argument: $ty),*) -> Result<Compound<'a, S::$compound>, S::Error> {
            let note: fn(&Self, $($ty),*) -> Result<(), S::Error> = $note;
            note(&self, $($argument),*)?;
            let inner = self.serializer.$method($($argument),*)?;
            Ok(Compound::new(inner, self.watcher, self.nesting + 1))
        })*
    };
}

impl<'a, S: Serializer> Serializer for WatchedSerializer<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Compound<'a, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_char(char)
        serialize_str(&str) serialize_bytes(&[u8])
    }

    open! {
        SerializeSeq serialize_seq(len: Option<usize>)
            |this, len| this.watcher.hold_elements(this.nesting, FILLED_SEQUENCE, len);
        SerializeMap serialize_map(len: Option<usize>)
            |this, len| this.watcher.hold_elements(this.nesting, FILLED_MAP, len);
        SerializeTuple serialize_tuple(len: usize) |this, _| this.hold("()", 0);
        SerializeTupleStruct serialize_tuple_struct(name: &'static str, len: usize)
            |this, name, _| this.hold(name, 0);
        SerializeStruct serialize_struct(name: &'static str, len: usize)
            |this, name, _| this.hold(name, 0);
        SerializeTupleVariant serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) |this, name, index, _, _| this.hold(name, index);
        SerializeStructVariant serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) |this, name, index, _, _| this.hold(name, index);
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.hold(SOME, 0)?;
        self.serializer.serialize_none()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.hold(SOME, 1)?;
        let value = self.watch(value);
        self.serializer.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.serializer.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.hold(name, 0)?;
        self.serializer.serialize_unit_struct(name)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.hold(name, index)?;
        self.serializer.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.hold(name, 0)?;
        let value = self.watch(value);
        self.serializer.serialize_newtype_struct(name, &value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.hold(name, index)?;
        let value = self.watch(value);
        self.serializer.serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.serializer.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.serializer.is_human_readable()
    }
}
