//! Composite values, watched while they are written.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::watched::{Watched, Watcher};

/// One of serde's states for elements or fields, watched.
pub(super) struct Compound<'a, C> {
    inner: C,
    watcher: &'a Watcher,
    /// The nesting depth of the elements.
    nesting: usize,
}

impl<'a, C> Compound<'a, C> {
    pub(super) fn new(inner: C, watcher: &'a Watcher, nesting: usize) -> Self {
        Self { inner, watcher, nesting }
    }

    fn watch<'v, T: ?Sized>(&self, value: &'v T) -> Watched<'v, T>
    where
        'a: 'v,
    {
        Watched::new(value, self.watcher, self.nesting)
    }
}

macro_rules! elements {
    ($($state:ident $method:ident)*) => {$(
        impl<C: $state> $state for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.watch(value);
                self.inner.$method(&value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

macro_rules! fields {
    ($($state:ident)*) => {$(
        impl<C: $state> $state for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                field: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.watch(value);
                self.inner.serialize_field(field, &value)
            }

            fn skip_field(&mut self, field: &'static str) -> Result<(), C::Error> {
                self.watcher.leave_out(field)?;
                self.inner.skip_field(field)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}
fields! { SerializeStruct SerializeStructVariant }

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = self.watch(key);
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.watch(value);
        self.inner.serialize_value(&value)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        let (key, value) = (self.watch(key), self.watch(value));
        self.inner.serialize_entry(&key, &value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
