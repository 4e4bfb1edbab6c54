//! Parquet: reading files for queries, writing those of inventories and of Iceberg tables.
//!
//! The format's own crate costs 1.6 MB of a program at its smallest, an image's tenth; what S3 does with the format is less:
//! reading every column of a row group in order, and writing flat ones. [`thrift`] reads and writes the structures that
//! hold it together, [`schema`] is what a file says of its columns, [`pages`] unpacks pages, [`levels`] and [`encodings`]
//! what is in them, [`read`] makes records of them, [`write`](mod@write) is the other way.
//!
//! Read are all encodings, both kinds of data pages, records of any nesting, and columns packed by Snappy or GZIP or not at
//! all, which are those that S3 Select takes. Not read are statistics, indexes, Bloom filters and encrypted files.
//!
//! [`table`] writes the data files of Iceberg tables, [`avro`] and [`iceberg`] what such a table is held together by, [`statistics`]
//! by what readers pass over files.
//!
//! <https://parquet.apache.org/docs/file-format/>

pub mod avro;
pub mod encodings;
pub mod iceberg;
pub mod levels;
pub mod orc;
pub mod pages;
pub mod read;
pub mod schema;
pub mod statistics;
pub mod table;
pub mod thrift;
pub mod write;

/// What a file is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("a column is packed by neither Snappy nor GZIP")]
    Codec,
    /// It may be right, but is not read here.
    #[error("{0} is not supported")]
    Unsupported(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// At both ends of a file.
pub const MAGIC: &[u8; 4] = b"PAR1";

pub(crate) fn malformed<T>(what: &'static str) -> Result<T> {
    Err(Error::Malformed(what))
}
