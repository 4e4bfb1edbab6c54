//! What the tables of Storage Lens have.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-lens-s3-tables-schemas.html>

use std::sync::OnceLock;

use fractus_s3_columns::table::{self, Field};

use crate::control::lens_export::sizes;

/// Each column's name, and behind `=` the metric that it has: none that is known here where nothing follows. Columns without `=`
/// say what the metrics are of. `{}` stands for each range of sizes.
const STORAGE: &str = "version_number configuration_id report_time aws_account_id aws_region storage_class record_type \
    record_value bucket_name object_count=ObjectCount storage_bytes=StorageBytes \
    bucket_key_sse_kms_object_count=bucket_key_sse_kms_object_count \
    bucket_key_sse_kms_storage_bytes=bucket_key_sse_kms_storage_bytes \
    current_version_object_count=CurrentVersionObjectCount current_version_storage_bytes=CurrentVersionStorageBytes \
    delete_marker_object_count=DeleteMarkerObjectCount delete_marker_storage_bytes=DeleteMarkerStorageBytes \
    encrypted_object_count=EncryptedObjectCount encrypted_storage_bytes=EncryptedStorageBytes \
    incomplete_mpu_object_older_than_7_days_count=IncompleteMPUObjectCountOlderThan7Days \
    incomplete_mpu_storage_older_than_7_days_bytes=IncompleteMPUStorageBytesOlderThan7Days \
    incomplete_mpu_object_count=IncompleteMultipartUploadObjectCount \
    incomplete_mpu_storage_bytes=IncompleteMultipartUploadStorageBytes \
    non_current_version_object_count=NonCurrentVersionObjectCount \
    non_current_version_storage_bytes=NonCurrentVersionStorageBytes \
    object_lock_enabled_object_count=ObjectLockEnabledObjectCount \
    object_lock_enabled_storage_bytes=ObjectLockEnabledStorageBytes replicated_object_count=ReplicatedObjectCount \
    replicated_storage_bytes=ReplicatedStorageBytes replicated_object_source_count=ReplicatedObjectCountSource \
    replicated_storage_source_bytes=ReplicatedStorageBytesSource sse_kms_object_count=sse_kms_object_count \
    sse_kms_storage_bytes=sse_kms_storage_bytes object_{}_count=Object{}Count";

const PROPERTIES: &str = "version_number configuration_id report_time aws_account_id record_type record_value aws_region \
    storage_class bucket_name versioning_enabled_bucket_count=VersioningEnabledBucketCount \
    mfa_delete_enabled_bucket_count=MFADeleteEnabledBucketCount sse_kms_enabled_bucket_count=SSEKMSEnabledBucketCount \
    object_ownership_bucket_owner_enforced_bucket_count=ObjectOwnershipBucketOwnerEnforcedBucketCount \
    object_ownership_bucket_owner_preferred_bucket_count=ObjectOwnershipBucketOwnerPreferredBucketCount \
    object_ownership_object_writer_bucket_count=ObjectOwnershipObjectWriterBucketCount \
    transfer_acceleration_enabled_bucket_count=TransferAccelerationEnabledBucketCount \
    event_notification_enabled_bucket_count=EventNotificationEnabledBucketCount \
    transition_lifecycle_rule_count=TransitionLifecycleRuleCount \
    expiration_lifecycle_rule_count=ExpirationLifecycleRuleCount \
    non_current_version_transition_lifecycle_rule_count=NoncurrentVersionTransitionLifecycleRuleCount \
    non_current_version_expiration_lifecycle_rule_count=NoncurrentVersionExpirationLifecycleRuleCount \
    abort_incomplete_multipart_upload_lifecycle_rule_count=AbortIncompleteMPULifecycleRuleCount \
    expired_object_delete_marker_lifecycle_rule_count=ExpiredObjectDeleteMarkerLifecycleRuleCount \
    same_region_replication_rule_count=SameRegionReplicationRuleCount \
    cross_region_replication_rule_count=CrossRegionReplicationRuleCount \
    same_account_replication_rule_count=SameAccountReplicationRuleCount \
    cross_account_replication_rule_count=CrossAccountReplicationRuleCount \
    invalid_destination_replication_rule_count=InvalidDestinationReplicationRuleCount";

