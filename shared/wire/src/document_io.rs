//! Typed shapes to documents and back: a reader and a writer that know no protocol.

use bytes::Bytes;
use fractus_clock::Timestamp;
use indexmap::IndexMap;

use crate::body::{ByteStream, Payload};
use crate::document::Document;
use crate::schema::{Member, Schema};
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape, WriteError, Writer};

/// A shape as a map from the model's member names to values. A streamed payload stays behind.
pub fn to_document(shape: &dyn Shape) -> Result<Document, WriteError> {
    let mut writer = DocumentWriter::default();
    shape.write_members(&mut writer)?;
    Ok(Document::Map(writer.members))
}

/// A typed shape from a map with the model's member names. A blob for a streamed payload is taken as the whole body.
pub fn from_document<T: Shape + Default>(document: &Document) -> Result<T, ReadError> {
    let mut shape = T::default();
    DocumentReader::new(document).read_shape(&mut shape)?;
    Ok(shape)
}

/// Writes shapes as documents.
#[derive(Default)]
pub struct DocumentWriter {
    /// Of the shape that is being written.
    members: IndexMap<String, Document>,
    /// Of the collection that is being written, innermost last.
    collections: Vec<Collection>,
}

enum Collection {
    List(Vec<Document>),
    Map(IndexMap<String, Document>, String),
}

impl DocumentWriter {
    fn place(&mut self, member: &'static Member, value: Document) -> Result<(), WriteError> {
        match self.collections.last_mut() {
            None => {
                self.members.insert(member.name.to_owned(), value);
            }
            Some(Collection::List(list)) => list.push(value),
            Some(Collection::Map(map, key)) => {
                map.insert(std::mem::take(key), value);
            }
        }
        Ok(())
    }

    fn close(&mut self, member: &'static Member) -> Result<(), WriteError> {
        match self.collections.pop() {
            Some(Collection::List(list)) => self.place(member, Document::List(list)),
            Some(Collection::Map(map, _)) => self.place(member, Document::Map(map)),
            None => Ok(()),
        }
    }
}

impl Writer for DocumentWriter {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.place(member, to_document(shape)?)
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.collections.push(Collection::List(Vec::with_capacity(length)));
        elements(self)?;
        self.close(member)
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.collections.push(Collection::Map(IndexMap::with_capacity(length), String::new()));
        entries(self)?;
        self.close(member)
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        if let Some(Collection::Map(_, next)) = self.collections.last_mut() {
            key.clone_into(next);
        }
        Ok(())
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.place(member, Document::Null)
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        self.place(member, Document::String(value.to_owned()))
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.place(member, Document::Blob(Bytes::copy_from_slice(value)))
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.place(member, Document::Boolean(value))
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.place(member, Document::Integer(i64::from(value)))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.place(member, Document::Integer(value))
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.place(member, Document::Double(f64::from(value)))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.place(member, Document::Double(value))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        self.place(member, Document::Timestamp(value))
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        self.place(member, value.clone())
    }
}

/// Reads shapes from a document. Numbers and timestamps are taken in the forms that JSON gives them as well, so that a
/// value from a state machine or a template fits.
pub struct DocumentReader<'a> {
    at: &'a Document,
}

impl<'a> DocumentReader<'a> {
    pub fn new(at: &'a Document) -> Self {
        DocumentReader { at }
    }

    /// Reads the members of a root shape. Names that the model does not have are an error: a caller's misspelt
    /// parameter must not vanish.
    pub fn read_shape(&mut self, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let schema = shape.schema();
        let Document::Map(map) = self.at else { return Err(self.mismatch(schema.name, "a map")) };
        for (name, value) in map {
            if *value == Document::Null {
                continue;
            }
            let Some(member) = schema.members.as_slice().iter().find(|member| member.name == name) else {
                return Err(ReadError::wrong_type(format!("{} has no member {name}", schema.name)));
            };
            read_one(schema, member, value, shape).map_err(|error| within(name, error))?;
        }
        Ok(())
    }

    fn mismatch(&self, name: &str, expected: &str) -> ReadError {
        let found = match self.at {
            Document::Null => "null",
            Document::Boolean(_) => "a boolean",
            Document::Integer(_) | Document::Double(_) => "a number",
            Document::String(_) => "a string",
            Document::Blob(_) => "a blob",
            Document::Timestamp(_) => "a timestamp",
            Document::List(_) => "a list",
            Document::Map(_) => "a map",
        };
        ReadError::wrong_type(format!("{name} must be {expected}, not {found}"))
    }

