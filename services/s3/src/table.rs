//! Every operation of S3: its handler, and what it reaches for as policies name it.

use fractus_host::{Access, Operations};
use fractus_s3_api as api;

use crate::access::{self, Sets, sets};
use crate::control;
use crate::error::Error;
use crate::object_lambda::answers;
use crate::operations::version_answer::ListObjectVersions;
use crate::operations::{
    acls, annotations, archive, attributes, buckets, complete, copy, cors, delete, directory as directories,
    encryption, legacy, lifecycle, locks, metadata_tables, multipart, notifications, object_lambda as through_points,
    parts, policy, public_access, put, select, series, settings, tagging, uploads, versions,
    website as website_configuration,
};
use crate::service::S3;

macro_rules! on_bucket {
    ($action:literal) => {
        |cx, input| Ok::<_, Error>(access::to_bucket(cx, &input.bucket, $action))
    };
}

macro_rules! on_object {
    ($action:literal) => {
        |cx, input| Ok::<_, Error>(access::to_object(cx, &input.bucket, &input.key, $action))
    };
}

/// An action that has a name of its own where a version is named.
macro_rules! on_version {
    ($action:literal, $of_version:literal) => {
        |cx, input| {
            let action = if input.version_id.is_some() { $of_version } else { $action };
            Ok::<_, Error>(access::to_object(cx, &input.bucket, &input.key, action))
        }
    };
}

/// Every operation of S3.
pub fn operations() -> Operations<S3> {
    let apis = [&api::MODEL, &fractus_s3control_api::MODEL];
    control::table::operations(tables(newer(protections(configurations(objects(Operations::new(&apis)))))))
}