const ACTIVITY: &str = "version_number configuration_id report_time aws_account_id aws_region storage_class record_type \
    record_value bucket_name all_request_count=AllRequests all_sse_kms_encrypted_request_count=AllSSEKMSRequests \
    all_unsupported_sig_request_count=AllUnsupportedSignatureRequests \
    all_unsupported_tls_request_count=AllUnsupportedTLSRequests bad_request_error_400_count=400BadRequestErrorCount \
    delete_request_count=DeleteRequests downloaded_bytes=BytesDownloaded error_4xx_count=4xxErrors \
    error_5xx_count=5xxErrors forbidden_error_403_count=403ForbiddenErrorCount get_request_count=GetRequests \
    head_request_count=HeadRequests internal_server_error_500_count=500InternalServerErrorCount \
    list_request_count=ListRequests not_found_error_404_count=404NotFoundErrorCount ok_status_200_count=200OKStatusCount \
    partial_content_status_206_count=206PartialContentStatusCount post_request_count=PostRequests \
    put_request_count=PutRequests select_request_count=SelectRequests select_returned_bytes=SelectReturnedBytes \
    select_scanned_bytes=SelectScannedBytes service_unavailable_error_503_count=503ServiceUnavailableErrorCount \
    uploaded_bytes=BytesUploaded average_first_byte_latency=AverageFirstByteLatency \
    average_total_request_latency=AverageTotalRequestLatency read_{}_request_count=Read{}RequestCount \
    write_{}_request_count=Write{}RequestCount concurrent_put_503_error_count=ConcurrentPut503ErrorCount \
    cross_region_request_count= cross_region_transferred_bytes= cross_region_without_replication_request_count= \
    cross_region_without_replication_transferred_bytes= inregion_request_count= inregion_transferred_bytes= \
    unique_objects_accessed_daily_count=UniqueObjectsAccessedDailyCount";

/// The columns of a kind of table.
pub struct Columns {
    pub fields: Vec<Field>,
    /// Where each metric stands, sorted by its name.
    metrics: Vec<(&'static str, usize)>,
}

impl Columns {
    /// Of one of the three kinds; none has others.
    pub fn of(kind: super::Kind) -> &'static Columns {
        static ALL: [OnceLock<Columns>; 3] = [const { OnceLock::new() }; 3];
        let (at, text) = match kind {
            super::Kind::LensProperties => (0, PROPERTIES),
            super::Kind::LensActivity => (1, ACTIVITY),
            _ => (2, STORAGE),
        };
        ALL[at].get_or_init(|| Columns::read(text))
    }

    fn read(text: &'static str) -> Columns {
        let mut columns = Columns { fields: Vec::new(), metrics: Vec::new() };
        for word in text.split_whitespace() {
            if word.contains("{}") {
                sizes::NAMES.iter().for_each(|size| columns.add(of_size(word, size)));
            } else {
                columns.add(word);
            }
        }
        columns
    }

    fn add(&mut self, word: &'static str) {
        let (name, metric) = word.split_once('=').map_or((word, None), |(name, metric)| (name, Some(metric)));
        let kind = match (metric, name) {
            (None, "report_time") => table::Kind::TimestampTz,
            (None, _) => table::Kind::Text,
            (Some(_), name) if name.ends_with("_bytes") => table::Kind::Decimal,
            (Some(_), _) => table::Kind::Long,
        };
        if let Some(metric) = metric.filter(|metric| !metric.is_empty()) {
            let at = self.metrics.partition_point(|(other, _)| *other < metric);
            self.metrics.insert(at, (metric, self.fields.len()));
        }
        let id = self.fields.len() as i32 + 1;
        self.fields.push(Field { id, name, kind, required: false, doc: "" });
    }

    /// Which column a metric has.
    pub fn index(&self, metric: &str) -> Option<usize> {
        let found = self.metrics.binary_search_by(|(name, _)| (*name).cmp(metric)).ok()?;
        self.metrics.get(found).map(|(_, index)| *index)
    }
}

/// A word with a range of sizes in it. It is there as long as the program is.
fn of_size(word: &str, size: &str) -> &'static str {
    let spelled = size.replace("To", "_to_").replace("LargerThan", "larger_than_").to_lowercase();
    word.replacen("{}", &spelled, 1).replace("{}", size).leak()
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    #[test]
    fn columns_are_named_as_aws_names_them() {
        let storage = Columns::of(Kind::LensStorage);
        let at = |columns: &Columns, metric| columns.index(metric).map(|index| columns.fields[index].name);
        assert_eq!(at(storage, "Object128KBTo256KBCount"), Some("object_128kb_to_256kb_count"));
        assert_eq!(at(storage, "ObjectLargerThan4GBCount"), Some("object_larger_than_4gb_count"));
        assert_eq!(at(storage, "StorageBytes"), Some("storage_bytes"));
        assert_eq!(at(storage, "AllRequests"), None);
        assert_eq!(at(Columns::of(Kind::LensActivity), "Write0KBRequestCount"), Some("write_0kb_request_count"));
        let counts =
            [Kind::LensStorage, Kind::LensProperties, Kind::LensActivity].map(|kind| Columns::of(kind).fields.len());
        assert_eq!(counts, [51, 28, 79]);
        let kinds: Vec<_> = storage.fields.iter().map(|field| field.kind).collect();
        assert_eq!(
            (kinds[2], kinds[9], kinds[10]),
            (table::Kind::TimestampTz, table::Kind::Long, table::Kind::Decimal)
        );
    }
}
