//! The daily export of Storage Lens: what lies in the account's buckets, counted at midnight by the lane's clock.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_understanding_metrics_export_schema.html>

use std::collections::BTreeMap;
use std::sync::Arc;

use fractus_aws::{Lane, World};
use fractus_clock::Timestamp;
use fractus_host::Waker;
use fractus_s3control_api as api;
use fractus_store::{Order, Range, Scope};
use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde_json::json;

use crate::control::jobs::manifest::bucket_of_arn;
use crate::control::kept::Kind;
use crate::control::lens::{Due, EXPORTS};
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::model::lifecycle::midnight_after;
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, OBJECTS, OWNED_BUCKETS, Object, PARTS, UPLOADS};
use crate::versions::{VERSIONS, Version};
use crate::worlds;

const AT_ONCE: usize = 500;
const SCHEMA: &str = "version_number,configuration_id,report_date,aws_account_number,aws_region,storage_class,record_type,record_value,bucket_name,metric_name,metric_value";

#[derive(Clone, Default)]
pub struct Lens {
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Lens {
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }
}

pub fn start(s3: &S3) {
    let service = s3.clone();
    let waker = s3.host.background("storage lens", move |lane| {
        let s3 = service.clone();
        async move {
            match round(&s3, &lane).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Storage Lens could not be exported");
                    None
                }
            }
        }
    });
    *s3.lens.waker.lock() = Some(waker);
}

/// Exports what is due in a lane; gives when the next is.
async fn round(s3: &S3, lane: &Lane) -> Result<Option<Timestamp>> {
    let now = s3.host.clocks().lane(lane.as_str()).now();
    let mut next: Option<Timestamp> = None;
    for world in worlds::holding(s3, lane, EXPORTS.name()).await? {
        let scope = Scope::partition(&world);
        let all = s3.store.read(|snapshot| {
            let found = snapshot.range(&EXPORTS, &scope, Range::all(), Order::Ascending)?;
            found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()
        });
        for ((account, region, id), due) in all.await? {
            let at = if due.at > now {
                due.at
            } else {
                let export =
                    Export { s3, world: &world, scope: &scope, account: &account, region: &region, id: &id, now };
                match export.make().await {
                    Ok(()) => {}
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    // What its destination refuses today is tried again tomorrow.
                    Err(error) => {
                        let cause = &error as &dyn std::error::Error;
                        tracing::warn!(error = cause, id, "a Storage Lens export could not be made");
                    }
                }
                let at = midnight_after(now);
                let key = (account.as_str(), region.as_str(), id.as_str());
                s3.store
                    .write(|tx| {
                        // It may have been deleted meanwhile.
                        if tx.contains(&EXPORTS, &scope, &key)? {
                            tx.put(&EXPORTS, &scope, &key, &Due { at })?;
                        }
                        Ok::<_, Error>(())
                    })
                    .await?;
                at
            };
            next = next.into_iter().chain([at]).min();
        }
    }
    Ok(next)
}

/// What is counted of a bucket, of one storage class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    current_bytes: u64,
    current_objects: u64,
    older_bytes: u64,
    older_objects: u64,
    delete_markers: u64,
    encrypted_bytes: u64,
    encrypted_objects: u64,
    locked_bytes: u64,
    locked_objects: u64,
    replicated_bytes: u64,
    replicated_objects: u64,
    upload_bytes: u64,
    uploads: u64,
}

impl Counts {
    fn add(&mut self, object: &Object, is_current: bool) {
        let (bytes, objects) = match is_current {
            true => (&mut self.current_bytes, &mut self.current_objects),
            false => (&mut self.older_bytes, &mut self.older_objects),
        };
        *bytes += object.size;
        *objects += 1;
        // Everything is encrypted, by S3's keys where by nobody else's.
        self.encrypted_bytes += object.size;
        self.encrypted_objects += 1;
        let Some(extras) = object.extras.as_deref() else { return };
        if extras.retention.is_some() || extras.legal_hold == Some(true) {
            self.locked_bytes += object.size;
            self.locked_objects += 1;
        }
        if extras.replication.is_some() {
            self.replicated_bytes += object.size;
            self.replicated_objects += 1;
        }
    }

