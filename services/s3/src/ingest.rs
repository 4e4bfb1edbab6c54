//! Taking in a body: bytes to where they stay, digests computed on the way, nothing kept of what does not match.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_clock::Random;
use fractus_md5::{BodyMd5, Pool};
use fractus_store::{BlobRef, BlobWriter, Store};
use fractus_wire::ByteStream;
use futures::StreamExt;
use http_body_util::BodyExt;
use md5::{Digest, Md5};

use crate::error::{Error, Result};
use crate::model::checksum::{self, Algorithm, Hasher};
use crate::objects::Readable;
use crate::sealing::{Sealer, Secret};
use crate::service::S3;
use crate::store::{Checksum, ChecksumType};

/// The largest body of one request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MAX_BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A chunk that is smaller, of several, is copied: as it came it may keep a whole read buffer alive, which nobody counts.
const SMALL_CHUNK_BYTES: usize = 8 * 1024;

/// What the request says its body is.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Content-MD5, base64.
    pub content_md5: Option<String>,
    /// The algorithm to compute, and the value it must have where the header gives one. A trailer may give it later.
    pub checksum: Option<(Algorithm, Option<String>)>,
    /// Computed too, whatever the body is held against.
    pub besides: Option<Algorithm>,
    /// The length before `aws-chunked`, where the request says it.
    pub decoded_length: Option<u64>,
}

/// A body that has arrived and is what it was said to be.
#[derive(Debug)]
pub struct Ingested {
    pub blob: BlobRef,
    pub size: u64,
    pub md5: [u8; 16],
    pub checksum: Checksum,
    pub besides: Option<Checksum>,
}

impl Ingested {
    /// The entity tag of an object put in one piece.
    pub fn etag(&self) -> String {
        let mut etag = [b'"'; 34];
        // The digest's 32 digits fit between the quotes.
        let _ = hex::encode_to_slice(self.md5, &mut etag[1..33]);
        std::str::from_utf8(&etag).unwrap_or_default().to_owned()
    }
}

/// Checks what can be checked before the body is read.
pub fn check_expected(expected: &Expected) -> Result<()> {
    if let Some(digest) = &expected.content_md5
        && STANDARD.decode(digest).ok().is_none_or(|bytes| bytes.len() != 16)
    {
        return Err(Error::InvalidDigest { digest: digest.clone() });
    }
    if let Some((algorithm, Some(value))) = &expected.checksum
        && !checksum::is_well_formed(*algorithm, value)
    {
        return Err(Error::InvalidChecksumValue { algorithm: algorithm.as_str().to_ascii_lowercase() });
    }
    Ok(())
}

/// Where a body goes, and as what.
pub struct Keeping<'s> {
    pub store: &'s Store,
    /// Contents up to this size stay in the reference, larger ones go to the blob store.
    pub inline_bytes: usize,
    /// What seals the bytes before they are kept. Their size and digests are those of what came.
    pub sealer: Option<Box<Sealer>>,
}

impl<'s> Keeping<'s> {
    pub fn new(store: &'s Store, inline_bytes: usize) -> Self {
        Keeping { store, inline_bytes, sealer: None }
    }

    /// Sealed, where there is a secret for it.
    pub fn sealed(mut self, secret: Option<&Secret>, random: &Random) -> Result<Self> {
        self.sealer = secret.map(|secret| Sealer::new(secret, random).map(Box::new)).transpose()?;
        Ok(self)
    }
}

