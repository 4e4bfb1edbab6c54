//! The PostgreSQL engine: one table a service, `SERIALIZABLE` transactions, plain SQL that CockroachDB and YugabyteDB
//! take as well.
//!
//! A closure is synchronous and the connection is not, so each of its steps blocks the thread it runs on, with
//! `block_in_place`: the runtime must have more than one thread. Connections are pooled up to a bound and come with
//! their statements prepared.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Random;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::{NEVER, RawEntry, RawItem, RawRange, RawRecord, RawScan};
use crate::error::StoreError;
use crate::key::{KeyBytes, sortable_i64};
use crate::range::{Order, successor};
use crate::scope::RawKey;

/// Connections of one store. Each is one transaction under way.
const CONNECTIONS: usize = 16;
/// How often a transaction in conflict is tried before it is given up.
const ATTEMPTS: u32 = 50;
/// A scan reads this many records first, and four times as many each time, up to the bound.
const FIRST_PAGE: i64 = 16;
const LARGEST_PAGE: i64 = 1_024;

fn failed(error: tokio_postgres::Error) -> StoreError {
    let conflict = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    if error.code().is_some_and(|code| conflict.contains(code)) {
        return StoreError::Retry;
    }
    // The library's own words for a database error are "db error"; what it says is inside.
    match error.as_db_error() {
        Some(database) => StoreError::engine("postgres", database),
        None => StoreError::engine("postgres", error),
    }
}

pub(crate) struct Postgres {
    config: tokio_postgres::Config,
    table: String,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    random: Random,
}

struct Connection {
    client: Client,
    statements: Statements,
}

struct Statements {
    get: Statement,
    put: Statement,
    delete: Statement,
    up: Statement,
    down: Statement,
    due: Statement,
}

impl Statements {
    async fn prepare(client: &Client, table: &str) -> Result<Self, tokio_postgres::Error> {
        let columns = "SELECT key, value, expires_at FROM";
        let within = "WHERE key >= $1 AND key < $2 ORDER BY key";
        let put = format!(
            "INSERT INTO {table} (key, value, expires_at, due) VALUES ($1, $2, $3, $4) ON CONFLICT (key) \
             DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, due = excluded.due"
        );
        let due = format!("SELECT key, expires_at FROM {table} WHERE due >= $1 AND due < $2 ORDER BY due LIMIT $3");
        Ok(Statements {
            get: client.prepare(&format!("SELECT value, expires_at FROM {table} WHERE key = $1")).await?,
            put: client.prepare(&put).await?,
            delete: client.prepare(&format!("DELETE FROM {table} WHERE key = $1")).await?,
            up: client.prepare(&format!("{columns} {table} {within} LIMIT $3")).await?,
            down: client.prepare(&format!("{columns} {table} {within} DESC LIMIT $3")).await?,
            due: client.prepare(&due).await?,
        })
    }
}

/// What a transaction begins as.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Read,
    Write,
}

