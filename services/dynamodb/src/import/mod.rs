//! Imports from S3: a new table, filled from the objects under a prefix.
//!
//! An item that cannot be read or put is counted and left out. An import that the end of a process has cut off begins anew:
//! putting an item twice is putting it once. Where S3 is not there, the import waits.

pub mod read;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::{Item, check};
use fractus_store::{Collection, Scope, Transaction};
use fractus_wire::ByteStream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::read::{Batch, Compression, Format, read_object};
use crate::error::{Error, Result};
use crate::features;
use crate::jobs::{self, JOBS, Stop};
use crate::places::Place;
use crate::s3::{Bucket, S3Error};
use crate::service::DynamoDb;
use crate::shapes::{from_json, to_json};
use crate::store::{TABLES, Table};
use crate::vectors;

/// Imports by (table's name, id).
pub const IMPORTS: Collection<(String, String), Import> = Collection::new("imports");

/// Pieces of an object, and batches of items, that wait for each other.
const WAITING: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The description, as JSON of the API's shape.
    pub description: String,
    /// The id of the table that is filled.
    pub table: u64,
    pub format: Format,
    pub compression: Compression,
    /// IN_PROGRESS until then at least.
    pub not_before: Timestamp,
}

impl Import {
    /// The description at a time.
    pub fn described_at(&self, now: Timestamp) -> Result<api::ImportTableDescription> {
        let mut described: api::ImportTableDescription = from_json(&self.description)?;
        if self.not_before > now {
            described.import_status = Some(api::ImportStatus::InProgress);
            described.end_time = None;
        }
        Ok(described)
    }
}

/// What an import has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    bytes: u64,
    processed: u64,
    imported: u64,
    errors: u64,
}

struct Running<'a> {
    dynamodb: &'a DynamoDb,
    place: &'a Place,
    import: Import,
    /// The table's name and the import's id.
    key: (&'a str, &'a str),
}

/// Does an import, as far as S3 answers.
pub async fn run(dynamodb: &DynamoDb, place: &Place, job_id: &str, key: (&str, &str)) -> Result<()> {
    let scope = place.scope();
    let import = dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&IMPORTS, &scope, &key)?)).await?;
    let Some(import) = import else { return Ok(()) };
    let running = Running { dynamodb, place, import, key };
    let mut counts = Counts::default();
    let failure = match running.all(&mut counts).await {
        Ok(()) => None,
        // It begins anew.
        Err(Stop::Draining) => return Ok(()),
        Err(Stop::Service(error)) => return Err(error),
        Err(Stop::S3(error)) => match error.failure() {
            Some(failure) => Some(failure),
            None => {
                tracing::warn!(error = &error as &dyn std::error::Error, import = key.1, "an import waits for S3");
                return Ok(());
            }
        },
    };
    running.settle(job_id, counts, failure).await
}

