//! One export: what is counted of an account's buckets becomes a report, and the report objects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fractus_s3control_api as api;
use md5::{Digest, Md5};
use serde_json::json;

use super::activity::Activity;
use super::counting::Counted;
use super::counts::{self, Counts, Of, UNCLASSED};
use super::facts::Facts;
use super::filter::{Group, covers};
use super::report::{Head, Record, Report};
use super::wanted::Categories;
use super::{Export, prefixes, requests};
use crate::control::jobs::manifest::bucket_of_arn;
use crate::control::kept::{Kept, Kind};
use crate::error::{Error, Result};
use crate::extras;
use crate::model::encryption::Asked;
use crate::report_access::{self, About, Writer};
use crate::schedule::{Parcel, put_parcel};
use crate::store::Bucket;

/// What one configuration reports of buckets.
struct Making<'a> {
    export: &'a Export<'a>,
    of_account: Categories,
    of_bucket: Categories,
    prefixes: Option<prefixes::Wanted>,
    groups: Vec<Group>,
    day: u64,
    head: Head<'a>,
    report: Report,
    sums: Sums,
}

/// What is added up over an account's buckets.
#[derive(Default)]
struct Sums {
    /// By region and storage class.
    stored: BTreeMap<(String, String), (Counts, Activity)>,
    /// By region.
    facts: BTreeMap<String, Facts>,
    /// By group, region and storage class.
    groups: BTreeMap<(usize, String, String), Counts>,
}

impl Export<'_> {
    pub(super) async fn make(&self) -> Result<()> {
        let (account, region) = (self.account, self.region);
        let found = self.s3.store.read(|snapshot| {
            let lens = Kind::Lens.get(snapshot, self.scope, account, region, self.id)?;
            let groups = Kind::LensGroup.list(snapshot, self.scope, account, region, None, 50)?;
            Ok::<_, Error>((lens, groups))
        });
        let (Some(kept), groups) = found.await? else { return Ok(()) };
        let configuration: api::StorageLensConfiguration = kept.read()?;
        let destination = configuration.data_export.as_ref().and_then(|export| export.s3_bucket_destination.as_ref());
        let Some(destination) = destination.filter(|_| configuration.is_enabled) else { return Ok(()) };
        let ended = self.at.minus(Duration::from_secs(1));
        let date = ended.date_time();
        let date = date.get(..10).unwrap_or_default();
        let level = &configuration.account_level;
        let mut making = Making {
            export: self,
            of_account: Categories::of_account(level),
            of_bucket: Categories::of_bucket(&level.bucket_level),
            prefixes: prefixes::Wanted::of(&level.bucket_level),
            groups: wanted_groups(&configuration, groups)?,
            day: requests::day(ended),
            head: Head { id: self.id, date, account },
            report: match destination.format {
                api::Format::Parquet => Report::parquet(),
                _ => Report::csv(),
            },
            sums: Sums::default(),
        };
        for bucket in self.buckets().await? {
            let arn = format!("arn:{}:s3:::{}", self.world.partition, bucket.name);
            if covers(&configuration, &arn, &bucket.region) {
                making.add(&bucket).await?;
            }
        }
        let report = making.finish();
        self.put(destination, date, report).await
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
            let about = About::dashboard(self.world, self.account, self.region, self.id);
            let place = (bucket, key.as_str());
            report_access::check(self.s3, (self.world, self.scope), Writer::StorageLens, about, place, self.at).await?;
            let wanted = extras::Wanted { encryption: encryption(destination), ..extras::Wanted::default() };
            let parcel = Parcel { bucket, key, content_type, content, wanted };
            if !put_parcel(self.s3, self.world, self.scope, parcel).await? {
                return Err(Error::NoSuchBucket { bucket: bucket.to_owned() });
            }
        }
        Ok(())
    }
}

/// How the report is to be encrypted, where the configuration says so.
fn encryption(destination: &api::S3BucketDestination) -> Asked {
    let Some(encryption) = &destination.encryption else { return Asked::default() };
    match &encryption.ssekms {
        Some(kms) => {
            Asked { algorithm: Some("aws:kms".to_owned()), kms_key: Some(kms.key_id.clone()), ..Asked::default() }
        }
        None => Asked { algorithm: Some("AES256".to_owned()), ..Asked::default() },
    }
}

