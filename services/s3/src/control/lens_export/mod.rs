//! The daily export of Storage Lens: what lies in the account's buckets, counted at midnight by the lane's clock.
//!
//! [`counting`] goes through a bucket and adds up [`counts`]: of everything, of groups ([`filter`]) and of [`prefixes`]; [`report`]
//! is what becomes of them.

mod counting;
mod counts;
mod filter;
mod prefixes;
mod report;

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

use self::counts::Counts;
use self::filter::{Group, covers};
use self::prefixes::Wanted;
use self::report::{Head, Record, Report};

use crate::control::jobs::manifest::bucket_of_arn;
use crate::control::kept::Kind;
use crate::control::lens::{Due, EXPORTS};
use crate::error::{Error, Result};
use crate::extras;
use crate::model::lifecycle::midnight_after;
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;
use crate::worlds;

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
        let head = Head { id: self.id, date: &date, account };
        let mut report = match destination.format {
            api::Format::Parquet => Report::parquet(),
            _ => Report::csv(),
        };
        let prefixes = Wanted::of(&configuration.account_level.bucket_level);
        let mut account_wide: BTreeMap<(String, String), Counts> = BTreeMap::new();
        let mut group_wide: BTreeMap<(usize, String, String), Counts> = BTreeMap::new();
        for bucket in self.buckets().await? {
            let arn = format!("arn:{}:s3:::{}", self.world.partition, bucket.name);
            if !covers(&configuration, &arn, &bucket.region) {
                continue;
            }
            let counted = self.count(&bucket, &groups, prefixes.as_ref()).await?;
            let of_bucket =
                Record { region: &bucket.region, class: "", kind: "BUCKET", value: "", bucket: &bucket.name };
            for (class, counts) in &counted.all {
                report.write(&head, Record { class, ..of_bucket }, counts);
                account_wide.entry((bucket.region.clone(), class.clone())).or_default().merge(counts);
            }
            let all_bytes = counts::bytes(&counted.all);
            for (prefix, by_class) in counted.prefixes.map(|found| found.finish(all_bytes)).unwrap_or_default() {
                for (class, counts) in &by_class {
                    report.write(&head, Record { class, kind: "PREFIX", value: &prefix, ..of_bucket }, counts);
                }
            }
            for (at, by_class) in counted.groups.iter().enumerate() {
                for (class, counts) in by_class {
                    let kind = "STORAGE_LENS_GROUP_BUCKET";
                    report.write(&head, Record { class, kind, value: &groups[at].arn, ..of_bucket }, counts);
                    group_wide.entry((at, bucket.region.clone(), class.clone())).or_default().merge(counts);
                }
            }
        }
        for ((region, class), counts) in &account_wide {
            report.write(&head, Record { region, class, kind: "ACCOUNT", value: "", bucket: "" }, counts);
        }
        for ((at, region, class), counts) in &group_wide {
            let kind = "STORAGE_LENS_GROUP";
            report.write(&head, Record { region, class, kind, value: &groups[*at].arn, bucket: "" }, counts);
        }
        self.put(destination, &date, report).await
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

    async fn put(&self, destination: &api::S3BucketDestination, date: &str, report: Report) -> Result<()> {
        let (format, schema) = report.described();
        let (ending, content_type, report) = report.finish();
        let bucket = bucket_of_arn(&destination.arn);
        let prefix = destination.prefix.as_deref().map(|prefix| prefix.trim_matches('/')).unwrap_or_default();
        let separator = if prefix.is_empty() { "" } else { "/" };
        let folder = format!("{prefix}{separator}StorageLens/{}/{}/V_1", self.account, self.id);
        let key = format!("{folder}/reports/dt={date}/{}.{ending}", self.s3.host.random().uuid());
        let manifest = json!({
            "sourceAccountId": self.account,
            "configId": self.id,
            "destinationBucket": destination.arn,
            "reportVersion": "V_1",
            "reportDate": date,
            "reportFormat": format,
            "reportSchema": schema,
            "reportFiles": [{"key": key, "size": report.len(), "md5Checksum": hex::encode(Md5::digest(&report))}],
        });
        let manifest = format!("{manifest:#}").into_bytes();
        let manifest_key = format!("{folder}/manifests/dt={date}/manifest.json");
        for (key, content_type, content) in [(key, content_type, report), (manifest_key, "application/json", manifest)]
        {
            let parcel = Parcel { bucket, key, content_type, content, wanted: extras::Wanted::default() };
            if !put_parcel(self.s3, self.world, self.scope, parcel).await? {
                return Err(Error::NoSuchBucket { bucket: bucket.to_owned() });
            }
        }
        Ok(())
    }
}
