//! Any CBOR item as a document: error bodies, and documents should a model ever have one here.

use bytes::Bytes;
use indexmap::IndexMap;
use minicbor::data::Type;

use crate::cbor::reader::{CborReader, malformed};
use crate::document::Document;
use crate::reading::MAX_DEPTH;
use crate::shape::{ReadError, ReadErrorKind};

/// Reads whatever item comes next; `depth` is how deep it stands.
pub(super) fn read_document(reader: &mut CborReader<'_>, depth: usize) -> Result<Document, ReadError> {
    if depth > MAX_DEPTH {
        return Err(ReadError::new(ReadErrorKind::TooDeep, "the input nests too deep"));
    }
    match reader.kind()? {
        Type::Null | Type::Undefined => reader.skip().map(|()| Document::Null),
        Type::Bool => reader.cbor.bool().map(Document::Boolean).map_err(|error| malformed(&error)),
        Type::String | Type::StringIndef => reader.text().map(|text| Document::String(text.into_owned())),
        Type::Bytes => {
            let bytes = reader.cbor.bytes().map_err(|error| malformed(&error))?;
            Ok(Document::Blob(Bytes::copy_from_slice(bytes)))
        }
        Type::F16 | Type::F32 | Type::F64 => reader.fraction("a number").map(Document::Double),
        Type::Tag => reader.tagged_timestamp().map(Document::Timestamp),
        Type::Array | Type::ArrayIndef => read_array(reader, depth),
        Type::Map | Type::MapIndef => read_map(reader, depth),
        _ => reader.whole_number("a number").map(Document::Integer),
    }
}

fn read_array(reader: &mut CborReader<'_>, depth: usize) -> Result<Document, ReadError> {
    let mut left = reader.open_array()?;
    let mut list = Vec::new();
    while reader.goes_on(&mut left)? {
        list.push(read_document(reader, depth + 1)?);
    }
    Ok(Document::List(list))
}

fn read_map(reader: &mut CborReader<'_>, depth: usize) -> Result<Document, ReadError> {
    let mut left = reader.open_map()?;
    let mut map = IndexMap::new();
    while reader.goes_on(&mut left)? {
        let key = reader.text()?.into_owned();
        let value = read_document(reader, depth + 1)?;
        map.insert(key, value);
    }
    Ok(Document::Map(map))
}
