//! An object's bytes on their way out: as they lie, or opened where they are sealed.

use bytes::Bytes;
use fractus_store::{BlobRef, Scope, Snapshot};
use fractus_wire::{BodyError, ByteStream, Failure};
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::error::{Error, Result};
use crate::readers::Reading;
use crate::sealing::{Sealed, Secret};
use crate::service::S3;
use crate::store::{CONTENTS, Content, Object};

/// The bytes of an object as a body can carry them.
#[derive(Clone)]
pub enum Readable {
    Bytes(Bytes),
    Blob(BlobRef),
    /// Sealed at rest, with what opens them.
    Sealed(Box<Sealed>),
}

/// Finds an object's bytes in the same snapshot as its record.
pub fn readable(snapshot: &Snapshot<'_>, scope: &Scope, content: &Content) -> Result<Readable> {
    Ok(match content {
        Content::Empty => Readable::Bytes(Bytes::new()),
        Content::Small { id } => Readable::Bytes(snapshot.get(&CONTENTS, scope, &(*id,))?.unwrap_or_default()),
        Content::Blob(blob) => Readable::Blob(blob.clone()),
    })
}

/// The segments that an object's bytes were written in, by their lengths: its parts, or all of it.
pub fn segments(object: &Object) -> Vec<u64> {
    if object.parts.is_empty() {
        return vec![object.size];
    }
    object.parts.iter().map(|part| part.size).collect()
}

impl Readable {
    /// As a blob reference, sealed where it is: what a copy of the same record keeps.
    pub fn into_blob(self) -> BlobRef {
        match self {
            Readable::Bytes(bytes) => BlobRef::inline(bytes),
            Readable::Blob(blob) => blob,
            Readable::Sealed(sealed) => sealed.blob,
        }
    }

    /// With the key that opens the bytes of this object, where they are sealed.
    #[must_use]
    pub fn opened(self, object: &Object, secret: Option<Secret>) -> Self {
        match secret {
            None => self,
            Some(secret) => {
                let segments = segments(object);
                Readable::Sealed(Box::new(Sealed { blob: self.into_blob(), secret, segments }))
            }
        }
    }

    /// What opens the bytes, where they are sealed.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Readable::Sealed(sealed) => Some(&sealed.secret),
            Readable::Bytes(_) | Readable::Blob(_) => None,
        }
    }

    pub fn is_sealed(&self) -> bool {
        matches!(self, Readable::Sealed(_))
    }

    /// Keeps the bytes from being taken away.
    pub fn hold(&self, s3: &S3) -> Option<Reading> {
        match self {
            Readable::Bytes(_) => None,
            Readable::Blob(blob) => Some(s3.readers.begin(blob)),
            Readable::Sealed(sealed) => Some(s3.readers.begin(&sealed.blob)),
        }
    }

    /// The bytes `from..to` as they are read; until then nothing takes them away.
    pub fn stream(&self, s3: &S3, from: u64, to: u64) -> BoxStream<'static, Result<Bytes>> {
        let reading = self.hold(s3);
        match self {
            Readable::Bytes(bytes) => {
                let end = usize::try_from(to).unwrap_or(usize::MAX).min(bytes.len());
                let start = usize::try_from(from).unwrap_or(usize::MAX).min(end);
                futures::stream::once(std::future::ready(Ok(bytes.slice(start..end)))).boxed()
            }
            Readable::Blob(blob) => {
                let stream = s3.store.blobs().read(blob, from..to);
                stream.map(move |chunk| held(&reading, chunk.map_err(Error::from))).boxed()
            }
            Readable::Sealed(sealed) => {
                let stream = sealed.open(s3.store.blobs().clone(), from..to);
                stream.map(move |chunk| held(&reading, chunk)).boxed()
            }
        }
    }

    /// The bytes `from..to` as a body.
    pub fn into_body(self, s3: &S3, from: u64, to: u64) -> ByteStream {
        match self {
            Readable::Bytes(bytes) => {
                let end = usize::try_from(to).unwrap_or(usize::MAX).min(bytes.len());
                let start = usize::try_from(from).unwrap_or(usize::MAX).min(end);
                ByteStream::Whole(bytes.slice(start..end))
            }
            readable => {
                let stream = readable.stream(s3, from, to).map(|chunk| {
                    let unreadable = |error: Error| {
                        tracing::error!(error = &error as &dyn std::error::Error, "stored bytes could not be read");
                        BodyError::Refused(Box::new(Failure::internal("We encountered an internal error.")))
                    };
                    chunk.map(Frame::data).map_err(unreadable)
                });
                ByteStream::from_body(StreamBody::new(stream), Some(to - from))
            }
        }
    }
}

/// A read goes on for as long as its stream is there.
fn held<T>(_reading: &Option<Reading>, chunk: T) -> T {
    chunk
}
