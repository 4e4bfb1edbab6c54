//! One export: what is counted of an account's buckets goes to the configuration's destinations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fractus_s3control_api as api;

use super::activity::{Activity, Row};
use super::counting::Counted;
use super::counts::{self, Counts, Of, UNCLASSED};
use super::facts::Facts;
use super::filter::{Group, covers};
use super::output::{Destinations, Output};
use super::prefixes::{self, Prefixes};
use super::report::{Head, Record};
use super::wanted::Categories;
use super::{Export, requests};
use crate::control::kept::{Kept, Kind};
use crate::error::{Error, Result};
use crate::store::Bucket;

const DAY: Duration = Duration::from_secs(86_400);

/// What one configuration reports of buckets.
struct Making<'a> {
    export: &'a Export<'a>,
    of_account: Categories,
    of_bucket: Categories,
    /// The prefixes that are counted, and those that are told of by default.
    counted: Option<prefixes::Wanted>,
    by_default: Option<prefixes::Wanted>,
    groups: Vec<Group>,
    day: u64,
    outputs: Vec<Output<'a>>,
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
        let destinations = Destinations::of(&configuration);
        if !destinations.any() {
            return Ok(());
        }
        let ended = self.at.minus(Duration::from_secs(1));
        let day = self.at.minus(DAY);
        let date = day.date_time();
        let head = Head { id: self.id, date: date.get(..10).unwrap_or_default(), day, account };
        let level = &configuration.account_level;
        let mut making = Making {
            export: self,
            of_account: Categories::of_account(level),
            of_bucket: Categories::of_bucket(&level.bucket_level),
            counted: prefixes::Wanted::of(&configuration),
            by_default: prefixes::Wanted::by_default(&configuration),
            groups: wanted_groups(&configuration, groups)?,
            day: requests::day(ended),
            outputs: destinations.outputs(self, &head),
            sums: Sums::default(),
        };
        for bucket in self.buckets().await? {
            let arn = format!("arn:{}:s3:::{}", self.world.partition, bucket.name);
            if covers(&configuration, &arn, &bucket.region) {
                making.add(&bucket).await?;
            }
        }
        making.finish().await
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
        let counted = export.count(bucket, &self.groups, self.counted.as_ref()).await?;
        let activity = self.requests(bucket, "").await?;
        let facts = export.s3.store.read(|snapshot| Facts::of(snapshot, export.scope, bucket)).await?;
        self.sums.facts.entry(bucket.region.clone()).or_default().merge(&facts);
        let of_bucket = Record { region: &bucket.region, class: "", kind: "BUCKET", value: "", bucket: &bucket.name };
        let classes: BTreeSet<&String> = counted.all.keys().chain(activity.keys()).collect();
        for class in classes {
            let stored = counted.all.get(class).copied().unwrap_or_default();
            let asked = activity.get(class).cloned().unwrap_or_default();
            let wanted = &self.of_bucket;
            let own = Some(&facts).filter(|_| class == UNCLASSED);
            let rows = rows(wanted, &stored, &asked, own);
            self.write(Record { class, ..of_bucket }, rows, true).await?;
            let sum = self.sums.stored.entry((bucket.region.clone(), class.clone())).or_default();
            sum.0.merge(&stored);
            sum.1.merge(&asked);
        }
        self.add_prefixes_and_groups(bucket, counted).await
    }

    async fn add_prefixes_and_groups(&mut self, bucket: &Bucket, counted: Counted) -> Result<()> {
        let of_bucket = Record { region: &bucket.region, class: "", kind: "PREFIX", value: "", bucket: &bucket.name };
        let all_bytes = counts::bytes(&counted.all);
        for (prefix, by_class) in counted.prefixes.map(Prefixes::finish).unwrap_or_default() {
            let by_default = self.by_default.as_ref();
            let is_default =
                by_default.is_some_and(|wanted| wanted.admits(&prefix, counts::bytes(&by_class), all_bytes));
            let activity = self.requests(bucket, &prefix).await?;
            let classes: BTreeSet<&String> = by_class.keys().chain(activity.keys()).collect();
            for class in classes {
                let stored = by_class.get(class).copied().unwrap_or_default();
                let asked = activity.get(class).cloned().unwrap_or_default();
                let rows = rows(&self.of_bucket, &stored, &asked, None);
                self.write(Record { class, value: &prefix, ..of_bucket }, rows, is_default).await?;
            }
        }
        for (at, by_class) in counted.groups.iter().enumerate() {
            for (class, stored) in by_class {
                let kind = "STORAGE_LENS_GROUP_BUCKET";
                let arn = self.groups[at].arn.clone();
                let record = Record { class, kind, value: &arn, ..of_bucket };
                self.write(record, stored.rows(Of::Group, false), true).await?;
                let place = (at, bucket.region.clone(), class.clone());
                self.sums.groups.entry(place).or_default().merge(stored);
            }
        }
        Ok(())
    }

    /// Tells of a record wherever it is to be told of. What its destination refuses is left out.
    async fn write(&mut self, record: Record<'_>, rows: Vec<Row>, is_default: bool) -> Result<()> {
        let mut at = 0;
        while let Some(output) = self.outputs.get_mut(at) {
            let is_told = if output.is_expanded { record.kind == "PREFIX" } else { is_default };
            if is_told && is_refused(output.write(record, &rows).await)? {
                self.outputs.remove(at);
            } else {
                at += 1;
            }
        }
        Ok(())
    }

    /// Tells what was added up for the account, and makes known what was written.
    async fn finish(mut self) -> Result<()> {
        let Sums { stored, facts, groups } = std::mem::take(&mut self.sums);
        let wanted = self.of_account;
        for ((region, class), (stored, asked)) in &stored {
            let own = facts.get(region).filter(|_| class == UNCLASSED);
            let rows = rows(&wanted, stored, asked, own);
            self.write(Record { region, class, kind: "ACCOUNT", value: "", bucket: "" }, rows, true).await?;
        }
        for ((at, region, class), stored) in &groups {
            let arn = self.groups[*at].arn.clone();
            let record = Record { region, class, kind: "STORAGE_LENS_GROUP_ACCOUNT", value: &arn, bucket: "" };
            self.write(record, stored.rows(Of::Group, false), true).await?;
        }
        for output in self.outputs {
            is_refused(output.finish().await)?;
        }
        Ok(())
    }
}

/// All that is known of a record.
fn rows(wanted: &Categories, stored: &Counts, asked: &Activity, facts: Option<&Facts>) -> Vec<Row> {
    let mut rows = stored.rows(Of::Bucket, wanted.performance);
    rows.append(&mut asked.rows(wanted));
    if let Some(facts) = facts {
        rows.append(&mut facts.rows(wanted));
    }
    rows
}

/// Whether something could not be written; what the store says ends the whole export, and everything else is tried again tomorrow.
fn is_refused(written: Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(false),
        Err(Error::Store(error)) => Err(Error::Store(error)),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a Storage Lens export could not be written");
            Ok(true)
        }
    }
}
