//! Writing records: MessagePack with fields by their names, byte for byte as `rmp-serde` writes it.
//!
//! Written by code that knows no types, but for the few lines that serde makes of each. `rmp-serde`'s own writer passes every
//! single byte through `std::io::Write`, once more for each type.

mod writer;

use serde::ser::{self, Serialize};

pub use writer::PackError;
use writer::Writer;

/// Appends a value to `out`.
pub(crate) fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), PackError> {
    value.serialize(&mut Writer { out })
}

macro_rules! numbers {
    ($($function:ident $write:ident $number:ty as $wide:ty),*) => { $(
        fn $function(self, value: $number) -> Result<(), PackError> {
            self.$write(<$wide>::from(value));
            Ok(())
        }
    )* };
}

impl<'w, 'o> ser::Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = PackError;
    type SerializeSeq = Items<'w, 'o>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Items<'w, 'o>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    numbers! {
        serialize_i8 signed i8 as i64, serialize_i16 signed i16 as i64, serialize_i32 signed i32 as i64,
        serialize_i64 signed i64 as i64,
        serialize_u8 unsigned u8 as u64, serialize_u16 unsigned u16 as u64, serialize_u32 unsigned u32 as u64,
        serialize_u64 unsigned u64 as u64,
        serialize_f32 single f32 as f32, serialize_f64 double f64 as f64,
        serialize_bool boolean bool as bool
    }

    /// Sixteen bytes, the highest first.
    fn serialize_i128(self, value: i128) -> Result<(), PackError> {
        self.bytes(&value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result<(), PackError> {
        self.bytes(&value.to_be_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), PackError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), PackError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), PackError> {
        self.bytes(value)
    }

    fn serialize_none(self) -> Result<(), PackError> {
        self.nil();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), PackError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), PackError> {
        self.nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), PackError> {
        self.list(0)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), PackError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), PackError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), PackError> {
        self.variant(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'w, 'o>, PackError> {
        let Some(length) = length else { return Ok(Items::uncounted(self, false)) };
        self.list(length)?;
        Ok(Items { writer: self, uncounted: None })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self, PackError> {
        self.list(length)?;
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Self, PackError> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self, PackError> {
        self.variant(variant)?;
        self.serialize_tuple(length)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Items<'w, 'o>, PackError> {
        let Some(length) = length else { return Ok(Items::uncounted(self, true)) };
        self.map(length)?;
        Ok(Items { writer: self, uncounted: None })
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Self, PackError> {
        self.map(length)?;
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self, PackError> {
        self.variant(variant)?;
        self.serialize_struct(name, length)
    }
}

macro_rules! elements {
    ($($of:ident $function:ident),*) => { $(
        impl ser::$of for &mut Writer<'_> {
            type Ok = ();
            type Error = PackError;

            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), PackError> {
                Ok(())
            }
        }
    )* };
}

macro_rules! fields {
    ($($of:ident),*) => { $(
        impl ser::$of for &mut Writer<'_> {
            type Ok = ();
            type Error = PackError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), PackError> {
                self.text(name)?;
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), PackError> {
                Ok(())
            }
        }
    )* };
}

elements! { SerializeTuple serialize_element, SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field }
fields! { SerializeStruct, SerializeStructVariant }

/// A list or a map that is being written.
pub(crate) struct Items<'w, 'o> {
    writer: &'w mut Writer<'o>,
    /// Where its head belongs, which says how many there are, when nobody knew that before.
    uncounted: Option<Uncounted>,
}

struct Uncounted {
    at: usize,
    values: usize,
    is_map: bool,
}

impl<'w, 'o> Items<'w, 'o> {
    fn uncounted(writer: &'w mut Writer<'o>, is_map: bool) -> Self {
        let at = writer.out.len();
        Items { writer, uncounted: Some(Uncounted { at, values: 0, is_map }) }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
        if let Some(uncounted) = &mut self.uncounted {
            uncounted.values += 1;
        }
        value.serialize(&mut *self.writer)
    }

    fn finish(self) -> Result<(), PackError> {
        match self.uncounted {
            None => Ok(()),
            Some(Uncounted { at, values, is_map: false }) => self.writer.put_before(at, |writer| writer.list(values)),
            Some(Uncounted { at, values, is_map: true }) => self.writer.put_before(at, |writer| writer.map(values / 2)),
        }
    }
}

impl ser::SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = PackError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
        self.value(value)
    }

    fn end(self) -> Result<(), PackError> {
        self.finish()
    }
}

impl ser::SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = PackError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), PackError> {
        self.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
        self.value(value)
    }

    fn end(self) -> Result<(), PackError> {
        self.finish()
    }
}
