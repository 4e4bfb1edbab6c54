//! Work in pieces that requests begin and do not wait for: copies of tables, exports, imports.
//!
//! A job is a record; each step of it is one short transaction that does a piece and says in the record how far it is. So a job
//! goes on where it was when the process ends, and it does not matter which replica takes the next step. The request that begins
//! a job takes the first step itself: a small table is copied before it is answered.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fractus_aws::Lane;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::codec;
use fractus_host::Waker;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use futures::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::history::{self, Bounds, Piece};
use crate::places::{Place, places};
use crate::s3::S3Error;
use crate::service::DynamoDb;
use crate::store::{ITEMS, Raw, TABLES, Table};
use crate::{backups, bulk, export, features, import, replicas};

pub const JOBS: Collection<(String,), Job> = Collection::new("jobs");
/// Which jobs read a table's data: (data, job). Nothing of it is cleared until they are over.
pub const PINS: Collection<(u64, String), ()> = Collection::new("job-pins");

/// What one step of a copy takes.
pub const STEP: Bounds = Bounds { keys: 500, bytes: 4 * 1024 * 1024 };
/// How many jobs of a place run beside each other.
const SIDE_BY_SIDE: usize = 4;

/// A job: what it reads, what it does, how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub source: Option<Source>,
    pub work: Work,
    /// The first stored key that is still to be done.
    #[serde(default)]
    pub from: Option<Bytes>,
    /// The number of the next file that is written.
    #[serde(default)]
    pub files: u64,
}

/// A table's data at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The live table's name; nothing for a backup's data, which nobody changes.
    pub name: Option<String>,
    pub data: u64,
    pub cut: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Into the data of a backup of the table.
    Backup { table: String, backup: String, into: u64 },
    /// Into a new table.
    Restore { table: String, into: u64 },
    /// Into a table of the same name in another region.
    Replica {
        table: String,
        region: String,
        /// Whose it is, where it is another account's.
        #[serde(default)]
        account: Option<String>,
    },
    /// Into files in S3, by the export's id.
    Export { table: String, export: String },
    /// From files in S3 into a new table, by the import's id.
    Import { table: String, import: String },
    /// From files in S3 into a table that is there, by the bulk operation's id.
    Bulk { bulk: String },
}

/// Why a job with files in S3 does not go on; `Own` is what only jobs of a kind stop for.
pub enum Stop<Own = Infallible> {
    Service(Error),
    S3(S3Error),
    /// The process ends.
    Draining,
    Own(Own),
}

impl<Own> From<Error> for Stop<Own> {
    fn from(error: Error) -> Self {
        Stop::Service(error)
    }
}

impl<Own> From<S3Error> for Stop<Own> {
    fn from(error: S3Error) -> Self {
        Stop::S3(error)
    }
}

impl Work {
    fn calls_s3(&self) -> bool {
        matches!(self, Work::Export { .. } | Work::Import { .. } | Work::Bulk { .. })
    }
}

/// Wakes the task that does jobs.
#[derive(Clone, Default)]
pub struct Jobs {
    waker: Arc<OnceLock<Waker>>,
}

