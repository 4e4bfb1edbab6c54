//! Configurations as S3 Control has them in the forms of S3, whose rules check them and whose tasks carry them out.

use fractus_s3_api as s3_api;
use fractus_s3control_api as api;

fn tag(tag: &api::S3Tag) -> s3_api::Tag {
    s3_api::Tag { key: tag.key.clone(), value: tag.value.clone() }
}

fn tags(tags: Option<&Vec<api::S3Tag>>) -> Option<Vec<s3_api::Tag>> {
    tags.map(|tags| tags.iter().map(tag).collect())
}

/// A rule without a filter is about every object.
fn lifecycle_rule(rule: &api::LifecycleRule) -> s3_api::LifecycleRule {
    let filter = rule.filter.as_ref().map(|filter| s3_api::LifecycleRuleFilter {
        prefix: filter.prefix.clone(),
        tag: filter.tag.as_ref().map(tag),
        object_size_greater_than: filter.object_size_greater_than,
        object_size_less_than: filter.object_size_less_than,
        and: filter.and.as_ref().map(|and| s3_api::LifecycleRuleAndOperator {
            prefix: and.prefix.clone(),
            tags: tags(and.tags.as_ref()),
            object_size_greater_than: and.object_size_greater_than,
            object_size_less_than: and.object_size_less_than,
        }),
    });
    s3_api::LifecycleRule {
        expiration: rule.expiration.as_ref().map(|expiration| s3_api::LifecycleExpiration {
            date: expiration.date,
            days: expiration.days,
            expired_object_delete_marker: expiration.expired_object_delete_marker,
        }),
        id: rule.id.clone(),
        prefix: filter.is_none().then(String::new),
        filter,
        status: rule.status.as_str().into(),
        transitions: None,
        noncurrent_version_transitions: None,
        noncurrent_version_expiration: rule.noncurrent_version_expiration.as_ref().map(|old| {
            s3_api::NoncurrentVersionExpiration {
                noncurrent_days: old.noncurrent_days,
                newer_noncurrent_versions: old.newer_noncurrent_versions,
            }
        }),
        abort_incomplete_multipart_upload: rule
            .abort_incomplete_multipart_upload
            .as_ref()
            .map(|abort| s3_api::AbortIncompleteMultipartUpload { days_after_initiation: abort.days_after_initiation }),
    }
}

pub fn lifecycle(rules: &[api::LifecycleRule]) -> s3_api::BucketLifecycleConfiguration {
    s3_api::BucketLifecycleConfiguration { rules: rules.iter().map(lifecycle_rule).collect() }
}

/// The destination stays the ARN of an access point: which bucket that is, is asked as a version is copied.
fn replication_rule(rule: &api::ReplicationRule) -> s3_api::ReplicationRule {
    let filter = rule.filter.as_ref().map(|filter| s3_api::ReplicationRuleFilter {
        prefix: filter.prefix.clone(),
        tag: filter.tag.as_ref().map(tag),
        and: filter.and.as_ref().map(|and| s3_api::ReplicationRuleAndOperator {
            prefix: and.prefix.clone(),
            tags: tags(and.tags.as_ref()),
        }),
    });
    s3_api::ReplicationRule {
        id: rule.id.clone(),
        priority: rule.priority,
        prefix: rule.prefix.clone(),
        filter,
        status: rule.status.as_str().into(),
        destination: s3_api::Destination { bucket: rule.destination.bucket.clone(), ..Default::default() },
        delete_marker_replication: rule
            .delete_marker_replication
            .as_ref()
            .map(|markers| s3_api::DeleteMarkerReplication { status: Some(markers.status.as_str().into()) }),
        ..Default::default()
    }
}

pub fn replication(configuration: &api::ReplicationConfiguration) -> s3_api::ReplicationConfiguration {
    s3_api::ReplicationConfiguration {
        role: configuration.role.clone(),
        rules: configuration.rules.iter().map(replication_rule).collect(),
    }
}
