//! The tables of a caller, for whoever shows them: table buckets, namespaces and tables in order, and deleting a table.

use fractus_aws::{Arn, Partition};
use fractus_clock::Timestamp;
use fractus_host::{Access, Context};
use fractus_store::{Order, Range};
use fractus_wire::Failure;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::metadata::configured::{self, AWS_BUCKET, Failed};
use crate::metadata::publish::{self, At, number_of};
use crate::metadata::{Kept, Kind, LAST_CHANGES, Place, TABLES, TABLES_OF};
use crate::objects::scope;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, OBJECTS};

/// Files of a deleted table that one transaction looks for.
const FILES_AT_ONCE: usize = 500;

/// A parameter of the query.
pub fn parameter(cx: &Context, name: &str) -> Option<String> {
    let found = cx.uri().query()?.split('&').find_map(|pair| {
        let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
        (own == name).then_some(value)
    })?;
    Some(percent_decode_str(&found.replace('+', " ")).decode_utf8_lossy().into_owned())
}

/// A table bucket of the caller's account.
pub struct TableBucket {
    pub name: String,
    pub arn: String,
}

impl TableBucket {
    /// The table bucket of an ARN; none where that is no such, or of another account or region.
    pub fn of(cx: &Context, arn: &str) -> Option<Self> {
        let parsed: Arn = arn.parse().ok()?;
        let name = parsed.resource.strip_prefix("bucket/").filter(|name| !name.is_empty() && !name.contains('/'))?;
        let here = arn_of(cx, name);
        (here == arn).then(|| TableBucket { name: name.to_owned(), arn: here })
    }

    /// Some id, which is always the same.
    pub fn id(&self) -> String {
        id_of(&[&self.arn])
    }

    pub fn kind(&self) -> &'static str {
        if self.name == AWS_BUCKET { "aws" } else { "customer" }
    }

    pub fn shown(&self, cx: &Context, created_at: Timestamp) -> Json {
        json!({
            "arn": self.arn,
            "name": self.name,
            "ownerAccountId": cx.world.account.as_str(),
            "createdAt": created_at.date_time_millis(),
            "tableBucketId": self.id(),
            "type": self.kind(),
        })
    }
}

fn arn_of(cx: &Context, bucket: &str) -> String {
    let partition: Partition = cx.world.partition;
    format!("arn:{partition}:s3tables:{}:{}:bucket/{bucket}", cx.region, cx.world.account)
}

/// An id in the form of a UUID that texts decide.
pub fn id_of(texts: &[&str]) -> String {
    let (high, low) = (number_of(texts), number_of(&[&texts.concat(), "id"]));
    let digits = format!("{high:016x}{low:016x}");
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// What a request is about, for permissions.
pub enum Asked<'a> {
    Bucket(&'static str),
    Table(&'static str, &'a str, &'a str),
}

impl Asked<'_> {
    pub fn action(&self) -> &'static str {
        match self {
            Asked::Bucket(action) | Asked::Table(action, ..) => action,
        }
    }

    /// Tables have ARNs by their ids; whoever has no such table is asked about all of the bucket's.
    pub fn resource(&self, bucket: &str) -> String {
        match self {
            Asked::Bucket(_) => bucket.to_owned(),
            Asked::Table(..) => format!("{bucket}/table/*"),
        }
    }
}

/// What deleting a table came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Done,
    Missing,
    /// It has changed since the caller looked.
    Changed,
}

/// The tables of a caller.
pub struct Tables<'a> {
    pub s3: &'a S3,
    pub cx: &'a Context,
}

