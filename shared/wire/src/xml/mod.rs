//! XML as AWS's protocols use it: read from events and written into one buffer, both driven by schemas.
//!
//! Not here: namespaces with meaning (AWS ignores them on input), validation against a DTD, and DTDs at all: a document
//! with a DOCTYPE is refused, so that no entity beyond the five and the numeric ones can exist.

mod attributes;
pub mod escape;
mod failure;
pub mod names;
mod reader;
pub mod scalar;
mod writer;

pub(crate) use attributes::TextReader;
pub(crate) use failure::at_error;
pub use failure::read_failure;
pub use names::Names;
pub use reader::{XmlLimits, XmlReader};
pub use writer::XmlWriter;

#[cfg(test)]
mod tests;
