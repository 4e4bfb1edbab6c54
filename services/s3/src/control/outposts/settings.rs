//! What can be configured on a bucket on an Outpost: lifecycle, policy, replication, tags, versioning.
//!
//! The rules are S3's own; beside what they act by, the configuration is kept as S3 Control was given it.

use fractus_host::Context;
use fractus_s3_api as s3_api;
use fractus_s3control_api as api;
use fractus_store::{Scope, Snapshot};
use fractus_wire::Shape;

use crate::configurations::{self, Kind, Of, Versioning};
use crate::control::access_point_policy::{blocked, checked};
use crate::control::errors::{invalid, refused};
use crate::control::outposts::place::Place;
use crate::control::outposts::{converted, points};
use crate::error::{Error, Result};
use crate::model::{lifecycle, replication};
use crate::objects;
use crate::operations::lifecycle::not_there;
use crate::operations::{policy, settings, tagging, versions};
use crate::service::S3;

/// The id under which a configuration is kept as it was given.
const AS_GIVEN: &str = "given";
/// The most rules of a replication.
const MAX_RULES: usize = 100;

async fn given<T: Shape + Default>(s3: &S3, cx: &Context, bucket: &str, kind: Kind) -> Result<Option<T>> {
    let name = Place::asked(cx, bucket)?.kept_name();
    configurations::get(s3, cx, Of { bucket: &name, owner: None }, kind, AS_GIVEN).await
}

async fn keep(
    s3: &S3,
    cx: &Context,
    name: &str,
    kind: Kind,
    (acts, given): (&(dyn Shape + Sync), &(dyn Shape + Sync)),
    check: impl Fn(&Snapshot<'_>, &Scope, Option<Versioning>) -> Result<()> + Send + Sync,
) -> Result<()> {
    configurations::change(s3, cx, Of { bucket: name, owner: None }, |tx, scope, bucket| {
        check(tx, scope, bucket.settings.versioning)?;
        configurations::set(tx, scope, bucket, kind, "", acts)?;
        configurations::set(tx, scope, bucket, kind, AS_GIVEN, given)
    })
    .await
}

async fn forget(s3: &S3, cx: &Context, bucket: &str, kind: Kind) -> Result<()> {
    let name = Place::asked(cx, bucket)?.kept_name();
    let of = Of { bucket: &name, owner: None };
    configurations::delete(s3, cx, of, kind, "").await?;
    configurations::delete(s3, cx, of, kind, AS_GIVEN).await.map(drop)
}

/// Only what deletes: objects on an Outpost have one class to be in.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsLifecycleManaging.html>
pub async fn put_lifecycle(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketLifecycleConfigurationInput,
) -> Result<api::PutBucketLifecycleConfigurationOutput> {
    let name = Place::asked(cx, &input.bucket)?.kept_name();
    let mut rules = input.lifecycle_configuration.and_then(|configuration| configuration.rules).unwrap_or_default();
    for rule in &mut rules {
        if rule.transitions.is_some() || rule.noncurrent_version_transitions.is_some() {
            return Err(invalid("Transitions are not supported by buckets on Outposts"));
        }
        rule.id = rule.id.take().filter(|id| !id.is_empty()).or_else(|| Some(cx.random().uuid()));
    }
    let acts = converted::lifecycle(&rules);
    lifecycle::check(&acts)?;
    let given = api::LifecycleConfiguration { rules: Some(rules) };
    keep(s3, cx, &name, Kind::Lifecycle, (&acts, &given), |_, _, _| Ok(())).await?;
    s3.lifecycle.wake();
    Ok(api::PutBucketLifecycleConfigurationOutput::default())
}

pub async fn get_lifecycle(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketLifecycleConfigurationInput,
) -> Result<api::GetBucketLifecycleConfigurationOutput> {
    let found: Option<api::LifecycleConfiguration> = given(s3, cx, &input.bucket, Kind::Lifecycle).await?;
    let found = found.ok_or_else(|| not_there(&input.bucket))?;
    Ok(api::GetBucketLifecycleConfigurationOutput { rules: found.rules })
}

pub async fn delete_lifecycle(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketLifecycleConfigurationInput,
) -> Result<api::DeleteBucketLifecycleConfigurationOutput> {
    forget(s3, cx, &input.bucket, Kind::Lifecycle).await?;
    Ok(api::DeleteBucketLifecycleConfigurationOutput::default())
}

/// Public access is always blocked on Outposts.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsBucketPolicy.html>
pub async fn put_policy(s3: &S3, cx: &Context, input: api::PutBucketPolicyInput) -> Result<api::PutBucketPolicyOutput> {
    let place = Place::asked(cx, &input.bucket)?;
    let arn = place.arn(cx.world.partition).to_string();
    let (name, is_public) = (place.kept_name(), checked(&input.policy, &arn)?.is_public());
    configurations::change(s3, cx, Of { bucket: &name, owner: None }, |tx, scope, bucket| {
        if is_public {
            return Err(blocked(cx, &arn, "s3-outposts:PutBucketPolicy"));
        }
        configurations::set_text(tx, scope, bucket, Kind::Policy, "", &input.policy)
    })
    .await?;
    Ok(api::PutBucketPolicyOutput::default())
}

pub async fn get_policy(s3: &S3, cx: &Context, input: api::GetBucketPolicyInput) -> Result<api::GetBucketPolicyOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    let found = policy::get(s3, cx, s3_api::GetBucketPolicyInput { bucket, ..Default::default() }).await?;
    Ok(api::GetBucketPolicyOutput { policy: found.policy })
}