/// Buckets, objects, listings, uploads.
fn objects(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateBucket, buckets::create)
        .access(api::CreateBucket, |cx, input| Ok::<_, Error>(access::to_create(cx, input)))
        .on(api::HeadBucket, buckets::head)
        .access(api::HeadBucket, on_bucket!("s3:ListBucket"))
        .on(api::DeleteBucket, buckets::delete)
        .access(api::DeleteBucket, on_bucket!("s3:DeleteBucket"))
        .on(api::ListBuckets, buckets::list)
        .access(api::ListBuckets, |_, _| Ok::<_, Error>(vec![Access::to_all().by("s3:ListAllMyBuckets")]))
        .on(api::GetBucketLocation, buckets::location)
        .access(api::GetBucketLocation, on_bucket!("s3:GetBucketLocation"))
        .on(api::PutBucketTagging, tagging::put_bucket)
        .access(api::PutBucketTagging, on_bucket!("s3:PutBucketTagging"))
        .on(api::GetBucketTagging, tagging::get_bucket)
        .access(api::GetBucketTagging, on_bucket!("s3:GetBucketTagging"))
        .on(api::DeleteBucketTagging, tagging::delete_bucket)
        .access(api::DeleteBucketTagging, on_bucket!("s3:PutBucketTagging"))
        .on(api::PutBucketNotificationConfiguration, notifications::put)
        .access(api::PutBucketNotificationConfiguration, on_bucket!("s3:PutBucketNotification"))
        .on(api::GetBucketNotificationConfiguration, notifications::get)
        .access(api::GetBucketNotificationConfiguration, on_bucket!("s3:GetBucketNotification"))
        .on(api::PutObject, put::put)
        .access(api::PutObject, |cx, input| Ok::<_, Error>(access::to_put(cx, &input.bucket, &input.key, sets!(input))))
        .on(api::GetObject, through_points::get)
        .access(api::GetObject, |cx, input| {
            access::check_overrides(cx, input)?;
            Ok::<_, Error>(through_points::access(cx, input))
        })
        .on(api::HeadObject, answers::head)
        .access(api::HeadObject, |cx, input| Ok::<_, Error>(answers::head_access(cx, input)))
        .on(api::GetObjectAttributes, attributes::get)
        .access(api::GetObjectAttributes, on_version!("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"))
        .on(api::CopyObject, copy::copy)
        .access(api::CopyObject, |cx, input| {
            access::to_copy(cx, &input.copy_source, &input.bucket, &input.key, sets!(input))
        })
        .on(api::DeleteObject, delete::one)
        .access(api::DeleteObject, on_version!("s3:DeleteObject", "s3:DeleteObjectVersion"))
        .on(api::DeleteObjects, delete::many)
        // Nothing of the batch as a whole: its handler asks for each key.
        .access(api::DeleteObjects, |_, _| Ok::<_, Error>(Vec::new()))
        .on(api::PutObjectTagging, tagging::put_object)
        .access(api::PutObjectTagging, |cx, input| Ok::<_, Error>(access::to_tag(cx, input)))
        .on(api::GetObjectTagging, tagging::get_object)
        .access(api::GetObjectTagging, on_version!("s3:GetObjectTagging", "s3:GetObjectVersionTagging"))
        .on(api::DeleteObjectTagging, tagging::delete_object)
        .access(api::DeleteObjectTagging, on_version!("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"))
        .on(api::ListObjects, answers::list)
        .access(api::ListObjects, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            let of = access::Listing { action: "s3:ListBucket", prefix, delimiter, max_keys: input.max_keys };
            Ok::<_, Error>(answers::list_access(cx, "ListObjects", || access::to_list(cx, &input.bucket, of)))
        })
        .on(api::ListObjectsV2, answers::list_v2)
        .access(api::ListObjectsV2, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            let of = access::Listing { action: "s3:ListBucket", prefix, delimiter, max_keys: input.max_keys };
            Ok::<_, Error>(answers::list_access(cx, "ListObjectsV2", || access::to_list(cx, &input.bucket, of)))
        })
        .on(api::CreateMultipartUpload, multipart::create)
        .access(api::CreateMultipartUpload, |cx, input| {
            Ok::<_, Error>(access::to_put(cx, &input.bucket, &input.key, sets!(input)))
        })
        .on(api::UploadPart, parts::upload)
        .access(api::UploadPart, on_object!("s3:PutObject"))
        .on(api::UploadPartCopy, parts::upload_copy)
        .access(api::UploadPartCopy, |cx, input| {
            access::to_copy(cx, &input.copy_source, &input.bucket, &input.key, Sets::default())
        })
        .on(api::ListParts, parts::list)
        .access(api::ListParts, on_object!("s3:ListMultipartUploadParts"))
        .on(api::CompleteMultipartUpload, complete::complete)
        .access(api::CompleteMultipartUpload, on_object!("s3:PutObject"))
        .on(api::AbortMultipartUpload, multipart::abort)
        .access(api::AbortMultipartUpload, on_object!("s3:AbortMultipartUpload"))
        .on(api::ListMultipartUploads, uploads::list)
        .access(api::ListMultipartUploads, on_bucket!("s3:ListBucketMultipartUploads"))
}

