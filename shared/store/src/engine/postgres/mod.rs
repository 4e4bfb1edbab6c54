//! The PostgreSQL engine: one table a service, `SERIALIZABLE` transactions, plain SQL that CockroachDB and YugabyteDB
//! take as well.
//!
//! A closure is synchronous and the connection is not, so each of its steps blocks the thread it runs on, with
//! `block_in_place`: the runtime must have more than one thread. Connections are pooled up to a bound and come with
//! their statements prepared.
//!
//! What costs is the round trip, and what is held meanwhile. So a transaction begins with its first read, and what it writes is kept
//! ([`changes`]) until it ends, all in one go. Transactions that meet in a record run again one after the other ([`queues`]).

mod changes;
mod queues;
mod reads;
mod scan;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fractus_clock::Random;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, Statement};

use self::queues::{Queues, Turns};
pub(crate) use self::scan::PostgresScan;
pub(crate) use self::transaction::PostgresTransaction;
use crate::error::StoreError;
use crate::key::KeyBytes;

/// Connections of one store. Each is one transaction under way.
const CONNECTIONS: usize = 16;
/// How often a transaction in conflict is tried before it is given up.
const ATTEMPTS: u32 = 50;
/// How often it runs anew only to queue for records that others write.
const QUEUEINGS: u32 = 8;
/// How many records one transaction queues for.
const MOST_PLACES: usize = 64;

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
    queues: Queues,
    /// Whether the server has advisory locks, as far as is known.
    has_locks: AtomicBool,
    random: Random,
}

/// How the runs of one closure went so far.
#[derive(Default)]
pub(crate) struct Attempts {
    conflicts: u32,
    queueings: u32,
    /// The records that the next run queues for.
    places: Vec<i64>,
    /// What the last run read: the next one reads it in one go as it begins.
    read: Vec<KeyBytes>,
}

impl Attempts {
    fn queue_for(&mut self, places: &[i64]) {
        self.places.extend_from_slice(places);
        self.places.sort_unstable();
        self.places.dedup();
        self.places.truncate(MOST_PLACES);
    }
}

struct Connection {
    client: Client,
    statements: Statements,
}

struct Statements {
    get: Statement,
    get_all: Statement,
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
            "INSERT INTO {table} (key, value, expires_at, due) \
             SELECT unnest($1::bytea[]), unnest($2::bytea[]), unnest($3::bigint[]), unnest($4::bytea[]) \
             ON CONFLICT (key) \
             DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, due = excluded.due"
        );
        let due = format!("SELECT key, expires_at FROM {table} WHERE due >= $1 AND due < $2 ORDER BY due LIMIT $3");
        Ok(Statements {
            get: client.prepare(&format!("SELECT value, expires_at FROM {table} WHERE key = $1")).await?,
            get_all: client.prepare(&format!("{columns} {table} WHERE key = ANY($1::bytea[])")).await?,
            put: client.prepare(&put).await?,
            delete: client.prepare(&format!("DELETE FROM {table} WHERE key = ANY($1::bytea[])")).await?,
            up: client.prepare(&format!("{columns} {table} {within} LIMIT $3")).await?,
            down: client.prepare(&format!("{columns} {table} {within} DESC LIMIT $3")).await?,
            due: client.prepare(&due).await?,
        })
    }
}

/// What a transaction begins as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

impl Mode {
    const fn begins(self) -> &'static str {
        match self {
            Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Write => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }
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
            queues: Queues::default(),
            has_locks: AtomicBool::new(true),
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
        // A table of few pages would be read whole, which crosses every write there is; and there is one way to run each
        // statement, so that it is planned once. Where one of these is no setting it is not needed.
        for setting in ["enable_seqscan = off", "enable_bitmapscan = off", "plan_cache_mode = force_generic_plan"] {
            let _ = client.batch_execute(&format!("SET {setting}")).await;
        }
        let statements = Statements::prepare(&client, &self.table).await.map_err(failed)?;
        let connection = Some(Connection { client, statements });
        Ok(Lease { postgres: self, connection, clean: false, _permit: permit })
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().pop()
    }

    /// In a box, as all that is awaited for a transaction: else the future of every function that reads or writes would have
    /// room for this engine's, whichever engine there is.
    pub(crate) fn begin_reading(&self) -> BoxFuture<'_, Result<PostgresTransaction<'_>, StoreError>> {
        Box::pin(async move { Ok(PostgresTransaction::new(self.lease().await?, Mode::Read, Turns::default())) })
    }

    pub(crate) fn begin_writing<'p>(
        &'p self,
        attempts: &Attempts,
    ) -> BoxFuture<'p, Result<PostgresTransaction<'p>, StoreError>> {
        let (places, read) = (attempts.places.clone(), attempts.read.clone());
        Box::pin(async move {
            // Whoever waits here has no connection.
            let turns = self.queues.take_turns(places).await;
            let lease = self.lease().await?;
            let mut transaction = PostgresTransaction::new(lease, Mode::Write, turns);
            let locks = transaction.locks().filter(|_| self.has_locks.load(Ordering::Relaxed));
            if locks.is_some() || !read.is_empty() {
                let refused = transaction.begin_with(locks.as_deref(), read).await?;
                self.has_locks.fetch_and(!refused, Ordering::Relaxed);
            }
            Ok(transaction)
        })
    }

    /// Ends a writing transaction; `false` if it must run again.
    pub(crate) fn settle<'p>(
        &'p self,
        transaction: Option<PostgresTransaction<'p>>,
        keeps: bool,
        attempts: &'p mut Attempts,
    ) -> BoxFuture<'p, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut places = Vec::new();
            if let Some(transaction) = transaction {
                places = transaction.crossed();
                attempts.read = transaction.read();
                // A conflict shows itself as an error inside the closure, or at the end.
                if transaction.is_in_conflict() {
                    transaction.roll_back().await;
                } else if !keeps {
                    transaction.roll_back().await;
                    return Ok(true);
                } else {
                    let busy = self.queues.busy(&places, &attempts.places);
                    if !busy.is_empty() && attempts.queueings < QUEUEINGS {
                        transaction.roll_back().await;
                        attempts.queueings += 1;
                        attempts.queue_for(&busy);
                        return Ok(false);
                    }
                    if transaction.commit().await? {
                        return Ok(true);
                    }
                }
            }
            attempts.conflicts += 1;
            if attempts.conflicts >= ATTEMPTS {
                return Err(StoreError::Conflict { attempts: ATTEMPTS });
            }
            let is_known = !places.is_empty() && attempts.conflicts < 3;
            self.queues.meet(&places);
            attempts.queue_for(&places);
            if !is_known {
                self.back_off(attempts.conflicts).await;
            }
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
