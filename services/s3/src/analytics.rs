//! Storage class analysis: how much of what lies in a bucket is read, by how old it is; exported daily as CSV.
//!
//! Requests are counted as they are answered, by configuration, day, storage class and age group. At midnight UTC of the
//! lane's clock the day's rows are made of these counts and a look at the whole bucket, and the file is put anew with all
//! rows so far.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/analytics-storage-class.html>

use std::collections::BTreeMap;
use std::time::Duration;

use fractus_aws::World;
use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use serde::{Deserialize, Serialize};

use crate::configurations::{self, Kind};
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::model::filter::{Filter, Subject};
use crate::model::lifecycle::midnight_after;
use crate::report_access::{self, About, Writer};
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;
use crate::store::{Bucket, OBJECTS, Object};

/// Counts: (bucket id, configuration id, day since 1970, storage class, age group).
pub const ACTIVITY: Collection<(u64, String, u64, String, u64), Activity> = Collection::new("analytics-activity");
/// Rows of exports: (bucket id, configuration id, storage class, age group, day).
pub const ROWS: Collection<(u64, String, String, u64, u64), String> = Collection::new("analytics-rows");

const COLUMNS: &str = "Date,ConfigId,Filter,StorageClass,ObjectAge,ObjectCount,DataUploaded_MB,Storage_MB,\
     DataRetrieved_MB,GetRequestCount,CumulativeAccessRatio,ObjectAgeForSIATransition,\
     RecommendedObjectAgeForSIATransition";

/// Age groups: the first day of each, and its name.
const GROUPS: [(i64, &str); 12] = [
    (0, "000-014"),
    (15, "015-029"),
    (30, "030-044"),
    (45, "045-059"),
    (60, "060-074"),
    (75, "075-089"),
    (90, "090-119"),
    (120, "120-149"),
    (150, "150-179"),
    (180, "180-364"),
    (365, "365-729"),
    (730, "730+"),
];
/// The group of all objects, whatever their size.
const ALL: u64 = GROUPS.len() as u64;
/// Smaller objects are in no age group: a move to another class does not pay for them.
const MIN_BYTES: u64 = 128 * 1024;

const DAY: Duration = Duration::from_secs(86_400);
const DAY_SECS: i64 = 86_400;
/// Rows older than this are left out of the file.
const DAYS_KEPT: u64 = 730;
/// How many records one look takes.
const AT_ONCE: usize = 500;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    pub uploaded_bytes: u64,
    pub retrieved_bytes: u64,
    pub gets: u64,
}

impl Activity {
    fn add(&mut self, other: Activity) {
        self.uploaded_bytes += other.uploaded_bytes;
        self.retrieved_bytes += other.retrieved_bytes;
        self.gets += other.gets;
    }
}

/// What lies in a group at midnight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stored {
    objects: u64,
    bytes: u64,
}

fn day(at: Timestamp) -> u64 {
    u64::try_from(at.secs().div_euclid(DAY_SECS)).unwrap_or(0)
}

/// The groups of an object: its age group, if it is large enough, and the group of all.
fn groups(size: u64, written: Timestamp, now: Timestamp) -> impl Iterator<Item = u64> {
    let age_days = (now.secs() - written.secs()).max(0) / DAY_SECS;
    let aged = GROUPS.iter().rposition(|(first, _)| age_days >= *first).filter(|_| size >= MIN_BYTES);
    aged.map(|group| group as u64).into_iter().chain([ALL])
}

/// When the first export of a configuration is due: AWS gives it after a day, which is the first whole one.
pub fn first_due(analytics: &api::AnalyticsConfiguration, now: Timestamp) -> Option<Timestamp> {
    let exports = analytics.storage_class_analysis.data_export.is_some();
    exports.then(|| midnight_after(now.plus(DAY)))
}

/// Counts a request about an object for every configuration that takes it.
pub fn count(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
    activity: Activity,
    now: Timestamp,
) -> Result<()> {
    let subject = Subject { key: Some(key), tags: &object.tags, access_point: None };
    let range = Range::prefix(&(bucket.id, Kind::Analytics.name()));
    let mut takers = Vec::new();
    for entry in tx.range(&configurations::CONFIGURATIONS, scope, range, Order::Ascending)? {
        let ((_, _, id), text) = entry?;
        let analytics: api::AnalyticsConfiguration = configurations::from_json(&text, Kind::Analytics)?;
        let exports = analytics.storage_class_analysis.data_export.is_some();
        if exports && Filter::of_analytics(&analytics).takes(&subject) {
            takers.push(id);
        }
    }
    for id in takers {
        for group in groups(object.size, object.last_modified, now) {
            let place = (bucket.id, id.as_str(), day(now), object.storage_class(), group);
            let mut sum = tx.get(&ACTIVITY, scope, &place)?.unwrap_or_default();
            sum.add(activity);
            tx.put(&ACTIVITY, scope, &place, &sum)?;
        }
    }
    Ok(())
}

