//! Bulk operations: items from S3 put into a table that is there, each on its own condition if it has one.
//!
//! Lines are put in small transactions, and how far the operation is stands in its record with each of them: after the end of a process it
//! goes on with the next line, so that no condition is judged twice. What is not put is kept for the reports until they are
//! written to S3. Where S3 is not there, the operation waits; where a rate is set, it goes on when the lane's clock allows.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/BulkPutItems.Requesting.html>

mod put;
mod read;
mod report;

pub use put::cancel;

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use fractus_wire::ByteStream;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::read::{Lines, read_object};
use crate::error::{Error, Result};
use crate::import::feed;
use crate::import::read::Compression;
use crate::jobs::{self, JOBS};
use crate::places::Place;
use crate::s3::{Bucket, S3Error};
use crate::service::DynamoDb;
use crate::shapes::{from_json, to_json};

/// Bulk operations by their ids, which begin with the moment.
pub const BULKS: Collection<(String,), Bulk> = Collection::new("bulk-operations");
/// What is not put, for the reports: by (operation, kind, number).
pub const REPORTS: Collection<(String, String, u64), String> = Collection::new("bulk-reports");
/// The operations that a table is put into: (table, operation).
pub const UNDER_WAY: Collection<(u64, String), ()> = Collection::new("bulk-under-way");

/// How long an operation is told of after its end. Unconfirmed.
pub const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// Batches of lines that wait for each other.
const WAITING: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulk {
    /// The description as the request made it, as JSON of the API's shape.
    pub description: String,
    pub table_name: String,
    pub table: u64,
    pub format: Format,
    pub compression: Compression,
    /// Write units in a second of the lane's clock.
    pub rate: Option<u64>,
    pub state: State,
    pub started_at: Timestamp,
    /// IN_PROGRESS until then at least.
    pub not_before: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub failure: Option<(String, String)>,
    #[serde(default)]
    pub progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    DynamoDbJson,
    Ion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    InProgress,
    Cancelling,
    Cancelled,
    Failed,
    Completed,
}

/// How far an operation is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The object that is read, and how many of its lines are done; those before it are done.
    pub object: String,
    pub lines: u64,
    pub is_object_done: bool,
    pub total_bytes: u64,
    pub processed_bytes: u64,
    pub processed: u64,
    pub failed: u64,
    pub unmet: u64,
    /// Write units, in halves.
    pub halves: u64,
    pub table_bytes: u64,
    /// By the index's name: bytes, and which kind it is.
    pub indexes: IndexMap<String, (Kind, u64)>,
    pub reported: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Local,
    Global,
    Vectors,
}

