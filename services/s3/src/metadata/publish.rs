//! How files become part of a table: they are put into its bucket, and then the table's record says that they are there. What a
//! commit was to write stands in the record first, so that nothing is left of one that was broken off.

use fractus_aws::{AccountId, Region, World};
use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_columns::iceberg::{Commit, Listed, Written};
use fractus_s3_columns::table::DataFile;
use fractus_store::{Scope, Transaction};
use md5::{Digest, Md5};

use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::metadata::{Kept, Place, TABLES, rows};
use crate::model::encryption::Asked;
use crate::notify::Happening;
use crate::objects::{self, Target};
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

/// Where a table is, and when it is worked on.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub s3: &'a S3,
    pub world: &'a World,
    pub scope: &'a Scope,
    pub place: &'a Place,
    pub now: Timestamp,
}

/// Data files on their way into a table, and those that go out of it.
#[derive(Default)]
pub struct Change {
    pub added: Vec<Listed>,
    pub removed: Vec<String>,
}

fn key(place: &Place) -> (&str, &str, &str, &str, &str) {
    (&place.0, &place.1, &place.2, &place.3, &place.4)
}

/// The table of a place.
pub async fn read(s3: &S3, scope: &Scope, place: &Place) -> Result<Option<Kept>> {
    s3.store.read(|snapshot| Ok(snapshot.get(&TABLES, scope, &key(place))?)).await
}

pub fn write(tx: &mut Transaction<'_>, scope: &Scope, place: &Place, kept: &Kept) -> Result<()> {
    Ok(tx.put(&TABLES, scope, &key(place), kept)?)
}

impl At<'_> {
    /// A table without rows: its bucket, its metadata and its record, unless there is one already.
    pub async fn create(&self, kept: &Kept, files: Vec<(String, Vec<u8>)>) -> Result<()> {
        let bucket = Bucket {
            name: kept.storage(),
            // Made anew by a second attempt, it is the same.
            id: number_of(&[&kept.id]),
            account: self.place.0.clone(),
            region: self.place.1.clone(),
            created_at: self.now,
            tags: Vec::new(),
            notifications: Default::default(),
            settings: Default::default(),
        };
        let put = self
            .s3
            .store
            .write(|tx| Ok::<_, Error>(tx.put(&BUCKETS, self.scope, &(bucket.name.as_str(),), &bucket)?));
        put.await?;
        self.put(kept, files).await?;
        self.s3.store.write(|tx| write(tx, self.scope, self.place, kept)).await
    }

    /// Puts a data file into the table's bucket; it is part of the table once it is committed.
    pub async fn data(&self, kept: &mut Kept, file: DataFile, series: &str, bound: &str) -> Result<Listed> {
        let path = format!("data/{:05}-{}.parquet", kept.table.sequence + 1, self.s3.host.random().uuid());
        let (rows, statistics) = (file.rows() as u64, file.statistics().into());
        let content = file.finish("table");
        let bytes = content.len() as u64;
        self.intend(kept, vec![path.clone()]).await?;
        self.put(kept, vec![(path.clone(), content)]).await?;
        let (series, bound) = (series.to_owned(), bound.to_owned());
        Ok(Listed { path, rows, bytes, series, bound, snapshot: 0, sequence: 0, statistics })
    }

    /// Makes a change part of the table. `work` is done in the transaction in which it becomes visible.
    pub async fn commit(
        &self,
        kept: &mut Kept,
        change: Change,
        work: impl Fn(&mut Transaction<'_>) -> Result<()> + Send + Sync,
    ) -> Result<()> {
        let random = self.s3.host.random();
        let unique = random.uuid();
        let commit = Commit {
            // No sign: some readers take it for none.
            snapshot: (random.u64() >> 1) as i64,
            at_ms: millis(self.now),
            unique,
            sync: random.bytes(),
            added: change.added,
            removed: change.removed,
        };
        let mut table = kept.table.clone();
        let Written { files, forgotten } = table.commit(rows::fields(kept.kind), commit);
        self.intend(kept, files.iter().map(|(path, _)| path.clone()).collect()).await?;
        self.put(kept, files).await?;
        kept.table = table;
        kept.modified_at = self.now;
        // Until they are gone they are what a commit that was broken off would leave.
        kept.writing.clone_from(&forgotten);
        {
            let kept = &*kept;
            self.s3
                .store
                .write(|tx| {
                    // A table that was deleted meanwhile stays so.
                    if !tx.contains(&TABLES, self.scope, &key(self.place))? {
                        return Ok(());
                    }
                    work(tx)?;
                    write(tx, self.scope, self.place, kept)
                })
                .await?;
        }
        self.clean(kept).await
    }

    /// Says in the table's record what is going to be written.
    async fn intend(&self, kept: &mut Kept, paths: Vec<String>) -> Result<()> {
        kept.writing.extend(paths);
        let writing = &kept.writing;
        let said = self.s3.store.write(|tx| {
            let Some(mut known) = tx.get(&TABLES, self.scope, &key(self.place))? else { return Ok::<_, Error>(()) };
            known.writing.clone_from(writing);
            write(tx, self.scope, self.place, &known)
        });
        said.await
    }

    /// Removes what nothing leads to.
    pub async fn clean(&self, kept: &mut Kept) -> Result<()> {
        if kept.writing.is_empty() {
            return Ok(());
        }
        let storage = kept.storage();
        let found =
            self.s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&BUCKETS, self.scope, &(storage.as_str(),))?));
        if let Some(bucket) = found.await? {
            self.remove(&bucket, &kept.writing).await?;
        }
        kept.writing.clear();
        self.intend(kept, Vec::new()).await
    }

    fn context(&self) -> Context {
        let account = AccountId::new(&self.place.0).unwrap_or_else(|_| AccountId::default_account());
        let region = Region::new(&self.place.1).unwrap_or_else(|_| Region::us_east_1());
        let cause = Cause::root("metadata".to_owned(), "metadata.s3.amazonaws.com".to_owned());
        Context::internal(&self.s3.host, World { account, ..self.world.clone() }, region, cause)
    }

    /// Removes objects of a table's bucket.
    pub async fn remove(&self, bucket: &Bucket, paths: &[String]) -> Result<()> {
        let cx = self.context();
        for path in paths {
            let removed = self.s3.store.write(|tx| {
                let happening = Happening::new(&cx, "s3:ObjectRemoved:Delete", self.now);
                let target = Target { key: path, version_id: None, bypass: false };
                objects::delete(tx, self.s3, self.scope, bucket, target, &happening)
            });
            self.s3.free(removed.await?.changed.freed);
        }
        Ok(())
    }

    async fn put(&self, kept: &Kept, files: Vec<(String, Vec<u8>)>) -> Result<()> {
        let storage = kept.storage();
        for (key, content) in files {
            let encryption = kept.kms_key.as_ref().map_or_else(Asked::default, |kms| Asked {
                algorithm: Some("aws:kms".to_owned()),
                kms_key: Some(kms.clone()),
                ..Asked::default()
            });
            let content_type = if key.ends_with(".json") { "application/json" } else { "application/octet-stream" };
            let wanted = Wanted { encryption, ..Wanted::default() };
            let parcel = Parcel { bucket: &storage, key, content_type, content, wanted };
            put_parcel(self.s3, self.world, self.scope, parcel).await?;
        }
        Ok(())
    }
}

pub fn millis(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000)
}

/// A number that texts alone decide.
pub fn number_of(texts: &[&str]) -> u64 {
    let digest = Md5::digest(texts.join("\n"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
