//! Compares embedded engines for the disk engine: the numbers stand in README.md. Run with
//! `cargo run --release -p fractus-store --features engine-benchmark --example engine_benchmark -- [fjall|redb|heed|heed-map] [records]`.
//!
//! Every transaction is what a send does: one read and three writes of about 60-byte keys and 300-byte values, and ends
//! when a kill -9 could no longer lose it (write(2) or the shared mapping has it; no fsync).

#![allow(unsafe_code, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use fractus_clock::Stopwatch;

/// What the store needs of an engine.
trait Engine {
    /// One read, then all writes (`None` deletes), atomically.
    fn transact(&self, read: &[u8], writes: &[(Vec<u8>, Option<Vec<u8>>)]);
    fn first(&self, from: &[u8], to: &[u8]) -> Option<Vec<u8>>;
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
    fn page(&self, from: &[u8], count: usize) -> usize;
    fn sync(&self) {}
}

struct Fjall {
    db: fjall::Database,
    space: fjall::Keyspace,
}

impl Fjall {
    fn open(path: &Path) -> Self {
        let db = fjall::Database::builder(path).worker_threads(1).open().unwrap();
        let space = db.keyspace("kv", fjall::KeyspaceCreateOptions::default).unwrap();
        Fjall { db, space }
    }
}

impl Engine for Fjall {
    fn transact(&self, read: &[u8], writes: &[(Vec<u8>, Option<Vec<u8>>)]) {
        std::hint::black_box(self.space.get(read).unwrap());
        let mut batch = self.db.batch().durability(Some(fjall::PersistMode::Buffer));
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.space, &key[..], &value[..]),
                None => batch.remove(&self.space, &key[..]),
            }
        }
        batch.commit().unwrap();
    }

    fn first(&self, from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
        self.space.range(from..to).next().map(|item| item.into_inner().unwrap().0.to_vec())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        use fjall::Readable;
        self.db.snapshot().get(&self.space, key).unwrap().map(|value| value.to_vec())
    }

    fn page(&self, from: &[u8], count: usize) -> usize {
        self.space.range(from..).take(count).map(|item| item.into_inner().unwrap().1.len()).sum()
    }

    fn sync(&self) {
        self.db.persist(fjall::PersistMode::SyncData).unwrap();
    }
}

const TABLE: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("kv");

/// A file whose sync does nothing: the kernel has the bytes, which is what is compared here.
#[derive(Debug)]
struct Unsynced(std::fs::File);

type BackendResult<T> = Result<T, std::io::Error>;

impl redb::StorageBackend for Unsynced {
    fn len(&self) -> BackendResult<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> BackendResult<()> {
        Ok(std::os::unix::fs::FileExt::read_exact_at(&self.0, out, offset)?)
    }

    fn set_len(&self, len: u64) -> BackendResult<()> {
        Ok(self.0.set_len(len)?)
    }

    fn sync_data(&self) -> BackendResult<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> BackendResult<()> {
        Ok(std::os::unix::fs::FileExt::write_all_at(&self.0, data, offset)?)
    }
}

struct Redb(redb::Database);

impl Redb {
    fn open(path: &Path) -> Self {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("redb"))
            .unwrap();
        let db = redb::Database::builder().create_with_backend(Unsynced(file)).unwrap();
        let tx = db.begin_write().unwrap();
        tx.open_table(TABLE).unwrap();
        tx.commit().unwrap();
        Redb(db)
    }
}

impl Engine for Redb {
    fn transact(&self, read: &[u8], writes: &[(Vec<u8>, Option<Vec<u8>>)]) {
        use redb::ReadableTable;
        let tx = self.0.begin_write().unwrap();
        {
            let mut table = tx.open_table(TABLE).unwrap();
            std::hint::black_box(table.get(read).unwrap().map(|value| value.value().len()));
            for (key, value) in writes {
                match value {
                    Some(value) => drop(table.insert(&key[..], &value[..]).unwrap()),
                    None => drop(table.remove(&key[..]).unwrap()),
                }
            }
        }
        tx.commit().unwrap();
    }

    fn first(&self, from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
        use redb::{ReadableDatabase, ReadableTable};
        let tx = self.0.begin_read().unwrap();
        let table = tx.open_table(TABLE).unwrap();
        table.range(from..to).unwrap().next().map(|item| item.unwrap().0.value().to_vec())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        use redb::ReadableDatabase;
        let tx = self.0.begin_read().unwrap();
        redb::ReadableTable::get(&tx.open_table(TABLE).unwrap(), key).unwrap().map(|value| value.value().to_vec())
    }

    fn page(&self, from: &[u8], count: usize) -> usize {
        use redb::{ReadableDatabase, ReadableTable};
        let tx = self.0.begin_read().unwrap();
        let table = tx.open_table(TABLE).unwrap();
        table.range(from..).unwrap().take(count).map(|item| item.unwrap().1.value().len()).sum()
    }
}

type Plain = heed::types::Bytes;

struct Heed {
    env: heed::Env,
    db: heed::Database<'static, Plain, Plain>,
}

impl Heed {
    fn open(path: &Path, flags: heed::EnvFlags) -> Self {
        let mut options = heed::EnvOpenOptions::new();
        options.map_size(16 << 30).max_dbs(4);
        // Safety: one process, one opening, on a local file system.
        let env = unsafe { options.flags(flags).open(path).unwrap() };
        let tx = env.write_txn().unwrap();
        let db = env
            .create_databases_and_commit(tx, |opener, tx| {
                opener.create_database::<Plain, Plain>(tx, Some("kv")).map(heed::CommitOrAbort::<_, ()>::Commit)
            })
            .unwrap()
            .unwrap_commit();
        Heed { env, db }
    }
}