impl Postgres {
    pub(crate) async fn open(url: &str, service_name: &str) -> Result<Self, StoreError> {
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Err(StoreError::Config("the postgres engine needs a runtime of several threads".to_owned()));
        }
        let config = url.parse().map_err(failed)?;
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let table = format!("fractus_{}", service_name.chars().map(plain).collect::<String>());
        let postgres = Postgres {
            config,
            table,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            random: Random::system(),
        };
        postgres.create_table().await?;
        Ok(postgres)
    }

    async fn create_table(&self) -> Result<(), StoreError> {
        let client = self.connect().await?;
        let table = &self.table;
        let statements = format!(
            "CREATE TABLE IF NOT EXISTS {table} (key bytea PRIMARY KEY, value bytea NOT NULL, \
             expires_at bigint, due bytea); CREATE INDEX IF NOT EXISTS {table}_due ON {table} (due)"
        );
        // Two replicas that start together may both find no table; the loser only has to look again.
        if client.batch_execute(&statements).await.is_err() {
            client.batch_execute(&statements).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Client, StoreError> {
        // In a box: whoever waits for this, in whichever crate, would have the whole of the client's part once more.
        let connecting: BoxFuture<'_, _> = Box::pin(self.config.connect(NoTls));
        let (client, connection) = connecting.await.map_err(failed)?;
        let connected = async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to PostgreSQL ended");
            }
        };
        tokio::spawn(connected.boxed());
        Ok(client)
    }

    async fn lease(&self) -> Result<Lease<'_>, StoreError> {
        let permit =
            self.permits.clone().acquire_owned().await.map_err(|error| StoreError::engine("postgres", error))?;
        while let Some(connection) = self.take_idle() {
            if !connection.client.is_closed() {
                return Ok(Lease { postgres: self, connection: Some(connection), clean: false, _permit: permit });
            }
        }
        let client = self.connect().await?;
        let statements = Statements::prepare(&client, &self.table).await.map_err(failed)?;
        let connection = Some(Connection { client, statements });
        Ok(Lease { postgres: self, connection, clean: false, _permit: permit })
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().pop()
    }

    /// In a box, as all that is awaited for a transaction: else the future of every function that reads or writes would have
    /// room for this engine's, whichever engine there is.
    pub(crate) fn begin(&self, mode: Mode) -> BoxFuture<'_, Result<PostgresTransaction<'_>, StoreError>> {
        Box::pin(async move {
            let lease = self.lease().await?;
            let begin = match mode {
                Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                Mode::Write => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            };
            if let Some(connection) = &lease.connection {
                connection.client.batch_execute(begin).await.map_err(failed)?;
            }
            Ok(PostgresTransaction { lease, runtime: Handle::current(), conflict: Cell::new(false) })
        })
    }

    /// Ends a writing transaction of the attempt of this number, the first being 0; `false` if it must run again.
    pub(crate) fn settle<'p>(
        &'p self,
        transaction: Option<PostgresTransaction<'p>>,
        keeps: bool,
        attempt: u32,
    ) -> BoxFuture<'p, Result<bool, StoreError>> {
        Box::pin(async move {
            if let Some(transaction) = transaction {
                // A conflict shows itself as an error inside the closure, or at the end.
                if transaction.is_in_conflict() {
                    transaction.roll_back().await;
                } else if !keeps {
                    transaction.roll_back().await;
                    return Ok(true);
                } else if transaction.commit().await? {
                    return Ok(true);
                }
            }
            if attempt + 1 >= ATTEMPTS {
                return Err(StoreError::Conflict { attempts: ATTEMPTS });
            }
            self.back_off(attempt).await;
            Ok(false)
        })
    }

    /// Waits before the next attempt: a random time, longer with each.
    async fn back_off(&self, attempt: u32) {
        let most = 1_000u64 << attempt.min(7);
        let wait = Duration::from_micros(self.random.below(most));
        // Real time on purpose: other transactions do not run on a virtual clock.
        #[allow(clippy::disallowed_methods)]
        tokio::time::sleep(wait).await;
    }
}

/// A connection in use. It goes back to the pool only if its transaction was ended in order.
struct Lease<'p> {
    postgres: &'p Postgres,
    connection: Option<Connection>,
    clean: bool,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.clean
            && let Some(connection) = self.connection.take()
        {
            self.postgres.idle.lock().push(connection);
        }
    }
}

pub(crate) struct PostgresTransaction<'a> {
    lease: Lease<'a>,
    runtime: Handle,
    /// The database found a conflict: all runs again, whatever the closure answered.
    conflict: Cell<bool>,
}

impl<'a> PostgresTransaction<'a> {
    /// Runs one step on this thread.
    fn step<'s, T>(
        &'s self,
        work: impl AsyncFnOnce(&'s Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let connection =
            self.lease.connection.as_ref().ok_or_else(|| StoreError::engine("postgres", "no connection"))?;
        let result = tokio::task::block_in_place(|| {
            let working: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(work(connection));
            self.runtime.block_on(working)
        });
        result.map_err(failed).inspect_err(|error| {
            if matches!(error, StoreError::Retry) {
                self.conflict.set(true);
            }
        })
    }

