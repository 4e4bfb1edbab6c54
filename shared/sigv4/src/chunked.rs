//! `aws-chunked` bodies: decoding them piece by piece as they arrive, and writing them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>. Data is handed on before the
//! signature of its chunk is known, so that a chunk of any size needs no memory: whoever stores it must drop what it
//! has when a later call fails.

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use crate::chunk_key::ChunkSeed;
use crate::error::Mismatch;
use crate::payload::{ChunkSigning, Payload};

/// The longest chunk header that is read: a size and a padded ECDSA signature take less than 200 bytes.
pub const MAX_CHUNK_HEADER: usize = 1024;
/// The most that all trailers together may take.
pub const MAX_TRAILERS: usize = 16 * 1024;
/// Only the last chunk may be smaller.
pub const MIN_CHUNK: u64 = 8 * 1024;

/// What is wrong with an `aws-chunked` body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("a chunk header is longer than {MAX_CHUNK_HEADER} bytes")]
    HeaderTooLong,
    #[error("malformed chunk header")]
    MalformedHeader,
    #[error("a chunk has no signature")]
    MissingSignature,
    #[error("the signature of a chunk or of the trailers does not match")]
    SignatureDoesNotMatch(Box<Mismatch>),
    #[error("before chunk {chunk} there is one of {size} bytes, which is not the last then")]
    ChunkTooSmall { chunk: u64, size: u64 },
    #[error("the trailers take more than {MAX_TRAILERS} bytes")]
    TrailersTooLong,
    /// No `name: value`, or not what was announced.
    #[error("malformed trailer")]
    MalformedTrailer,
    #[error("the trailers have no signature")]
    MissingTrailerSignature,
    #[error("there is more data than the {expected} bytes that were announced")]
    TooMuchData { expected: u64 },
    #[error("the body ended early")]
    Incomplete,
    #[error("there is data behind the last chunk")]
    DataBehindEnd,
}

/// The headers behind the last chunk, names in lower case, in their order.
pub type Trailers = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Data {
        left: u64,
    },
    /// The line end behind a chunk's data.
    DataEnd,
    /// The line end behind the last chunk of a body without trailers.
    LastEnd,
    Trailer,
    Done,
}

/// Decodes one body. Memory is bounded by [`MAX_CHUNK_HEADER`] and [`MAX_TRAILERS`]; data is never copied.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    signing: ChunkSigning,
    has_trailer: bool,
    seed: Option<ChunkSeed>,
    expected_length: Option<u64>,
    /// The trailers that `x-amz-trailer` announces.
    announced: Option<Vec<String>>,
    decoded: u64,
    chunk_index: u64,
    /// Size of the last chunk if it was below [`MIN_CHUNK`].
    small: Option<u64>,
    digest: Sha256,
    signature: String,
    line: Vec<u8>,
    trailers: Trailers,
    trailers_length: usize,
    trailer_signature: Option<String>,
}

impl ChunkedDecoder {
    /// For a payload as `x-amz-content-sha256` names it; `None` if that is no streaming one. Signatures are verified if
    /// there is a seed (from [`crate::Verified::chunks`]). `decoded_length` is `x-amz-decoded-content-length`.
    pub fn new(payload: Payload, seed: Option<ChunkSeed>, decoded_length: Option<u64>) -> Option<Self> {
        let Payload::Streaming { signing, trailer } = payload else { return None };
        Some(ChunkedDecoder {
            state: State::Header,
            signing,
            has_trailer: trailer,
            seed: seed.filter(|_| signing != ChunkSigning::Unsigned),
            expected_length: decoded_length,
            announced: None,
            decoded: 0,
            chunk_index: 0,
            small: None,
            digest: Sha256::new(),
            signature: String::new(),
            line: Vec::new(),
            trailers: Vec::new(),
            trailers_length: 0,
            trailer_signature: None,
        })
    }

    /// Demands the trailers that `x-amz-trailer` announces, comma-separated, and no others.
    #[must_use]
    pub fn announced(mut self, names: &str) -> Self {
        let names = names.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        self.announced = Some(names.collect());
        self
    }