pub async fn delete_policy(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketPolicyInput,
) -> Result<api::DeleteBucketPolicyOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    policy::delete(s3, cx, s3_api::DeleteBucketPolicyInput { bucket, ..Default::default() }).await?;
    Ok(api::DeleteBucketPolicyOutput::default())
}

/// What a rule of Outposts cannot have, and what it needs beyond S3's.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_ReplicationRule.html>
fn check_rule(rule: &api::ReplicationRule) -> Result<()> {
    let destination = &rule.destination;
    let unsupported = [
        ("ExistingObjectReplication", rule.existing_object_replication.is_some()),
        ("SourceSelectionCriteria", rule.source_selection_criteria.is_some()),
        ("AccessControlTranslation", destination.access_control_translation.is_some()),
        ("EncryptionConfiguration", destination.encryption_configuration.is_some()),
    ];
    if let Some((what, _)) = unsupported.into_iter().find(|(_, asked)| *asked) {
        return Err(invalid(format!("{what} is not supported by buckets on Outposts")));
    }
    if destination.storage_class.as_ref().is_some_and(|class| *class != api::ReplicationStorageClass::Outposts) {
        return Err(refused("InvalidStorageClass", 400, "The storage class you specified is not valid"));
    }
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref());
    let by_tags = filter.is_some_and(|filter| filter.tag.is_some()) || and.is_some_and(|and| and.tags.is_some());
    let markers = rule.delete_marker_replication.as_ref();
    if by_tags && markers.is_some_and(|markers| markers.status == api::DeleteMarkerReplicationStatus::Enabled) {
        return Err(invalid("Delete marker replication is not supported if any Tag filter is specified."));
    }
    Ok(())
}