impl Bulk {
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ended_at.is_some() && self.not_before <= now
    }

    pub fn status(&self, now: Timestamp) -> api::BulkOperationStatus {
        match self.state {
            State::Cancelling => api::BulkOperationStatus::Cancelling,
            State::Cancelled => api::BulkOperationStatus::Cancelled,
            _ if self.not_before > now => api::BulkOperationStatus::InProgress,
            State::InProgress => api::BulkOperationStatus::InProgress,
            State::Failed => api::BulkOperationStatus::Failed,
            State::Completed if self.progress.failed > 0 => api::BulkOperationStatus::CompletedWithErrors,
            State::Completed => api::BulkOperationStatus::Completed,
        }
    }

    /// The description at a time.
    pub fn described_at(&self, now: Timestamp) -> Result<api::BulkOperationDescription> {
        let count = |count: u64| i64::try_from(count).ok();
        let (progress, is_over) = (&self.progress, self.is_over(now));
        let mut described: api::BulkOperationDescription = from_json(&self.description)?;
        described.bulk_operation_status = Some(self.status(now));
        described.end_time = self.ended_at.filter(|_| is_over).map(|at| at.max(self.not_before));
        described.processed_item_count = count(progress.processed);
        described.failed_item_count = count(progress.failed);
        described.processed_input_bytes = count(progress.processed_bytes);
        described.total_input_bytes = count(progress.total_bytes);
        described.bulk_operation_usage = Some(vec![self.usage()]);
        if is_over {
            (described.failure_code, described.failure_message) = self.failure.clone().unzip();
        }
        Ok(described)
    }

    /// What was put, in bytes: into the table, and into each of its indexes.
    fn usage(&self) -> api::BulkOperationUsage {
        let count = |count: u64| i64::try_from(count).ok();
        let progress = &self.progress;
        let of = |wanted: Kind| {
            progress
                .indexes
                .iter()
                .filter(move |(_, (kind, _))| *kind == wanted)
                .map(|(name, (_, bytes))| (name, *bytes))
        };
        let secondary = |kind: Kind| {
            let bytes = |bytes| api::BulkOperationBytes { bulk_put_bytes: count(bytes) };
            let all: IndexMap<String, _> = of(kind).map(|(name, own)| (name.clone(), bytes(own))).collect();
            (!all.is_empty()).then_some(all)
        };
        let vectors: IndexMap<String, _> = of(Kind::Vectors)
            .map(|(name, own)| (name.clone(), api::BulkOperationVectorBytes { bulk_put_vector_bytes: count(own) }))
            .collect();
        let others: u64 = of(Kind::Local).chain(of(Kind::Global)).map(|(_, bytes)| bytes).sum();
        api::BulkOperationUsage {
            table_name: Some(self.table_name.clone()),
            bulk_put_bytes: count(progress.table_bytes + others),
            table: Some(api::BulkOperationBytes { bulk_put_bytes: count(progress.table_bytes) }),
            local_secondary_indexes: secondary(Kind::Local),
            global_secondary_indexes: secondary(Kind::Global),
            vector_indexes: (!vectors.is_empty()).then_some(vectors),
        }
    }

    /// When the rate allows the next line: what a second may take is there from the start.
    fn due(&self) -> Option<Timestamp> {
        let rate = self.rate?;
        let secs = self.progress.halves as f64 / 2.0 / rate as f64 - 1.0;
        Some(self.started_at.plus(Duration::from_secs_f64(secs.max(0.0))))
    }

    fn wants(&self, output: &api::OutputTypeEnum) -> Result<bool> {
        let described: api::BulkOperationDescription = from_json(&self.description)?;
        let output_types = described.output_s3_configuration.map(|output| output.output_type).unwrap_or_default();
        Ok(output_types.contains(output))
    }
}

/// Whether anything is being put into a table in bulk.
pub fn is_under_way(snapshot: &Snapshot<'_>, scope: &Scope, table: u64) -> Result<bool> {
    let mut found = snapshot.keys(&UNDER_WAY, scope, Range::prefix(&(table,)), Order::Ascending)?;
    Ok(found.next().transpose()?.is_some())
}

type Stop = jobs::Stop<End>;

/// Why an operation in particular does not go on.
enum End {
    /// The rate allows the next line then.
    Until(Timestamp),
    Cancelled,
    /// It cannot go on: a code, and why.
    Failed(&'static str, String),
}

struct Running<'a> {
    dynamodb: &'a DynamoDb,
    place: &'a Place,
    id: &'a str,
}

