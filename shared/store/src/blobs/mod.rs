//! Large bytes beside the records: written once under an id of their own, never changed, referred to by records.
//!
//! A [`BlobRef`] lives inside a record; small contents live in it wholly. Stored pieces may be shared: a copy, a part
//! of a blob and the joining of parts (CompleteMultipartUpload) make new references and move no bytes.
//!
//! Who refers to what is kept in the store itself, in each lane, in the same transaction as the record:
//! [`Transaction::keep_blob`](crate::Transaction::keep_blob) and `release_blob`. So a fork, a rollback, a reset carry
//! the references along with the records, and a piece may go when no lane (and no lane's snapshot) knows it:
//! [`Store::discard`](crate::Store::discard) looks at once, [`Store::sweep_blobs`](crate::Store::sweep_blobs) finds what
//! crashes, resets and rollbacks left behind.

mod blob_ref;
mod files;
mod gathering;
mod memory;
#[cfg(feature = "s3")]
mod remote;
mod stream;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Random;

pub use blob_ref::{BlobRef, Piece};
pub use stream::BlobStream;
pub use writer::BlobWriter;

use crate::config::Durability;
use crate::error::StoreError;

/// Contents up to this size live in the record that refers to them, unless the writer says otherwise.
pub const INLINE_BYTES: usize = 64 * 1024;

pub(crate) enum Backend {
    Memory(memory::MemoryBlobs),
    Files(files::FileBlobs),
    #[cfg(feature = "s3")]
    Remote(remote::RemoteBlobs),
}

/// Where one service's large bytes are. Clones are the same place.
#[derive(Clone)]
pub struct Blobs {
    backend: Arc<Backend>,
    gathering: gathering::Gathering,
    random: Random,
}

/// A stored piece as a clean-up sees it.
pub(crate) struct StoredPiece {
    pub(crate) id: String,
    pub(crate) age: Duration,
}

impl Blobs {
    /// In memory, in the chunks they came in: nothing is copied.
    pub fn memory() -> Self {
        Self::new(Backend::Memory(memory::MemoryBlobs::default()))
    }

    /// One file a piece, under `folder`.
    pub fn files(folder: impl Into<PathBuf>, durability: Durability) -> Result<Self, StoreError> {
        Ok(Self::new(Backend::Files(files::FileBlobs::open(folder.into(), durability)?)))
    }

    /// An S3-compatible store, or any other that the library knows by its URL.
    #[cfg(feature = "s3")]
    pub fn remote(url: &str) -> Result<Self, StoreError> {
        Ok(Self::new(Backend::Remote(remote::RemoteBlobs::open(url)?)))
    }

    #[cfg(not(feature = "s3"))]
    pub fn remote(url: &str) -> Result<Self, StoreError> {
        Err(StoreError::Config(format!("blobs at {url:?} need a build with the s3 feature")))
    }

    fn new(backend: Backend) -> Self {
        Blobs { backend: Arc::new(backend), gathering: gathering::Gathering::default(), random: Random::system() }
    }

    /// What all blobs that are being written may gather in memory before it goes to their files; a blob that finds
    /// nothing free is written in smaller pieces. 16 MiB until this is called. In memory there is nothing to gather; what
    /// goes to another store is gathered in parts as large as that store wants them.
    pub fn gather_at_most(&self, bytes: usize) {
        self.gathering.set_limit(bytes);
    }

    /// What blobs that are being written hold in memory just now.
    pub fn gathered_bytes(&self) -> usize {
        self.gathering.held_bytes()
    }

    /// Begins a blob whose size is known at its end. A writer that is dropped leaves nothing.
    pub fn writer(&self) -> BlobWriter {
        self.writer_inline(INLINE_BYTES)
    }

    /// The same, with contents up to `inline_bytes` kept in the reference itself.
    pub fn writer_inline(&self, inline_bytes: usize) -> BlobWriter {
        BlobWriter::new(self.backend.clone(), self.gathering.share(), self.random.clone(), inline_bytes)
    }

    /// Writes all of a stream; the first error of the stream ends it and nothing stays.
    pub async fn put<S, E>(&self, stream: S) -> Result<BlobRef, E>
    where
        S: futures::Stream<Item = Result<bytes::Bytes, E>>,
        E: From<StoreError>,
    {
        let mut stream = std::pin::pin!(stream);
        let mut writer = self.writer();
        while let Some(chunk) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            writer.write(chunk?).await?;
        }
        Ok(writer.finish().await?)
    }

    /// The bytes of `range` (clamped to the blob), as a stream.
    pub fn read(&self, blob: &BlobRef, range: std::ops::Range<u64>) -> BlobStream {
        BlobStream::new(self.backend.clone(), blob.slice(range))
    }

    /// The whole blob, gathered: for contents that are known to be small (a document, a policy).
    pub async fn read_all(&self, blob: &BlobRef) -> Result<bytes::Bytes, StoreError> {
        if let Some(bytes) = blob.as_inline() {
            return Ok(bytes.clone());
        }
        let mut stream = self.read(blob, 0..blob.length());
        let mut whole = bytes::BytesMut::with_capacity(usize::try_from(blob.length()).unwrap_or(0));
        while let Some(chunk) = stream.next().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.freeze())
    }

    /// Removes a stored piece, whoever refers to it: only the reference keeping below may decide that.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), StoreError> {
        match &*self.backend {
            Backend::Memory(blobs) => blobs.remove(id),
            Backend::Files(blobs) => blobs.remove(id)?,
            #[cfg(feature = "s3")]
            Backend::Remote(blobs) => blobs.remove(id).await?,
        }
        Ok(())
    }

    /// Up to about `limit` stored pieces whose ids follow `after`; fewer than one only at the end.
    pub(crate) async fn list(&self, after: &str, limit: usize) -> Result<Vec<StoredPiece>, StoreError> {
        match &*self.backend {
            Backend::Memory(blobs) => Ok(blobs.list(after, limit)),
            Backend::Files(blobs) => blobs.list(after, limit),
            #[cfg(feature = "s3")]
            Backend::Remote(blobs) => blobs.list(after, limit).await,
        }
    }

    /// Writes a piece under an id that is known already (an import).
    pub(crate) fn piece_writer(&self, id: String) -> Result<BlobWriter, StoreError> {
        // It becomes a file's name: only what this store makes itself is taken.
        if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(BlobWriter::new(self.backend.clone(), self.gathering.share(), self.random.clone(), 0).with_id(id))
        } else {
            Err(StoreError::Import("a piece with a strange id".to_owned()))
        }
    }

    /// A whole stored piece (an export).
    pub(crate) async fn read_piece(&self, id: &str) -> Result<BlobStream, StoreError> {
        let length = match &*self.backend {
            Backend::Memory(blobs) => blobs.length(id),
            Backend::Files(blobs) => std::fs::metadata(blobs.path(id)).ok().map(|file| file.len()),
            #[cfg(feature = "s3")]
            Backend::Remote(blobs) => blobs.length(id).await?,
        };
        let length = length.ok_or_else(|| StoreError::engine("blobs", format_args!("piece {id} is not there")))?;
        Ok(BlobStream::new(self.backend.clone(), BlobRef::stored(id.to_owned(), length)))
    }
}