/// Both ends of a replication are access points, and the buckets behind them keep versions.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsReplication.html>
pub async fn put_replication(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketReplicationInput,
) -> Result<api::PutBucketReplicationOutput> {
    let name = Place::asked(cx, &input.bucket)?.kept_name();
    let mut given = input.replication_configuration;
    if given.rules.len() > MAX_RULES {
        return Err(invalid(format!("The replication configuration must have no more than {MAX_RULES} rules")));
    }
    for rule in &mut given.rules {
        check_rule(rule)?;
        rule.id.get_or_insert_with(|| cx.random().uuid());
    }
    let acts = converted::replication(&given);
    replication::check(&acts)?;
    keep(s3, cx, &name, Kind::Replication, (&acts, &given), |snapshot, scope, versioning| {
        if versioning != Some(Versioning::Enabled) {
            return Err(invalid("Versioning must be 'Enabled' on the bucket to apply a replication configuration"));
        }
        for rule in &given.rules {
            if points::bucket_behind(snapshot, scope, &rule.bucket)?.as_ref() != Some(&name) {
                return Err(invalid("The source must be the ARN of an access point of the bucket"));
            }
            let target = points::bucket_behind(snapshot, scope, &rule.destination.bucket)?;
            let target = target.ok_or_else(|| invalid("Destination bucket must exist."))?;
            if target == name {
                return Err(invalid("Destination bucket cannot be the same as the source bucket"));
            }
            let target = objects::bucket(snapshot, scope, &target, rule.destination.account.as_deref())?;
            if target.settings.versioning != Some(Versioning::Enabled) {
                return Err(invalid("Destination bucket must have versioning enabled."));
            }
        }
        Ok(())
    })
    .await?;
    Ok(api::PutBucketReplicationOutput::default())
}

pub async fn get_replication(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketReplicationInput,
) -> Result<api::GetBucketReplicationOutput> {
    let found: Option<api::ReplicationConfiguration> = given(s3, cx, &input.bucket, Kind::Replication).await?;
    let found = found.ok_or_else(|| settings::no_replication(&input.bucket))?;
    Ok(api::GetBucketReplicationOutput { replication_configuration: Some(found) })
}

pub async fn delete_replication(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketReplicationInput,
) -> Result<api::DeleteBucketReplicationOutput> {
    forget(s3, cx, &input.bucket, Kind::Replication).await?;
    Ok(api::DeleteBucketReplicationOutput::default())
}

pub async fn put_tagging(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketTaggingInput,
) -> Result<api::PutBucketTaggingOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    let tags = input.tagging.tag_set.into_iter().map(|tag| s3_api::Tag { key: tag.key, value: tag.value });
    let tagging = s3_api::Tagging { tag_set: tags.collect() };
    tagging::put_bucket(s3, cx, s3_api::PutBucketTaggingInput { bucket, tagging, ..Default::default() }).await?;
    Ok(api::PutBucketTaggingOutput::default())
}

pub async fn get_tagging(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketTaggingInput,
) -> Result<api::GetBucketTaggingOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    let found = tagging::get_bucket(s3, cx, s3_api::GetBucketTaggingInput { bucket, ..Default::default() }).await?;
    let tags = found.tag_set.into_iter().map(|tag| api::S3Tag { key: tag.key, value: tag.value });
    Ok(api::GetBucketTaggingOutput { tag_set: tags.collect() })
}

pub async fn delete_tagging(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketTaggingInput,
) -> Result<api::DeleteBucketTaggingOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    tagging::delete_bucket(s3, cx, s3_api::DeleteBucketTaggingInput { bucket, ..Default::default() }).await?;
    Ok(api::DeleteBucketTaggingOutput::default())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsManagingVersioning.html>
pub async fn put_versioning(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketVersioningInput,
) -> Result<api::PutBucketVersioningOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    let wanted = input.versioning_configuration;
    if input.mfa.is_some() || wanted.mfa_delete.is_some() {
        return Err(Error::NotImplemented { header: "x-amz-mfa".to_owned() });
    }
    let status = wanted.status.map(|status| status.as_str().into());
    let versioning_configuration = s3_api::VersioningConfiguration { status, mfa_delete: None };
    let input = s3_api::PutBucketVersioningInput { bucket, versioning_configuration, ..Default::default() };
    versions::put_bucket(s3, cx, input).await?;
    Ok(api::PutBucketVersioningOutput::default())
}

pub async fn get_versioning(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketVersioningInput,
) -> Result<api::GetBucketVersioningOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    let found = versions::get_bucket(s3, cx, s3_api::GetBucketVersioningInput { bucket, ..Default::default() }).await?;
    let status = found.status.map(|status| status.as_str().into());
    Ok(api::GetBucketVersioningOutput { status, mfa_delete: None })
}
