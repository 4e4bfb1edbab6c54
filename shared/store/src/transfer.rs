//! Export and import: a whole store as one stream, the same from and to every engine.
//!
//! The stream is a line that says what it is, then frames: a byte for the kind, four bytes (little endian) of length, the
//! contents. Kinds: `R` a record (MessagePack: key, value, expiry), `B` the beginning of a stored piece (its id), `C` a
//! chunk of it, `E` the end of all, without which an import is refused as cut short.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::blob_index::REFERENCES;
use crate::engine::{NEVER, RawEntry, Source};
use crate::error::StoreError;
use crate::lanes::ResetScope;
use crate::range::{Order, Range};
use crate::scope::{RawKey, Scope};
use crate::store::Store;
use crate::transaction::Snapshot;

const HEADER: &[u8] = b"fractus-store-1\n";
/// Records read, or written in one transaction, at a time.
const PAGE: usize = 1_000;
/// No frame is larger: a value of a record is bounded by what a request may carry.
const LARGEST_FRAME: usize = 256 << 20;

/// A record's key, its value, and when it expires.
#[derive(Serialize, Deserialize)]
struct Exported(Bytes, Bytes, Option<i64>);

impl Store {
    /// Writes everything: all lanes and their snapshots, expired records excepted, and the stored pieces they refer
    /// to. The records are those of one moment.
    pub async fn export<W: AsyncWrite + Unpin>(&self, writer: &mut W) -> Result<(), StoreError> {
        writer.write_all(HEADER).await?;
        // The pages are gathered in the one snapshot: an engine's snapshot may not be held while a slow reader waits.
        let pages = self.read(encoded_pages).await?;
        for page in pages {
            writer.write_all(&page).await?;
        }
        self.export_blobs(writer).await?;
        frame(writer, b'E', &[]).await?;
        writer.flush().await?;
        Ok(())
    }

    async fn export_blobs<W: AsyncWrite + Unpin>(&self, writer: &mut W) -> Result<(), StoreError> {
        let mut last = String::new();
        for lane in self.lanes_raw().await? {
            let scope = Scope::internal(&lane);
            let mut range = Range::all();
            loop {
                let ids = self
                    .read(|snap| {
                        let keys = snap.keys(&REFERENCES, &scope, range.clone(), Order::Ascending)?;
                        keys.take(PAGE).map(|key| key.map(|key| key.0)).collect::<Result<Vec<_>, StoreError>>()
                    })
                    .await?;
                let Some(end) = ids.last() else { break };
                range = Range::all().after(&(end,));
                for id in ids {
                    if id != last {
                        self.export_piece(writer, &id).await?;
                        last = id;
                    }
                }
            }
        }
        Ok(())
    }

    async fn export_piece<W: AsyncWrite + Unpin>(&self, writer: &mut W, id: &str) -> Result<(), StoreError> {
        frame(writer, b'B', id.as_bytes()).await?;
        let mut stream = self.blobs().read_piece(id).await?;
        while let Some(chunk) = stream.next().await {
            frame(writer, b'C', &chunk?).await?;
        }
        Ok(())
    }

    /// Replaces everything by what was exported. Nothing is changed if the stream does not begin as an export does; one
    /// that is cut short leaves what came before and answers an error.
    pub async fn import<R: AsyncRead + Unpin>(&self, reader: &mut R) -> Result<(), StoreError> {
        let mut header = [0; HEADER.len()];
        reader.read_exact(&mut header).await.map_err(cut_short)?;
        if header != HEADER {
            return Err(StoreError::Import("it does not begin as an export".to_owned()));
        }
        self.reset(&ResetScope::All).await?;
        let mut page = Vec::new();
        let mut piece: Option<crate::blobs::BlobWriter> = None;
        loop {
            let (kind, contents) = read_frame(reader).await?;
            if kind != b'C'
                && let Some(whole) = piece.take()
            {
                whole.finish().await?;
            }
            if page.len() == PAGE || kind != b'R' {
                self.import_page(&page).await?;
                page.clear();
            }
            match (kind, &mut piece) {
                (b'R', _) => page.push(imported(&contents)?),
                (b'B', _) => {
                    let id = String::from_utf8(contents.to_vec()).map_err(broken)?;
                    piece = Some(self.blobs().piece_writer(id)?);
                }
                (b'C', Some(piece)) => piece.write(contents).await?,
                (b'E', _) => return Ok(()),
                _ => return Err(StoreError::Import("a frame of no known kind".to_owned())),
            }
        }
    }

    async fn import_page(&self, page: &[RawEntry]) -> Result<(), StoreError> {
        if page.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let source: &mut Source<'_> = tx.source_mut();
            page.iter().try_for_each(|entry| source.put(&entry.key, &entry.value, entry.expires_at))
        })
        .await
    }
}

fn encoded_pages(snap: &Snapshot<'_>) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut pages = Vec::new();
    let mut after: Option<crate::key::KeyBytes> = None;
    loop {
        let entries = snap.source.entries_after(after.as_deref(), PAGE)?;
        let Some(last) = entries.last() else { return Ok(pages) };
        after = Some(last.key.bytes.clone());
        let mut page = Vec::new();
        for entry in entries.into_iter().filter(|entry| snap.is_raw_present(&entry.key, entry.expires_at)) {
            let expires_at = (entry.expires_at != NEVER).then_some(entry.expires_at);
            let exported = Exported(Bytes::copy_from_slice(&entry.key.bytes), entry.value.into(), expires_at);
            let mut contents = Vec::new();
            crate::pack::append(&exported, &mut contents).map_err(broken)?;
            page.extend_from_slice(&frame_head(b'R', contents.len())?);
            page.extend_from_slice(&contents);
        }
        pages.push(page);
    }
}

fn imported(contents: &[u8]) -> Result<RawEntry, StoreError> {
    let Exported(tuple, value, expires_at) = crate::unpack::from_slice(contents).map_err(broken)?;
    let key = RawKey::parse(&tuple).ok_or_else(|| broken("a key of no known form"))?;
    if tuple.len() > crate::collection::MAX_KEY_BYTES {
        return Err(broken("a key too long"));
    }
    Ok(RawEntry { key, value: value.into(), expires_at: expires_at.unwrap_or(NEVER) })
}

fn broken(reason: impl std::fmt::Display) -> StoreError {
    StoreError::Import(reason.to_string())
}

fn cut_short(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => broken("it is cut short"),
        _ => StoreError::Io(error),
    }
}

fn frame_head(kind: u8, length: usize) -> Result<[u8; 5], StoreError> {
    if length > LARGEST_FRAME {
        return Err(broken("a record too large to be exported"));
    }
    let length = u32::try_from(length).map_err(broken)?.to_le_bytes();
    Ok([kind, length[0], length[1], length[2], length[3]])
}

async fn frame<W: AsyncWrite + Unpin>(writer: &mut W, kind: u8, contents: &[u8]) -> Result<(), StoreError> {
    writer.write_all(&frame_head(kind, contents.len())?).await?;
    writer.write_all(contents).await?;
    Ok(())
}

async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R) -> Result<(u8, Bytes), StoreError> {
    let kind = reader.read_u8().await.map_err(cut_short)?;
    let length = reader.read_u32_le().await.map_err(cut_short)? as usize;
    if length > LARGEST_FRAME {
        return Err(broken("a frame too large"));
    }
    // Grows with what really comes: a false length takes no memory.
    let mut contents = Vec::new();
    let read = (&mut *reader).take(length as u64).read_to_end(&mut contents).await?;
    if read < length { Err(broken("it is cut short")) } else { Ok((kind, contents.into())) }
}
