//! Blobs in an S3-compatible store, so that replicas share them. Any other kind of the `object_store` library is its
//! own matter of a feature there; nothing here names S3 but the credentials' variables.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use futures::Stream;
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;

use super::StoredPiece;
use crate::error::StoreError;

type Failure = object_store::Error;

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::engine("blobs", error)
}

pub(crate) struct RemoteBlobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl RemoteBlobs {
    /// `s3://bucket/prefix`; endpoint, region and credentials come from the usual `AWS_*` variables.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        let wrong = || StoreError::Config(format!("blobs: {url:?} is not s3://bucket/prefix"));
        let rest = url.strip_prefix("s3://").ok_or_else(wrong)?;
        // The client asks for the process's own choice; if there is one already, it stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).build().map_err(failed)?;
        Self::new(Arc::new(store), prefix)
    }

    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, StoreError> {
        Ok(RemoteBlobs { store, prefix: Path::parse(prefix).map_err(failed)? })
    }

    fn path(&self, id: &str) -> Path {
        self.prefix.clone().join(id)
    }

    pub(crate) fn begin(&self, id: &str) -> RemoteSink {
        RemoteSink { writer: BufWriter::new(self.store.clone(), self.path(id)), finished: false }
    }

    pub(crate) fn read(&self, id: &str, range: Range<u64>) -> RemoteReading {
        let (store, path) = (self.store.clone(), self.path(id));
        RemoteReading::Asking(Box::pin(async move {
            let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
            Ok(store.get_opts(&path, options).await?.into_stream())
        }))
    }

    pub(crate) async fn length(&self, id: &str) -> Result<Option<u64>, StoreError> {
        match self.store.head(&self.path(id)).await {
            Ok(object) => Ok(Some(object.size)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path(id)).await {
            Ok(()) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) async fn list(&self, after: &str, limit: usize) -> Result<Vec<StoredPiece>, StoreError> {
        let now = fractus_clock::Clock::real().now();
        let mut listing = match after {
            "" => self.store.list(Some(&self.prefix)),
            after => self.store.list_with_offset(Some(&self.prefix), &self.path(after)),
        };
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(object) = std::future::poll_fn(|cx| listing.as_mut().poll_next(cx)).await else { break };
            let object = object.map_err(failed)?;
            let written = Timestamp::from_millis(object.last_modified.timestamp_millis());
            let age: Duration = now.since(written);
            found.extend(object.location.filename().map(|id| StoredPiece { id: id.to_owned(), age }));
        }
        Ok(found)
    }
}

pub(crate) struct RemoteSink {
    writer: BufWriter,
    finished: bool,
}

impl RemoteSink {
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.writer.put(chunk).await.map_err(failed)
    }

    pub(crate) async fn finish(mut self) -> Result<(), StoreError> {
        self.writer.shutdown().await.map_err(failed)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for RemoteSink {
    fn drop(&mut self) {
        // An upload in parts that is left open goes by the other store's own rule for incomplete uploads.
        if !self.finished {
            tracing::debug!("a blob was given up before its end");
        }
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

pub(crate) enum RemoteReading {
    Asking(Pin<Box<dyn Future<Output = Result<Chunks, Failure>> + Send>>),
    Streaming(Chunks),
}

impl RemoteReading {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        if let RemoteReading::Asking(asking) = self {
            match ready!(asking.as_mut().poll(cx)) {
                Ok(chunks) => *self = RemoteReading::Streaming(chunks),
                Err(error) => return Poll::Ready(Some(Err(failed(error)))),
            }
        }
        match self {
            RemoteReading::Streaming(chunks) => {
                chunks.as_mut().poll_next(cx).map(|next| next.map(|chunk| chunk.map_err(failed)))
            }
            RemoteReading::Asking(_) => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{Backend, Blobs};

    /// The library's own store in memory stands in for S3: the same calls, small uploads and ones in parts.
    #[tokio::test]
    async fn writes_reads_lists_and_removes() {
        let store = Arc::new(object_store::memory::InMemory::new());
        let blobs = Blobs::new(Backend::Remote(RemoteBlobs::new(store, "some/prefix").unwrap()));
        let mut kept = Vec::new();
        for megabytes in [1, 23] {
            let mut writer = blobs.writer();
            for n in 0..megabytes {
                writer.write(Bytes::from(vec![n; 1 << 20])).await.unwrap();
            }
            let blob = writer.finish().await.unwrap();
            let whole = blobs.read_all(&blob).await.unwrap();
            assert_eq!((whole.len(), whole[whole.len() - 1]), (usize::from(megabytes) << 20, megabytes - 1));
            let middle = blobs.read_all(&blob.slice(1_048_570..1_048_580)).await.unwrap();
            assert_eq!(middle.len(), if megabytes == 1 { 6 } else { 10 });
            kept.push(blob.stored_ids().next().unwrap().to_owned());
        }
        kept.sort();
        let page = blobs.list("", 1).await.unwrap();
        assert_eq!(page[0].id, kept[0]);
        assert_eq!(blobs.list(&page[0].id, 10).await.unwrap()[0].id, kept[1]);
        blobs.remove(&kept[0]).await.unwrap();
        blobs.remove(&kept[0]).await.unwrap();
        assert!(blobs.read_piece(&kept[0]).await.is_err());
        assert_eq!(blobs.list("", 10).await.unwrap().len(), 1);
    }
}
