//! Documents in JSON: any value, bounded in depth.

use indexmap::IndexMap;
use jiter::{JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use crate::document::Document;
use crate::json::reader::{JsonReader, malformed};
use crate::json::writer::JsonWriter;
use crate::reading::MAX_DEPTH;
use crate::shape::{ReadError, ReadErrorKind, WriteError};

/// Reads whatever value comes next; `depth` is how deep it stands.
pub(super) fn read_document(reader: &mut JsonReader<'_>, depth: usize) -> Result<Document, ReadError> {
    if depth > MAX_DEPTH {
        return Err(ReadError::new(ReadErrorKind::TooDeep, "the input nests too deep"));
    }
    let peek = reader.peek()?;
    let json = &mut reader.json;
    match peek {
        Peek::Null => json.known_null().map(|()| Document::Null).map_err(|error| malformed(&error)),
        Peek::True | Peek::False => json.known_bool(peek).map(Document::Boolean).map_err(|error| malformed(&error)),
        Peek::String => {
            json.known_str().map(|text| Document::String(text.to_owned())).map_err(|error| malformed(&error))
        }
        Peek::Array => read_array(reader, depth),
        Peek::Object => read_object(reader, depth),
        _ => read_number(reader, peek),
    }
}

fn read_number(reader: &mut JsonReader<'_>, peek: Peek) -> Result<Document, ReadError> {
    let before = reader.json.clone();
    match reader.json.known_number(peek) {
        Ok(NumberAny::Int(NumberInt::Int(value))) => Ok(Document::Integer(value)),
        Ok(NumberAny::Float(value)) => Ok(Document::Double(value)),
        // A whole number beyond 64 bits keeps its size and loses its last digits.
        Err(error) if error.error_type == JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange) => {
            reader.json = before;
            reader.json.known_float(peek).map(Document::Double).map_err(|error| malformed(&error))
        }
        Err(error) => Err(malformed(&error)),
    }
}

fn read_array(reader: &mut JsonReader<'_>, depth: usize) -> Result<Document, ReadError> {
    let mut list = Vec::new();
    let mut found = reader.json.known_array().map_err(|error| malformed(&error))?;
    while found.is_some() {
        list.push(read_document(reader, depth + 1)?);
        found = reader.json.array_step().map_err(|error| malformed(&error))?;
    }
    Ok(Document::List(list))
}

fn read_object(reader: &mut JsonReader<'_>, depth: usize) -> Result<Document, ReadError> {
    let mut map = IndexMap::new();
    let mut found = reader.json.known_object().map_err(|error| malformed(&error))?.map(str::to_owned);
    while let Some(key) = found {
        let value = read_document(reader, depth + 1)?;
        map.insert(key, value);
        found = reader.json.next_key().map_err(|error| malformed(&error))?.map(str::to_owned);
    }
    Ok(Document::Map(map))
}

/// Appends any value.
pub(super) fn write_document(writer: &mut JsonWriter<'_>, value: &Document) -> Result<(), WriteError> {
    match value {
        Document::Null => writer.out.extend_from_slice(b"null"),
        Document::Boolean(value) => writer.push_boolean(*value),
        Document::Integer(value) => writer.push_integer(*value),
        Document::Double(value) => writer.push_double(*value),
        Document::String(text) => writer.push_string(text),
        Document::Blob(bytes) => writer.push_base64(bytes),
        Document::Timestamp(point) => writer.push_epoch_seconds(*point),
        Document::List(list) => {
            writer.out.push(b'[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    writer.out.push(b',');
                }
                write_document(writer, item)?;
            }
            writer.out.push(b']');
        }
        Document::Map(map) => {
            writer.out.push(b'{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    writer.out.push(b',');
                }
                writer.push_string(key);
                writer.out.push(b':');
                write_document(writer, item)?;
            }
            writer.out.push(b'}');
        }
    }
    Ok(())
}