impl Tables<'_> {
    pub async fn authorize(&self, action: &'static str, resource: &str) -> Result<(), Failure> {
        let mut access = Access::to_all().by(action);
        access.resource = resource.to_owned();
        self.cx.authorize(&[access]).await
    }

    fn here(&self) -> (&str, &str) {
        (self.cx.world.account.as_str(), self.cx.region.as_str())
    }

    /// Whether there is a table bucket: AWS's own is there once something is configured.
    pub async fn has(&self, bucket: &TableBucket) -> Result<bool> {
        Ok(!self.namespaces(bucket, "", 1).await?.is_empty())
    }

    /// Table buckets behind a name, and when each was first used.
    pub async fn buckets(&self, after: &str, limit: usize) -> Result<Vec<(TableBucket, Timestamp)>> {
        let (scope, (account, region)) = (scope(self.cx), self.here());
        let found = self.s3.store.read(|snapshot| {
            let (mut after, mut found) = (after.to_owned(), Vec::new());
            while found.len() < limit {
                let range = Range::prefix(&(account, region)).after(&(account, region, after.as_str()));
                let Some((place, kept)) = snapshot.first(&TABLES, &scope, range, Order::Ascending)? else { break };
                after.clone_from(&place.2);
                found.push((place.2, kept.created_at));
            }
            Ok::<_, Error>(found)
        });
        let named = found.await?.into_iter();
        Ok(named.map(|(name, at)| (TableBucket { arn: arn_of(self.cx, &name), name }, at)).collect())
    }

    /// Namespaces behind one, and when each was first used.
    pub async fn namespaces(
        &self,
        bucket: &TableBucket,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>> {
        let (scope, (account, region), name) = (scope(self.cx), self.here(), bucket.name.as_str());
        let found = self.s3.store.read(|snapshot| {
            let (mut after, mut found) = (after.to_owned(), Vec::new());
            while found.len() < limit {
                let range = Range::prefix(&(account, region, name)).after(&(account, region, name, after.as_str()));
                let Some((place, kept)) = snapshot.first(&TABLES, &scope, range, Order::Ascending)? else { break };
                after.clone_from(&place.3);
                found.push((place.3, kept.created_at));
            }
            Ok::<_, Error>(found)
        });
        found.await
    }

    /// When a namespace was first used; none where it is not.
    pub async fn namespace(&self, bucket: &TableBucket, namespace: &str) -> Result<Option<Timestamp>> {
        let first = self.tables(bucket, Some(namespace), (namespace, ""), 1).await?;
        Ok(first.first().map(|(_, kept)| kept.created_at))
    }

    /// Tables behind a namespace and a name.
    pub async fn tables(
        &self,
        bucket: &TableBucket,
        namespace: Option<&str>,
        (after, after_name): (&str, &str),
        limit: usize,
    ) -> Result<Vec<(Place, Kept)>> {
        let (scope, (account, region), name) = (scope(self.cx), self.here(), bucket.name.as_str());
        let found = self.s3.store.read(|snapshot| {
            let range = match namespace {
                Some(namespace) => Range::prefix(&(account, region, name, namespace)),
                None => Range::prefix(&(account, region, name)),
            };
            let range = range.after(&(account, region, name, after, after_name));
            let found = snapshot.range(&TABLES, &scope, range, Order::Ascending)?.take(limit);
            Ok::<_, Error>(found.collect::<std::result::Result<_, _>>()?)
        });
        found.await
    }

    fn place(&self, bucket: &TableBucket, namespace: &str, name: &str) -> Place {
        let (account, region) = self.here();
        (account.to_owned(), region.to_owned(), bucket.name.clone(), namespace.to_owned(), name.to_owned())
    }

    pub async fn table(&self, bucket: &TableBucket, namespace: &str, name: &str) -> Result<Option<Kept>> {
        publish::read(self.s3, &scope(self.cx), &self.place(bucket, namespace, name)).await
    }

    /// Deletes a table and its files. A configuration that it is of says so from then on.
    pub async fn delete(
        &self,
        bucket: &TableBucket,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Deleted> {
        let (scope, place) = (scope(self.cx), self.place(bucket, namespace, name));
        let key = (place.0.as_str(), place.1.as_str(), place.2.as_str(), place.3.as_str(), place.4.as_str());
        let gone = self.s3.store.write(|tx| {
            let Some(kept) = tx.get(&TABLES, &scope, &key)? else { return Ok::<_, Error>((Deleted::Missing, None)) };
            let storage = kept.storage();
            if version.is_some_and(|version| version != version_token(&kept)) {
                return Ok((Deleted::Changed, None));
            }
            tx.delete(&TABLES, &scope, &key)?;
            // Without its bucket no file comes to be any more.
            let bucket = tx.get(&BUCKETS, &scope, &(storage.as_str(),))?;
            tx.delete(&BUCKETS, &scope, &(storage.as_str(),))?;
            let linked = (kept.source_id, kept.kind as u64);
            if tx.get(&TABLES_OF, &scope, &linked)?.as_ref() == Some(&place) {
                tx.delete(&TABLES_OF, &scope, &linked)?;
            }
            let source = tx.get(&BUCKETS, &scope, &(kept.source.as_str(),))?;
            if let Some(mut source) = source.filter(|source| source.id == kept.source_id)
                && let Some(mut metadata) = configured::read(tx, &scope, &source)?
            {
                for wanted in metadata.wanted(&source) {
                    if wanted.table.id == kept.id {
                        wanted.table.failed = Some(Failed::DestinationTableNotFound);
                    } else if kept.kind == Kind::Journal && wanted.table.failed.is_none() {
                        // What tells of a bucket's changes goes by way of its journal.
                        wanted.table.failed = Some(Failed::JournalTableNotAvailable);
                    }
                }
                if kept.kind == Kind::Journal {
                    tx.delete(&LAST_CHANGES, &scope, &(source.id,))?;
                }
                configured::write(tx, &scope, &mut source, &mut metadata, self.cx.now())?;
            }
            Ok((Deleted::Done, bucket))
        });
        let (deleted, bucket) = gone.await?;
        if let Some(bucket) = bucket {
            self.clear(&place, &bucket).await?;
        }
        Ok(deleted)
    }

    /// Removes the files of a table that is no longer there.
    async fn clear(&self, place: &Place, bucket: &Bucket) -> Result<()> {
        let scope = scope(self.cx);
        let at = At { s3: self.s3, world: &self.cx.world, scope: &scope, place, now: self.cx.now() };
        loop {
            let found = self.s3.store.read(|snapshot| {
                let keys = snapshot.keys(&OBJECTS, &scope, Range::prefix(&(bucket.id,)), Order::Ascending)?;
                let keys = keys.take(FILES_AT_ONCE).map(|key| key.map(|(_, key)| key));
                Ok::<_, Error>(keys.collect::<std::result::Result<Vec<_>, _>>()?)
            });
            let found = found.await?;
            if found.is_empty() {
                return Ok(());
            }
            at.remove(bucket, &found).await?;
        }
    }
}

/// Changes with every commit.
pub fn version_token(kept: &Kept) -> String {
    format!("{:016x}", number_of(&[&kept.table.metadata]))
}