impl Running<'_> {
    async fn all(&self, counts: &mut Counts) -> Result<(), Stop> {
        let described: api::ImportTableDescription = from_json(&self.import.description)?;
        let source = described.s3_bucket_source.unwrap_or_default();
        let bucket = Bucket { name: source.s3_bucket, owner: source.s3_bucket_owner };
        let prefix = source.s3_key_prefix;
        let mut token = None;
        loop {
            let (objects, next) = self.dynamodb.s3.list(self.place, &bucket, prefix.as_deref(), token).await?;
            for object in objects.iter().filter(|object| object.bytes > 0) {
                let body = self.dynamodb.s3.get(self.place, &bucket, &object.key).await?;
                self.object(body, counts).await?;
            }
            token = next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// One object: its bytes go to a thread that reads them, its items come back and are put.
    async fn object(&self, body: ByteStream, counts: &mut Counts) -> Result<(), Stop> {
        let (chunks, incoming) = mpsc::channel(WAITING);
        let (out, batches) = mpsc::channel(WAITING);
        let (compression, format) = (self.import.compression, self.import.format.clone());
        let reading = tokio::task::spawn_blocking(move || read_object(incoming, compression, &format, out));
        let (read, put) = tokio::join!(feed(body, chunks), self.put_all(batches));
        // What the thread has panicked of is in the log; what it had read is put.
        let _ = reading.await;
        counts.bytes += read?;
        let put = put?;
        counts.processed += put.processed;
        counts.imported += put.imported;
        counts.errors += put.errors;
        Ok(())
    }

    async fn put_all(&self, mut batches: mpsc::Receiver<Batch>) -> Result<Counts, Stop> {
        let (scope, draining) = (self.place.scope(), self.dynamodb.host.draining());
        let mut counts = Counts::default();
        while let Some(batch) = batches.recv().await {
            if draining.is_cancelled() {
                return Err(Stop::Draining);
            }
            if let Some(reason) = &batch.reason {
                tracing::info!(import = self.key.1, errors = batch.errors, reason, "items are left out of an import");
            }
            let put = self.dynamodb.store.write(|tx| self.put(tx, &scope, &batch.items)).await?;
            let items = batch.items.len() as u64;
            counts.processed += items + batch.errors;
            counts.imported += put;
            counts.errors += batch.errors + items - put;
        }
        Ok(counts)
    }

    /// Puts what can be put; gives how many items that were.
    fn put(&self, tx: &mut Transaction<'_>, scope: &Scope, items: &[Item]) -> Result<u64> {
        let table = tx.get(&TABLES, scope, &(self.key.0,))?;
        let Some(table) = table.filter(|table| table.id == self.import.table) else { return Ok(0) };
        let mut put = 0;
        for item in items {
            match fits(&table, item) {
                Ok(()) => {
                    features::put_item(tx, scope, &table, item)?;
                    put += 1;
                }
                Err(error) => tracing::debug!(%error, "an item is left out of an import"),
            }
        }
        Ok(put)
    }

    /// The end of an import: its record says how it went, the table is there. One that has failed at once leaves no table.
    async fn settle(&self, job_id: &str, counts: Counts, failure: Option<(String, String)>) -> Result<()> {
        let scope = self.place.scope();
        let ended = self.dynamodb.store.write(|tx| {
            let Some(mut import) = tx.get(&IMPORTS, &scope, &self.key)? else { return Ok(()) };
            let mut described: api::ImportTableDescription = from_json(&import.description)?;
            let count = |count: u64| i64::try_from(count).ok();
            described.processed_size_bytes = count(counts.bytes);
            described.processed_item_count = count(counts.processed);
            described.imported_item_count = count(counts.imported);
            described.error_count = count(counts.errors);
            described.end_time = Some(tx.now(&scope).max(import.not_before));
            described.import_status = Some(match &failure {
                Some(_) => api::ImportStatus::Failed,
                None => api::ImportStatus::Completed,
            });
            (described.failure_code, described.failure_message) = failure.clone().unzip();
            import.description = to_json(&described)?;
            tx.put(&IMPORTS, &scope, &self.key, &import)?;
            self.end_table(tx, &scope, failure.is_some() && counts.processed == 0)?;
            let Some(job) = tx.get(&JOBS, &scope, &(job_id,))? else { return Ok(()) };
            jobs::end(tx, &scope, job_id, &job)
        });
        ended.await
    }

    fn end_table(&self, tx: &mut Transaction<'_>, scope: &Scope, is_nothing: bool) -> Result<()> {
        let table = tx.get(&TABLES, scope, &(self.key.0,))?;
        let Some(table) = table.filter(|table| table.id == self.import.table) else { return Ok(()) };
        if !is_nothing {
            return jobs::made(tx, scope, self.key.0);
        }
        tx.delete(&TABLES, scope, &(self.key.0,))?;
        features::retire(tx, scope, &table)
    }
}

/// Hands an object's bytes on as they come; gives how many they were.
pub async fn feed(mut body: ByteStream, chunks: mpsc::Sender<Bytes>) -> Result<u64, S3Error> {
    let mut bytes = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| S3Error::Broken(error.to_string()))?;
        bytes += chunk.len() as u64;
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(bytes)
}

/// Whether an item can be put into a table with its indexes.
pub fn fits(table: &Table, item: &Item) -> Result<()> {
    check::item(item)?;
    check::item_size(item)?;
    table.schema().check_item(item)?;
    for index in &table.indexes {
        table.index_schema(index).check_index(&index.name, item)?;
    }
    table.vectors.iter().try_for_each(|index| vectors::check(table, index, item))
}
