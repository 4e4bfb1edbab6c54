//! Lists of objects that a job makes itself, by a filter.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#automatically-generate-manifest-file>

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Order, Range, Scope};

use super::job::Task;
use super::manifest::{Sink, Unusable, bucket_of_arn};
use crate::access;
use crate::error::{Error, Result};
use crate::model::encryption::Encryption;
use crate::objects;
use crate::replication::{self, Status};
use crate::service::S3;
use crate::store::{Bucket, OBJECTS, Object};
use crate::versions::{NULL, VERSIONS, Version};

/// How many records one look takes.
const AT_ONCE: usize = 500;

/// What a generator looks through.
struct Search<'a> {
    s3: &'a S3,
    scope: Scope,
    bucket: Bucket,
    filter: api::JobManifestGeneratorFilter,
}

/// Whether an object is one that a filter wants, but for what replication says of it.
fn matches(filter: &api::JobManifestGeneratorFilter, key: &str, object: &Object) -> bool {
    let modified = object.last_modified;
    let size = i64::try_from(object.size).unwrap_or(i64::MAX);
    let classes = filter.match_any_storage_class.as_deref().unwrap_or_default();
    let statuses = filter.object_replication_statuses.as_deref().unwrap_or_default();
    let encryptions = filter.match_any_object_encryption.as_deref().unwrap_or_default();
    filter.created_after.is_none_or(|after| modified > after)
        && filter.created_before.is_none_or(|before| modified < before)
        && filter.object_size_greater_than_bytes.is_none_or(|least| size > least)
        && filter.object_size_less_than_bytes.is_none_or(|most| size < most)
        && filter.key_name_constraint.as_ref().is_none_or(|names| is_named(names, key))
        && (classes.is_empty() || classes.iter().any(|class| class.as_str() == object.storage_class()))
        && (statuses.is_empty() || statuses.contains(&replication_status(object)))
        && (encryptions.is_empty() || encryptions.iter().any(|wanted| is_encrypted(wanted, object.encryption())))
}

/// Each of the lists that are given must have one that fits.
fn is_named(names: &api::KeyNameConstraint, key: &str) -> bool {
    let any = |list: &Option<Vec<String>>, fits: &dyn Fn(&str) -> bool| {
        list.as_ref().is_none_or(|list| list.is_empty() || list.iter().any(|text| fits(text)))
    };
    any(&names.match_any_prefix, &|prefix| key.starts_with(prefix))
        && any(&names.match_any_suffix, &|suffix| key.ends_with(suffix))
        && any(&names.match_any_substring, &|part| key.contains(part))
}

fn replication_status(object: &Object) -> api::ReplicationStatus {
    match object.extras.as_ref().and_then(|extras| extras.replication) {
        Some(Status::Completed) => api::ReplicationStatus::Completed,
        Some(Status::Failed) => api::ReplicationStatus::Failed,
        Some(Status::Replica) => api::ReplicationStatus::Replica,
        Some(Status::Pending) | None => api::ReplicationStatus::None,
    }
}

fn is_encrypted(wanted: &api::ObjectEncryptionFilter, encryption: Option<&Encryption>) -> bool {
    use api::ObjectEncryptionFilter as Filter;
    match (wanted, encryption) {
        (Filter::Sses3(_), None) | (Filter::Ssec(_), Some(Encryption::Customer { .. })) => true,
        (Filter::Ssekms(kms), Some(Encryption::Kms { algorithm, key, bucket_key, .. })) => {
            algorithm == "aws:kms"
                && kms.kms_key_arn.as_ref().is_none_or(|wanted| wanted == key)
                && kms.bucket_key_enabled.is_none_or(|wanted| wanted == *bucket_key)
        }
        (Filter::Dssekms(kms), Some(Encryption::Kms { algorithm, key, .. })) => {
            algorithm == "aws:kms:dsse" && kms.kms_key_arn.as_ref().is_none_or(|wanted| wanted == key)
        }
        _ => false,
    }
}

/// Goes through a bucket and hands on what the filter wants; `versions` says whether older ones are looked at too.
pub async fn read(
    s3: &S3,
    cx: &Context,
    generator: &api::S3JobManifestGenerator,
    versions: bool,
    sink: &mut impl Sink,
) -> Result<(), Unusable> {
    let name = bucket_of_arn(&generator.source_bucket);
    let wanted = access::to_list(cx, name, access::Listing::whole());
    cx.authorize(&wanted).await.map_err(|failure| Error::Other(Box::new(failure)))?;
    let scope = objects::scope(cx);
    let owner = generator.expected_bucket_owner.as_deref();
    let bucket = s3.store.read(|snapshot| objects::bucket(snapshot, &scope, name, owner)).await?;
    let search = Search { s3, scope, bucket, filter: generator.filter.clone().unwrap_or_default() };
    search.current(sink).await?;
    if versions {
        search.older(sink).await?;
    }
    Ok(())
}

impl Search<'_> {
    fn task(&self, key: &str, object: &Object) -> Task {
        let version_id = self.bucket.settings.versioning.is_some();
        let version_id = version_id.then(|| object.version_id.clone().unwrap_or_else(|| NULL.to_owned()));
        Task::new(&*self.bucket.name, key, version_id)
    }

    async fn current(&self, sink: &mut impl Sink) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(self.bucket.id,));
                if let Some(after) = &after {
                    range = range.after(&(self.bucket.id, after.as_str()));
                }
                let (mut last, mut tasks) = (None, Vec::new());
                for entry in snapshot.range(&OBJECTS, &self.scope, range, Order::Ascending)?.take(AT_ONCE) {
                    let ((_, key), object) = entry?;
                    if self.wants(snapshot, &key, &object)? {
                        tasks.push(self.task(&key, &object));
                    }
                    last = Some(key);
                }
                Ok::<_, Error>((last, tasks))
            });
            let (last, tasks) = page.await?;
            sink.put(tasks).await?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn older(&self, sink: &mut impl Sink) -> Result<()> {
        let mut after: Option<(String, u64)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(self.bucket.id,));
                if let Some((key, rank)) = &after {
                    range = range.after(&(self.bucket.id, key.as_str(), *rank));
                }
                let (mut last, mut tasks) = (None, Vec::new());
                for entry in snapshot.range(&VERSIONS, &self.scope, range, Order::Ascending)?.take(AT_ONCE) {
                    let ((_, key, rank), version): (_, Version) = entry?;
                    if let Some(object) = &version.object
                        && self.wants(snapshot, &key, object)?
                    {
                        tasks.push(self.task(&key, object));
                    }
                    last = Some((key, rank));
                }
                Ok::<_, Error>((last, tasks))
            });
            let (last, tasks) = page.await?;
            sink.put(tasks).await?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    fn wants(&self, snapshot: &fractus_store::Snapshot<'_>, key: &str, object: &Object) -> Result<bool> {
        if !matches(&self.filter, key, object) {
            return Ok(false);
        }
        match self.filter.eligible_for_replication {
            Some(wanted) => Ok(replication::is_eligible(snapshot, &self.scope, &self.bucket, key, object)? == wanted),
            None => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_each_list() {
        let list = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let names = api::KeyNameConstraint {
            match_any_prefix: list(&["a/", "b/"]),
            match_any_suffix: list(&[".txt"]),
            match_any_substring: None,
        };
        assert!(is_named(&names, "b/x.txt"));
        assert!(!is_named(&names, "b/x.csv"));
        assert!(!is_named(&names, "c/x.txt"));
        assert!(is_named(&api::KeyNameConstraint::default(), "anything"));
    }
}