/// Makes the day's rows and puts the file, if the configuration is still there; gives when the next is due.
pub async fn export(
    s3: &S3,
    world: &World,
    scope: &Scope,
    bucket: &Bucket,
    id: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let found = s3.store.read(|snapshot| {
        configurations::read_id::<api::AnalyticsConfiguration>(snapshot, scope, bucket, Kind::Analytics, id)
    });
    let Some(analytics) = found.await? else {
        forget(s3, scope, bucket, id).await?;
        return Ok(None);
    };
    let Some(export) = analytics.storage_class_analysis.data_export.clone() else { return Ok(None) };
    let report = Report { s3, scope, bucket, analytics: &analytics, now };
    let stored = report.stored().await?;
    report.close_day(&stored).await?;
    let content = report.file().await?;
    let destination = &export.destination.s3_bucket_destination;
    let target = destination.bucket.rsplit(':').next().unwrap_or_default();
    let prefix = destination.prefix.as_deref().map(|prefix| prefix.trim_end_matches('/')).unwrap_or_default();
    let separator = if prefix.is_empty() { "" } else { "/" };
    let parcel = Parcel {
        bucket: target,
        key: format!("{prefix}{separator}{}/{id}.csv", bucket.name),
        content_type: "text/csv",
        content: content.into_bytes(),
        wanted: Wanted::default(),
    };
    let place = (target, parcel.key.as_str());
    report_access::check(s3, (world, scope), Writer::Reports, About::bucket(world, bucket), place, now).await?;
    if !put_parcel(s3, world, scope, parcel).await? {
        tracing::warn!(bucket = bucket.name, "the destination bucket of storage class analysis is not there");
    }
    Ok(Some(midnight_after(now)))
}

/// Drops what was counted for a configuration that has gone.
async fn forget(s3: &S3, scope: &Scope, bucket: &Bucket, id: &str) -> Result<()> {
    s3.store
        .write(|tx| {
            let counts = tx.keys(&ACTIVITY, scope, Range::prefix(&(bucket.id, id)), Order::Ascending)?;
            let counts: Vec<_> = counts.collect::<std::result::Result<_, _>>()?;
            let rows = tx.keys(&ROWS, scope, Range::prefix(&(bucket.id, id)), Order::Ascending)?;
            let rows: Vec<_> = rows.collect::<std::result::Result<_, _>>()?;
            for key in counts {
                tx.delete(&ACTIVITY, scope, &key)?;
            }
            for key in rows {
                tx.delete(&ROWS, scope, &key)?;
            }
            Ok(())
        })
        .await
}

struct Report<'a> {
    s3: &'a S3,
    scope: &'a Scope,
    bucket: &'a Bucket,
    analytics: &'a api::AnalyticsConfiguration,
    now: Timestamp,
}

/// By storage class and group.
type ByGroup<T> = BTreeMap<(String, u64), T>;

