//! Writing a blob.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fractus_clock::Random;

use super::gathering::Share;
use super::{Backend, BlobRef, files};
use crate::error::StoreError;

/// A blob being written. Dropping it unfinished leaves nothing.
pub struct BlobWriter {
    backend: Arc<Backend>,
    id: Option<String>,
    random: Random,
    inline_bytes: usize,
    length: u64,
    /// What this blob may hold in memory on its way to a file.
    share: Share,
    /// What came before it was clear that the blob is not inline.
    head: Vec<Bytes>,
    sink: Option<Sink>,
}

enum Sink {
    Memory(Vec<Bytes>),
    File(Box<files::FileSink>),
    #[cfg(feature = "s3")]
    Remote(Box<super::remote::RemoteSink>),
}

impl BlobWriter {
    pub(crate) fn new(backend: Arc<Backend>, share: Share, random: Random, inline_bytes: usize) -> Self {
        BlobWriter { backend, id: None, random, inline_bytes, length: 0, share, head: Vec::new(), sink: None }
    }

    pub(crate) fn with_id(mut self, id: String) -> Self {
        self.id = Some(id);
        self
    }

    /// The bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds a chunk. In memory the chunk itself is kept: hand over what came from the wire, uncopied.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.length += chunk.len() as u64;
        let has_room = !matches!(*self.backend, Backend::Files(_)) || self.share.try_hold(chunk.len());
        if self.sink.is_none() {
            self.head.push(chunk);
            // What finds no room to wait in goes to a file, small as it may be.
            if self.length > self.inline_bytes as u64 || !has_room {
                self.open();
                let head = std::mem::take(&mut self.head);
                let last = head.len() - 1;
                for (at, chunk) in head.into_iter().enumerate() {
                    self.pour(chunk, has_room || at < last).await?;
                }
            }
            return Ok(());
        }
        self.pour(chunk, has_room).await
    }

    /// Adds a chunk to what is stored; one that `has_room` is held by the share, and may wait.
    async fn pour(&mut self, chunk: Bytes, has_room: bool) -> Result<(), StoreError> {
        match &mut self.sink {
            Some(Sink::Memory(chunks)) => chunks.push(chunk),
            Some(Sink::File(sink)) => sink.write(chunk, &mut self.share, has_room).await?,
            #[cfg(feature = "s3")]
            Some(Sink::Remote(sink)) => sink.write(chunk).await?,
            None => {}
        }
        Ok(())
    }

    fn open(&mut self) {
        let id = self.id.get_or_insert_with(|| new_id(&self.random)).clone();
        self.sink = Some(match &*self.backend {
            Backend::Memory(_) => Sink::Memory(Vec::new()),
            Backend::Files(files) => Sink::File(Box::new(files.begin(id))),
            #[cfg(feature = "s3")]
            Backend::Remote(remote) => Sink::Remote(Box::new(remote.begin(&id))),
        });
    }

    /// Ends the blob: it can be read, and a record may refer to it.
    pub async fn finish(mut self) -> Result<BlobRef, StoreError> {
        let Some(sink) = self.sink.take() else {
            return Ok(BlobRef::inline(joined(std::mem::take(&mut self.head))));
        };
        let id = self.id.take().unwrap_or_default();
        match (sink, &*self.backend) {
            (Sink::Memory(chunks), Backend::Memory(memory)) => memory.insert(id.clone(), chunks),
            (Sink::File(sink), _) => sink.finish().await?,
            #[cfg(feature = "s3")]
            (Sink::Remote(sink), _) => sink.finish().await?,
            (Sink::Memory(_), _) => {}
        }
        Ok(BlobRef::stored(id, self.length))
    }
}

fn joined(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.remove(0);
    }
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in &chunks {
        whole.extend_from_slice(chunk);
    }
    whole.freeze()
}

/// 128 random bits in hexadecimal.
fn new_id(random: &Random) -> String {
    format!("{:032x}", u128::from_be_bytes(random.bytes()))
}
