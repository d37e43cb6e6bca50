//! Elements, pairs and variants, under guard.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::visit::GuardedVisitor;
use super::{Guard, Guarded, Length};

/// The elements of a sequence or the pairs of a map.
pub(super) struct Elements<'g, A> {
    inner: A,
    guard: &'g Guard,
    length: Length,
}

impl<'g, A> Elements<'g, A> {
    pub(super) fn new(inner: A, guard: &'g Guard, length: Length) -> Self {
        Self { inner, guard, length }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.guard.count(self.length)?;
        self.inner.next_element_seed(self.guard.watch(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|claimed| self.guard.believe(claimed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.guard.count(self.length)?;
        self.inner.next_key_seed(self.guard.watch(seed))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(self.guard.watch(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|claimed| self.guard.believe(claimed))
    }
}

impl<'de, 'g, A: EnumAccess<'de>> EnumAccess<'de> for Guarded<'g, A> {
    type Error = A::Error;
    type Variant = Guarded<'g, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let guard = self.guard;
        let (value, inner) = self.inner.variant_seed(guard.watch(seed))?;
        Ok((value, Guarded { inner, guard }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(self.guard.watch(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = GuardedVisitor::new(visitor, self.guard, Length::OfType);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = GuardedVisitor::new(visitor, self.guard, Length::OfType);
        self.inner.struct_variant(fields, visitor)
    }
}