    fn merge(&mut self, other: &Counts) {
        let pairs: [(&mut u64, u64); 13] = [
            (&mut self.current_bytes, other.current_bytes),
            (&mut self.current_objects, other.current_objects),
            (&mut self.older_bytes, other.older_bytes),
            (&mut self.older_objects, other.older_objects),
            (&mut self.delete_markers, other.delete_markers),
            (&mut self.encrypted_bytes, other.encrypted_bytes),
            (&mut self.encrypted_objects, other.encrypted_objects),
            (&mut self.locked_bytes, other.locked_bytes),
            (&mut self.locked_objects, other.locked_objects),
            (&mut self.replicated_bytes, other.replicated_bytes),
            (&mut self.replicated_objects, other.replicated_objects),
            (&mut self.upload_bytes, other.upload_bytes),
            (&mut self.uploads, other.uploads),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_metrics_glossary.html>
    fn metrics(&self) -> [(&'static str, u64); 15] {
        [
            ("StorageBytes", self.current_bytes + self.older_bytes + self.upload_bytes),
            ("ObjectCount", self.current_objects + self.older_objects + self.delete_markers),
            ("CurrentVersionStorageBytes", self.current_bytes),
            ("CurrentVersionObjectCount", self.current_objects),
            ("NonCurrentVersionStorageBytes", self.older_bytes),
            ("NonCurrentVersionObjectCount", self.older_objects),
            ("DeleteMarkerObjectCount", self.delete_markers),
            ("EncryptedStorageBytes", self.encrypted_bytes),
            ("EncryptedObjectCount", self.encrypted_objects),
            ("ObjectLockEnabledStorageBytes", self.locked_bytes),
            ("ObjectLockEnabledObjectCount", self.locked_objects),
            ("ReplicatedStorageBytes", self.replicated_bytes),
            ("ReplicatedObjectCount", self.replicated_objects),
            ("IncompleteMultipartUploadStorageBytes", self.upload_bytes),
            ("IncompleteMultipartUploadObjectCount", self.uploads),
        ]
    }
}

/// Of each storage class.
type ByClass = BTreeMap<String, Counts>;

/// A group of objects, whose own metrics are wanted.
struct Group {
    arn: String,
    filter: api::StorageLensGroupFilter,
}

/// What is counted of one bucket: all of it, and each group.
struct Counted {
    all: ByClass,
    groups: Vec<ByClass>,
}

/// Whether a filter's conditions hold for an object: each that is said, or one of them.
fn holds(filter: &api::StorageLensGroupFilter, key: &str, object: &Object, now: Timestamp) -> bool {
    let conditions = |prefix: &Option<Vec<String>>,
                      suffix: &Option<Vec<String>>,
                      tags: &Option<Vec<api::S3Tag>>,
                      age: &Option<api::MatchObjectAge>,
                      size: &Option<api::MatchObjectSize>| {
        let has = |tag: &api::S3Tag| object.tags.iter().any(|(key, value)| *key == tag.key && *value == tag.value);
        let days = i64::try_from(now.since(object.last_modified).as_secs() / 86_400).unwrap_or(i64::MAX);
        let bytes = i64::try_from(object.size).unwrap_or(i64::MAX);
        let within = |value: i64, above: Option<i64>, below: Option<i64>| {
            above.is_none_or(|above| value > above) && below.is_none_or(|below| value < below)
        };
        let said = [
            prefix.as_ref().map(|list| list.iter().any(|prefix| key.starts_with(prefix.as_str()))),
            suffix.as_ref().map(|list| list.iter().any(|suffix| key.ends_with(suffix.as_str()))),
            tags.as_ref().map(|list| list.iter().any(has)),
            age.as_ref()
                .map(|age| within(days, age.days_greater_than.map(i64::from), age.days_less_than.map(i64::from))),
            size.as_ref().map(|size| within(bytes, size.bytes_greater_than, size.bytes_less_than)),
        ];
        said.into_iter().flatten().collect::<Vec<bool>>()
    };
    if let Some(or) = &filter.or {
        return conditions(
            &or.match_any_prefix,
            &or.match_any_suffix,
            &or.match_any_tag,
            &or.match_object_age,
            &or.match_object_size,
        )
        .contains(&true);
    }
    let and = filter.and.clone().unwrap_or_else(|| api::StorageLensGroupAndOperator {
        match_any_prefix: filter.match_any_prefix.clone(),
        match_any_suffix: filter.match_any_suffix.clone(),
        match_any_tag: filter.match_any_tag.clone(),
        match_object_age: filter.match_object_age.clone(),
        match_object_size: filter.match_object_size.clone(),
    });
    conditions(
        &and.match_any_prefix,
        &and.match_any_suffix,
        &and.match_any_tag,
        &and.match_object_age,
        &and.match_object_size,
    )
    .into_iter()
    .all(|holds| holds)
}

/// Whether a configuration is about a bucket.
fn covers(configuration: &api::StorageLensConfiguration, arn: &str, region: &str) -> bool {
    let named =
        |list: &Option<Vec<String>>, name: &str| list.as_ref().is_some_and(|list| list.iter().any(|one| one == name));
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if let Some(include) = &configuration.include {
        return (empty(&include.buckets) || named(&include.buckets, arn))
            && (empty(&include.regions) || named(&include.regions, region));
    }
    configuration
        .exclude
        .as_ref()
        .is_none_or(|exclude| !named(&exclude.buckets, arn) && !named(&exclude.regions, region))
}

struct Export<'a> {
    s3: &'a S3,
    world: &'a World,
    scope: &'a Scope,
    account: &'a str,
    region: &'a str,
    id: &'a str,
    now: Timestamp,
}

impl Export<'_> {
    async fn make(&self) -> Result<()> {
        let (account, region) = (self.account, self.region);
        let found = self.s3.store.read(|snapshot| {
            let lens = Kind::Lens.get(snapshot, self.scope, account, region, self.id)?;
            let groups = Kind::LensGroup.list(snapshot, self.scope, account, region, None, 50)?;
            Ok::<_, Error>((lens, groups))
        });
        let (Some(kept), groups) = found.await? else { return Ok(()) };
        let configuration: api::StorageLensConfiguration = kept.read()?;
        let groups = self.groups(&configuration, groups)?;
        let destination = configuration.data_export.as_ref().and_then(|export| export.s3_bucket_destination.as_ref());
        let Some(destination) = destination.filter(|_| configuration.is_enabled) else { return Ok(()) };
        // The day that has ended.
        let date = self.now.minus(std::time::Duration::from_secs(3_600)).date_time();
        let date = date.get(..10).unwrap_or_default().to_owned();
        let mut rows = Rows { id: self.id, date: &date, account, text: format!("{SCHEMA}\n") };
        let mut account_wide: BTreeMap<(String, String), Counts> = BTreeMap::new();
        let mut group_wide: BTreeMap<(usize, String, String), Counts> = BTreeMap::new();
        for bucket in self.buckets().await? {
            let arn = format!("arn:{}:s3:::{}", self.world.partition, bucket.name);
            if !covers(&configuration, &arn, &bucket.region) {
                continue;
            }
            let counted = self.count(&bucket, &groups).await?;
            for (class, counts) in &counted.all {
                rows.write(&bucket.region, class, "BUCKET", "", &bucket.name, counts);
                account_wide.entry((bucket.region.clone(), class.clone())).or_default().merge(counts);
            }
            for (at, by_class) in counted.groups.iter().enumerate() {
                for (class, counts) in by_class {
                    rows.write(
                        &bucket.region,
                        class,
                        "STORAGE_LENS_GROUP_BUCKET",
                        &groups[at].arn,
                        &bucket.name,
                        counts,
                    );
                    group_wide.entry((at, bucket.region.clone(), class.clone())).or_default().merge(counts);
                }
            }
        }
        for ((region, class), counts) in &account_wide {
            rows.write(region, class, "ACCOUNT", "", "", counts);
        }
        for ((at, region, class), counts) in &group_wide {
            rows.write(region, class, "STORAGE_LENS_GROUP", &groups[*at].arn, "", counts);
        }
        self.put(destination, &date, rows.text.into_bytes()).await
    }

    /// The groups whose metrics a configuration wants.
    fn groups(
        &self,
        configuration: &api::StorageLensConfiguration,
        found: Vec<(String, crate::control::kept::Kept)>,
    ) -> Result<Vec<Group>> {
        let Some(level) = &configuration.account_level.storage_lens_group_level else { return Ok(Vec::new()) };
        let criteria = level.selection_criteria.clone().unwrap_or_default();
        let mut groups = Vec::new();
        for (_, kept) in found {
            let group: api::StorageLensGroup = kept.read()?;
            let arn = group.storage_lens_group_arn.unwrap_or_default();
            let is_included = criteria.include.as_ref().is_none_or(|list| list.contains(&arn));
            let is_excluded = criteria.exclude.as_ref().is_some_and(|list| list.contains(&arn));
            if is_included && !is_excluded {
                groups.push(Group { arn, filter: group.filter });
            }
        }
        Ok(groups)
    }

    async fn put(&self, destination: &api::S3BucketDestination, date: &str, report: Vec<u8>) -> Result<()> {
        let bucket = bucket_of_arn(&destination.arn);
        let prefix = destination.prefix.as_deref().map(|prefix| prefix.trim_matches('/')).unwrap_or_default();
        let separator = if prefix.is_empty() { "" } else { "/" };
        let folder = format!("{prefix}{separator}StorageLens/{}/{}/V_1", self.account, self.id);
        let key = format!("{folder}/reports/dt={date}/{}.csv", self.s3.host.random().uuid());
        let manifest = json!({
            "sourceAccountId": self.account,
            "configId": self.id,
            "destinationBucket": destination.arn,
            "reportVersion": "V_1",
            "reportDate": date,
            "reportFormat": "CSV",
            "reportSchema": SCHEMA,
            "reportFiles": [{"key": key, "size": report.len(), "md5Checksum": hex::encode(Md5::digest(&report))}],
        });
        let manifest = format!("{manifest:#}").into_bytes();
        let manifest_key = format!("{folder}/manifests/dt={date}/manifest.json");
        for (key, content_type, content) in [(key, "text/csv", report), (manifest_key, "application/json", manifest)] {
            let parcel = Parcel { bucket, key, content_type, content, wanted: Wanted::default() };
            if !put_parcel(self.s3, self.world, self.scope, parcel).await? {
                return Err(Error::NoSuchBucket { bucket: bucket.to_owned() });
            }
        }
        Ok(())
    }

    async fn buckets(&self) -> Result<Vec<Bucket>> {
        self.s3
            .store
            .read(|snapshot| {
                let mut found = Vec::new();
                for key in
                    snapshot.keys(&OWNED_BUCKETS, self.scope, Range::prefix(&(self.account,)), Order::Ascending)?
                {
                    let (_, name) = key?;
                    found.extend(snapshot.get(&BUCKETS, self.scope, &(name.as_str(),))?);
                }
                Ok(found)
            })
            .await
    }

    async fn count(&self, bucket: &Bucket, groups: &[Group]) -> Result<Counted> {
        let mut counted = Counted { all: ByClass::new(), groups: groups.iter().map(|_| ByClass::new()).collect() };
        // A bucket that is empty is in the report all the same.
        counted.all.entry("STANDARD".to_owned()).or_default();
        let mut after: Option<String> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(bucket.id,));
                if let Some(key) = &after {
                    range = range.after(&(bucket.id, key.as_str()));
                }
                let found = snapshot.range(&OBJECTS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found
                    .map(|entry| entry.map(|((_, key), object)| (key, object)).map_err(Error::from))
                    .collect::<Result<Vec<(String, Object)>>>()
            });
            let page = page.await?;
            for (key, object) in &page {
                self.add(&mut counted, groups, key, object, true);
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        let mut after: Option<(String, u64)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(bucket.id,));
                if let Some((key, rank)) = &after {
                    range = range.after(&(bucket.id, key.as_str(), *rank));
                }
                let found = snapshot.range(&VERSIONS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                let all = found.map(|entry| entry.map(|((_, key, rank), version)| (key, rank, version)));
                all.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<(String, u64, Version)>>>()
            });
            let page = page.await?;
            for (key, _, version) in &page {
                match &version.object {
                    Some(object) => self.add(&mut counted, groups, key, object, false),
                    None => counted.all.entry("STANDARD".to_owned()).or_default().delete_markers += 1,
                }
            }
            match page.into_iter().next_back() {
                Some((key, rank, _)) => after = Some((key, rank)),
                None => break,
            }
        }
        self.count_uploads(bucket, &mut counted).await?;
        Ok(counted)
    }

    fn add(&self, counted: &mut Counted, groups: &[Group], key: &str, object: &Object, is_current: bool) {
        let class = object.storage_class();
        counted.all.entry(class.to_owned()).or_default().add(object, is_current);
        for (group, by_class) in groups.iter().zip(&mut counted.groups) {
            if holds(&group.filter, key, object, self.now) {
                by_class.entry(class.to_owned()).or_default().add(object, is_current);
            }
        }
    }

    async fn count_uploads(&self, bucket: &Bucket, counted: &mut Counted) -> Result<()> {
        let mut after: Option<(String, String)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(bucket.id,));
                if let Some((key, id)) = &after {
                    range = range.after(&(bucket.id, key.as_str(), id.as_str()));
                }
                let mut found = Vec::new();
                for entry in snapshot.range(&UPLOADS, self.scope, range, Order::Ascending)?.take(AT_ONCE) {
                    let ((_, key, id), upload) = entry?;
                    let mut bytes = 0;
                    for part in snapshot.range(&PARTS, self.scope, Range::prefix(&(id.as_str(),)), Order::Ascending)? {
                        bytes += part?.1.size;
                    }
                    found.push((key, id, upload.storage_class, bytes));
                }
                Ok::<_, Error>(found)
            });
            let page = page.await?;
            for (_, _, class, bytes) in &page {
                let class = class.as_deref().unwrap_or("STANDARD");
                let counts = counted.all.entry(class.to_owned()).or_default();
                counts.uploads += 1;
                counts.upload_bytes += bytes;
            }
            match page.into_iter().next_back() {
                Some((key, id, ..)) => after = Some((key, id)),
                None => return Ok(()),
            }
        }
    }
}

