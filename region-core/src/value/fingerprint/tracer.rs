//! The deserializer that records every call of a type's `Deserialize`.

use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::Readability;
use super::access::{Elements, Fields, Pairs, Variants};
use super::candidates::{
    ANYTHING, BYTE_LENGTHS, CHARS, MAP_LENGTHS, NUMBERS, SEQUENCE_LENGTHS, TEXTS,
};
use super::run::{Refused, Run};

/// One place in a type.
pub(super) struct Tracer<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) place: String,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(run: &'a Run<'a>, place: String) -> Self {
        Self { run, place }
    }

    fn ask(&self, asked: &str) -> Result<(), Refused> {
        self.run.ask(&self.place, || asked.to_owned())
    }

    fn number(&self, asked: &str) -> Result<u8, Refused> {
        self.ask(asked)?;
        Ok(NUMBERS[self.run.try_one(&self.place, NUMBERS.len())])
    }

    /// A length from `lengths`; on the way out of a recursion the shortest comes first.
    fn length(&self, lengths: &[usize]) -> usize {
        let tried = self.run.try_one(&self.place, lengths.len());
        if self.run.is_on_way_out() && tried < 2 {
            return tried;
        }
        lengths[tried]
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("str")?;
        visitor.visit_str(TEXTS[self.run.try_one(&self.place, TEXTS.len())])
    }

    fn byte_string<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("bytes")?;
        let length = BYTE_LENGTHS[self.run.try_one(&self.place, BYTE_LENGTHS.len())];
        visitor.visit_bytes(&vec![0; length])
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $asked:literal),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            let number = self.number($asked)?;
            visitor.$visit(number.into())
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Refused;

    numbers! {
        deserialize_i16 visit_i16 "i16",
        deserialize_i32 visit_i32 "i32",
        deserialize_i64 visit_i64 "i64",
        deserialize_i128 visit_i128 "i128",
        deserialize_u8 visit_u8 "u8",
        deserialize_u16 visit_u16 "u16",
        deserialize_u32 visit_u32 "u32",
        deserialize_u64 visit_u64 "u64",
        deserialize_u128 visit_u128 "u128",
        deserialize_f32 visit_f32 "f32",
        deserialize_f64 visit_f64 "f64",
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let number = self.number("i8")?;
        visitor.visit_i8(i8::try_from(number).unwrap_or_default())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("bool")?;
        visitor.visit_bool(self.run.try_one(&self.place, 2) == 1)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("char")?;
        visitor.visit_char(CHARS[self.run.try_one(&self.place, CHARS.len())])
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.byte_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.byte_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("option")?;
        let tried = self.run.try_one(&self.place, 2);
        let is_some = (tried == 0) != self.run.is_on_way_out();
        if !is_some {
            return visitor.visit_none();
        }
        let inside = Tracer::new(self.run, format!("{}?", self.place));
        self.run.enter(&self.place, None, || visitor.visit_some(inside))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("unit")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.run.ask(&self.place, || format!("unit struct {name}"))?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let asked = format!("newtype {name}");
        self.run.ask(&self.place, || asked.clone())?;
        let inside = Tracer::new(self.run, format!("{}.0", self.place));
        self.run.enter(&self.place, Some(asked), || visitor.visit_newtype_struct(inside))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("seq")?;
        let elements = Elements::same(self.run, &self.place, self.length(SEQUENCE_LENGTHS));
        self.run.enter(&self.place, None, || visitor.visit_seq(elements))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.run.ask(&self.place, || format!("tuple {len}"))?;
        let elements = Elements::numbered(self.run, &self.place, len);
        self.run.enter(&self.place, None, || visitor.visit_seq(elements))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let asked = format!("tuple struct {name} {len}");
        self.run.ask(&self.place, || asked.clone())?;
        let elements = Elements::numbered(self.run, &self.place, len);
        self.run.enter(&self.place, Some(asked), || visitor.visit_seq(elements))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.ask("map")?;
        let pairs = Pairs::new(self.run, &self.place, self.length(MAP_LENGTHS));
        self.run.enter(&self.place, None, || visitor.visit_map(pairs))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let asked = format!("struct {name} {{{}}}", fields.join(", "));
        self.run.ask(&self.place, || asked.clone())?;
        let places = Fields::new(self.run, &self.place, fields);
        self.run.enter(&self.place, Some(asked), || match self.run.readability {
            Readability::Binary => visitor.visit_seq(places),
            Readability::HumanReadable => visitor.visit_map(places),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let asked = format!("enum {name} {{{}}}", variants.join(", "));
        self.run.ask(&self.place, || asked.clone())?;
        self.run.enter(&self.place, Some(asked.clone()), || {
            let chosen = self.run.explore(&self.place, &asked, variants.len());
            visitor.visit_enum(Variants::new(self.run, &self.place, variants, chosen)?)
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.run.ask_for_description(&self.place);
        self.run.blur();
        self.text(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.run.ask_for_description(&self.place);
        self.ask("ignored")?;
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.run.ask_for_description(&self.place);
        self.ask("any")?;
        self.run.blur();
        match self.run.try_one(&self.place, ANYTHING) {
            0 => visitor.visit_unit(),
            1 => visitor.visit_bool(false),
            2 => visitor.visit_u64(0),
            3 => visitor.visit_str(""),
            4 => visitor.visit_seq(Elements::same(self.run, &self.place, 0)),
            _ => visitor.visit_map(Pairs::new(self.run, &self.place, 0)),
        }
    }

    fn is_human_readable(&self) -> bool {
        self.run.readability == Readability::HumanReadable
    }
}

/// The name of a field or variant, as text.
pub(super) fn name(name: &'static str) -> StrDeserializer<'static, Refused> {
    name.into_deserializer()
}
