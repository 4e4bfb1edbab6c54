//! AWS's wire protocols, both directions, driven by schemas.
//!
//! A shape (structure or union) knows its [`Schema`] and two things: how to read one member from a [`Reader`] and how
//! to write its members to a [`Writer`]. Each protocol implements those two traits once; there is no intermediate tree
//! and no per-protocol generated code. A [`DynamicShape`] does the same for a schema that is known only at run time.
//!
//! Modules in reading order: [`schema`] (the facts), [`shape`] (the traits), [`document`], [`body`] (streams),
//! [`failure`] (errors), [`operation`] (typed markers), [`protocol`] (the door that hosts and clients use, and which
//! protocol and operation a request means), [`reading`] (what readers keep), then a folder for each codec and protocol.
//!
//! The folder `fuzz` beside this one feeds changed inputs to every reader; its short run is a test.

pub mod aws_json;
pub mod aws_query;
pub mod body;
pub mod cbor;
pub mod document;
pub mod document_io;
pub mod dynamic;
pub mod ec2_query;
pub mod event_stream;
pub mod failure;
pub mod generated;
pub mod gzip;
mod headers;
pub mod http_binding;
mod identification;
pub mod json;
pub mod operation;
mod print;
pub mod protocol;
pub mod reading;
mod rest_json1;
pub mod rest_xml;
mod rpc_v2_cbor;
pub mod schema;
pub mod shape;
pub mod tokens;
pub mod validation;
pub mod xml;

#[cfg(test)]
mod test_shapes;

pub use body::{BodyError, ByteStream, EventStream, Payload};
pub use document::{Document, DynamicShape};
pub use failure::{Failure, Fault};
pub use headers::{HeaderMarks, header};
pub use operation::Operation;
pub use schema::{
    Constraints, ErrorTrait, HttpTrait, Kind, Location, Member, Members, OperationSchema, Protocol, Schema,
    ServiceSchema, TimestampFormat, XmlNamespace,
};
pub use shape::{ReadError, ReadErrorKind, Reader, Shape, WriteError, Writer};