/// Versions, lists, locks, lifecycle.
fn protections(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::PutBucketVersioning, versions::put_bucket)
        .access(api::PutBucketVersioning, on_bucket!("s3:PutBucketVersioning"))
        .on(api::GetBucketVersioning, versions::get_bucket)
        .access(api::GetBucketVersioning, on_bucket!("s3:GetBucketVersioning"))
        .on(ListObjectVersions, versions::list)
        .access(ListObjectVersions, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            let of = access::Listing { action: "s3:ListBucketVersions", prefix, delimiter, max_keys: input.max_keys };
            Ok::<_, Error>(access::to_list(cx, &input.bucket, of))
        })
        .on(api::PutObjectAcl, acls::put_object)
        .access(api::PutObjectAcl, on_version!("s3:PutObjectAcl", "s3:PutObjectVersionAcl"))
        .on(api::GetObjectAcl, acls::get_object)
        .access(api::GetObjectAcl, on_version!("s3:GetObjectAcl", "s3:GetObjectVersionAcl"))
        .on(api::PutObjectLockConfiguration, locks::put_bucket)
        .access(api::PutObjectLockConfiguration, on_bucket!("s3:PutBucketObjectLockConfiguration"))
        .on(api::GetObjectLockConfiguration, locks::get_bucket)
        .access(api::GetObjectLockConfiguration, on_bucket!("s3:GetBucketObjectLockConfiguration"))
        .on(api::PutObjectRetention, locks::put_retention)
        .access(api::PutObjectRetention, |cx, input| Ok::<_, Error>(access::to_retain(cx, input)))
        .on(api::GetObjectRetention, locks::get_retention)
        .access(api::GetObjectRetention, on_object!("s3:GetObjectRetention"))
        .on(api::PutObjectLegalHold, locks::put_hold)
        .access(api::PutObjectLegalHold, |cx, input| Ok::<_, Error>(access::to_hold(cx, input)))
        .on(api::GetObjectLegalHold, locks::get_hold)
        .access(api::GetObjectLegalHold, on_object!("s3:GetObjectLegalHold"))
        .on(api::PutBucketLifecycleConfiguration, lifecycle::put)
        .access(api::PutBucketLifecycleConfiguration, on_bucket!("s3:PutLifecycleConfiguration"))
        .on(api::GetBucketLifecycleConfiguration, lifecycle::get)
        .access(api::GetBucketLifecycleConfiguration, on_bucket!("s3:GetLifecycleConfiguration"))
        .on(api::DeleteBucketLifecycle, lifecycle::delete)
        .access(api::DeleteBucketLifecycle, on_bucket!("s3:PutLifecycleConfiguration"))
        .on(api::PutBucketLifecycle, legacy::put_lifecycle)
        .access(api::PutBucketLifecycle, on_bucket!("s3:PutLifecycleConfiguration"))
        .on(api::GetBucketLifecycle, legacy::get_lifecycle)
        .access(api::GetBucketLifecycle, on_bucket!("s3:GetLifecycleConfiguration"))
        .on(api::PutBucketNotification, legacy::put_notification)
        .access(api::PutBucketNotification, on_bucket!("s3:PutBucketNotification"))
        .on(api::GetBucketNotification, legacy::get_notification)
        .access(api::GetBucketNotification, on_bucket!("s3:GetBucketNotification"))
        .on(api::RestoreObject, archive::restore)
        .access(api::RestoreObject, on_object!("s3:RestoreObject"))
        .on(api::UpdateObjectEncryption, archive::update_encryption)
        .access(api::UpdateObjectEncryption, on_object!("s3:UpdateObjectEncryption"))
        .on(api::GetObjectTorrent, archive::torrent)
        .access(api::GetObjectTorrent, on_object!("s3:GetObjectTorrent"))
}

/// What newer kinds of buckets and objects have.
fn newer(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::ListDirectoryBuckets, directories::list)
        .access(api::ListDirectoryBuckets, |_, _| {
            Ok::<_, Error>(vec![Access::to_all().by("s3express:ListAllMyDirectoryBuckets")])
        })
        .on(api::CreateSession, directories::create_session)
        .access(api::CreateSession, on_bucket!("s3express:CreateSession"))
        .on(api::RenameObject, directories::rename)
        .access(api::RenameObject, on_object!("s3:PutObject"))
        .on(api::WriteGetObjectResponse, through_points::write)
        .access(api::WriteGetObjectResponse, |_, _| {
            Ok::<_, Error>(vec![Access::to_all().by("s3-object-lambda:WriteGetObjectResponse")])
        })
        .on(api::SelectObjectContent, select::select)
        .access(api::SelectObjectContent, on_object!("s3:GetObject"))
        .on(api::PutObjectAnnotation, annotations::put)
        .access(api::PutObjectAnnotation, on_version!("s3:PutObjectAnnotation", "s3:PutObjectVersionAnnotation"))
        .on(api::GetObjectAnnotation, annotations::get)
        .access(api::GetObjectAnnotation, on_version!("s3:GetObjectAnnotation", "s3:GetObjectVersionAnnotation"))
        .on(api::ListObjectAnnotations, annotations::list)
        .access(api::ListObjectAnnotations, on_version!("s3:ListObjectAnnotations", "s3:ListObjectVersionAnnotations"))
        .on(api::DeleteObjectAnnotation, annotations::delete)
        .access(
            api::DeleteObjectAnnotation,
            on_version!("s3:DeleteObjectAnnotation", "s3:DeleteObjectVersionAnnotation"),
        )
}