/// Reads `body` to its end.
pub async fn ingest(keeping: Keeping<'_>, body: ByteStream, expected: &Expected) -> Result<Ingested> {
    check_expected(expected)?;
    if let Some(length) = expected.decoded_length.or(body.length_bytes())
        && length > MAX_BODY_BYTES
    {
        return Err(Error::EntityTooLarge { size: length, max: MAX_BODY_BYTES });
    }
    let algorithm = expected.checksum.as_ref().map_or(Algorithm::Crc64Nvme, |(algorithm, _)| *algorithm);
    let has_trailer = matches!(expected.checksum, Some((_, None)));
    let mut intake = Intake {
        store: keeping.store,
        inline_bytes: keeping.inline_bytes,
        sealer: keeping.sealer,
        only_chunk_bytes: if has_trailer { None } else { expected.decoded_length.or(body.length_bytes()) },
        kept: Kept::default(),
        size: 0,
        md5: BodyMd5::new(Pool::shared()),
        hasher: algorithm.hasher(),
        besides: expected.besides.filter(|other| *other != algorithm).map(Algorithm::hasher),
        trailing: None,
    };
    intake.read(body, algorithm).await?;
    if let Some(sealer) = intake.sealer.take() {
        intake.keep_sealed(sealer.finish()?).await?;
    }
    if let Some(length) = expected.decoded_length
        && length != intake.size
    {
        return Err(Error::IncompleteBody);
    }
    let md5 = intake.md5.finish().await?;
    let value = checksum::encode(&intake.hasher.finish());
    verify(expected, algorithm, intake.trailing.as_deref(), &md5, &value)?;
    let blob = intake.kept.finish().await?;
    let full = |algorithm, value| Checksum { algorithm, kind: ChecksumType::FullObject, value };
    let besides = expected.besides.zip(intake.besides);
    let besides = besides.map(|(algorithm, hasher)| full(algorithm, checksum::encode(&hasher.finish())));
    Ok(Ingested { blob, size: intake.size, md5, checksum: full(algorithm, value), besides })
}

/// Where the bytes of a body are so far.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    /// The only chunk of a body, which may stay in the reference: what most small bodies are.
    One(Bytes),
    Written(Box<BlobWriter>),
}

impl Kept {
    async fn finish(self) -> Result<BlobRef> {
        Ok(match self {
            Kept::Nothing => BlobRef::default(),
            Kept::One(bytes) => BlobRef::inline(bytes),
            Kept::Written(writer) => writer.finish().await?,
        })
    }
}

struct Intake<'s> {
    store: &'s Store,
    inline_bytes: usize,
    sealer: Option<Box<Sealer>>,
    /// The length of a chunk that is the whole body, behind which nothing is waited for.
    only_chunk_bytes: Option<u64>,
    kept: Kept,
    size: u64,
    md5: BodyMd5,
    hasher: Hasher,
    besides: Option<Hasher>,
    /// The checksum that came behind the body.
    trailing: Option<String>,
}

impl Intake<'_> {
    async fn read(&mut self, body: ByteStream, algorithm: Algorithm) -> Result<()> {
        match body {
            ByteStream::Whole(bytes) if bytes.is_empty() => Ok(()),
            ByteStream::Whole(bytes) => self.take(bytes).await,
            ByteStream::Streaming { mut body, .. } => {
                while let Some(frame) = body.frame().await {
                    match frame.map_err(Error::from)?.into_data() {
                        Ok(data) => self.take(data).await?,
                        Err(frame) => {
                            let header = format!("x-amz-checksum-{}", algorithm.as_str().to_ascii_lowercase());
                            let trailers = frame.into_trailers().unwrap_or_default();
                            let value = trailers.get(&header).and_then(|value| value.to_str().ok());
                            self.trailing = value.map(str::to_owned);
                        }
                    }
                }
                Ok(())
            }
        }
    }

    async fn take(&mut self, data: Bytes) -> Result<()> {
        self.size += data.len() as u64;
        if self.size > MAX_BODY_BYTES {
            return Err(Error::EntityTooLarge { size: self.size, max: MAX_BODY_BYTES });
        }
        let data = match &self.kept {
            Kept::Nothing if self.only_chunk_bytes == Some(data.len() as u64) => data,
            _ if data.len() < SMALL_CHUNK_BYTES => Bytes::copy_from_slice(&data),
            _ => data,
        };
        self.hasher.update(&data);
        if let Some(hasher) = &mut self.besides {
            hasher.update(&data);
        }
        self.md5.update(data.clone()).await?;
        match &mut self.sealer {
            None => self.keep(data).await,
            Some(sealer) => {
                let sealed = sealer.push(&data)?;
                self.keep_sealed(sealed).await
            }
        }
    }

    async fn keep_sealed(&mut self, sealed: Bytes) -> Result<()> {
        if sealed.is_empty() { Ok(()) } else { self.keep(sealed).await }
    }

    async fn keep(&mut self, data: Bytes) -> Result<()> {
        let mut writer = match std::mem::take(&mut self.kept) {
            Kept::Nothing if data.len() <= self.inline_bytes && self.only_chunk_bytes == Some(data.len() as u64) => {
                self.kept = Kept::One(data);
                return Ok(());
            }
            Kept::Nothing => Box::new(self.store.blobs().writer_inline(self.inline_bytes)),
            Kept::One(first) => {
                let mut writer = Box::new(self.store.blobs().writer_inline(self.inline_bytes));
                writer.write(first).await?;
                writer
            }
            Kept::Written(writer) => writer,
        };
        writer.write(data).await?;
        self.kept = Kept::Written(writer);
        Ok(())
    }
}

