//! The records of a Parquet object: its footer first, then one row group after the other.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fractus_wire::Failure;

use crate::objects::Readable;
use crate::readers::Reading;
use crate::service::S3;
use fractus_s3_columns::read::{self, Records, TAIL_BYTES};
use fractus_s3_columns::schema::Meta;
use fractus_s3_columns::{self as parquet, MAGIC};
use fractus_s3_select::evaluate::Row;
use fractus_s3_select::{SelectError, error};

/// Records that are made at once.
const ROWS: usize = 256;

/// An object on its way.
pub struct Source {
    s3: S3,
    readable: Readable,
    /// Its bytes stay while they are asked for piece by piece.
    _reading: Option<Reading>,
    meta: Arc<Meta>,
    group: usize,
    records: Option<Records>,
    /// Row groups that begin elsewhere are passed over.
    range: Option<Range<u64>>,
}

/// Records, and how many bytes were read for them.
pub struct Batch {
    pub rows: Vec<Row>,
    pub scanned: u64,
    pub unpacked: u64,
}

fn refused(error: parquet::Error) -> Failure {
    let error: SelectError = match error {
        parquet::Error::Codec => self::error(
            "ParquetUnsupportedCompressionCodec",
            "The specified Parquet compression codec is not supported.",
        ),
        parquet::Error::Unsupported(what) => {
            self::error("UnsupportedParquetType", format!("The specified Parquet type is not supported: {what}."))
        }
        parquet::Error::Malformed(what) => self::error(
            "ParquetParsingError",
            format!("Error parsing Parquet file. Please check the file and try again: {what}."),
        ),
    };
    error.into()
}

impl Source {
    pub async fn open(s3: &S3, readable: Readable, size: u64, range: Option<Range<u64>>) -> Result<Source, Failure> {
        let reading = readable.hold(s3);
        let least = TAIL_BYTES + MAGIC.len() as u64;
        if size < least {
            return Err(refused(parquet::Error::Malformed("it is too short")));
        }
        let tail = bytes(s3, &readable, size - TAIL_BYTES..size).await?;
        let footer = read::footer_bytes(&tail).map_err(refused)?;
        let start = (size - least).checked_sub(footer).filter(|_| footer <= read::MAX_FOOTER_BYTES);
        let start = start.ok_or_else(|| refused(parquet::Error::Malformed("its footer is longer than it may be")))?;
        let start = start + MAGIC.len() as u64;
        let footer = bytes(s3, &readable, start..start + footer).await?;
        let meta = Arc::new(Meta::read(&footer).map_err(refused)?);
        Ok(Source { s3: s3.clone(), readable, _reading: reading, meta, group: 0, records: None, range })
    }

    /// The next records; none at the end.
    pub async fn next(&mut self) -> Result<Option<Batch>, Failure> {
        let (mut scanned, mut unpacked) = (0, 0);
        // Records of a group come without waiting for anything; others want to go on, too.
        tokio::task::yield_now().await;
        loop {
            if let Some(records) = &mut self.records {
                let mut rows = Vec::new();
                while rows.len() < ROWS
                    && let Some(record) = records.record().map_err(refused)?
                {
                    rows.push(Row::Document(record));
                }
                if !rows.is_empty() {
                    return Ok(Some(Batch { rows, scanned, unpacked }));
                }
                self.records = None;
            }
            let meta = self.meta.clone();
            let Some(group) = meta.groups.get(self.group) else {
                return Ok((scanned > 0).then(|| Batch { rows: Vec::new(), scanned, unpacked }));
            };
            let place = self.group;
            self.group += 1;
            let begins_at = group.chunks.first().map_or(0, |chunk| chunk.start);
            if self.range.as_ref().is_some_and(|range| !range.contains(&begins_at)) {
                continue;
            }
            let size: u64 = group.chunks.iter().map(|chunk| chunk.size).fold(0, u64::saturating_add);
            if size.max(group.unpacked_size) > read::MAX_GROUP_BYTES {
                return Err(refused(parquet::Error::Unsupported("a row group of more than 512 MB".into())));
            }
            let mut chunks = Vec::with_capacity(group.chunks.len());
            for chunk in &group.chunks {
                let end = chunk.start.saturating_add(chunk.size);
                chunks.push(bytes(&self.s3, &self.readable, chunk.start..end).await?);
            }
            scanned += size;
            unpacked += group.unpacked_size;
            self.records = Some(Records::new(meta.clone(), place, chunks).map_err(refused)?);
        }
    }
}

/// Some bytes of the object, all of which must be there.
async fn bytes(s3: &S3, readable: &Readable, range: Range<u64>) -> Result<Bytes, Failure> {
    let length = range.end - range.start;
    let body = readable.clone().into_body(s3, range.start, range.end);
    let collected = body.collect(length).await;
    let whole = collected.map_err(|_| Failure::internal("We encountered an internal error. Please try again."))?;
    if whole.len() as u64 == length {
        Ok(whole)
    } else {
        Err(refused(parquet::Error::Malformed("a column ends early")))
    }
}