/// Goes on with an operation, as far as S3 answers and its rate allows; gives when it is to go on where the rate does not.
pub async fn run(dynamodb: &DynamoDb, place: &Place, job_id: &str, id: &str) -> Result<Option<Timestamp>> {
    let running = Running { dynamodb, place, id };
    let (state, failure) = match running.all().await {
        Ok(()) => (State::Completed, None),
        Err(Stop::Own(End::Cancelled)) => (State::Cancelled, None),
        Err(Stop::Draining) => return Ok(None),
        Err(Stop::Own(End::Until(due))) => return Ok(Some(due)),
        Err(Stop::Own(End::Failed(code, message))) => (State::Failed, Some((code.to_owned(), message))),
        Err(Stop::Service(error)) => return Err(error),
        Err(Stop::S3(error)) => match error.failure() {
            Some(failure) => (State::Failed, Some(failure)),
            None => return Ok(running.waits(&error)),
        },
    };
    // Reports of what was not put, whatever ended the operation.
    let (state, failure) = match running.report(state).await {
        Ok(()) => (state, failure),
        Err(Stop::S3(error)) => match error.failure() {
            Some(refused) => (State::Failed, failure.or(Some(refused))),
            None => return Ok(running.waits(&error)),
        },
        Err(Stop::Service(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    running.settle(job_id, state, failure).await?;
    Ok(None)
}

impl Running<'_> {
    fn waits(&self, error: &S3Error) -> Option<Timestamp> {
        tracing::warn!(error = error as &dyn std::error::Error, operation = self.id, "a bulk operation waits for S3");
        None
    }

    async fn bulk(&self) -> Result<Bulk> {
        let scope = self.place.scope();
        let bulk =
            self.dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&BULKS, &scope, &(self.id,))?)).await?;
        bulk.ok_or(Error::NoResource)
    }

    async fn all(&self) -> Result<(), Stop> {
        let bulk = self.bulk().await?;
        if bulk.state == State::Cancelling {
            return Err(Stop::Own(End::Cancelled));
        }
        let described: api::BulkOperationDescription = from_json(&bulk.description)?;
        let source = described.input_s3_configuration.unwrap_or_default();
        let bucket = Bucket { name: source.s3_bucket, owner: source.s3_bucket_owner };
        let objects = self.listed(&bucket, source.s3_key_prefix.as_deref()).await?;
        if objects.is_empty() {
            // Unconfirmed code and words.
            return Err(Stop::Own(End::Failed(
                "NoInputObjects",
                "There are no objects under the S3 key prefix".to_owned(),
            )));
        }
        for key in objects {
            let progress = self.bulk().await?.progress;
            let is_done = key < progress.object || (key == progress.object && progress.is_object_done);
            if !is_done {
                let skipped = if key == progress.object { progress.lines } else { 0 };
                let body = self.dynamodb.s3.get(self.place, &bucket, &key).await?;
                self.object(&bulk, &key, body, skipped).await?;
            }
        }
        Ok(())
    }

    /// The keys of what is read, in their order; how many bytes it is stands in the record from the first time on.
    async fn listed(&self, bucket: &Bucket, prefix: Option<&str>) -> Result<Vec<String>, Stop> {
        // Unconfirmed: what an operation may read.
        const MAX_OBJECTS: usize = 50_000;
        let (mut keys, mut bytes, mut token) = (Vec::new(), 0, None);
        loop {
            let (objects, next) = self.dynamodb.s3.list(self.place, bucket, prefix, token).await?;
            for object in objects.into_iter().filter(|object| object.bytes > 0) {
                bytes += object.bytes;
                keys.push(object.key);
            }
            if keys.len() > MAX_OBJECTS {
                let message = format!("There are more than {MAX_OBJECTS} objects under the S3 key prefix");
                return Err(Stop::Own(End::Failed("TooManyInputObjects", message)));
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        let scope = self.place.scope();
        let noted = self.dynamodb.store.write(|tx| {
            if let Some(mut bulk) = tx.get(&BULKS, &scope, &(self.id,))?.filter(|bulk| bulk.progress.total_bytes == 0) {
                bulk.progress.total_bytes = bytes;
                tx.put(&BULKS, &scope, &(self.id,), &bulk)?;
            }
            Ok::<_, Error>(())
        });
        noted.await?;
        Ok(keys)
    }

    /// One object: its bytes go to a thread that reads them, its lines come back and are put.
    async fn object(&self, bulk: &Bulk, key: &str, body: ByteStream, skipped: u64) -> Result<(), Stop> {
        let (chunks, incoming) = mpsc::channel(WAITING);
        let (out, lines) = mpsc::channel(WAITING);
        let (compression, format) = (bulk.compression, bulk.format);
        let reading = tokio::task::spawn_blocking(move || read_object(incoming, compression, format, &out));
        let (read, put) = tokio::join!(feed(body, chunks), self.put_all(key, lines, skipped));
        // What the thread has panicked of is in the log; what it had read is put.
        let _ = reading.await;
        put?;
        let bytes = read?;
        let scope = self.place.scope();
        let done = self.dynamodb.store.write(|tx| {
            let Some(mut bulk) = tx.get(&BULKS, &scope, &(self.id,))? else { return Ok(()) };
            let progress = &mut bulk.progress;
            (progress.object, progress.is_object_done) = (key.to_owned(), true);
            progress.processed_bytes += bytes;
            Ok::<_, Error>(tx.put(&BULKS, &scope, &(self.id,), &bulk)?)
        });
        Ok(done.await?)
    }

    async fn put_all(&self, key: &str, mut batches: mpsc::Receiver<Lines>, mut skipped: u64) -> Result<(), Stop> {
        let (scope, draining) = (self.place.scope(), self.dynamodb.host.draining());
        let clock = self.dynamodb.host.clocks().lane(self.place.world.lane.as_str());
        while let Some(mut lines) = batches.recv().await {
            let already = usize::try_from(skipped).unwrap_or(usize::MAX).min(lines.0.len());
            lines.0.drain(..already);
            skipped -= already as u64;
            if lines.0.is_empty() {
                continue;
            }
            if draining.is_cancelled() {
                return Err(Stop::Draining);
            }
            let put = self.dynamodb.store.write(|tx| put::lines(tx, &scope, self.dynamodb, self.id, (key, &lines.0)));
            let outcome = put.await?;
            if let Some(expiry) = outcome.first_expiry {
                self.dynamodb.expiries.expect(self.place.world.lane.as_str(), expiry);
            }
            match outcome.next {
                put::Next::GoOn(Some(due)) if due > clock.now() => return Err(Stop::Own(End::Until(due))),
                put::Next::GoOn(_) => {}
                put::Next::Cancelled => return Err(Stop::Own(End::Cancelled)),
                put::Next::NoTable => {
                    // Unconfirmed code and words.
                    return Err(Stop::Own(End::Failed("TableNotFound", "The table was deleted".to_owned())));
                }
            }
        }
        Ok(())
    }

    /// The end of an operation: its record says how it went.
    async fn settle(&self, job_id: &str, state: State, failure: Option<(String, String)>) -> Result<()> {
        let scope = self.place.scope();
        let ended = self.dynamodb.store.write(|tx| {
            let Some(mut bulk) = tx.get(&BULKS, &scope, &(self.id,))? else { return Ok(()) };
            let now = tx.now(&scope);
            (bulk.state, bulk.ended_at, bulk.failure) = (state, Some(now), failure.clone());
            tx.put_until(&BULKS, &scope, &(self.id,), &bulk, now.plus(KEPT))?;
            tx.delete(&UNDER_WAY, &scope, &(bulk.table, self.id))?;
            let Some(job) = tx.get(&JOBS, &scope, &(job_id,))? else { return Ok(()) };
            jobs::end(tx, &scope, job_id, &job)
        });
        ended.await
    }
}

/// Writes a new operation down; it is begun by the task that does jobs.
pub fn begin(tx: &mut Transaction<'_>, scope: &Scope, id: &str, bulk: &Bulk) -> Result<()> {
    let work = jobs::Work::Bulk { bulk: id.to_owned() };
    jobs::begin(tx, scope, &format!("bulk/{id}"), &jobs::Job { source: None, work, from: None, files: 0 })?;
    tx.put(&UNDER_WAY, scope, &(bulk.table, id), &())?;
    Ok(tx.put(&BULKS, scope, &(id,), bulk)?)
}

/// A description that does not change while the operation goes on.
pub fn described(description: &api::BulkOperationDescription) -> Result<String> {
    to_json(description)
}