/// Tables of S3 Metadata.
fn tables(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateBucketMetadataConfiguration, metadata_tables::create_managed)
        .access(api::CreateBucketMetadataConfiguration, on_bucket!("s3:CreateBucketMetadataTableConfiguration"))
        .on(api::GetBucketMetadataConfiguration, metadata_tables::get_managed)
        .access(api::GetBucketMetadataConfiguration, on_bucket!("s3:GetBucketMetadataTableConfiguration"))
        .on(api::DeleteBucketMetadataConfiguration, metadata_tables::delete_managed)
        .access(api::DeleteBucketMetadataConfiguration, on_bucket!("s3:DeleteBucketMetadataTableConfiguration"))
        .on(api::CreateBucketMetadataTableConfiguration, metadata_tables::create_own)
        .access(api::CreateBucketMetadataTableConfiguration, on_bucket!("s3:CreateBucketMetadataTableConfiguration"))
        .on(api::GetBucketMetadataTableConfiguration, metadata_tables::get_own)
        .access(api::GetBucketMetadataTableConfiguration, on_bucket!("s3:GetBucketMetadataTableConfiguration"))
        .on(api::DeleteBucketMetadataTableConfiguration, metadata_tables::delete_own)
        .access(api::DeleteBucketMetadataTableConfiguration, on_bucket!("s3:DeleteBucketMetadataTableConfiguration"))
        .on(api::UpdateBucketMetadataJournalTableConfiguration, metadata_tables::update_journal)
        .access(
            api::UpdateBucketMetadataJournalTableConfiguration,
            on_bucket!("s3:UpdateBucketMetadataJournalTableConfiguration"),
        )
        .on(api::UpdateBucketMetadataInventoryTableConfiguration, metadata_tables::update_inventory)
        .access(
            api::UpdateBucketMetadataInventoryTableConfiguration,
            on_bucket!("s3:UpdateBucketMetadataInventoryTableConfiguration"),
        )
        .on(api::UpdateBucketMetadataAnnotationTableConfiguration, metadata_tables::update_annotation)
        .access(
            api::UpdateBucketMetadataAnnotationTableConfiguration,
            on_bucket!("s3:UpdateBucketMetadataAnnotationTableConfiguration"),
        )
}

