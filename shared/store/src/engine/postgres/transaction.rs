//! A transaction under way, and what a closure does with it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;

use futures::future::{BoxFuture, join, join3};
use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::changes::Changes;
use super::queues::{Turns, place_of};
use super::reads::Reads;
use super::scan::{LAST, PostgresScan, column, due_key, record};
use super::{Connection, Lease, Mode, failed};
use crate::engine::{RawEntry, RawRange, RawRecord, RawScan};
use crate::error::StoreError;
use crate::key::KeyBytes;
use crate::range::{Order, successor};
use crate::scope::RawKey;

/// What a transaction keeps of its own at most until it sends it.
const MOST_KEPT_BYTES: usize = 8 << 20;
/// How many records that it both read and wrote are told, where it meets another one.
const MOST_CROSSED: usize = 32;

pub(crate) struct PostgresTransaction<'a> {
    lease: Lease<'a>,
    runtime: Handle,
    mode: Mode,
    /// It begins with its first step, in the same round trip.
    has_begun: Cell<bool>,
    /// The database found a conflict: all runs again, whatever the closure answered.
    conflict: Cell<bool>,
    /// What is not sent yet.
    changes: RefCell<Changes>,
    /// What a writing transaction read, and the places of what it wrote of that.
    reads: RefCell<Reads>,
    crossed: RefCell<Vec<i64>>,
    turns: Turns,
}

type Step<T> = Result<T, tokio_postgres::Error>;

impl<'a> PostgresTransaction<'a> {
    pub(super) fn new(lease: Lease<'a>, mode: Mode, turns: Turns) -> Self {
        PostgresTransaction {
            lease,
            runtime: Handle::current(),
            mode,
            has_begun: Cell::new(false),
            conflict: Cell::new(false),
            changes: RefCell::default(),
            reads: RefCell::default(),
            crossed: RefCell::default(),
            turns,
        }
    }

    /// The statements that wait for this transaction's turn among all replicas.
    pub(super) fn locks(&self) -> Option<String> {
        self.turns.locks()
    }

    /// Waits for locks, begins, and reads what was read before, in one round trip. Says whether the server knows no locks.
    pub(super) async fn begin_with(&mut self, locks: Option<&str>, keys: Vec<KeyBytes>) -> Result<bool, StoreError> {
        let Connection { client, statements } = self.connection()?;
        let locking = async {
            match locks {
                Some(locks) => client.batch_execute(locks).await,
                None => Ok(()),
            }
        };
        let all: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        let all: [&(dyn ToSql + Sync); 1] = [&all];
        let reading = client.query(&statements.get_all, &all);
        let (locked, begun, rows) = join3(locking, client.batch_execute(self.mode.begins()), reading).await;
        begun.map_err(failed)?;
        self.has_begun.set(true);
        match rows.map_err(failed) {
            Ok(rows) => self.reads.borrow_mut().keep_all(keys, &rows)?,
            // The run goes on to be told so at its end.
            Err(StoreError::Retry) => self.conflict.set(true),
            Err(error) => return Err(error),
        }
        let unknown = [SqlState::UNDEFINED_FUNCTION, SqlState::FEATURE_NOT_SUPPORTED];
        Ok(locked.is_err_and(|error| error.code().is_some_and(|code| unknown.contains(code))))
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.lease.connection.as_ref().ok_or_else(|| StoreError::engine("postgres", "no connection"))
    }

