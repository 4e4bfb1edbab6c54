//! Reading a blob.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use tokio::task::JoinHandle;

use super::{Backend, BlobRef, Piece, memory};
use crate::error::StoreError;

/// How much of a file is read in one hop to the blocking pool; the next is read while this one is sent.
const READ_BYTES: u64 = 512 * 1024;

/// A piece under way.
enum Reading {
    Memory {
        chunks: Arc<memory::Chunks>,
        at: u64,
        to: u64,
    },
    File(FileReading),
    #[cfg(feature = "s3")]
    Remote(super::remote::RemoteReading),
}

/// The bytes of a blob, in order. It is its own owner: it may outlive the request that made it.
pub struct BlobStream {
    backend: Arc<Backend>,
    pieces: VecDeque<Piece>,
    reading: Option<Reading>,
    remaining: u64,
}

impl BlobStream {
    pub(crate) fn new(backend: Arc<Backend>, blob: BlobRef) -> Self {
        BlobStream { backend, remaining: blob.length(), pieces: blob.into_pieces().into(), reading: None }
    }

    /// The bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn begin(&self, id: &str, offset: u64, length: u64) -> Result<Reading, StoreError> {
        let to = offset + length;
        match &*self.backend {
            Backend::Memory(blobs) => {
                let chunks = blobs.get(id).ok_or_else(|| missing(id))?;
                Ok(Reading::Memory { chunks, at: offset, to })
            }
            Backend::Files(files) => {
                Ok(Reading::File(FileReading { path: files.path(id), file: None, at: offset, to, ahead: None }))
            }
            #[cfg(feature = "s3")]
            Backend::Remote(remote) => Ok(Reading::Remote(remote.read(id, offset..to))),
        }
    }
}

fn missing(id: &str) -> StoreError {
    StoreError::engine("blobs", format_args!("piece {id} is not there"))
}

impl Stream for BlobStream {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let next = match &mut self.reading {
                Some(Reading::Memory { chunks, at, to }) => {
                    let chunk = if *at < *to { chunks.chunk_at(*at, *to) } else { None };
                    *at += chunk.as_ref().map_or(0, Bytes::len) as u64;
                    chunk.map(Ok)
                }
                Some(Reading::File(file)) => ready!(file.poll(cx)),
                #[cfg(feature = "s3")]
                Some(Reading::Remote(remote)) => ready!(remote.poll(cx)),
                None => None,
            };
            match next {
                Some(Ok(chunk)) => {
                    self.remaining = self.remaining.saturating_sub(chunk.len() as u64);
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(error)) => {
                    self.pieces.clear();
                    self.reading = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.reading = None,
            }
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Inline(bytes)) => {
                    self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Piece::Stored { id, offset, length }) => match self.begin(&id, offset, length) {
                    Ok(reading) => self.reading = Some(reading),
                    Err(error) => {
                        self.pieces.clear();
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }
}

/// An open file and bytes of it.
type FilePart = (Arc<File>, Bytes);

struct FileReading {
    path: PathBuf,
    file: Option<Arc<File>>,
    at: u64,
    to: u64,
    ahead: Option<JoinHandle<io::Result<FilePart>>>,
}

impl FileReading {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        if self.ahead.is_none() {
            self.read_ahead();
        }
        let Some(ahead) = &mut self.ahead else { return Poll::Ready(None) };
        let read = ready!(Pin::new(ahead).poll(cx));
        self.ahead = None;
        match read.map_err(io::Error::other).flatten() {
            Ok((file, bytes)) => {
                self.file = Some(file);
                self.read_ahead();
                Poll::Ready(Some(Ok(bytes)))
            }
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }

    fn read_ahead(&mut self) {
        let length = (self.to - self.at).min(READ_BYTES);
        if length == 0 {
            return;
        }
        let (file, path, at) = (self.file.clone(), self.path.clone(), self.at);
        self.at += length;
        // Made here and not in the pool: each of its many threads would keep room of its own for what it once held.
        let buffer = Vec::with_capacity(length as usize);
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(File::open(path)?),
            };
            let bytes = read_at(&file, at, length as usize, buffer)?;
            Ok((file, bytes))
        }));
    }
}

/// Exactly `length` bytes from `at` on, read into an empty buffer of that capacity, which is not cleared first.
fn read_at(file: &File, at: u64, length: usize, mut buffer: Vec<u8>) -> io::Result<Bytes> {
    while buffer.len() < length {
        let from = at + buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), from) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may have given more room than was asked for.
    buffer.truncate(length);
    Ok(buffer.into())
}
