//! Reading values that outlive the bytes they are read from.
//!
//! A serializer reads by a seed that may borrow from its bytes. One that decodes the bytes first, into a
//! buffer of its own, has to read by the same seed from that buffer, which lives for a shorter time. So it
//! hides from the seed that anything could be borrowed: all values of a region own what they hold.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Something of serde's for data that lives for `'a`, of use for data with any other lifetime.
pub(super) struct Detached<'a, T> {
    inner: T,
    lives: PhantomData<&'a ()>,
}

impl<T> Detached<'_, T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, lives: PhantomData }
    }
}

impl<'de, 'buffer, S: DeserializeSeed<'de>> DeserializeSeed<'buffer> for Detached<'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'buffer>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Detached::<'buffer, D>::new(deserializer))
    }
}

macro_rules! read {
    ($($method:ident($($argument:ident: $ty:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(
            self,
            $($argument: $ty,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Detached::<'de, V>::new(visitor))
        })*
    };
}

impl<'de, 'buffer, D: Deserializer<'buffer>> Deserializer<'de> for Detached<'buffer, D> {
    type Error = D::Error;

    read! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_seq() deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize) deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier() deserialize_ignored_any()
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($ty:ty) as $owned:ident)*) => {
        $(fn $method<E: Error>(self, value: $ty) -> Result<V::Value, E> {
            self.inner.$owned(value)
        })*
    };
}

impl<'de, 'buffer, V: Visitor<'de>> Visitor<'buffer> for Detached<'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool) as visit_bool
        visit_i8(i8) as visit_i8 visit_i16(i16) as visit_i16 visit_i32(i32) as visit_i32
        visit_i64(i64) as visit_i64 visit_i128(i128) as visit_i128
        visit_u8(u8) as visit_u8 visit_u16(u16) as visit_u16 visit_u32(u32) as visit_u32
        visit_u64(u64) as visit_u64 visit_u128(u128) as visit_u128
        visit_f32(f32) as visit_f32 visit_f64(f64) as visit_f64 visit_char(char) as visit_char
        visit_str(&str) as visit_str visit_borrowed_str(&'buffer str) as visit_str
        visit_string(String) as visit_string
        visit_bytes(&[u8]) as visit_bytes visit_borrowed_bytes(&'buffer [u8]) as visit_bytes
        visit_byte_buf(Vec<u8>) as visit_byte_buf
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'buffer>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Detached::<'buffer, D>::new(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'buffer>>(
        self,
        inner: D,
    ) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Detached::<'buffer, D>::new(inner))
    }

    fn visit_seq<A: SeqAccess<'buffer>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Detached::<'buffer, A>::new(inner))
    }

    fn visit_map<A: MapAccess<'buffer>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Detached::<'buffer, A>::new(inner))
    }

    fn visit_enum<A: EnumAccess<'buffer>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Detached::<'buffer, A>::new(inner))
    }
}

impl<'de, 'buffer, A: SeqAccess<'buffer>> SeqAccess<'de> for Detached<'buffer, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Detached::<'de, T>::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'buffer, A: MapAccess<'buffer>> MapAccess<'de> for Detached<'buffer, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(Detached::<'de, K>::new(seed))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Detached::<'de, T>::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'buffer, A: EnumAccess<'buffer>> EnumAccess<'de> for Detached<'buffer, A> {
    type Error = A::Error;
    type Variant = Detached<'buffer, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(Detached::<'de, T>::new(seed))?;
        Ok((value, Detached::new(variant)))
    }
}

impl<'de, 'buffer, A: VariantAccess<'buffer>> VariantAccess<'de> for Detached<'buffer, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Detached::<'de, T>::new(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Detached::<'de, V>::new(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Detached::<'de, V>::new(visitor))
    }
}
