//! S3's state in memory, its operation table, and how it differs from other services at the edge.

use std::sync::Arc;

use fractus_aws::{Arn, Lane, Region, World};
use fractus_bus::contracts::Credential;
use fractus_bus::outbox::Outbox;
use fractus_host::{Access, CallerKind, Context, Host, Operations, Prepared, RequestUuid, ResourceFacts, Service};
use fractus_s3_api as api;
use fractus_store::{BlobRef, Store};
use fractus_wire::validation::Violation;
use fractus_wire::{ByteStream, Failure, ServiceSchema};
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::access::{Sets, sets};
use crate::config::Config;
use crate::control;
use crate::control::jobs::work::Jobs;
use crate::control::lens_export::Lens;
use crate::destinations::Destinations;
use crate::error::Error;
use crate::keys::Keys;
use crate::lifecycle::Lifecycle;
use crate::metadata::catalog;
use crate::object_lambda::answers;
use crate::object_lambda::lambda::Functions;
use crate::object_lambda::waiting::Waiting;
use crate::operations::{
    acls, annotations, archive, attributes, buckets, copy, cors, delete, directory as directories, encryption, form,
    legacy, lifecycle, locks, metadata_tables, multipart, notifications, object_lambda as through_points, parts,
    policy, public_access, put, select, series, settings, tagging, uploads, versions, website as website_configuration,
};
use crate::readers::Readers;
use crate::replication::Replication;
use crate::restores::Restores;
use crate::schedule::Schedule;
use crate::store::Object;
use crate::{access, addressing, checks, directory, metrics, permissions, terms, watch, web, website};

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct S3 {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub outbox: Outbox,
    pub readers: Readers,
    pub lifecycle: Lifecycle,
    pub replication: Replication,
    pub restores: Restores,
    pub schedule: Schedule,
    pub jobs: Jobs,
    pub lens: Lens,
    pub destinations: Destinations,
    pub waiting: Waiting,
    pub functions: Functions,
    pub keys: Keys,
    /// Blobs that were released and may be given back.
    pub freed: mpsc::UnboundedSender<BlobRef>,
    /// `x-amz-id-2` of every answer.
    pub host_id: Arc<str>,
}

impl S3 {
    /// Has done what follows an object that was put: its replication begins.
    pub fn changed(&self, object: &Object) {
        if object.extras.as_ref().is_some_and(|extras| extras.replication.is_some()) {
            self.replication.wake();
        }
    }

