//! How bytes lie at rest that a key which is not S3's own protects: AES-256 in Galois/Counter Mode, chunk by chunk, so that
//! a body of any length streams and a range of it opens without the rest.
//!
//! What was written at once (a body, a part) is a segment: 16 bytes of salt, then chunks of 64 KiB, each with its tag behind
//! it. A segment's key is derived from the data key and the salt, so that a data key may serve a whole bucket and a chunk's
//! number is enough of a nonce. How long the segments are before they are sealed is what an object's record says of its parts.
//!
//! Of what is sealed in two layers each chunk is sealed by the data key and then, with its tag, by a key of S3's own.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingServerSideEncryption.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingDSSEncryption.html>

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use fractus_clock::Random;
use fractus_store::{BlobRef, BlobStream, Blobs};
use futures::Stream;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use crate::error::{Error, Result};

const SALT_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;
/// What keys of segments are derived for.
const PURPOSE: &[u8] = b"s3 segment";

/// What an object is sealed with: a key of 256 bits that is never kept, KMS's data key or the caller's own, and S3's own
/// key of a second layer, where there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: Bytes,
    own: Option<Bytes>,
}

impl Secret {
    pub fn new(key: Bytes) -> Secret {
        Secret { key, own: None }
    }

    /// With a second layer around the first.
    #[must_use]
    pub fn within(self, own: Option<Bytes>) -> Secret {
        Secret { own, ..self }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.key
    }

    fn layers(&self) -> u64 {
        1 + u64::from(self.own.is_some())
    }

    fn sealed_chunk_bytes(&self) -> u64 {
        CHUNK_BYTES as u64 + self.layers() * TAG_BYTES as u64
    }

    /// How many bytes `plain` bytes of a segment are when they are sealed.
    fn sealed_length(&self, plain: u64) -> u64 {
        if plain == 0 {
            return 0;
        }
        SALT_BYTES as u64 + plain + plain.div_ceil(CHUNK_BYTES as u64) * self.layers() * TAG_BYTES as u64
    }

