//! Values whose type is known only at run time: Smithy documents, and whole shapes read by a schema.

use bytes::Bytes;
use fractus_clock::Timestamp;
use indexmap::IndexMap;

use crate::body::Payload;
use crate::schema::{Kind, Member, Schema};
use crate::shape::{ReadError, Reader, Shape, WriteError, Writer};

/// A JSON-like value, with AWS's two extra kinds (blob and timestamp) that a schema may give it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Document {
    #[default]
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    String(String),
    Blob(Bytes),
    Timestamp(Timestamp),
    List(Vec<Document>),
    Map(IndexMap<String, Document>),
}

impl Document {
    pub fn get(&self, key: &str) -> Option<&Document> {
        match self {
            Document::Map(map) => map.get(key),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Document::String(text) => Some(text),
            _ => None,
        }
    }
}

/// A structure or union read and written by a schema alone: what dynamic calls use.
#[derive(Debug)]
pub struct DynamicShape {
    schema: &'static Schema,
    /// The members that are set, by model name, in the order they were set.
    pub members: IndexMap<String, Document>,
    payload: Payload,
}

impl DynamicShape {
    pub fn new(schema: &'static Schema) -> Self {
        DynamicShape { schema, members: IndexMap::new(), payload: Payload::None }
    }

    /// With members from a document map, keyed by model names.
    pub fn from_members(schema: &'static Schema, members: IndexMap<String, Document>) -> Self {
        DynamicShape { schema, members, payload: Payload::None }
    }
}

/// A nested map seen as the shape its schema says.
struct Nested {
    schema: &'static Schema,
    members: IndexMap<String, Document>,
}

impl Shape for DynamicShape {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        read_into(self.schema, &mut self.members, index, reader)
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        write_map_as_members(self.schema, &self.members, writer)
    }

    fn take_payload(&mut self) -> Payload {
        std::mem::take(&mut self.payload)
    }

    fn set_payload(&mut self, payload: Payload) {
        self.payload = payload;
    }
}

impl Shape for Nested {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        read_into(self.schema, &mut self.members, index, reader)
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        write_map_as_members(self.schema, &self.members, writer)
    }
}

fn read_into(
    schema: &'static Schema,
    members: &mut IndexMap<String, Document>,
    index: usize,
    reader: &mut dyn Reader,
) -> Result<(), ReadError> {
    let Some(member) = schema.members.get(index) else { return Ok(()) };
    let value = read_value(member, reader)?;
    if !reader.collections_come_in_pieces() {
        members.insert(member.name.to_owned(), value);
        return Ok(());
    }
    match (members.get_mut(member.name), value) {
        // A flattened list arrives in pieces.
        (Some(Document::List(kept)), Document::List(more)) if member.target.kind == Kind::List => kept.extend(more),
        (Some(Document::Map(kept)), Document::Map(more)) if member.target.kind == Kind::Map => kept.extend(more),
        (_, value) => {
            members.insert(member.name.to_owned(), value);
        }
    }
    Ok(())
}

fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Document, ReadError> {
    Ok(match member.target.kind {
        Kind::Structure | Kind::Union => {
            let mut nested = Nested { schema: member.target, members: IndexMap::new() };
            reader.read_structure(member, &mut nested)?;
            Document::Map(nested.members)
        }
        Kind::List => {
            let element = element_of(member)?;
            let mut list = Vec::new();
            reader.read_list(member, &mut |reader| {
                if !reader.read_null() {
                    list.push(read_value(element, reader)?);
                } else if member.target.sparse {
                    list.push(Document::Null);
                }
                Ok(())
            })?;
            Document::List(list)
        }
        Kind::Map => {
            let element = element_of(member)?;
            let mut map = IndexMap::new();
            reader.read_map(member, &mut |key, reader| {
                if !reader.read_null() {
                    map.insert(key, read_value(element, reader)?);
                } else if member.target.sparse {
                    map.insert(key, Document::Null);
                }
                Ok(())
            })?;
            Document::Map(map)
        }
        Kind::String | Kind::Enum => Document::String(reader.read_string(member)?),
        Kind::Blob => Document::Blob(reader.read_blob(member)?),
        Kind::Boolean => Document::Boolean(reader.read_boolean(member)?),
        Kind::Integer => Document::Integer(i64::from(reader.read_integer(member)?)),
        Kind::Long => Document::Integer(reader.read_long(member)?),
        Kind::Float => Document::Double(f64::from(reader.read_float(member)?)),
        Kind::Double => Document::Double(reader.read_double(member)?),
        Kind::Timestamp => Document::Timestamp(reader.read_timestamp(member)?),
        Kind::Document => reader.read_document(member)?,
    })
}