impl Jobs {
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

/// A source of the table's data at a cut; its history is kept until the job is over.
pub fn pin(tx: &mut Transaction<'_>, scope: &Scope, table: &mut Table, cut: u64) -> Result<Source> {
    table.features.copies += 1;
    tx.put(&TABLES, scope, &(table.name.as_str(),), table)?;
    Ok(Source { name: Some(table.name.clone()), data: table.id, cut })
}

/// Writes a job down.
pub fn begin(tx: &mut Transaction<'_>, scope: &Scope, id: &str, job: &Job) -> Result<()> {
    if let Some(source) = &job.source {
        tx.put(&PINS, scope, &(source.data, id), &())?;
    }
    Ok(tx.put(&JOBS, scope, &(id,), job)?)
}

/// Takes a job off the list.
pub fn end(tx: &mut Transaction<'_>, scope: &Scope, id: &str, job: &Job) -> Result<()> {
    tx.delete(&JOBS, scope, &(id,))?;
    let Some(source) = &job.source else { return Ok(()) };
    tx.delete(&PINS, scope, &(source.data, id))?;
    let Some(name) = &source.name else { return Ok(()) };
    let table = tx.get(&TABLES, scope, &(name.as_str(),))?;
    if let Some(mut table) = table.filter(|table| table.id == source.data) {
        table.features.copies = table.features.copies.saturating_sub(1);
        tx.put(&TABLES, scope, &(name.as_str(),), &table)?;
    }
    Ok(())
}

/// Whether a job still reads this data.
pub fn is_pinned(tx: &Transaction<'_>, scope: &Scope, data: u64) -> Result<bool> {
    Ok(tx.keys(&PINS, scope, Range::prefix(&(data,)), Order::Ascending)?.next().transpose()?.is_some())
}

/// Takes the first step of a job that only needs the store, and leaves the rest to the background.
pub async fn start_now(dynamodb: &DynamoDb, scope: &Scope, id: &str) -> Result<()> {
    if dynamodb.store.write(|tx| step(tx, scope, id)).await? {
        dynamodb.jobs.wake();
    }
    Ok(())
}

/// One step of a copy; says whether there is another one.
pub fn step(tx: &mut Transaction<'_>, scope: &Scope, id: &str) -> Result<bool> {
    let Some(mut job) = tx.get(&JOBS, scope, &(id,))? else { return Ok(false) };
    let Some(source) = job.source.clone().filter(|_| !job.work.calls_s3()) else { return Ok(false) };
    let piece = history::piece(tx, scope, (source.data, source.cut), job.from.as_deref(), STEP)?;
    let goes_on = match &job.work {
        Work::Backup { into, .. } => keep_copy(tx, scope, *into, &piece)?,
        Work::Restore { table, into } => fill(tx, scope, table, *into, &piece)?,
        Work::Replica { table, region, account } => {
            replicas::fill(tx, scope, &source, (table, region, account.as_deref()), &piece)?
        }
        Work::Export { .. } | Work::Import { .. } | Work::Bulk { .. } => false,
    };
    job.from = piece.next;
    if goes_on && job.from.is_some() {
        tx.put(&JOBS, scope, &(id,), &job)?;
        return Ok(true);
    }
    end(tx, scope, id, &job)?;
    if goes_on {
        finish(tx, scope, &job.work)?;
    }
    Ok(false)
}

fn keep_copy(tx: &mut Transaction<'_>, scope: &Scope, into: u64, piece: &Piece) -> Result<bool> {
    for (key, item) in &piece.items {
        tx.put(&ITEMS, scope, &(into, Raw(key)), item)?;
    }
    Ok(true)
}

/// Puts items into a table that is being made; a table that has gone meanwhile ends the job.
fn fill(tx: &mut Transaction<'_>, scope: &Scope, name: &str, into: u64, piece: &Piece) -> Result<bool> {
    let table = tx.get(&TABLES, scope, &(name,))?;
    let Some(table) = table.filter(|table| table.id == into) else { return Ok(false) };
    for (_, item) in &piece.items {
        features::put_item(tx, scope, &table, &codec::decode(item)?)?;
    }
    Ok(true)
}

fn finish(tx: &mut Transaction<'_>, scope: &Scope, work: &Work) -> Result<()> {
    match work {
        Work::Backup { table, backup, .. } => backups::copied(tx, scope, table, backup),
        Work::Restore { table, .. } => made(tx, scope, table),
        Work::Replica { table, region, account } => replicas::filled(tx, scope, (table, region, account.as_deref())),
        Work::Export { .. } | Work::Import { .. } | Work::Bulk { .. } => Ok(()),
    }
}

/// A table whose items have all arrived is ACTIVE as soon as it may be by its clock.
pub fn made(tx: &mut Transaction<'_>, scope: &Scope, name: &str) -> Result<()> {
    let now = tx.now(scope);
    if let Some(mut table) = tx.get(&TABLES, scope, &(name,))? {
        table.active_at = now.max(table.features.not_before.unwrap_or(now));
        tx.put(&TABLES, scope, &(name,), &table)?;
    }
    Ok(())
}

/// Starts the task that does jobs.
pub fn start(dynamodb: &Arc<DynamoDb>) {
    let service = Arc::clone(dynamodb);
    let waker = dynamodb.host.background("table copies", move |lane| {
        let dynamodb = Arc::clone(&service);
        async move {
            round(&dynamodb, &lane).await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "copies stopped; they are taken up again");
                None
            })
        }
    });
    // Set once: a service starts once.
    let _ = dynamodb.jobs.waker.set(waker);
}

/// Does what is to be done; gives when a job is to go on that waits for its lane's clock.
async fn round(dynamodb: &DynamoDb, lane: &Lane) -> Result<Option<Timestamp>> {
    let next = Mutex::new(None);
    for place in places(dynamodb, lane, JOBS.name()).await? {
        let scope = place.scope();
        let ids = dynamodb.store.read(|snapshot| {
            let keys = snapshot.keys(&JOBS, &scope, Range::all(), Order::Ascending)?.take(1_000);
            keys.map(|key| Ok(key?.0)).collect::<Result<Vec<String>>>()
        });
        let (place, next) = (&place, &next);
        let running = futures::stream::iter(ids.await?).for_each_concurrent(SIDE_BY_SIDE, |id| async move {
            match run(dynamodb, place, &id).await {
                Ok(None) => {}
                Ok(Some(due)) => {
                    let mut next = next.lock();
                    *next = Some(next.map_or(due, |next: Timestamp| next.min(due)));
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, job = id, "a job stopped; it is taken up again");
                }
            }
        });
        running.await;
    }
    Ok(next.into_inner())
}

async fn run(dynamodb: &DynamoDb, place: &Place, id: &str) -> Result<Option<Timestamp>> {
    let scope = place.scope();
    let job = dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&JOBS, &scope, &(id,))?)).await?;
    let Some(job) = job else { return Ok(None) };
    match &job.work {
        Work::Export { table, export } => export::run(dynamodb, place, id, (table, export)).await.map(|()| None),
        Work::Import { table, import } => import::run(dynamodb, place, id, (table, import)).await.map(|()| None),
        Work::Bulk { bulk } => bulk::run(dynamodb, place, id, bulk).await,
        _ => {
            while dynamodb.store.write(|tx| step(tx, &scope, id)).await? {
                tokio::task::yield_now().await;
            }
            Ok(None)
        }
    }
}
