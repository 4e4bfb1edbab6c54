//! The chain of signatures of an `aws-chunked` body: each covers the one before it.

use p256::ecdsa::VerifyingKey;

use crate::chunked::canonical_trailers;
use crate::crypto::{EMPTY_SHA256, same, sha256, sha256_hex};
use crate::error::Mismatch;
use crate::key::SigningKey;
use crate::sigv4a;

/// What chunks are verified or signed with.
#[derive(Clone, Debug)]
pub enum ChunkKey {
    Hmac(SigningKey),
    /// SigV4A, verifying only.
    Verify(VerifyingKey),
    /// SigV4A, signing.
    Sign(Box<p256::ecdsa::SigningKey>),
}

/// The state of the chain: at first the signature of the request's headers.
#[derive(Clone, Debug)]
pub struct ChunkSeed {
    key: Option<ChunkKey>,
    date: String,
    scope: String,
    previous: String,
}

impl ChunkSeed {
    pub(crate) fn new(key: Option<ChunkKey>, date: &str, scope: String, signature: &str) -> Self {
        ChunkSeed { key, date: date.to_owned(), scope, previous: signature.to_owned() }
    }

    fn algorithm(&self) -> &'static str {
        match self.key {
            Some(ChunkKey::Hmac(_)) | None => "AWS4-HMAC-SHA256",
            Some(ChunkKey::Verify(_) | ChunkKey::Sign(_)) => "AWS4-ECDSA-P256-SHA256",
        }
    }

    fn chunk_string_to_sign(&self, digest: &[u8; 32]) -> String {
        let algorithm = self.algorithm();
        let ChunkSeed { date, scope, previous, .. } = self;
        format!("{algorithm}-PAYLOAD\n{date}\n{scope}\n{previous}\n{EMPTY_SHA256}\n{}", hex::encode(digest))
    }

    fn trailer_string_to_sign(&self, trailers: &str) -> String {
        let algorithm = self.algorithm();
        let ChunkSeed { date, scope, previous, .. } = self;
        format!("{algorithm}-TRAILER\n{date}\n{scope}\n{previous}\n{}", sha256_hex(trailers.as_bytes()))
    }

    pub(crate) fn check_chunk(&mut self, digest: &[u8; 32], signature: &str) -> Result<(), Mismatch> {
        self.check(self.chunk_string_to_sign(digest), signature)
    }

    pub(crate) fn check_trailers(&mut self, trailers: &str, signature: &str) -> Result<(), Mismatch> {
        self.check(self.trailer_string_to_sign(trailers), signature)
    }

    fn check(&mut self, string_to_sign: String, signature: &str) -> Result<(), Mismatch> {
        let signature = sigv4a::trim_padding(signature);
        let text = string_to_sign.as_bytes();
        let matches = match &self.key {
            Some(ChunkKey::Hmac(key)) => same(&key.sign(text), signature.as_bytes()),
            Some(ChunkKey::Verify(key)) => sigv4a::verify(key, text, signature),
            Some(ChunkKey::Sign(key)) => sigv4a::verify(key.verifying_key(), text, signature),
            None => false,
        };
        if !matches {
            let signature_provided = signature.to_owned();
            return Err(Mismatch { string_to_sign, signature_provided, ..Mismatch::default() });
        }
        self.previous.clear();
        self.previous.push_str(signature);
        Ok(())
    }

    fn sign(&mut self, string_to_sign: &str) -> String {
        let signature = match &self.key {
            Some(ChunkKey::Hmac(key)) => String::from_utf8_lossy(&key.sign(string_to_sign.as_bytes())).into_owned(),
            Some(ChunkKey::Sign(key)) => sigv4a::sign(key, string_to_sign.as_bytes()),
            Some(ChunkKey::Verify(_)) | None => String::new(),
        };
        self.previous.clone_from(&signature);
        match self.key {
            Some(ChunkKey::Sign(_)) => format!("{signature:*<width$}", width = sigv4a::PADDED_LENGTH),
            _ => signature,
        }
    }
}

/// Writes an `aws-chunked` body, chunk by chunk.
#[derive(Debug)]
pub struct ChunkedEncoder {
    seed: Option<ChunkSeed>,
    trailer: bool,
}

impl ChunkedEncoder {
    /// Signed if there is a seed (from [`crate::Signed::chunk_seed`]).
    pub fn new(seed: Option<ChunkSeed>, trailer: bool) -> Self {
        ChunkedEncoder { seed, trailer }
    }

    /// A chunk with its header and line ends. All but the last must have [`crate::MIN_CHUNK`] bytes or more.
    pub fn chunk(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = self.header(data);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
        out
    }

    fn header(&mut self, data: &[u8]) -> Vec<u8> {
        let mut header = format!("{:x}", data.len());
        if let Some(seed) = &mut self.seed {
            let text = seed.chunk_string_to_sign(&sha256(data));
            header.push_str(";chunk-signature=");
            header.push_str(&seed.sign(&text));
        }
        header.push_str("\r\n");
        header.into_bytes()
    }

    /// The last, empty chunk and the trailers.
    pub fn finish(mut self, trailers: &[(String, String)]) -> Vec<u8> {
        let mut out = self.header(b"");
        if self.trailer {
            for (name, value) in trailers {
                out.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            }
            if let Some(seed) = &mut self.seed {
                let text = seed.trailer_string_to_sign(&canonical_trailers(trailers));
                out.extend_from_slice(format!("x-amz-trailer-signature:{}\r\n", seed.sign(&text)).as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}