/// What can be configured on a bucket.
fn configurations(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::PutBucketPolicy, policy::put)
        .access(api::PutBucketPolicy, on_bucket!("s3:PutBucketPolicy"))
        .on(api::GetBucketPolicy, policy::get)
        .access(api::GetBucketPolicy, on_bucket!("s3:GetBucketPolicy"))
        .on(api::DeleteBucketPolicy, policy::delete)
        .access(api::DeleteBucketPolicy, on_bucket!("s3:DeleteBucketPolicy"))
        .on(api::GetBucketPolicyStatus, policy::status)
        .access(api::GetBucketPolicyStatus, on_bucket!("s3:GetBucketPolicyStatus"))
        .on(api::PutPublicAccessBlock, public_access::put_block)
        .access(api::PutPublicAccessBlock, on_bucket!("s3:PutBucketPublicAccessBlock"))
        .on(api::GetPublicAccessBlock, public_access::get_block)
        .access(api::GetPublicAccessBlock, on_bucket!("s3:GetBucketPublicAccessBlock"))
        .on(api::DeletePublicAccessBlock, public_access::delete_block)
        .access(api::DeletePublicAccessBlock, on_bucket!("s3:PutBucketPublicAccessBlock"))
        .on(api::PutBucketOwnershipControls, public_access::put_ownership)
        .access(api::PutBucketOwnershipControls, on_bucket!("s3:PutBucketOwnershipControls"))
        .on(api::GetBucketOwnershipControls, public_access::get_ownership)
        .access(api::GetBucketOwnershipControls, on_bucket!("s3:GetBucketOwnershipControls"))
        .on(api::DeleteBucketOwnershipControls, public_access::delete_ownership)
        .access(api::DeleteBucketOwnershipControls, on_bucket!("s3:PutBucketOwnershipControls"))
        .on(api::PutBucketAcl, acls::put_bucket)
        .access(api::PutBucketAcl, on_bucket!("s3:PutBucketAcl"))
        .on(api::GetBucketAcl, acls::get_bucket)
        .access(api::GetBucketAcl, on_bucket!("s3:GetBucketAcl"))
        .on(api::PutBucketCors, cors::put)
        .access(api::PutBucketCors, on_bucket!("s3:PutBucketCORS"))
        .on(api::GetBucketCors, cors::get)
        .access(api::GetBucketCors, on_bucket!("s3:GetBucketCORS"))
        .on(api::DeleteBucketCors, cors::delete)
        .access(api::DeleteBucketCors, on_bucket!("s3:PutBucketCORS"))
        .on(api::PutBucketWebsite, website_configuration::put)
        .access(api::PutBucketWebsite, on_bucket!("s3:PutBucketWebsite"))
        .on(api::GetBucketWebsite, website_configuration::get)
        .access(api::GetBucketWebsite, on_bucket!("s3:GetBucketWebsite"))
        .on(api::DeleteBucketWebsite, website_configuration::delete)
        .access(api::DeleteBucketWebsite, on_bucket!("s3:DeleteBucketWebsite"))
        .on(api::PutBucketEncryption, encryption::put)
        .access(api::PutBucketEncryption, on_bucket!("s3:PutEncryptionConfiguration"))
        .on(api::GetBucketEncryption, encryption::get)
        .access(api::GetBucketEncryption, on_bucket!("s3:GetEncryptionConfiguration"))
        .on(api::DeleteBucketEncryption, encryption::delete)
        .access(api::DeleteBucketEncryption, on_bucket!("s3:PutEncryptionConfiguration"))
        .on(api::PutBucketRequestPayment, settings::put_payment)
        .access(api::PutBucketRequestPayment, on_bucket!("s3:PutBucketRequestPayment"))
        .on(api::GetBucketRequestPayment, settings::get_payment)
        .access(api::GetBucketRequestPayment, on_bucket!("s3:GetBucketRequestPayment"))
        .on(api::PutBucketAccelerateConfiguration, settings::put_acceleration)
        .access(api::PutBucketAccelerateConfiguration, on_bucket!("s3:PutAccelerateConfiguration"))
        .on(api::GetBucketAccelerateConfiguration, settings::get_acceleration)
        .access(api::GetBucketAccelerateConfiguration, on_bucket!("s3:GetAccelerateConfiguration"))
        .on(api::PutBucketLogging, settings::put_logging)
        .access(api::PutBucketLogging, on_bucket!("s3:PutBucketLogging"))
        .on(api::GetBucketLogging, settings::get_logging)
        .access(api::GetBucketLogging, on_bucket!("s3:GetBucketLogging"))
        .on(api::PutBucketReplication, settings::put_replication)
        .access(api::PutBucketReplication, on_bucket!("s3:PutReplicationConfiguration"))
        .on(api::GetBucketReplication, settings::get_replication)
        .access(api::GetBucketReplication, on_bucket!("s3:GetReplicationConfiguration"))
        .on(api::DeleteBucketReplication, settings::delete_replication)
        .access(api::DeleteBucketReplication, on_bucket!("s3:PutReplicationConfiguration"))
        .on(api::PutBucketAbac, settings::put_abac)
        .access(api::PutBucketAbac, on_bucket!("s3:PutBucketAbac"))
        .on(api::GetBucketAbac, settings::get_abac)
        .access(api::GetBucketAbac, on_bucket!("s3:GetBucketAbac"))
        .on(api::PutBucketAnalyticsConfiguration, series::analytics::put)
        .access(api::PutBucketAnalyticsConfiguration, on_bucket!("s3:PutAnalyticsConfiguration"))
        .on(api::GetBucketAnalyticsConfiguration, series::analytics::get)
        .access(api::GetBucketAnalyticsConfiguration, on_bucket!("s3:GetAnalyticsConfiguration"))
        .on(api::DeleteBucketAnalyticsConfiguration, series::analytics::delete)
        .access(api::DeleteBucketAnalyticsConfiguration, on_bucket!("s3:PutAnalyticsConfiguration"))
        .on(api::ListBucketAnalyticsConfigurations, series::analytics::list)
        .access(api::ListBucketAnalyticsConfigurations, on_bucket!("s3:GetAnalyticsConfiguration"))
        .on(api::PutBucketInventoryConfiguration, series::inventory::put)
        .access(api::PutBucketInventoryConfiguration, on_bucket!("s3:PutInventoryConfiguration"))
        .on(api::GetBucketInventoryConfiguration, series::inventory::get)
        .access(api::GetBucketInventoryConfiguration, on_bucket!("s3:GetInventoryConfiguration"))
        .on(api::DeleteBucketInventoryConfiguration, series::inventory::delete)
        .access(api::DeleteBucketInventoryConfiguration, on_bucket!("s3:PutInventoryConfiguration"))
        .on(api::ListBucketInventoryConfigurations, series::inventory::list)
        .access(api::ListBucketInventoryConfigurations, on_bucket!("s3:GetInventoryConfiguration"))
        .on(api::PutBucketMetricsConfiguration, series::metrics::put)
        .access(api::PutBucketMetricsConfiguration, on_bucket!("s3:PutMetricsConfiguration"))
        .on(api::GetBucketMetricsConfiguration, series::metrics::get)
        .access(api::GetBucketMetricsConfiguration, on_bucket!("s3:GetMetricsConfiguration"))
        .on(api::DeleteBucketMetricsConfiguration, series::metrics::delete)
        .access(api::DeleteBucketMetricsConfiguration, on_bucket!("s3:PutMetricsConfiguration"))
        .on(api::ListBucketMetricsConfigurations, series::metrics::list)
        .access(api::ListBucketMetricsConfigurations, on_bucket!("s3:GetMetricsConfiguration"))
        .on(api::PutBucketIntelligentTieringConfiguration, series::tiering::put)
        .access(api::PutBucketIntelligentTieringConfiguration, on_bucket!("s3:PutIntelligentTieringConfiguration"))
        .on(api::GetBucketIntelligentTieringConfiguration, series::tiering::get)
        .access(api::GetBucketIntelligentTieringConfiguration, on_bucket!("s3:GetIntelligentTieringConfiguration"))
        .on(api::DeleteBucketIntelligentTieringConfiguration, series::tiering::delete)
        .access(api::DeleteBucketIntelligentTieringConfiguration, on_bucket!("s3:PutIntelligentTieringConfiguration"))
        .on(api::ListBucketIntelligentTieringConfigurations, series::tiering::list)
        .access(api::ListBucketIntelligentTieringConfigurations, on_bucket!("s3:GetIntelligentTieringConfiguration"))
}
