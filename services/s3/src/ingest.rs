//! Taking in a body: bytes to where they stay, digests computed on the way, nothing kept of what does not match.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_store::{BlobRef, Store};
use fractus_wire::ByteStream;
use http_body_util::BodyExt;
use md5::{Digest, Md5};

use crate::error::{Error, Result};
use crate::model::checksum::{self, Algorithm, Hasher};
use crate::store::{Checksum, ChecksumType};

/// The largest body of one request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MAX_BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// What the request says its body is.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Content-MD5, base64.
    pub content_md5: Option<String>,
    /// The algorithm to compute, and the value it must have where the header gives one. A trailer may give it later.
    pub checksum: Option<(Algorithm, Option<String>)>,
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
}

impl Ingested {
    /// The entity tag of an object put in one piece.
    pub fn etag(&self) -> String {
        format!("\"{}\"", hex::encode(self.md5))
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

/// Reads `body` to its end. Contents up to `inline_bytes` stay in the reference, larger ones go to the blob store.
pub async fn ingest(store: &Store, body: ByteStream, expected: &Expected, inline_bytes: usize) -> Result<Ingested> {
    check_expected(expected)?;
    if let Some(length) = expected.decoded_length.or(body.length_bytes())
        && length > MAX_BODY_BYTES
    {
        return Err(Error::EntityTooLarge { size: length, max: MAX_BODY_BYTES });
    }
    let algorithm = expected.checksum.as_ref().map_or(Algorithm::Crc64Nvme, |(algorithm, _)| *algorithm);
    let mut intake = Intake {
        writer: store.blobs().writer_inline(inline_bytes),
        size: 0,
        md5: Md5::new(),
        hasher: algorithm.hasher(),
        trailing: None,
    };
    intake.read(body, algorithm).await?;
    if let Some(length) = expected.decoded_length
        && length != intake.size
    {
        return Err(Error::IncompleteBody);
    }
    let md5: [u8; 16] = intake.md5.finalize().into();
    let value = checksum::encode(&intake.hasher.finish());
    verify(expected, algorithm, intake.trailing.as_deref(), &md5, &value)?;
    let blob = intake.writer.finish().await?;
    let checksum = Checksum { algorithm: algorithm.as_str().to_owned(), kind: ChecksumType::FullObject, value };
    Ok(Ingested { blob, size: intake.size, md5, checksum })
}

struct Intake {
    writer: fractus_store::BlobWriter,
    size: u64,
    md5: Md5,
    hasher: Hasher,
    /// The checksum that came behind the body.
    trailing: Option<String>,
}

impl Intake {
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
        self.md5.update(&data);
        self.hasher.update(&data);
        self.writer.write(data).await?;
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
        return Err(Error::BadDigest { expected: digest.clone(), calculated: STANDARD.encode(md5) });
    }
    let given = expected.checksum.as_ref().and_then(|(_, value)| value.as_deref()).or(trailing);
    match given {
        Some(given) if !checksum::is_well_formed(algorithm, given) => {
            Err(Error::InvalidChecksumValue { algorithm: algorithm.as_str().to_ascii_lowercase() })
        }
        Some(given) if given != computed => Err(Error::ChecksumMismatch { algorithm: algorithm.as_str() }),
        _ => Ok(()),
    }
}

/// Reads a stored body again, for digests it was not stored with.
pub async fn digest_stored(
    store: &Store,
    blob: &BlobRef,
    range: std::ops::Range<u64>,
    algorithm: Algorithm,
) -> Result<([u8; 16], Checksum)> {
    let mut stream = store.blobs().read(blob, range);
    let (mut md5, mut hasher) = (Md5::new(), algorithm.hasher());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        md5.update(&chunk);
        hasher.update(&chunk);
    }
    let value = checksum::encode(&hasher.finish());
    let checksum = Checksum { algorithm: algorithm.as_str().to_owned(), kind: ChecksumType::FullObject, value };
    Ok((md5.finalize().into(), checksum))
}