impl Report<'_> {
    /// What lies in the bucket now.
    async fn stored(&self) -> Result<ByGroup<Stored>> {
        let filter = Filter::of_analytics(self.analytics);
        let prefix = filter.prefix.clone().unwrap_or_default();
        let mut stored: ByGroup<Stored> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::starts_with(&(self.bucket.id, prefix.as_str()));
                if let Some(after) = &after {
                    range = range.after(&(self.bucket.id, after.as_str()));
                }
                let found = snapshot.range(&OBJECTS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found.map(|entry| entry.map(|((_, key), object)| (key, object)).map_err(Error::from)).collect()
            });
            let page: Vec<(String, Object)> = page.await?;
            let Some((last, _)) = page.last() else { return Ok(stored) };
            after = Some(last.clone());
            for (key, object) in &page {
                let subject = Subject { key: Some(key), tags: &object.tags, access_point: None };
                if !filter.takes(&subject) {
                    continue;
                }
                for group in groups(object.size, object.last_modified, self.now) {
                    let sum = stored.entry((object.storage_class().to_owned(), group)).or_default();
                    sum.objects += 1;
                    sum.bytes += object.size;
                }
            }
        }
    }

    /// Turns the counts of the days that have ended into rows.
    async fn close_day(&self, stored: &ByGroup<Stored>) -> Result<()> {
        let (today, id) = (day(self.now), self.analytics.id.as_str());
        self.s3
            .store
            .write(|tx| {
                let mut counted: ByGroup<Activity> = BTreeMap::new();
                let range = Range::prefix(&(self.bucket.id, id));
                let entries = tx.range(&ACTIVITY, self.scope, range, Order::Ascending)?;
                let entries: Vec<_> = entries.collect::<std::result::Result<_, _>>()?;
                for (key, activity) in entries.into_iter().filter(|(key, _)| key.2 < today) {
                    counted.entry((key.3.clone(), key.4)).or_default().add(activity);
                    tx.delete(&ACTIVITY, self.scope, &key)?;
                }
                for (class, group, row) in self.rows(stored, &counted) {
                    tx.put(&ROWS, self.scope, &(self.bucket.id, id, class.as_str(), group, today), &row)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// The day's rows: of every class that has objects or was asked for, each age group and all.
    fn rows(&self, stored: &ByGroup<Stored>, counted: &ByGroup<Activity>) -> Vec<(String, u64, String)> {
        let mut classes: Vec<&String> = stored.keys().chain(counted.keys()).map(|(class, _)| class).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut rows = Vec::new();
        for class in classes {
            for group in 0..=ALL {
                let place = (class.clone(), group);
                let lies = stored.get(&place).copied().unwrap_or_default();
                let did = counted.get(&place).copied().unwrap_or_default();
                if group != ALL && lies == Stored::default() && did == Activity::default() {
                    continue;
                }
                let ratio = access_ratio(stored, counted, class, group);
                rows.push((class.clone(), group, self.row(class, group, lies, did, ratio)));
            }
        }
        rows
    }

    fn row(&self, class: &str, group: u64, lies: Stored, did: Activity, ratio: Option<f64>) -> String {
        let date = self.now.date_time();
        let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default().to_owned();
        let age = GROUPS.get(group as usize).map_or("ALL", |(_, name)| name);
        let fields = [
            format!("{}-{}-{}", part(5..7), part(8..10), part(0..4)),
            quoted(&self.analytics.id),
            quoted(&Filter::of_analytics(self.analytics).text()),
            class.to_owned(),
            age.to_owned(),
            lies.objects.to_string(),
            megabytes(did.uploaded_bytes),
            megabytes(lies.bytes),
            megabytes(did.retrieved_bytes),
            did.gets.to_string(),
            ratio.map(decimal).unwrap_or_default(),
            String::new(),
            String::new(),
        ];
        fields.join(",")
    }

    /// All rows so far, by date within age group; those of all objects come last.
    async fn file(&self) -> Result<String> {
        let (today, id) = (day(self.now), self.analytics.id.as_str());
        let mut rows = self
            .s3
            .store
            .write(|tx| {
                let entries = tx.range(&ROWS, self.scope, Range::prefix(&(self.bucket.id, id)), Order::Ascending)?;
                let entries: Vec<_> = entries.collect::<std::result::Result<_, _>>()?;
                let mut kept = Vec::new();
                for (key, row) in entries {
                    if key.4 + DAYS_KEPT < today {
                        tx.delete(&ROWS, self.scope, &key)?;
                    } else {
                        kept.push(((key.3 == ALL, key.2, key.3, key.4), row));
                    }
                }
                Ok::<_, Error>(kept)
            })
            .await?;
        rows.sort();
        let mut text = format!("{COLUMNS}\n");
        for (_, row) in rows {
            text.push_str(&row);
            text.push('\n');
        }
        Ok(text)
    }
}

/// How much of what is of this age or older was read: bytes retrieved over bytes stored. None where nothing is stored.
fn access_ratio(stored: &ByGroup<Stored>, counted: &ByGroup<Activity>, class: &str, group: u64) -> Option<f64> {
    let groups = if group == ALL { ALL..ALL + 1 } else { group..ALL };
    let place = |group| (class.to_owned(), group);
    let bytes: u64 = groups.clone().filter_map(|group| stored.get(&place(group))).map(|lies| lies.bytes).sum();
    let read: u64 = groups.filter_map(|group| counted.get(&place(group))).map(|did| did.retrieved_bytes).sum();
    (bytes > 0).then(|| read as f64 / bytes as f64)
}

fn megabytes(bytes: u64) -> String {
    decimal(bytes as f64 / f64::from(1 << 20))
}

/// With as many of six places as say something.
fn decimal(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_grouped_by_age_and_small_ones_only_counted() {
        let now = Timestamp::parse_date_time("2026-11-30T00:00:00Z").unwrap();
        let of = |days: u32, size| groups(size, now.minus(DAY * days), now).collect::<Vec<_>>();
        assert_eq!(of(0, MIN_BYTES), [0, ALL]);
        assert_eq!(of(14, MIN_BYTES), [0, ALL]);
        assert_eq!(of(15, MIN_BYTES), [1, ALL]);
        assert_eq!(of(179, MIN_BYTES), [8, ALL]);
        assert_eq!(of(2_000, MIN_BYTES), [11, ALL]);
        assert_eq!(of(2_000, MIN_BYTES - 1), [ALL]);
    }

    #[test]
    fn ratios_are_of_an_age_and_all_that_is_older() {
        let class = || "STANDARD".to_owned();
        let stored = ByGroup::from([
            ((class(), 0), Stored { objects: 1, bytes: 100 }),
            ((class(), 3), Stored { objects: 1, bytes: 300 }),
            ((class(), ALL), Stored { objects: 3, bytes: 500 }),
        ]);
        let read = |bytes| Activity { retrieved_bytes: bytes, ..Activity::default() };
        let counted = ByGroup::from([((class(), 3), read(30)), ((class(), ALL), read(50))]);
        let ratio = |group| access_ratio(&stored, &counted, "STANDARD", group);
        assert_eq!((ratio(0), ratio(1), ratio(3)), (Some(0.075), Some(0.1), Some(0.1)));
        assert_eq!((ratio(4), ratio(ALL)), (None, Some(0.1)));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!((megabytes(0), megabytes(1 << 20), megabytes(3 << 18)), ("0".into(), "1".into(), "0.75".into()));
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