    /// The keys of a segment's layers, the innermost first.
    fn of_segment(&self, salt: &[u8; SALT_BYTES]) -> Result<Vec<LessSafeKey>> {
        let derive = |key: &Bytes| {
            let derived = Salt::new(HKDF_SHA256, salt).extract(key);
            let purpose = [PURPOSE];
            let derived = derived.expand(&purpose, &AES_256_GCM).map_err(|_| broken("a key could not be derived"))?;
            Ok(LessSafeKey::new(UnboundKey::from(derived)))
        };
        std::iter::once(&self.key).chain(&self.own).map(derive).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

fn broken(why: &'static str) -> Error {
    tracing::error!(why, "sealed bytes cannot be worked with");
    Error::other("InternalError", 500, "We encountered an internal error. Please try again.")
}

fn nonce(chunk: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&chunk.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Seals one segment as its bytes come.
pub struct Sealer {
    layers: Vec<LessSafeKey>,
    /// Until it has been written before the first chunk.
    salt: Option<[u8; SALT_BYTES]>,
    chunk: u64,
    /// Less than a chunk.
    pending: BytesMut,
}

impl Sealer {
    pub fn new(secret: &Secret, random: &Random) -> Result<Sealer> {
        let salt = random.bytes::<SALT_BYTES>();
        Ok(Sealer { layers: secret.of_segment(&salt)?, salt: Some(salt), chunk: 0, pending: BytesMut::new() })
    }

    /// What of the segment is sealed by these bytes; nothing while a chunk is not full.
    pub fn push(&mut self, mut data: &[u8]) -> Result<Bytes> {
        let mut sealed = BytesMut::new();
        while self.pending.len() + data.len() >= CHUNK_BYTES {
            let (now, later) = data.split_at(CHUNK_BYTES - self.pending.len());
            self.pending.extend_from_slice(now);
            self.seal(&mut sealed)?;
            data = later;
        }
        self.pending.extend_from_slice(data);
        Ok(sealed.freeze())
    }

    /// The last of it.
    pub fn finish(mut self) -> Result<Bytes> {
        let mut sealed = BytesMut::new();
        if !self.pending.is_empty() {
            self.seal(&mut sealed)?;
        }
        Ok(sealed.freeze())
    }

    fn seal(&mut self, into: &mut BytesMut) -> Result<()> {
        if let Some(salt) = self.salt.take() {
            into.extend_from_slice(&salt);
        }
        for layer in &self.layers {
            let tag = layer.seal_in_place_separate_tag(nonce(self.chunk), Aad::empty(), &mut self.pending);
            let tag = tag.map_err(|_| broken("a chunk could not be sealed"))?;
            self.pending.extend_from_slice(tag.as_ref());
        }
        into.extend_from_slice(&self.pending);
        self.pending.clear();
        self.chunk += 1;
        Ok(())
    }
}

/// A segment that lies in memory, sealed.
pub fn seal(secret: &Secret, random: &Random, plain: &[u8]) -> Result<Bytes> {
    let mut sealer = Sealer::new(secret, random)?;
    let mut sealed = BytesMut::from(sealer.push(plain)?);
    sealed.extend_from_slice(&sealer.finish()?);
    Ok(sealed.freeze())
}

/// Opens a segment that lies in memory.
pub fn unseal(secret: &Secret, sealed: &[u8]) -> Result<Bytes> {
    let Some((salt, chunks)) = sealed.split_first_chunk::<SALT_BYTES>() else { return Ok(Bytes::new()) };
    let layers = secret.of_segment(salt)?;
    let chunk_bytes = CHUNK_BYTES + layers.len() * TAG_BYTES;
    let mut plain = BytesMut::with_capacity(sealed.len());
    for (number, chunk) in (0..).zip(chunks.chunks(chunk_bytes)) {
        let mut chunk = chunk.to_vec();
        let length = open_chunk(&layers, number, &mut chunk)?;
        plain.extend_from_slice(&chunk[..length]);
    }
    Ok(plain.freeze())
}

/// Opens a chunk where it lies; gives how long it is then.
fn open_chunk(layers: &[LessSafeKey], number: u64, chunk: &mut [u8]) -> Result<usize> {
    let mut length = chunk.len();
    for layer in layers.iter().rev() {
        let opened = layer.open_in_place(nonce(number), Aad::empty(), &mut chunk[..length]);
        length = opened.map_err(|_| broken("a chunk is not what was sealed"))?.len();
    }
    Ok(length)
}

/// What of one segment is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    /// Where the segment's salt lies.
    salt_at: u64,
    /// The chunks that are read, and how long they are when sealed.
    first_chunk: u64,
    sealed: Range<u64>,
    /// What of the opened chunks is wanted.
    skip: usize,
    wanted: u64,
}

/// Which chunks hold the bytes `range` of an object with these segments.
fn spans(secret: &Secret, segments: impl IntoIterator<Item = u64>, range: Range<u64>) -> VecDeque<Span> {
    let sealed_chunk_bytes = secret.sealed_chunk_bytes();
    let (mut plain_at, mut sealed_at) = (0, 0);
    let mut spans = VecDeque::new();
    for length in segments {
        let (start, end) = (plain_at, plain_at + length);
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            let first_chunk = (from - start) / CHUNK_BYTES as u64;
            let last_chunk = (to - start).div_ceil(CHUNK_BYTES as u64);
            let chunks_at = sealed_at + SALT_BYTES as u64;
            let segment_end = sealed_at + secret.sealed_length(length);
            spans.push_back(Span {
                salt_at: sealed_at,
                first_chunk,
                sealed: chunks_at + first_chunk * sealed_chunk_bytes
                    ..segment_end.min(chunks_at + last_chunk * sealed_chunk_bytes),
                skip: ((from - start) % CHUNK_BYTES as u64) as usize,
                wanted: to - from,
            });
        }
        plain_at = end;
        sealed_at += secret.sealed_length(length);
    }
    spans
}

/// A sealed blob, and what opens it.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub blob: BlobRef,
    pub secret: Secret,
    /// How long each of its segments is when it is open.
    pub segments: Vec<u64>,
}

impl Sealed {
    /// The bytes of `range`, opened as they are read.
    pub fn open(&self, blobs: Blobs, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
        let opening = Opening {
            blobs,
            blob: self.blob.clone(),
            secret: self.secret.clone(),
            spans: spans(&self.secret, self.segments.iter().copied(), range),
            running: None,
        };
        futures::stream::try_unfold(opening, |mut opening| async move {
            Ok(opening.next().await?.map(|chunk| (chunk, opening)))
        })
    }
}

struct Opening {
    blobs: Blobs,
    blob: BlobRef,
    secret: Secret,
    spans: VecDeque<Span>,
    running: Option<Running>,
}

/// A span that is being read.
struct Running {
    layers: Vec<LessSafeKey>,
    sealed_chunk_bytes: u64,
    stream: BlobStream,
    chunk: u64,
    skip: usize,
    wanted: u64,
    /// Sealed bytes that are less than a chunk.
    pending: BytesMut,
}

impl Opening {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(running) = &mut self.running {
                if let Some(chunk) = running.next().await? {
                    return Ok(Some(chunk));
                }
                self.running = None;
            }
            let Some(span) = self.spans.pop_front() else { return Ok(None) };
            self.running = Some(self.begin(span).await?);
        }
    }

    async fn begin(&self, span: Span) -> Result<Running> {
        let salt = self.blob.slice(span.salt_at..span.salt_at + SALT_BYTES as u64);
        let salt = self.blobs.read_all(&salt).await?;
        let salt = salt.as_ref().try_into().map_err(|_| broken("a segment has no salt"))?;
        Ok(Running {
            layers: self.secret.of_segment(salt)?,
            sealed_chunk_bytes: self.secret.sealed_chunk_bytes(),
            stream: self.blobs.read(&self.blob, span.sealed),
            chunk: span.first_chunk,
            skip: span.skip,
            wanted: span.wanted,
            pending: BytesMut::new(),
        })
    }
}