impl Engine for Heed {
    fn transact(&self, read: &[u8], writes: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let mut tx = self.env.write_txn().unwrap();
        std::hint::black_box(self.db.get(&tx, read).unwrap().map(<[u8]>::len));
        for (key, value) in writes {
            match value {
                Some(value) => self.db.put(&mut tx, key, value).unwrap(),
                None => drop(self.db.delete(&mut tx, key).unwrap()),
            }
        }
        tx.commit().unwrap();
    }

    fn first(&self, from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
        let tx = self.env.read_txn().unwrap();
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Excluded(to));
        self.db.range(&tx, &bounds).unwrap().next().map(|item| item.unwrap().0.to_vec())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let tx = self.env.read_txn().unwrap();
        self.db.get(&tx, key).unwrap().map(<[u8]>::to_vec)
    }

    fn page(&self, from: &[u8], count: usize) -> usize {
        let tx = self.env.read_txn().unwrap();
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        self.db.range(&tx, &bounds).unwrap().take(count).map(|item| item.unwrap().1.len()).sum()
    }

    fn sync(&self) {
        self.env.force_sync().unwrap();
    }
}

fn open(name: &str, path: &Path) -> Box<dyn Engine> {
    use heed::EnvFlags;
    match name {
        "fjall" => Box::new(Fjall::open(path)),
        "redb" => Box::new(Redb::open(path)),
        "heed" => Box::new(Heed::open(path, EnvFlags::NO_SYNC)),
        "heed-map" => Box::new(Heed::open(path, EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP)),
        other => panic!("no engine {other}"),
    }
}

fn key(space: &str, n: u64) -> Vec<u8> {
    let mut key = format!("main\0aws\0000000000000\0us-east-1\0{space}\0\x11queue-1\0\x20").into_bytes();
    key.extend_from_slice(&n.to_be_bytes());
    key
}

fn value(n: u64) -> Vec<u8> {
    (0..300).map(|at| (n.wrapping_mul(31).wrapping_add(at) >> 3) as u8).collect()
}

/// Mixed enough not to be in order, the same in every run.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn micros(took: Duration, count: u64) -> f64 {
    took.as_secs_f64() * 1e6 / count as f64
}

fn send(engine: &dyn Engine, n: u64) {
    let writes = [
        (key("messages", n), Some(value(n))),
        (key("by-receipt", scattered(n)), Some(value(n)[..40].to_vec())),
        (key("queues", 0), Some(value(n)[..100].to_vec())),
    ];
    engine.transact(&key("queues", 0), &writes);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "fjall".to_owned());
    let records: u64 = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path();
    let mut engine = open(&name, path);

    let watch = Stopwatch::start();
    (0..20_000).for_each(|n| send(&*engine, n));
    println!("{name}: send, empty store: {:.1} us", micros(watch.elapsed(), 20_000));

    let watch = Stopwatch::start();
    let mut head = 0;
    for n in 20_000..120_000 {
        send(&*engine, n);
        let first = engine.first(&key("messages", 0), &key("messages", u64::MAX)).unwrap();
        let writes = [(first, None), (key("by-receipt", scattered(head)), None)];
        engine.transact(&key("queues", 0), &writes);
        head += 1;
    }
    println!("{name}: queue churn (send, first, delete): {:.1} us", micros(watch.elapsed(), 100_000));

    let watch = Stopwatch::start();
    (200_000..200_000 + records).for_each(|n| send(&*engine, n));
    println!("{name}: send up to {records}: {:.1} us", micros(watch.elapsed(), records));

    let watch = Stopwatch::start();
    for n in 0..100_000 {
        let at = 200_000 + scattered(n) % records;
        assert!(engine.get(&key("messages", at)).is_some());
    }
    println!("{name}: snapshot and get, random of {records}: {:.2} us", micros(watch.elapsed(), 100_000));

    let watch = Stopwatch::start();
    for _ in 0..20_000 {
        std::hint::black_box(engine.first(&key("messages", 200_000), &key("messages", u64::MAX)));
    }
    println!("{name}: first of a range of {records}: {:.2} us", micros(watch.elapsed(), 20_000));

    let watch = Stopwatch::start();
    for n in 0..100 {
        std::hint::black_box(engine.page(&key("messages", 200_000 + scattered(n) % records), 1_000));
    }
    println!("{name}: page of 1,000: {:.0} us", micros(watch.elapsed(), 100));

    let watch = Stopwatch::start();
    for n in 0..50 {
        send(&*engine, 5_000_000 + n);
        engine.sync();
    }
    println!("{name}: send with fsync: {:.0} us", micros(watch.elapsed(), 50));

    drop(engine);
    let watch = Stopwatch::start();
    engine = open(&name, path);
    assert!(engine.get(&key("messages", 200_000)).is_some());
    println!("{name}: reopen and get: {:.1} ms", watch.elapsed().as_secs_f64() * 1e3);
    let bytes: u64 = walk(path);
    println!("{name}: on disk: {} MiB", bytes >> 20);
}

fn walk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { walk(&entry.path()) } else { metadata.blocks() * 512 }
        })
        .sum()
}