    fn is_in_conflict(&self) -> bool {
        self.conflict.get()
    }

    /// Ends the transaction; `false` if it was in conflict and must run again.
    async fn commit(mut self) -> Result<bool, StoreError> {
        let Some(connection) = &self.lease.connection else { return Ok(false) };
        let ended = connection.client.batch_execute("COMMIT").await.map_err(failed);
        self.lease.clean = matches!(ended, Ok(()) | Err(StoreError::Retry));
        match ended {
            Ok(()) => Ok(true),
            Err(StoreError::Retry) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a transaction that has only read.
    pub(crate) fn end(self) -> BoxFuture<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(self.roll_back())
    }

    async fn roll_back(mut self) {
        if let Some(connection) = &self.lease.connection {
            self.lease.clean = connection.client.batch_execute("ROLLBACK").await.is_ok();
        }
    }

    pub(crate) fn get(&self, key: &RawKey) -> Result<Option<RawRecord<'static>>, StoreError> {
        let row = self.step(async |connection| {
            connection.client.query_opt(&connection.statements.get, &[&&key.bytes[..]]).await
        })?;
        row.map(|row| record(&row, 0)).transpose()
    }

    pub(crate) fn put(&self, key: &RawKey, value: &[u8], expires_at: i64) -> Result<(), StoreError> {
        let moment = (expires_at != NEVER).then_some(expires_at);
        let due = moment.map(|moment| due_key(key.lane(), moment));
        let due = due.as_deref();
        let parameters: [&(dyn ToSql + Sync); 4] = [&&key.bytes[..], &value, &moment, &due];
        self.step(async |connection| connection.client.execute(&connection.statements.put, &parameters).await)?;
        Ok(())
    }

    pub(crate) fn delete(&self, key: &RawKey) -> Result<(), StoreError> {
        self.step(async |connection| {
            connection.client.execute(&connection.statements.delete, &[&&key.bytes[..]]).await
        })?;
        Ok(())
    }

    pub(crate) fn scan(&self, range: &RawRange<'_>) -> RawScan<'_> {
        let upper = match range.upper {
            Some(upper) => Some(range.space.with_tuple(upper)),
            None => successor(range.space.bytes.clone()),
        };
        RawScan::Postgres(PostgresScan {
            transaction: self,
            lower: range.space.with_tuple(range.lower),
            upper: upper.unwrap_or_default(),
            order: range.order,
            skip: range.space.bytes.len(),
            page: FIRST_PAGE,
            rows: VecDeque::new(),
            ended: false,
        })
    }

    fn rows(&self, lower: &[u8], upper: &[u8], order: Order, limit: i64) -> Result<Vec<Row>, StoreError> {
        let parameters: [&(dyn ToSql + Sync); 3] = [&lower, &upper, &limit];
        self.step(async |connection| {
            let statement = match order {
                Order::Ascending => &connection.statements.up,
                Order::Descending => &connection.statements.down,
            };
            connection.client.query(statement, &parameters).await
        })
    }

    /// Goes from the first key over the first key after each part that `front` names, and so on.
    fn skipping(&self, front: impl Fn(&RawKey) -> KeyBytes) -> Result<Vec<RawKey>, StoreError> {
        let mut found = Vec::new();
        let mut lower = Some(KeyBytes::new());
        while let Some(from) = lower {
            let rows = self.rows(&from, LAST, Order::Ascending, 1)?;
            let Some(row) = rows.first() else { break };
            let Some(key) = RawKey::parse(column(row, 0)?) else { break };
            lower = successor(front(&key));
            found.push(key);
        }
        Ok(found)
    }

    pub(crate) fn spaces(&self) -> Result<Vec<RawKey>, StoreError> {
        let firsts = self.skipping(|key| key.with_tuple(&[]))?;
        Ok(firsts.iter().filter_map(|key| RawKey::parse(&key.with_tuple(&[]))).collect())
    }

    pub(crate) fn lanes(&self) -> Result<Vec<String>, StoreError> {
        let firsts = self.skipping(|key| KeyBytes::from_slice(key.lane()))?;
        Ok(firsts.iter().map(|key| key.lane_name().to_owned()).collect())
    }

    pub(crate) fn expiring(&self, lane: &str, until: i64, limit: usize) -> Result<Vec<(i64, RawKey)>, StoreError> {
        let lane = [lane.as_bytes(), &[0]].concat();
        let (from, to) = (due_key(&lane, i64::MIN), due_key(&lane, until.saturating_add(1)));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 3] = [&from, &to, &limit];
        let rows =
            self.step(async |connection| connection.client.query(&connection.statements.due, &parameters).await)?;
        let mut due = Vec::new();
        for row in &rows {
            let moment: i64 = row.try_get(1).map_err(failed)?;
            due.extend(RawKey::parse(column(row, 0)?).map(|key| (moment, key)));
        }
        Ok(due)
    }

