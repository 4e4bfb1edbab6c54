//! Writes shapes as CBOR into a byte buffer.

use std::convert::Infallible;

use fractus_clock::Timestamp;
use minicbor::Encoder;
use minicbor::data::IanaTag;
use minicbor::encode::Error;

use crate::document::Document;
use crate::schema::Member;
use crate::shape::{Shape, WriteError, Writer};

/// What the next value stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Members, each after its name.
    Structure,
    /// A list, or a map whose keys are written already.
    Value,
}

/// Appends to `out`. Structures are maps of unknown length, since a shape does not count its members beforehand.
pub struct CborWriter<'a> {
    cbor: Encoder<&'a mut Vec<u8>>,
    scope: Scope,
}

impl<'a> CborWriter<'a> {
    /// Writes `shape` as a whole map.
    pub fn write_root(out: &'a mut Vec<u8>, shape: &dyn Shape) -> Result<(), WriteError> {
        let mut writer = CborWriter { cbor: Encoder::new(out), scope: Scope::Structure };
        writer.open()?;
        shape.write_members(&mut writer)?;
        writer.close()
    }

    /// Writes a map of `extras` and then the members of `shape`.
    pub fn write_root_with(
        out: &'a mut Vec<u8>,
        extras: &[(&str, &str)],
        shape: Option<&dyn Shape>,
    ) -> Result<(), WriteError> {
        let mut writer = CborWriter { cbor: Encoder::new(out), scope: Scope::Structure };
        writer.open()?;
        for (name, value) in extras {
            done(writer.cbor.str(name).and_then(|cbor| cbor.str(value)))?;
        }
        if let Some(shape) = shape {
            shape.write_members(&mut writer)?;
        }
        writer.close()
    }

    /// Writes a map whose members `write` writes.
    pub fn write_members_with(
        out: &'a mut Vec<u8>,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let mut writer = CborWriter { cbor: Encoder::new(out), scope: Scope::Structure };
        writer.open()?;
        write(&mut writer)?;
        writer.close()
    }

    fn open(&mut self) -> Result<(), WriteError> {
        done(self.cbor.begin_map())
    }

    fn close(&mut self) -> Result<(), WriteError> {
        done(self.cbor.end())
    }

    fn begin(&mut self, member: &Member) -> Result<&mut Encoder<&'a mut Vec<u8>>, WriteError> {
        if self.scope == Scope::Structure {
            done(self.cbor.str(member.wire_name))?;
        }
        Ok(&mut self.cbor)
    }

    fn nest(
        &mut self,
        scope: Scope,
        inside: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let outer = std::mem::replace(&mut self.scope, scope);
        inside(self)?;
        self.scope = outer;
        Ok(())
    }

    fn push_timestamp(&mut self, point: Timestamp) -> Result<(), WriteError> {
        done(self.cbor.tag(IanaTag::Timestamp))?;
        if point.micros() % 1_000_000 == 0 {
            done(self.cbor.i64(point.secs()))
        } else {
            done(self.cbor.f64(point.secs_f64()))
        }
    }

    fn push_document(&mut self, value: &Document) -> Result<(), WriteError> {
        match value {
            Document::Null => done(self.cbor.null()),
            Document::Boolean(value) => done(self.cbor.bool(*value)),
            Document::Integer(value) => done(self.cbor.i64(*value)),
            Document::Double(value) => done(self.cbor.f64(*value)),
            Document::String(text) => done(self.cbor.str(text)),
            Document::Blob(bytes) => done(self.cbor.bytes(bytes)),
            Document::Timestamp(point) => self.push_timestamp(*point),
            Document::List(list) => {
                done(self.cbor.array(list.len() as u64))?;
                list.iter().try_for_each(|item| self.push_document(item))
            }
            Document::Map(map) => {
                done(self.cbor.map(map.len() as u64))?;
                map.iter().try_for_each(|(key, item)| {
                    done(self.cbor.str(key))?;
                    self.push_document(item)
                })
            }
        }
    }
}

/// Writing to memory cannot fail; the encoder's error says so with its type, but for its own messages.
fn done<T>(result: Result<T, Error<Infallible>>) -> Result<(), WriteError> {
    result.map(|_| ()).map_err(|error| WriteError::new("a CBOR item", error.to_string()))
}

impl Writer for CborWriter<'_> {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.begin(member)?;
        self.open()?;
        self.nest(Scope::Structure, |writer| shape.write_members(writer))?;
        self.close()
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        _length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        // Open-ended, since elements that are null may be left out of dense lists.
        done(self.begin(member)?.begin_array())?;
        self.nest(Scope::Value, |writer| elements(writer))?;
        self.close()
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        done(self.begin(member)?.begin_map())?;
        self.nest(Scope::Value, |writer| entries(writer))?;
        self.close()
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        done(self.cbor.str(key))
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        done(self.begin(member)?.null())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        done(self.begin(member)?.str(value))
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        done(self.begin(member)?.bytes(value))
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        done(self.begin(member)?.bool(value))
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        done(self.begin(member)?.i32(value))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        done(self.begin(member)?.i64(value))
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        done(self.begin(member)?.f32(value))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        done(self.begin(member)?.f64(value))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        self.begin(member)?;
        self.push_timestamp(value)
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        self.begin(member)?;
        self.push_document(value)
    }
}
