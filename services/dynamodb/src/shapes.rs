//! Shapes of the API as stored text: what a description says is kept as it is answered.

use fractus_wire::json::{JsonReader, JsonWriter};
use fractus_wire::{Failure, Shape};

use crate::error::{Error, Result};

fn broken(what: impl std::fmt::Display) -> Error {
    tracing::error!(error = %what, "a stored description cannot be used");
    Error::answer(Failure::new("InternalServerError", 500, "Internal server error"))
}

pub fn to_json(shape: &dyn Shape) -> Result<String> {
    let mut bytes = Vec::new();
    JsonWriter::write_root(&mut bytes, shape).map_err(broken)?;
    String::from_utf8(bytes).map_err(broken)
}

pub fn from_json<T: Shape + Default>(text: &str) -> Result<T> {
    let mut shape = T::default();
    let schema = shape.schema();
    JsonReader::new(text.as_bytes()).read_root(schema, &mut shape).map_err(broken)?;
    Ok(shape)
}
