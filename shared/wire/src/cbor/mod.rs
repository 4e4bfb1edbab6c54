//! The CBOR codec (RFC 8949) of rpcv2Cbor, on `minicbor`'s pull decoder.

mod document;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::CborReader;
pub use writer::CborWriter;
