//! Reading records: MessagePack as `rmp-serde` writes it.
//!
//! A record's type brings code for each way in which a value may come. Here that is a handful of tokens, read by code that
//! knows no types, where `rmp-serde`'s own reader repeats each of MessagePack's thirty forms for every type that is read:
//! 3 % of a service's program.

mod token;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;

pub use token::UnpackError;
use token::{Token, Unpacker, broken, unexpected};

/// As deep as `rmp-serde` goes.
const MAX_DEPTH: u16 = 1_024;

pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnpackError> {
    T::deserialize(&mut Unpacker { rest: bytes, depth_left: MAX_DEPTH })
}

impl<'de> Unpacker<'de> {
    fn list<V: Visitor<'de>>(&mut self, length: u32, visitor: V) -> Result<V::Value, UnpackError> {
        let mut items = self.enter(length)?;
        let value = visitor.visit_seq(&mut items)?;
        items.leave()?;
        Ok(value)
    }

    fn map<V: Visitor<'de>>(&mut self, length: u32, visitor: V) -> Result<V::Value, UnpackError> {
        let mut items = self.enter(length)?;
        let value = visitor.visit_map(&mut items)?;
        items.leave()?;
        Ok(value)
    }

    fn enter(&mut self, length: u32) -> Result<Items<'_, 'de>, UnpackError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or_else(|| broken("it is nested too deep"))?;
        Ok(Items { left: length, unpacker: self })
    }
}

macro_rules! numbers {
    ($($function:ident)*) => { $(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
            match self.token()? {
                Token::Unsigned(value) => visitor.visit_u64(value),
                Token::Signed(value) => visitor.visit_i64(value),
                Token::Float(value) => visitor.visit_f64(value),
                found => Err(unexpected(found, &visitor)),
            }
        }
    )* };
}

macro_rules! texts {
    ($($function:ident)*) => { $(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
            match self.token()? {
                Token::Text(text) => visitor.visit_borrowed_str(text),
                found => Err(unexpected(found, &visitor)),
            }
        }
    )* };
}

/// Sixteen bytes, the highest first.
macro_rules! wide_numbers {
    ($($function:ident $visit:ident $number:ty),*) => { $(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
            match self.token()? {
                Token::Bytes(bytes) if bytes.len() == 16 => {
                    visitor.$visit(bytes.iter().fold(0, |number: $number, byte| number << 8 | <$number>::from(*byte)))
                }
                found => Err(unexpected(found, &visitor)),
            }
        }
    )* };
}

impl<'de> de::Deserializer<'de> for &mut Unpacker<'de> {
    type Error = UnpackError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        match self.token()? {
            Token::Nil => visitor.visit_unit(),
            Token::Boolean(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Float(value) => visitor.visit_f64(value),
            Token::Text(text) => visitor.visit_borrowed_str(text),
            Token::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::List(length) => self.list(length, visitor),
            Token::Map(length) => self.map(length, visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }
    texts! { deserialize_str deserialize_string deserialize_char }
    wide_numbers! { deserialize_i128 visit_i128 i128, deserialize_u128 visit_u128 u128 }
    forward_to_deserialize_any! { bytes byte_buf }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        match self.token()? {
            Token::Boolean(value) => visitor.visit_bool(value),
            found => Err(unexpected(found, &visitor)),
        }
    }

    /// A field or a variant, by its name or its number.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        if let Some(name) = self.name()? {
            return visitor.visit_borrowed_bytes(name);
        }
        match self.token()? {
            Token::Text(text) => visitor.visit_borrowed_str(text),
            Token::Unsigned(value) => visitor.visit_u64(value),
            found => Err(unexpected(found, &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        if self.is_nil() {
            self.token()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        match self.token()? {
            // A structure without fields is written as an empty list.
            Token::Nil | Token::List(0) => visitor.visit_unit(),
            found => Err(unexpected(found, &visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, UnpackError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, UnpackError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        match self.token()? {
            Token::List(length) => self.list(length, visitor),
            found => Err(unexpected(found, &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, UnpackError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, UnpackError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        match self.token()? {
            Token::Map(length) => self.map(length, visitor),
            found => Err(unexpected(found, &visitor)),
        }
    }

    /// By its fields' names, or in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, UnpackError> {
        match self.token()? {
            Token::Map(length) => self.map(length, visitor),
            Token::List(length) => self.list(length, visitor),
            found => Err(unexpected(found, &visitor)),
        }
    }

    /// A variant's name alone, or a map of it to what it holds.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, UnpackError> {
        let holds = matches!(self.rest.first(), Some(0x80..=0x8f | 0xde | 0xdf));
        if holds && !matches!(self.token()?, Token::Map(1)) {
            return Err(broken("an enumeration's value has more than one variant"));
        }
        visitor.visit_enum(Variant { unpacker: self, holds })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnpackError> {
        self.skip()?;
        visitor.visit_unit()
    }
}

/// What is left of a list or a map.
struct Items<'u, 'de> {
    left: u32,
    unpacker: &'u mut Unpacker<'de>,
}

impl Items<'_, '_> {
    fn take_one(&mut self) -> bool {
        let one = self.left.checked_sub(1);
        self.left = one.unwrap_or_default();
        one.is_some()
    }

    fn leave(self) -> Result<(), UnpackError> {
        self.unpacker.depth_left += 1;
        if self.left == 0 { Ok(()) } else { Err(broken("a list or a map is longer than its type")) }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = UnpackError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, UnpackError> {
        if self.take_one() { seed.deserialize(&mut *self.unpacker).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left as usize)
    }
}

impl<'de> de::MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = UnpackError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, UnpackError> {
        if self.take_one() { seed.deserialize(&mut *self.unpacker).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, UnpackError> {
        seed.deserialize(&mut *self.unpacker)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left as usize)
    }
}

struct Variant<'u, 'de> {
    unpacker: &'u mut Unpacker<'de>,
    /// A value follows the name.
    holds: bool,
}

impl Variant<'_, '_> {
    fn expect_value(&self) -> Result<(), UnpackError> {
        if self.holds { Ok(()) } else { Err(broken("a variant's value is missing")) }
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = UnpackError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), UnpackError> {
        let name = seed.deserialize(&mut *self.unpacker)?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = UnpackError;

    fn unit_variant(self) -> Result<(), UnpackError> {
        if self.holds && !matches!(self.unpacker.token()?, Token::Nil) {
            return Err(broken("a variant without a value has one"));
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, UnpackError> {
        self.expect_value()?;
        seed.deserialize(self.unpacker)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, UnpackError> {
        self.expect_value()?;
        de::Deserializer::deserialize_seq(self.unpacker, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, UnpackError> {
        self.expect_value()?;
        de::Deserializer::deserialize_struct(self.unpacker, "", fields, visitor)
    }
}

#[cfg(test)]
mod tests;
