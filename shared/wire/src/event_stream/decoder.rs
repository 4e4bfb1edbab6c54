//! Messages from pieces of a body, as they arrive.

use bytes::{Bytes, BytesMut};

use super::frame::{FrameError, Message, Prelude};

/// Bounds on a message. AWS allows 16 MiB of payload and 128 KiB of headers.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    pub message_bytes: usize,
    pub headers_bytes: usize,
    pub headers: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        FrameLimits { message_bytes: 16 * 1024 * 1024 + 128 * 1024 + 16, headers_bytes: 128 * 1024, headers: 256 }
    }
}

/// Holds the bytes of a message until it is whole; never more than one message's limit and one piece.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    limits: FrameLimits,
}

impl Decoder {
    pub fn new(limits: FrameLimits) -> Self {
        Decoder { buffer: BytesMut::new(), limits }
    }

    /// Takes the next piece. Call [`Decoder::next_message`] until it gives `None` before the next one.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole message; `None` while its end has not arrived.
    pub fn next_message(&mut self) -> Result<Option<Message>, FrameError> {
        let Some(prelude) = Prelude::read(&self.buffer)? else { return Ok(None) };
        if prelude.total_bytes > self.limits.message_bytes || prelude.headers_bytes > self.limits.headers_bytes {
            return Err(FrameError::TooLong { limit_bytes: self.limits.message_bytes });
        }
        if self.buffer.len() < prelude.total_bytes {
            return Ok(None);
        }
        let frame: Bytes = self.buffer.split_to(prelude.total_bytes).freeze();
        Message::decode(frame, self.limits.headers).map(Some)
    }

    /// Says whether the stream may end here.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(FrameError::EndedEarly) }
    }
}