/// The groups whose metrics a configuration wants.
fn wanted_groups(configuration: &api::StorageLensConfiguration, found: Vec<(String, Kept)>) -> Result<Vec<Group>> {
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

impl Making<'_> {
    /// The day's requests below a prefix, by storage class.
    async fn requests(&self, bucket: &Bucket, prefix: &str) -> Result<BTreeMap<String, Activity>> {
        if !self.of_bucket.count_requests() && !self.of_account.count_requests() {
            return Ok(BTreeMap::new());
        }
        let place = (bucket.id, self.day, prefix);
        let found = self.export.s3.store.read(|snapshot| requests::counted(snapshot, self.export.scope, place));
        Ok(found.await?.into_iter().collect())
    }

    async fn add(&mut self, bucket: &Bucket) -> Result<()> {
        let export = self.export;
        let counted = export.count(bucket, &self.groups, self.prefixes.as_ref()).await?;
        let activity = self.requests(bucket, "").await?;
        let facts = export.s3.store.read(|snapshot| Facts::of(snapshot, export.scope, bucket)).await?;
        self.sums.facts.entry(bucket.region.clone()).or_default().merge(&facts);
        let of_bucket = Record { region: &bucket.region, class: "", kind: "BUCKET", value: "", bucket: &bucket.name };
        let classes: BTreeSet<&String> = counted.all.keys().chain(activity.keys()).collect();
        for class in classes {
            let stored = counted.all.get(class).copied().unwrap_or_default();
            let asked = activity.get(class).cloned().unwrap_or_default();
            let wanted = &self.of_bucket;
            let own = (class == UNCLASSED).then_some(facts).into_iter().flat_map(|facts| facts.rows(wanted));
            let rows = stored.rows(Of::Bucket, wanted.performance).into_iter().chain(asked.rows(wanted)).chain(own);
            self.report.write(&self.head, Record { class, ..of_bucket }, rows);
            let sum = self.sums.stored.entry((bucket.region.clone(), class.clone())).or_default();
            sum.0.merge(&stored);
            sum.1.merge(&asked);
        }
        self.add_prefixes_and_groups(bucket, counted).await
    }

    async fn add_prefixes_and_groups(&mut self, bucket: &Bucket, counted: Counted) -> Result<()> {
        let of_bucket = Record { region: &bucket.region, class: "", kind: "PREFIX", value: "", bucket: &bucket.name };
        let all_bytes = counts::bytes(&counted.all);
        for (prefix, by_class) in counted.prefixes.map(|found| found.finish(all_bytes)).unwrap_or_default() {
            let activity = self.requests(bucket, &prefix).await?;
            let classes: BTreeSet<&String> = by_class.keys().chain(activity.keys()).collect();
            for class in classes {
                let stored = by_class.get(class).copied().unwrap_or_default();
                let asked = activity.get(class).cloned().unwrap_or_default();
                let rows = stored.rows(Of::Bucket, self.of_bucket.performance).into_iter();
                let rows = rows.chain(asked.rows(&self.of_bucket));
                self.report.write(&self.head, Record { class, value: &prefix, ..of_bucket }, rows);
            }
        }
        for (at, by_class) in counted.groups.iter().enumerate() {
            for (class, stored) in by_class {
                let kind = "STORAGE_LENS_GROUP_BUCKET";
                let record = Record { class, kind, value: &self.groups[at].arn, ..of_bucket };
                self.report.write(&self.head, record, stored.rows(Of::Group, false));
                let place = (at, bucket.region.clone(), class.clone());
                self.sums.groups.entry(place).or_default().merge(stored);
            }
        }
        Ok(())
    }

    /// The report, with what was added up for the account.
    fn finish(self) -> Report {
        let Making { of_account: wanted, groups, head, mut report, sums, .. } = self;
        for ((region, class), (stored, asked)) in &sums.stored {
            let facts = sums.facts.get(region).filter(|_| class == UNCLASSED).copied().into_iter();
            let own = facts.flat_map(|facts| facts.rows(&wanted));
            let rows = stored.rows(Of::Bucket, wanted.performance).into_iter().chain(asked.rows(&wanted)).chain(own);
            report.write(&head, Record { region, class, kind: "ACCOUNT", value: "", bucket: "" }, rows);
        }
        for ((at, region, class), stored) in &sums.groups {
            let kind = "STORAGE_LENS_GROUP_ACCOUNT";
            let record = Record { region, class, kind, value: &groups[*at].arn, bucket: "" };
            report.write(&head, record, stored.rows(Of::Group, false));
        }
        report
    }
}