impl Running {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.wanted == 0 {
            return Ok(None);
        }
        while (self.pending.len() as u64) < self.sealed_chunk_bytes {
            let Some(read) = self.stream.next().await else { break };
            self.pending.extend_from_slice(&read?);
        }
        let mut chunk = self.pending.split_to(self.pending.len().min(self.sealed_chunk_bytes as usize));
        let length = open_chunk(&self.layers, self.chunk, &mut chunk)?;
        self.chunk += 1;
        let from = std::mem::take(&mut self.skip).min(length);
        let to = usize::try_from(self.wanted).map_or(length, |wanted| length.min(from.saturating_add(wanted)));
        self.wanted = self.wanted.saturating_sub((to - from) as u64);
        Ok(Some(chunk.freeze().slice(from..to)))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new(Bytes::from(vec![byte; 32]))
    }

    fn plain(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    async fn opened(sealed: &Sealed, range: Range<u64>) -> Result<Vec<u8>> {
        let blobs = Blobs::memory();
        let chunks: Vec<Bytes> = sealed.open(blobs, range).try_collect().await?;
        Ok(chunks.concat())
    }

    fn twice(byte: u8, own: u8) -> Secret {
        secret(byte).within(Some(Bytes::from(vec![own; 32])))
    }

    #[tokio::test]
    async fn any_range_of_any_segments_opens() {
        any_range_opens(secret(1)).await;
        any_range_opens(twice(1, 2)).await;
    }

    #[test]
    fn two_layers_open_by_both_keys_alone() {
        let (random, text) = (Random::seeded(4), plain(CHUNK_BYTES + 9));
        let bytes = seal(&twice(1, 2), &random, &text).unwrap();
        assert!(unseal(&twice(1, 2), &bytes).unwrap() == text);
        for wrong in [twice(1, 3), twice(3, 2), secret(1), secret(2)] {
            assert!(unseal(&wrong, &bytes).is_err());
        }
        assert!(unseal(&secret(1), &seal(&secret(1), &random, &text).unwrap()).unwrap() == text);
        assert!(unseal(&secret(1), b"").unwrap().is_empty());
    }

    async fn any_range_opens(secret: Secret) {
        let random = Random::seeded(1);
        let lengths = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 0, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7];
        let (mut blobs, mut whole) = (Vec::new(), Vec::new());
        for length in lengths {
            let bytes = seal(&secret, &random, &plain(length)).unwrap();
            assert_eq!(bytes.len() as u64, secret.sealed_length(length as u64));
            blobs.push(BlobRef::inline(bytes));
            whole.extend(plain(length));
        }
        let segments = lengths.iter().map(|length| *length as u64).collect();
        let sealed = Sealed { blob: BlobRef::concat(&blobs), secret, segments };
        let size = whole.len();
        let edges = [0, 1, 2, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES, size - 1, size];
        for from in edges {
            for to in edges.into_iter().filter(|to| *to >= from) {
                let got = opened(&sealed, from as u64..to as u64).await.unwrap();
                assert!(got == whole[from..to], "{from}..{to}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_sealed_shows_nothing_and_opens_by_its_key_alone() {
        let random = Random::seeded(2);
        let text = b"a text that nobody is to see".repeat(100);
        let bytes = seal(&secret(1), &random, &text).unwrap();
        assert!(!bytes.windows(16).any(|window| window == &text[..16]));
        assert_ne!(bytes, seal(&secret(1), &random, &text).unwrap(), "two segments under one key differ");
        let sealed = |bytes: Bytes, byte| Sealed {
            blob: BlobRef::inline(bytes),
            secret: secret(byte),
            segments: vec![text.len() as u64],
        };
        assert_eq!(opened(&sealed(bytes.clone(), 1), 0..text.len() as u64).await.unwrap(), text);
        assert!(opened(&sealed(bytes.clone(), 2), 0..1).await.is_err());
        let mut changed = bytes.to_vec();
        changed[SALT_BYTES + 3] ^= 1;
        assert!(opened(&sealed(changed.into(), 1), 0..1).await.is_err());
        assert!(opened(&sealed(bytes.slice(..40), 1), 0..text.len() as u64).await.is_err());
    }

    #[test]
    fn bytes_are_sealed_alike_however_they_come() {
        let text = plain(2 * CHUNK_BYTES + 5);
        let whole = seal(&secret(1), &Random::seeded(3), &text).unwrap();
        let mut sealer = Sealer::new(&secret(1), &Random::seeded(3)).unwrap();
        let mut pieces = Vec::new();
        for piece in text.chunks(1_000) {
            pieces.extend_from_slice(&sealer.push(piece).unwrap());
        }
        pieces.extend_from_slice(&sealer.finish().unwrap());
        assert_eq!(pieces, whole);
        assert_eq!(format!("{:?}", secret(9)), "Secret");
    }
}
