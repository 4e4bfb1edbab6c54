//! Blobs as files: `<folder>/<first two characters of the id>/<id>`, written under `<folder>/tmp` and renamed when
//! whole, so that no crash leaves a part of a piece in sight.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::StoredPiece;
use super::gathering::Share;
use crate::config::Durability;
use crate::error::StoreError;

/// How much is gathered before it is handed to the blocking pool: a hop there costs as much as writing 64 KiB.
const WRITE_BYTES: usize = 1024 * 1024;

/// Writes that the pool is given at once. It would start a thread for each of a thousand uploads, every one with a stack and
/// a part of the heap of its own, and no disk is faster for it.
const WRITES_AT_ONCE: usize = 32;

pub(crate) struct FileBlobs {
    folder: PathBuf,
    durability: Durability,
    places: Arc<Semaphore>,
}

impl FileBlobs {
    pub(crate) fn open(folder: PathBuf, durability: Durability) -> Result<Self, StoreError> {
        let tmp = folder.join("tmp");
        fs::create_dir_all(&tmp)?;
        // What is here was being written when the last process ended; nothing refers to it.
        for entry in fs::read_dir(&tmp)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(FileBlobs { folder, durability, places: Arc::new(Semaphore::new(WRITES_AT_ONCE)) })
    }

    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.folder.join(shard(id)).join(id)
    }

    pub(crate) fn begin(&self, id: String) -> FileSink {
        FileSink {
            temporary: self.folder.join("tmp").join(&id),
            permanent: self.path(&id),
            durability: self.durability,
            places: Arc::clone(&self.places),
            gathered: Vec::new(),
            gathered_bytes: 0,
            file: None,
            writing: None,
        }
    }

    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub(crate) fn list(&self, after: &str, limit: usize) -> Result<Vec<StoredPiece>, StoreError> {
        let mut shards: Vec<String> = fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.len() == 2 && name.as_str() >= shard(after))
            .collect();
        shards.sort_unstable();
        let mut found = Vec::new();
        for name in shards {
            let mut pieces = Vec::new();
            for entry in fs::read_dir(self.folder.join(&name))? {
                let entry = entry?;
                let (Ok(id), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
                let age = metadata.modified()?.elapsed().unwrap_or_default();
                if id.as_str() > after {
                    pieces.push(StoredPiece { id, age });
                }
            }
            pieces.sort_unstable_by(|one, two| one.id.cmp(&two.id));
            found.extend(pieces);
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn shard(id: &str) -> &str {
    id.get(..2).unwrap_or(id)
}

/// A file that is removed when it is dropped unpublished, wherever that happens: here or in the blocking pool.
struct Temporary {
    file: File,
    path: PathBuf,
    published: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "an unfinished blob stays until the next start");
        }
    }
}

/// A piece being written: gathers chunks while the blocking pool writes the ones before.
pub(crate) struct FileSink {
    temporary: PathBuf,
    permanent: PathBuf,
    durability: Durability,
    places: Arc<Semaphore>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    file: Option<Temporary>,
    writing: Option<JoinHandle<io::Result<Temporary>>>,
}

impl FileSink {
    /// Adds a chunk. `share` holds what is gathered and is given back when that is written. A chunk that has no room there
    /// is written with what came before it, and waited for.
    pub(crate) async fn write(&mut self, chunk: Bytes, share: &mut Share, has_room: bool) -> Result<(), StoreError> {
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes >= WRITE_BYTES || !has_room {
            self.settle().await?;
            let place = self.place().await?;
            let (file, path, held) = (self.file.take(), self.temporary.clone(), share.split());
            let chunks = std::mem::take(&mut self.gathered);
            self.gathered_bytes = 0;
            self.writing = Some(tokio::task::spawn_blocking(move || {
                let written = write_chunks(file, path, &chunks);
                drop((chunks, held, place));
                written
            }));
        }
        if !has_room {
            self.settle().await?;
        }
        Ok(())
    }

    /// Waits until the pool has written what it was given.
    async fn settle(&mut self) -> Result<(), StoreError> {
        if let Some(writing) = &mut self.writing {
            let written = writing.await.map_err(|error| StoreError::engine("files", error));
            self.writing = None;
            self.file = Some(written??);
        }
        Ok(())
    }

    /// The right to use the pool.
    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|error| StoreError::engine("files", error))
    }

    pub(crate) async fn finish(mut self) -> Result<(), StoreError> {
        self.settle().await?;
        let place = self.place().await?;
        let FileSink { temporary, permanent, durability, gathered, file, .. } = self;
        let ending = tokio::task::spawn_blocking(move || {
            let _place = place;
            publish(write_chunks(file, temporary, &gathered)?, &permanent, durability)
        });
        ending.await.map_err(|error| StoreError::engine("files", error))??;
        Ok(())
    }
}

fn write_chunks(file: Option<Temporary>, path: PathBuf, chunks: &[Bytes]) -> io::Result<Temporary> {
    let mut temporary = match file {
        Some(file) => file,
        None => {
            let file = File::options().write(true).create_new(true).open(&path)?;
            Temporary { file, path, published: false }
        }
    };
    // 64 at a time: far below every system's limit of vectors a call.
    for group in chunks.chunks(64) {
        let mut slices: Vec<IoSlice<'_>> = group.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match temporary.file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(temporary)
}

fn publish(mut temporary: Temporary, permanent: &Path, durability: Durability) -> io::Result<()> {
    if durability == Durability::Full {
        temporary.file.sync_all()?;
    }
    let folder = permanent.parent().unwrap_or(permanent);
    match fs::rename(&temporary.path, permanent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            fs::rename(&temporary.path, permanent)?;
        }
        other => other?,
    }
    temporary.published = true;
    if durability == Durability::Full {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