fn verify(
    expected: &Expected,
    algorithm: Algorithm,
    trailing: Option<&str>,
    md5: &[u8; 16],
    computed: &str,
) -> Result<()> {
    if let Some(digest) = &expected.content_md5
        && *digest != STANDARD.encode(md5)
    {
        // Of a document it is told as it came; of an object in hexadecimal digits.
        let expected = STANDARD.decode(digest).map_or_else(|_| digest.clone(), hex::encode);
        return Err(Error::BadDigest { expected, calculated: STANDARD.encode(md5) });
    }
    let in_header = expected.checksum.as_ref().and_then(|(_, value)| value.as_deref());
    match in_header.or(trailing) {
        // One in a header was looked at before the body was read.
        Some(given) if !checksum::is_well_formed(algorithm, given) => {
            let name = algorithm.as_str().to_ascii_lowercase();
            Err(Error::invalid_request(format!("Value for x-amz-checksum-{name} trailing header is invalid.")))
        }
        Some(given) if given != computed => Err(Error::ChecksumMismatch { algorithm: algorithm.as_str() }),
        _ => Ok(()),
    }
}

/// Reads a stored body again, for digests it was not stored with.
pub async fn digest_stored(
    s3: &S3,
    readable: &Readable,
    range: std::ops::Range<u64>,
    algorithm: Algorithm,
) -> Result<([u8; 16], Checksum)> {
    let mut stream = readable.stream(s3, range.start, range.end);
    let (mut md5, mut hasher) = (Md5::new(), algorithm.hasher());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        md5.update(&chunk);
        hasher.update(&chunk);
    }
    let value = checksum::encode(&hasher.finish());
    let checksum = Checksum { algorithm, kind: ChecksumType::FullObject, value };
    Ok((md5.finalize().into(), checksum))
}

#[cfg(test)]
mod tests {
    use fractus_wire::Failure;

    use super::*;

    #[test]
    fn a_wrong_digest_is_told_in_hexadecimal_digits() {
        let expected = Expected { content_md5: Some("XrY7u+Ae7tCTyyK7j1rNww==".into()), ..Expected::default() };
        let md5 = Md5::digest(b"").into();
        let failure = Failure::from(verify(&expected, Algorithm::Crc64Nvme, None, &md5, "").unwrap_err());
        assert_eq!((failure.code.as_ref(), failure.status), ("BadDigest", 400));
        assert_eq!(
            failure.details,
            [
                ("CalculatedDigest", "1B2M2Y8AsgTpgAmY7PhCfg==".to_owned()),
                ("ExpectedDigest", "5eb63bbbe01eeed093cb22bb8f5acdc3".to_owned()),
            ]
        );
    }
}