    fn out_of_range(&self, name: &str) -> ReadError {
        ReadError::new(ReadErrorKind::OutOfRange, format!("{name} is out of range"))
    }

    fn integer(&self, member: &'static Member) -> Result<i64, ReadError> {
        match self.at {
            Document::Integer(value) => Ok(*value),
            Document::Double(value) if value.fract() == 0.0 && value.abs() < 9.0e15 => Ok(*value as i64),
            Document::Double(_) => Err(self.out_of_range(member.name)),
            _ => Err(self.mismatch(member.name, "an integer")),
        }
    }
}

fn read_one(
    schema: &Schema,
    member: &'static Member,
    value: &Document,
    shape: &mut dyn Shape,
) -> Result<(), ReadError> {
    if member.target.streaming && schema.payload == Some(member.index) {
        let whole = DocumentReader::new(value).read_blob(member)?;
        shape.set_payload(Payload::Bytes(ByteStream::Whole(whole)));
        return Ok(());
    }
    shape.read_member(usize::from(member.index), &mut DocumentReader::new(value))
}

fn within(name: &str, mut error: ReadError) -> ReadError {
    error.path = if error.path.is_empty() { name.to_owned() } else { format!("{name}.{}", error.path) };
    error
}

impl Reader for DocumentReader<'_> {
    fn read_structure(&mut self, _member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        self.read_shape(shape)
    }

    fn read_list(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let Document::List(list) = self.at else { return Err(self.mismatch(member.name, "a list")) };
        for (index, value) in list.iter().enumerate() {
            each(&mut DocumentReader::new(value)).map_err(|error| within(&index.to_string(), error))?;
        }
        Ok(())
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let Document::Map(map) = self.at else { return Err(self.mismatch(member.name, "a map")) };
        for (key, value) in map {
            each(key.clone(), &mut DocumentReader::new(value)).map_err(|error| within(key, error))?;
        }
        Ok(())
    }

    fn read_null(&mut self) -> bool {
        *self.at == Document::Null
    }

    fn read_string(&mut self, member: &'static Member) -> Result<String, ReadError> {
        self.at.as_str().map(str::to_owned).ok_or_else(|| self.mismatch(member.name, "a string"))
    }

    fn read_blob(&mut self, member: &'static Member) -> Result<Bytes, ReadError> {
        match self.at {
            Document::Blob(bytes) => Ok(bytes.clone()),
            Document::String(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            _ => Err(self.mismatch(member.name, "a blob")),
        }
    }

    fn read_boolean(&mut self, member: &'static Member) -> Result<bool, ReadError> {
        match self.at {
            Document::Boolean(value) => Ok(*value),
            _ => Err(self.mismatch(member.name, "a boolean")),
        }
    }

    fn read_integer(&mut self, member: &'static Member) -> Result<i32, ReadError> {
        i32::try_from(self.integer(member)?).map_err(|_| self.out_of_range(member.name))
    }

    fn read_long(&mut self, member: &'static Member) -> Result<i64, ReadError> {
        self.integer(member)
    }

    fn read_float(&mut self, member: &'static Member) -> Result<f32, ReadError> {
        Ok(self.read_double(member)? as f32)
    }

    fn read_double(&mut self, member: &'static Member) -> Result<f64, ReadError> {
        match self.at {
            Document::Integer(value) => Ok(*value as f64),
            Document::Double(value) => Ok(*value),
            Document::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
                text.parse().map_err(|_| self.mismatch(member.name, "a number"))
            }
            _ => Err(self.mismatch(member.name, "a number")),
        }
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        match self.at {
            Document::Timestamp(value) => Ok(*value),
            Document::Integer(secs) => Ok(Timestamp::from_secs(*secs)),
            Document::Double(secs) => Ok(Timestamp::from_secs_f64(*secs)),
            Document::String(text) => {
                Timestamp::parse_date_time(text).map_err(|_| self.mismatch(member.name, "a timestamp"))
            }
            _ => Err(self.mismatch(member.name, "a timestamp")),
        }
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        Ok(self.at.clone())
    }
}