    /// Takes from the front of `input` and gives the next piece of data; `None` when all of `input` is taken. Call it
    /// until then, for each piece of the body that arrives.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, ChunkError> {
        while !input.is_empty() {
            match self.state {
                State::Header => {
                    if let Some(line) = self.take_line(input, MAX_CHUNK_HEADER, ChunkError::HeaderTooLong)? {
                        self.begin_chunk(&line)?;
                    }
                }
                State::Data { left } => return self.take_data(input, left).map(Some),
                State::DataEnd => {
                    if let Some(line) = self.take_line(input, 2, ChunkError::MalformedHeader)? {
                        self.end_chunk(&line)?;
                        self.state = State::Header;
                    }
                }
                State::LastEnd => {
                    if let Some(line) = self.take_line(input, 2, ChunkError::MalformedHeader)? {
                        if !line.is_empty() {
                            return Err(ChunkError::MalformedHeader);
                        }
                        self.state = State::Done;
                    }
                }
                State::Trailer => {
                    let most = MAX_TRAILERS.saturating_sub(self.trailers_length);
                    if let Some(line) = self.take_line(input, most, ChunkError::TrailersTooLong)? {
                        self.read_trailer(&line)?;
                    }
                }
                // Some senders end the empty last chunk with a line end of its own before the trailers.
                State::Done if self.has_trailer && self.trailers.is_empty() => self.state = State::Trailer,
                State::Done => return Err(ChunkError::DataBehindEnd),
            }
        }
        Ok(None)
    }

    /// To be called at the end of the body: the trailers, if everything was there.
    pub fn finish(mut self) -> Result<Trailers, ChunkError> {
        match self.state {
            State::Done => {}
            // The last line end is often forgotten.
            State::Trailer | State::LastEnd if self.line.is_empty() => {}
            _ => return Err(ChunkError::Incomplete),
        }
        if self.expected_length.is_some_and(|expected| expected != self.decoded) {
            return Err(ChunkError::Incomplete);
        }
        if self.has_trailer && self.seed.is_some() {
            self.check_trailers()?;
        }
        if let Some(announced) = &self.announced {
            let came = |name: &String| self.trailers.iter().any(|(trailer, _)| trailer == name);
            let extra = self.trailers.iter().any(|(name, _)| !announced.contains(name));
            if extra || !announced.iter().all(came) {
                return Err(ChunkError::MalformedTrailer);
            }
        }
        Ok(self.trailers)
    }

    /// How much data has been decoded.
    pub fn decoded_length(&self) -> u64 {
        self.decoded
    }

    /// A line without its end, once all of it has arrived.
    fn take_line(&mut self, input: &mut Bytes, most: usize, too_long: ChunkError) -> Result<Option<Bytes>, ChunkError> {
        let end = memchr::memchr(b'\n', input);
        if self.line.len() + end.map_or(input.len(), |end| end + 1) > most {
            return Err(too_long);
        }
        let Some(end) = end else {
            self.line.extend_from_slice(input);
            input.clear();
            return Ok(None);
        };
        let mut line = input.split_to(end);
        input.advance(1);
        if !self.line.is_empty() {
            self.line.extend_from_slice(&line);
            line = Bytes::from(std::mem::take(&mut self.line));
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line))
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let line = std::str::from_utf8(line).map_err(|_| ChunkError::MalformedHeader)?;
        let (size, extensions) = line.split_once(';').unwrap_or((line, ""));
        if size.is_empty() || size.len() > 16 || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ChunkError::MalformedHeader);
        }
        let size = u64::from_str_radix(size, 16).map_err(|_| ChunkError::MalformedHeader)?;
        let signature = extensions.split(';').find_map(|part| part.trim().strip_prefix("chunk-signature="));
        if self.signing != ChunkSigning::Unsigned {
            self.signature.clear();
            self.signature.push_str(signature.ok_or(ChunkError::MissingSignature)?);
        }
        self.chunk_index += 1;
        if let (Some(small), true) = (self.small, size > 0) {
            // S3 counts the chunk at which it sees the flaw, and tells the size of the one before.
            return Err(ChunkError::ChunkTooSmall { chunk: self.chunk_index, size: small });
        }
        self.small = (size < MIN_CHUNK).then_some(size);
        let total = self.decoded.saturating_add(size);
        if let Some(expected) = self.expected_length.filter(|expected| total > *expected) {
            return Err(ChunkError::TooMuchData { expected });
        }
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.check_chunk()?;
        self.state = if self.has_trailer { State::Trailer } else { State::LastEnd };
        Ok(())
    }

    fn take_data(&mut self, input: &mut Bytes, left: u64) -> Result<Bytes, ChunkError> {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let data = input.split_to(length);
        if self.seed.is_some() {
            self.digest.update(&data);
        }
        let taken = u64::try_from(length).unwrap_or(left);
        self.decoded = self.decoded.saturating_add(taken);
        let left = left - taken;
        self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
        Ok(data)
    }

    fn end_chunk(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        if !line.is_empty() {
            return Err(ChunkError::MalformedHeader);
        }
        self.check_chunk()
    }

    fn check_chunk(&mut self) -> Result<(), ChunkError> {
        let Some(seed) = &mut self.seed else { return Ok(()) };
        let digest = std::mem::take(&mut self.digest).finalize();
        seed.check_chunk(&digest.into(), &self.signature)
            .map_err(|mismatch| ChunkError::SignatureDoesNotMatch(Box::new(mismatch)))
    }

    fn read_trailer(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        self.trailers_length += line.len() + 1;
        if line.is_empty() {
            // AWS's own example has an empty line before the trailers' signature.
            let waits = self.signing != ChunkSigning::Unsigned && self.trailer_signature.is_none();
            self.state = if waits { State::Trailer } else { State::Done };
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| ChunkError::MalformedTrailer)?;
        let (name, value) = line.split_once(':').ok_or(ChunkError::MalformedTrailer)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name.is_empty() {
            return Err(ChunkError::MalformedTrailer);
        }
        if name == "x-amz-trailer-signature" {
            self.trailer_signature = Some(value.to_owned());
        } else {
            self.trailers.push((name, value.to_owned()));
        }
        Ok(())
    }

    fn check_trailers(&mut self) -> Result<(), ChunkError> {
        let Some(seed) = &mut self.seed else { return Ok(()) };
        let signature = self.trailer_signature.as_deref().ok_or(ChunkError::MissingTrailerSignature)?;
        seed.check_trailers(&canonical_trailers(&self.trailers), signature)
            .map_err(|mismatch| ChunkError::SignatureDoesNotMatch(Box::new(mismatch)))
    }
}

/// `name:value\n` for each trailer, as they are signed.
pub(crate) fn canonical_trailers(trailers: &[(String, String)]) -> String {
    trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect()
}