    /// Runs one step on this thread.
    fn step<'s, T>(&'s self, work: impl AsyncFnOnce(&'s Connection) -> Step<T>) -> Result<T, StoreError> {
        let connection = self.connection()?;
        let begins = !self.has_begun.replace(true);
        let run = async {
            if !begins {
                return work(connection).await;
            }
            // Both are sent before either is answered.
            let (begun, worked) = join(connection.client.batch_execute(self.mode.begins()), work(connection)).await;
            begun.and(worked)
        };
        let result = tokio::task::block_in_place(|| {
            let running: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(run);
            self.runtime.block_on(running)
        });
        result.map_err(failed).inspect_err(|error| self.note(error))
    }

    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Retry) {
            self.conflict.set(true);
        }
    }

    pub(super) fn is_in_conflict(&self) -> bool {
        self.conflict.get()
    }

    /// The places of the records that it read and wrote: where it may meet others.
    pub(super) fn crossed(&self) -> Vec<i64> {
        self.crossed.take()
    }

    /// What it read, for the next run; nothing if that was a lot.
    pub(super) fn read(&self) -> Vec<KeyBytes> {
        self.reads.borrow().keys()
    }

    /// Ends the transaction; `false` if it was in conflict and must run again.
    pub(super) async fn commit(mut self) -> Result<bool, StoreError> {
        let changes = self.changes.take();
        if !self.has_begun.get() && changes.is_empty() {
            self.lease.clean = true;
            return Ok(true);
        }
        if !self.has_begun.get() {
            let begun = self.connection()?.client.batch_execute(self.mode.begins()).await;
            begun.map_err(failed)?;
        }
        let connection = self.connection()?;
        let (sent, ended, unlocked) = join3(
            send(connection, changes),
            connection.client.batch_execute("COMMIT"),
            unlock(connection, &self.turns),
        )
        .await;
        let ended = sent.and(ended).map_err(failed);
        self.lease.clean = unlocked.is_ok() && matches!(ended, Ok(()) | Err(StoreError::Retry));
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

    pub(super) async fn roll_back(mut self) {
        if !self.has_begun.get() {
            self.lease.clean = true;
            return;
        }
        if let Some(connection) = &self.lease.connection {
            let ended = join(connection.client.batch_execute("ROLLBACK"), unlock(connection, &self.turns)).await;
            self.lease.clean = ended.0.is_ok() && ended.1.is_ok();
        }
    }

    pub(crate) fn get(&self, key: &RawKey) -> Result<Option<RawRecord<'static>>, StoreError> {
        if let Some(own) = self.changes.borrow().get(&key.bytes) {
            return Ok(own);
        }
        // A transaction sees one moment: what was read once need not be read again.
        if let Some(known) = self.reads.borrow().get(&key.bytes) {
            return Ok(known);
        }
        let row = self.step(async |connection| {
            connection.client.query_opt(&connection.statements.get, &[&&key.bytes[..]]).await
        })?;
        let found = row.map(|row| record(&row, 0)).transpose()?;
        if self.mode == Mode::Write {
            self.reads.borrow_mut().keep(&key.bytes, found.as_ref());
        }
        Ok(found)
    }

    pub(crate) fn put(&self, key: &RawKey, value: &[u8], expires_at: i64) -> Result<(), StoreError> {
        self.changes.borrow_mut().put(key, value, expires_at);
        self.has_changed(key)
    }

    pub(crate) fn delete(&self, key: &RawKey) -> Result<(), StoreError> {
        self.changes.borrow_mut().delete(key);
        self.has_changed(key)
    }

    fn has_changed(&self, key: &RawKey) -> Result<(), StoreError> {
        let (place, mut crossed) = (place_of(&key.bytes), self.crossed.borrow_mut());
        let was_read = self.reads.borrow_mut().forget(&key.bytes);
        if was_read && crossed.len() < MOST_CROSSED && !crossed.contains(&place) {
            crossed.push(place);
        }
        drop(crossed);
        if self.changes.borrow().kept_bytes() > MOST_KEPT_BYTES { self.send() } else { Ok(()) }
    }

    /// Sends what is kept, so that the database's own reads see it.
    fn send(&self) -> Result<(), StoreError> {
        let changes = self.changes.take();
        if changes.is_empty() {
            return Ok(());
        }
        self.step(async move |connection| send(connection, changes).await)
    }

    pub(crate) fn scan(&self, range: &RawRange<'_>) -> RawScan<'_> {
        RawScan::Postgres(PostgresScan::of(self, range))
    }

    pub(super) fn rows(&self, lower: &[u8], upper: &[u8], order: Order, limit: i64) -> Result<Vec<Row>, StoreError> {
        if self.changes.borrow().touch(lower, upper) {
            self.send()?;
        }
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
        self.send()?;
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

/// Sends changes, all in one go: what goes first, and then what comes, in the order of their keys.
async fn send(connection: &Connection, changes: Changes) -> Step<()> {
    let (deleted, put) = changes.into_statements();
    let (deleted, put) = join(
        deleted.run(&connection.client, &connection.statements.delete),
        put.run(&connection.client, &connection.statements.put),
    )
    .await;
    deleted.and(put)
}

/// Gives the session's locks back, if it has any.
async fn unlock(connection: &Connection, turns: &Turns) -> Step<()> {
    if turns.is_empty() {
        return Ok(());
    }
    connection.client.batch_execute("SELECT pg_advisory_unlock_all()").await
}
