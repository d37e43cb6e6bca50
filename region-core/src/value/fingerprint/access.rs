//! The parts of a composite value: elements, pairs, fields, variants.

use std::ops::Range;

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Readability;
use super::run::{Refused, Run};
use super::tracer::{Tracer, name};

/// The elements of a sequence, which share one place, or of a tuple, each in its own.
pub(super) struct Elements<'a> {
    run: &'a Run<'a>,
    place: String,
    left: Range<usize>,
    numbered: bool,
}

impl<'a> Elements<'a> {
    pub(super) fn same(run: &'a Run<'a>, place: &str, len: usize) -> Self {
        Self { run, place: place.to_owned(), left: 0..len, numbered: false }
    }

    pub(super) fn numbered(run: &'a Run<'a>, place: &str, len: usize) -> Self {
        Self { run, place: place.to_owned(), left: 0..len, numbered: true }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(at) = self.left.next() else { return Ok(None) };
        let place = match self.numbered {
            true => format!("{}.{at}", self.place),
            false => format!("{}[]", self.place),
        };
        seed.deserialize(Tracer::new(self.run, place)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// The pairs of a map; all keys share one place and all values another.
pub(super) struct Pairs<'a> {
    run: &'a Run<'a>,
    place: String,
    left: usize,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(run: &'a Run<'a>, place: &str, len: usize) -> Self {
        Self { run, place: place.to_owned(), left: len }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Tracer::new(self.run, format!("{}{{key}}", self.place))).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(Tracer::new(self.run, format!("{}{{value}}", self.place)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a struct, one after the other, with their names if those are asked for.
pub(super) struct Fields<'a> {
    run: &'a Run<'a>,
    place: String,
    names: &'static [&'static str],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(run: &'a Run<'a>, place: &str, names: &'static [&'static str]) -> Self {
        Self { run, place: place.to_owned(), names, at: 0 }
    }

    fn value<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let field = self.names.get(self.at).ok_or(Refused)?;
        self.at += 1;
        seed.deserialize(Tracer::new(self.run, format!("{}.{field}", self.place)))
    }
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        if self.at == self.names.len() {
            return Ok(None);
        }
        self.value(seed).map(Some)
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        match self.names.get(self.at) {
            Some(field) => seed.deserialize(name(field)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        self.value(seed)
    }
}

/// An enum with a variant chosen.
pub(super) struct Variants<'a> {
    run: &'a Run<'a>,
    place: String,
    name: &'static str,
    index: u32,
}

impl<'a> Variants<'a> {
    pub(super) fn new(
        run: &'a Run<'a>,
        place: &str,
        variants: &'static [&'static str],
        chosen: usize,
    ) -> Result<Self, Refused> {
        let name = variants.get(chosen).ok_or(Refused)?;
        let index = u32::try_from(chosen).map_err(|_| Refused)?;
        Ok(Self { run, place: format!("{place}#{name}"), name, index })
    }
}

impl<'de> EnumAccess<'de> for Variants<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Refused> {
        let variant = match self.run.readability {
            Readability::HumanReadable => seed.deserialize(name(self.name))?,
            Readability::Binary => {
                let index: U32Deserializer<Refused> = self.index.into_deserializer();
                seed.deserialize(index)?
            }
        };
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variants<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.run.ask(&self.place, || "unit variant".to_owned())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        self.run.ask(&self.place, || "newtype variant".to_owned())?;
        seed.deserialize(Tracer::new(self.run, format!("{}.0", self.place)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.run.ask(&self.place, || format!("tuple variant {len}"))?;
        visitor.visit_seq(Elements::numbered(self.run, &self.place, len))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.run.ask(&self.place, || format!("struct variant {{{}}}", fields.join(", ")))?;
        let places = Fields::new(self.run, &self.place, fields);
        match self.run.readability {
            Readability::Binary => visitor.visit_seq(places),
            Readability::HumanReadable => visitor.visit_map(places),
        }
    }
}
