//! The JSON codec that awsJson, restJson1 and event streams share: a reader over bytes and a writer into a byte buffer.
//!
//! Reading rests on `jiter`'s pull parser: it hands out borrowed strings, so a value is copied once, into the shape.

mod document;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::JsonReader;
pub(crate) use reader::{date_time, epoch_seconds, http_date, out_of_range};
pub use writer::{JsonWriter, push_base64, push_string};