    pub(crate) fn entries_after(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        let lower = after.map_or_else(Vec::new, |key| [key, &[0]].concat());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.rows(&lower, LAST, Order::Ascending, limit)?;
        let entry = |row: &Row| {
            let key = RawKey::parse(column(row, 0)?)
                .ok_or_else(|| StoreError::engine("postgres", "a key of no known form"))?;
            let record = record(row, 1)?;
            Ok(RawEntry { key, value: record.value.into_owned(), expires_at: record.expires_at })
        };
        rows.iter().map(entry).collect()
    }
}

/// After every key: no lane's name begins with it.
const LAST: &[u8] = &[0xff];

fn due_key(lane: &[u8], moment: i64) -> Vec<u8> {
    [lane, &sortable_i64(moment)].concat()
}

fn column(row: &Row, at: usize) -> Result<&[u8], StoreError> {
    row.try_get(at).map_err(failed)
}

/// The record in the columns from `at` on.
fn record(row: &Row, at: usize) -> Result<RawRecord<'static>, StoreError> {
    let moment: Option<i64> = row.try_get(at + 1).map_err(failed)?;
    Ok(RawRecord { value: Cow::Owned(column(row, at)?.to_vec()), expires_at: moment.unwrap_or(NEVER) })
}

pub(crate) struct PostgresScan<'s> {
    transaction: &'s PostgresTransaction<'s>,
    lower: KeyBytes,
    upper: KeyBytes,
    order: Order,
    skip: usize,
    page: i64,
    rows: VecDeque<Row>,
    ended: bool,
}

impl PostgresScan<'_> {
    fn turn_page(&mut self) -> Result<(), StoreError> {
        let rows = self.transaction.rows(&self.lower, &self.upper, self.order, self.page)?;
        self.ended = (rows.len() as i64) < self.page;
        self.page = (self.page * 4).min(LARGEST_PAGE);
        if let Some(last) = rows.last() {
            let last = KeyBytes::from_slice(column(last, 0)?);
            match self.order {
                Order::Ascending => {
                    self.lower = last;
                    self.lower.push(0);
                }
                Order::Descending => self.upper = last,
            }
        }
        self.rows = rows.into();
        Ok(())
    }
}

impl<'s> Iterator for PostgresScan<'s> {
    type Item = Result<RawItem<'s>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty()
            && !self.ended
            && let Err(error) = self.turn_page()
        {
            self.ended = true;
            return Some(Err(error));
        }
        let row = self.rows.pop_front()?;
        let item = || {
            let tuple = column(&row, 0)?.get(self.skip..).unwrap_or_default().to_vec();
            Ok(RawItem { tuple: Cow::Owned(tuple), record: record(&row, 1)? })
        };
        Some(item())
    }
}