/// The report as it grows.
struct Rows<'a> {
    id: &'a str,
    date: &'a str,
    account: &'a str,
    text: String,
}

impl Rows<'_> {
    fn write(&mut self, region: &str, class: &str, record: &str, value: &str, bucket: &str, counts: &Counts) {
        let (id, date, account) = (self.id, self.date, self.account);
        for (metric, count) in counts.metrics() {
            let line =
                format!("V_1,{id},{date},{account},{region},{class},{record},{value},{bucket},{metric},{count}\n");
            self.text.push_str(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> api::StorageLensConfiguration {
        api::StorageLensConfiguration::default()
    }

    #[test]
    fn buckets_are_included_or_excluded() {
        let (arn, region) = ("arn:aws:s3:::b", "eu-west-1");
        assert!(covers(&configuration(), arn, region));
        let list = |name: &str| Some(vec![name.to_owned()]);
        let mut only = configuration();
        only.include = Some(api::Include { buckets: list(arn), regions: None });
        assert!(covers(&only, arn, region) && !covers(&only, "arn:aws:s3:::c", region));
        let mut without = configuration();
        without.exclude = Some(api::Exclude { buckets: None, regions: list(region) });
        assert!(!covers(&without, arn, region) && covers(&without, arn, "us-east-1"));
    }
}