    /// Gives back the room of blobs that a finished transaction released, when nobody reads them any more.
    pub fn free(&self, blobs: impl IntoIterator<Item = BlobRef>) {
        for blob in blobs {
            // Without the background task (it has ended: the process is draining) the next start's sweep does it.
            let _ = self.freed.send(blob);
        }
    }
}

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
        .access(api::CreateBucket, on_bucket!("s3:CreateBucket"))
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
        .access(api::GetObject, |cx, input| Ok::<_, Error>(through_points::access(cx, input)))
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
        .access(api::PutObjectTagging, on_version!("s3:PutObjectTagging", "s3:PutObjectVersionTagging"))
        .on(api::GetObjectTagging, tagging::get_object)
        .access(api::GetObjectTagging, on_version!("s3:GetObjectTagging", "s3:GetObjectVersionTagging"))
        .on(api::DeleteObjectTagging, tagging::delete_object)
        .access(api::DeleteObjectTagging, on_version!("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"))
        .on(api::ListObjects, answers::list)
        .access(api::ListObjects, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            let direct = || access::to_list(cx, &input.bucket, prefix, delimiter, input.max_keys);
            Ok::<_, Error>(answers::list_access(cx, "ListObjects", direct))
        })
        .on(api::ListObjectsV2, answers::list_v2)
        .access(api::ListObjectsV2, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            let direct = || access::to_list(cx, &input.bucket, prefix, delimiter, input.max_keys);
            Ok::<_, Error>(answers::list_access(cx, "ListObjectsV2", direct))
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
        .on(api::CompleteMultipartUpload, multipart::complete)
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
        .on(api::ListObjectVersions, versions::list)
        .access(api::ListObjectVersions, on_bucket!("s3:ListBucketVersions"))
        .on(api::PutObjectAcl, acls::put_object)
        .access(api::PutObjectAcl, on_version!("s3:PutObjectAcl", "s3:PutObjectVersionAcl"))
        .on(api::GetObjectAcl, acls::get_object)
        .access(api::GetObjectAcl, on_version!("s3:GetObjectAcl", "s3:GetObjectVersionAcl"))
        .on(api::PutObjectLockConfiguration, locks::put_bucket)
        .access(api::PutObjectLockConfiguration, on_bucket!("s3:PutBucketObjectLockConfiguration"))
        .on(api::GetObjectLockConfiguration, locks::get_bucket)
        .access(api::GetObjectLockConfiguration, on_bucket!("s3:GetBucketObjectLockConfiguration"))
        .on(api::PutObjectRetention, locks::put_retention)
        .access(api::PutObjectRetention, on_object!("s3:PutObjectRetention"))
        .on(api::GetObjectRetention, locks::get_retention)
        .access(api::GetObjectRetention, on_object!("s3:GetObjectRetention"))
        .on(api::PutObjectLegalHold, locks::put_hold)
        .access(api::PutObjectLegalHold, on_object!("s3:PutObjectLegalHold"))
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
        .modelled(api::GetObjectTorrent, archive::torrent)
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
        // Modelled until a scenario can have a function that calls it.
        .modelled(api::WriteGetObjectResponse, through_points::write)
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

/// Operations that the model gives a 200 and AWS answers 204.
fn has_no_content(operation: &str) -> bool {
    matches!(operation, "PutBucketTagging" | "PutBucketPolicy")
}

impl Service for S3 {
    /// A bucket in the host name goes into the path; a browser's form upload is no operation of the model.
    fn prepare(&self, head: &mut http::request::Parts, host: &str) -> Prepared {
        if catalog::is_for_tables(head) {
            head.extensions.insert(catalog::OfTables);
            return Prepared::Raw;
        }
        if control::is_control(head, host) {
            head.extensions.insert(control::Controlled);
            return control::check_account_header(head).map_or_else(Prepared::Refuse, |()| Prepared::Identify);
        }
        // Of this one request the host's first label is a route, and no bucket.
        if head.uri.path() == "/WriteGetObjectResponse" {
            return Prepared::Identify;
        }
        if head.uri.path() == metrics::PAGE {
            return Prepared::Raw;
        }
        let website = addressing::website_bucket(host);
        let path_and_query = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let point = control::names::of_host(host);
        let rewritten = match website.or(point.as_deref()).or_else(|| addressing::bucket_of_host(host)) {
            Some(bucket) => {
                head.extensions.insert(control::routing::InHost);
                Some(addressing::into_path(bucket, path_and_query))
            }
            None => addressing::arn_in_path(path_and_query),
        };
        if let Some(rewritten) = rewritten {
            match rewritten.parse() {
                Ok(uri) => head.uri = uri,
                Err(_) => {
                    return Prepared::Refuse(Failure::new("InvalidURI", 400, "Couldn't parse the specified URI."));
                }
            }
        }
        if website.is_some() {
            head.extensions.insert(website::WebsiteRequest);
            return Prepared::Raw;
        }
        if web::is_preflight(&head.method) || form::is_form(head) {
            return Prepared::Raw;
        }
        if let Some(header) = checks::unsupported(&head.method, &head.headers) {
            return Prepared::Refuse(Error::NotImplemented { header: header.to_owned() }.into());
        }
        directory::name_listing(head, host);
        let refused = directory::refuses(&head.method, &head.uri, addressing::is_subresource)
            .or_else(|| addressing::unknown_subresource(&head.method, &head.uri));
        match refused {
            Some(failure) => Prepared::Refuse(failure),
            None => Prepared::Identify,
        }
    }

    /// Both APIs' paths begin with what could be a bucket.
    fn serves(&self, api: &'static ServiceSchema, head: &http::request::Parts) -> bool {
        let is_control = std::ptr::eq(api, &fractus_s3control_api::MODEL);
        is_control == head.extensions.get::<control::Controlled>().is_some()
    }

    /// An access point's bucket takes the access point's place.
    fn resolve<'a>(
        &'a self,
        world: &'a World,
        region: &'a Region,
        head: &'a mut http::request::Parts,
    ) -> Option<BoxFuture<'a, Result<(), Failure>>> {
        if head.extensions.get::<control::Controlled>().is_some() {
            let checked = control::check_account(head, world);
            return Some(Box::pin(std::future::ready(checked)));
        }
        let names = control::routing::Names::of(head)?;
        Some(Box::pin(names.resolve(self, world, region, head)))
    }

    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(async move {
            if request.extensions().get::<catalog::OfTables>().is_some() {
                catalog::answer(self, cx).await
            } else if request.extensions().get::<website::WebsiteRequest>().is_some() {
                website::answer(self, cx).await
            } else if request.uri().path() == metrics::PAGE {
                metrics::page(self, cx).await
            } else if web::is_preflight(request.method()) {
                web::preflight(self, cx).await
            } else {
                form::upload(self, cx, request).await
            }
        })
    }

    /// A bucket may be open to everybody; its policy says so.
    fn takes_anonymous(&self) -> bool {
        true
    }

    fn evaluates_anonymous(&self) -> bool {
        true
    }

    fn resource_facts<'a>(
        &'a self,
        cx: &'a Context,
        access: &'a Access,
        resource: &'a Arn,
    ) -> BoxFuture<'a, ResourceFacts> {
        Box::pin(permissions::facts(self, cx, access, resource))
    }

    fn check_body(&self, cx: &Context, body: &[u8]) -> Result<(), Failure> {
        Ok(checks::body(cx, body)?)
    }

    fn invalid(&self, cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
        if cx.extensions().get::<control::Controlled>().is_some() {
            return control::refuse(cx, violations);
        }
        fractus_host::invalid(cx, violations)?;
        checks::refuse(cx, violations)
    }

    /// Sessions of directory buckets sign by their own name, and so does what goes through Object Lambda.
    fn other_signing_names(&self) -> &'static [&'static str] {
        &["s3express", "s3-object-lambda", "s3-outposts", catalog::SIGNING_NAME]
    }

    fn look_up_credential<'a>(
        &'a self,
        lane: &'a Lane,
        access_key_id: &'a str,
    ) -> Option<BoxFuture<'a, Option<Credential>>> {
        Some(Box::pin(directory::find_session(self, lane, access_key_id)))
    }

    /// Who has not signed is told no reasons.
    fn failure(&self, cx: &Context, mut failure: Failure) -> Failure {
        if failure.code == "AccessDenied" && cx.caller.kind == CallerKind::Anonymous {
            failure.message = "Access Denied".to_owned();
        }
        failure
    }

    /// The model says 200 of every read; a part of an object is 206. Browsers are told what the bucket's rules allow.
    fn finish<'a>(&'a self, cx: &'a Context, response: &'a mut Response<ByteStream>) -> Option<BoxFuture<'a, ()>> {
        if response.status() == StatusCode::OK && response.headers().contains_key(http::header::CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if response.status() == StatusCode::OK
            && cx.operation().is_some_and(|called| has_no_content(called.schema.name))
        {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        // Their paths name no bucket.
        if cx.extensions().get::<control::Controlled>().is_some()
            || cx.extensions().get::<catalog::OfTables>().is_some()
        {
            return None;
        }
        let restores = cx.operation().is_some_and(|called| called.schema.name == "RestoreObject");
        let path = if restores { response.headers().get("x-amz-restore-output-path") } else { None };
        if path.is_some_and(|path| path == archive::ACCEPTED) {
            // A restore that has begun is accepted, one that was there already is done.
            response.headers_mut().remove("x-amz-restore-output-path");
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        let asks = cx.headers().contains_key(http::header::ORIGIN) && !web::is_preflight(cx.method());
        let (pays, watched) = (terms::may_be_charged(cx), self.schedule.may_watch());
        (asks || pays || watched).then(|| {
            Box::pin(async move {
                if asks {
                    web::add_headers(self, cx, response).await;
                }
                if pays {
                    terms::add_charged(self, cx, response).await;
                }
                if watched {
                    watch::tell(self, cx, response).await;
                }
            }) as BoxFuture<'a, ()>
        })
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.schedule.watches_now();
        self.schedule.wake();
        Box::pin(std::future::ready(()))
    }

    fn host_id<'a>(&'a self, _cx: &'a Context) -> Option<&'a str> {
        Some(&self.host_id)
    }

    fn request_id(&self, uuid: RequestUuid) -> String {
        uuid.short()
    }
}