fn element_of(member: &'static Member) -> Result<&'static Member, ReadError> {
    member.target.element().ok_or_else(|| ReadError::malformed(format!("{} has no element", member.target.name)))
}

fn write_map_as_members(
    schema: &'static Schema,
    members: &IndexMap<String, Document>,
    writer: &mut dyn Writer,
) -> Result<(), WriteError> {
    for member in schema.members {
        if let Some(value) = members.get(member.name)
            && *value != Document::Null
        {
            write_value(member, value, writer)?;
        }
    }
    Ok(())
}

fn write_value(member: &'static Member, value: &Document, writer: &mut dyn Writer) -> Result<(), WriteError> {
    let mismatch = || WriteError::new(member.name.to_owned(), format!("not a {:?}", member.target.kind));
    let element = || member.target.element().ok_or_else(mismatch);
    match (member.target.kind, value) {
        (Kind::Structure | Kind::Union, Document::Map(map)) => {
            writer.write_structure(member, &Nested { schema: member.target, members: map.clone() })
        }
        (Kind::List, Document::List(list)) => {
            let element = element()?;
            writer.write_list(member, list.len(), &mut |writer| {
                list.iter().try_for_each(|item| write_or_null(element, item, writer))
            })
        }
        (Kind::Map, Document::Map(map)) => {
            let element = element()?;
            writer.write_map(member, map.len(), &mut |writer| {
                map.iter().try_for_each(|(key, item)| {
                    writer.write_key(key)?;
                    write_or_null(element, item, writer)
                })
            })
        }
        (Kind::String | Kind::Enum, Document::String(text)) => writer.write_string(member, text),
        (Kind::Blob, Document::Blob(bytes)) => writer.write_blob(member, bytes),
        (Kind::Blob, Document::String(text)) => writer.write_blob(member, text.as_bytes()),
        (Kind::Boolean, Document::Boolean(value)) => writer.write_boolean(member, *value),
        (Kind::Integer, Document::Integer(value)) => {
            writer.write_integer(member, i32::try_from(*value).map_err(|_| mismatch())?)
        }
        (Kind::Long, Document::Integer(value)) => writer.write_long(member, *value),
        (Kind::Float, Document::Double(value)) => writer.write_float(member, *value as f32),
        (Kind::Float, Document::Integer(value)) => writer.write_float(member, *value as f32),
        (Kind::Double, Document::Double(value)) => writer.write_double(member, *value),
        (Kind::Double, Document::Integer(value)) => writer.write_double(member, *value as f64),
        (Kind::Timestamp, Document::Timestamp(value)) => writer.write_timestamp(member, *value),
        (Kind::Timestamp, Document::Integer(value)) => writer.write_timestamp(member, Timestamp::from_secs(*value)),
        (Kind::Timestamp, Document::Double(value)) => writer.write_timestamp(member, Timestamp::from_secs_f64(*value)),
        (Kind::Timestamp, Document::String(text)) => {
            writer.write_timestamp(member, Timestamp::parse_date_time(text).map_err(|_| mismatch())?)
        }
        (Kind::Document, value) => writer.write_document(member, value),
        _ => Err(mismatch()),
    }
}

fn write_or_null(element: &'static Member, item: &Document, writer: &mut dyn Writer) -> Result<(), WriteError> {
    if *item == Document::Null { writer.write_null(element) } else { write_value(element, item, writer) }
}
