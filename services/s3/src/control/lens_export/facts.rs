//! What is counted of a bucket's settings and rules.

use fractus_s3_api as s3;
use fractus_store::{Scope, Snapshot};

use super::activity::Row;
use super::wanted::Categories;
use crate::configurations::{self, Kind, Versioning};
use crate::error::Result;
use crate::store::{BUCKETS, Bucket};

const SETTINGS: [&str; 8] = [
    "VersioningEnabledBucketCount",
    "MFADeleteEnabledBucketCount",
    "SSEKMSEnabledBucketCount",
    "ObjectOwnershipBucketOwnerEnforcedBucketCount",
    "ObjectOwnershipBucketOwnerPreferredBucketCount",
    "ObjectOwnershipObjectWriterBucketCount",
    "TransferAccelerationEnabledBucketCount",
    "EventNotificationEnabledBucketCount",
];

const LIFECYCLE: [&str; 7] = [
    "TransitionLifecycleRuleCount",
    "ExpirationLifecycleRuleCount",
    "NoncurrentVersionTransitionLifecycleRuleCount",
    "NoncurrentVersionExpirationLifecycleRuleCount",
    "AbortIncompleteMPULifecycleRuleCount",
    "ExpiredObjectDeleteMarkerLifecycleRuleCount",
    "TotalLifecycleRuleCount",
];

const REPLICATION: [&str; 5] = [
    "SameRegionReplicationRuleCount",
    "CrossRegionReplicationRuleCount",
    "SameAccountReplicationRuleCount",
    "CrossAccountReplicationRuleCount",
    "InvalidDestinationReplicationRuleCount",
];

/// Of one bucket, or added up over an account's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    settings: [u64; SETTINGS.len()],
    lifecycle: [u64; LIFECYCLE.len()],
    replication: [u64; REPLICATION.len()],
}

impl Facts {
    pub fn of(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Facts> {
        let lifecycle = configurations::read(snapshot, scope, bucket, Kind::Lifecycle)?.into_set();
        Ok(Facts {
            settings: settings(snapshot, scope, bucket)?.map(u64::from),
            lifecycle: lifecycle.as_ref().map(lifecycle_rules).unwrap_or_default(),
            replication: replication_rules(snapshot, scope, bucket)?,
        })
    }

    pub fn merge(&mut self, other: &Facts) {
        let sums = self.settings.iter_mut().chain(&mut self.lifecycle).chain(&mut self.replication);
        let more = other.settings.iter().chain(&other.lifecycle).chain(&other.replication);
        sums.zip(more).for_each(|(sum, more)| *sum += more);
    }

    /// Settings are free, rules are of their categories.
    pub fn rows(&self, wanted: &Categories) -> Vec<Row> {
        let settings = SETTINGS.iter().zip(self.settings);
        let lifecycle = LIFECYCLE.iter().zip(self.lifecycle).filter(|_| wanted.cost);
        let replication = REPLICATION.iter().zip(self.replication).filter(|_| wanted.protection);
        settings.chain(lifecycle).chain(replication).map(|(name, count)| ((*name).into(), count)).collect()
    }
}

fn settings(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<[bool; SETTINGS.len()]> {
    let encryption: Option<s3::ServerSideEncryptionConfiguration> =
        configurations::read(snapshot, scope, bucket, Kind::Encryption)?.into_set();
    let by_default = encryption.iter().flat_map(|one| &one.rules);
    let mut by_default = by_default.filter_map(|rule| rule.apply_server_side_encryption_by_default.as_ref());
    let acceleration: Option<s3::AccelerateConfiguration> =
        configurations::read(snapshot, scope, bucket, Kind::Accelerate)?.into_set();
    let ownership = configurations::ownership(snapshot, scope, bucket)?;
    Ok([
        bucket.settings.versioning == Some(Versioning::Enabled),
        bucket.settings.mfa_delete == Some(true),
        by_default.any(|one| one.sse_algorithm.as_str().starts_with("aws:kms")),
        ownership == s3::ObjectOwnership::BucketOwnerEnforced,
        ownership == s3::ObjectOwnership::BucketOwnerPreferred,
        ownership == s3::ObjectOwnership::ObjectWriter,
        acceleration.is_some_and(|one| one.status == Some(s3::BucketAccelerateStatus::Enabled)),
        bucket.notifications.event_bridge || !bucket.notifications.targets.is_empty(),
    ])
}

fn lifecycle_rules(lifecycle: &s3::BucketLifecycleConfiguration) -> [u64; LIFECYCLE.len()] {
    let count = |is: fn(&s3::LifecycleRule) -> bool| lifecycle.rules.iter().filter(|rule| is(rule)).count() as u64;
    [
        count(|rule| rule.transitions.as_ref().is_some_and(|list| !list.is_empty())),
        count(|rule| rule.expiration.as_ref().is_some_and(|one| one.days.is_some() || one.date.is_some())),
        count(|rule| rule.noncurrent_version_transitions.as_ref().is_some_and(|list| !list.is_empty())),
        count(|rule| rule.noncurrent_version_expiration.is_some()),
        count(|rule| rule.abort_incomplete_multipart_upload.is_some()),
        count(|rule| rule.expiration.as_ref().is_some_and(|one| one.expired_object_delete_marker == Some(true))),
        count(|_| true),
    ]
}

/// By where rules replicate to. A destination that is not there, or that keeps no versions, is not valid.
fn replication_rules(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<[u64; REPLICATION.len()]> {
    let found: Option<s3::ReplicationConfiguration> =
        configurations::read(snapshot, scope, bucket, Kind::Replication)?.into_set();
    let mut counts = [0; REPLICATION.len()];
    for rule in found.iter().flat_map(|found| &found.rules) {
        let name = rule.destination.bucket.rsplit(':').next().unwrap_or_default();
        let destination = snapshot.get(&BUCKETS, scope, &(name,))?;
        match destination.filter(|destination| destination.settings.versioning == Some(Versioning::Enabled)) {
            Some(destination) => {
                counts[usize::from(destination.region != bucket.region)] += 1;
                counts[2 + usize::from(destination.account != bucket.account)] += 1;
            }
            None => counts[4] += 1,
        }
    }
    Ok(counts)
}
