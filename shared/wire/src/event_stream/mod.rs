//! `application/vnd.amazon.eventstream`: frames with headers, checksums and a payload, one after another in a body.
//!
//! [`frame`] is the format, [`Decoder`] takes it from pieces as they arrive, [`events`] turns typed events into a body
//! and back. A frame that a client signed (`:chunk-signature`) is taken apart; whether its signature holds is not
//! decided here.

mod codec;
mod decoder;
mod events;
pub mod frame;
mod header_reader;
mod read;
mod write;

pub use decoder::{Decoder, FrameLimits};
pub(crate) use events::body_of_shape;
pub use events::{CONTENT_TYPE, body_of_events, events_made_by, events_of_body, initial_message};
pub use frame::{FrameError, Header, HeaderValue, Message};

#[cfg(test)]
mod tests;
