//! S3's state in memory, its operation table, and how it differs from other services at the edge.

use std::sync::Arc;

use fractus_bus::outbox::Outbox;
use fractus_host::{Context, Host, Operations, Prepared, RequestUuid, Service};
use fractus_s3_api as api;
use fractus_store::{BlobRef, Store};
use fractus_wire::{ByteStream, Failure};
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::mpsc;

use crate::addressing;
use crate::config::Config;
use crate::operations::{
    attributes, buckets, copy, delete, form, get, list, multipart, notifications, parts, put, tagging, uploads,
};
use crate::readers::Readers;

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct S3 {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub outbox: Outbox,
    pub readers: Readers,
    /// Blobs that were released and may be given back.
    pub freed: mpsc::UnboundedSender<BlobRef>,
    /// `x-amz-id-2` of every answer.
    pub host_id: Arc<str>,
}

impl S3 {
    /// Gives back the room of blobs that a finished transaction released, when nobody reads them any more.
    pub fn free(&self, blobs: impl IntoIterator<Item = BlobRef>) {
        for blob in blobs {
            // Without the background task (it has ended: the process is draining) the next start's sweep does it.
            let _ = self.freed.send(blob);
        }
    }
}

/// Every operation of S3.
pub fn operations() -> Operations<S3> {
    Operations::new(&[&api::MODEL])
        .on(api::CreateBucket, buckets::create)
        .on(api::HeadBucket, buckets::head)
        .on(api::DeleteBucket, buckets::delete)
        .on(api::ListBuckets, buckets::list)
        .on(api::GetBucketLocation, buckets::location)
        .on(api::PutBucketTagging, tagging::put_bucket)
        .on(api::GetBucketTagging, tagging::get_bucket)
        .on(api::DeleteBucketTagging, tagging::delete_bucket)
        .on(api::PutBucketNotificationConfiguration, notifications::put)
        .on(api::GetBucketNotificationConfiguration, notifications::get)
        .on(api::PutObject, put::put)
        .on(api::GetObject, get::get)
        .on(api::HeadObject, get::head)
        .on(api::GetObjectAttributes, attributes::get)
        .on(api::CopyObject, copy::copy)
        .on(api::DeleteObject, delete::one)
        .on(api::DeleteObjects, delete::many)
        .on(api::PutObjectTagging, tagging::put_object)
        .on(api::GetObjectTagging, tagging::get_object)
        .on(api::DeleteObjectTagging, tagging::delete_object)
        .on(api::ListObjects, list::v1)
        .on(api::ListObjectsV2, list::v2)
        .on(api::CreateMultipartUpload, multipart::create)
        .on(api::UploadPart, parts::upload)
        .on(api::UploadPartCopy, parts::upload_copy)
        .on(api::ListParts, parts::list)
        .on(api::CompleteMultipartUpload, multipart::complete)
        .on(api::AbortMultipartUpload, multipart::abort)
        .on(api::ListMultipartUploads, uploads::list)
}

impl Service for S3 {
    /// A bucket in the host name goes into the path; a browser's form upload is no operation of the model.
    fn prepare(&self, head: &mut http::request::Parts, host: &str) -> Prepared {
        if let Some(bucket) = addressing::bucket_of_host(host) {
            let path_and_query = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            match addressing::into_path(bucket, path_and_query).parse() {
                Ok(uri) => head.uri = uri,
                Err(_) => {
                    return Prepared::Refuse(Failure::new("InvalidURI", 400, "Couldn't parse the specified URI."));
                }
            }
        }
        if form::is_form(head) { Prepared::Raw } else { Prepared::Identify }
    }

    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(form::upload(self, cx, request))
    }

    fn host_id(&self, _cx: &Context) -> Option<String> {
        Some(self.host_id.to_string())
    }

    fn request_id(&self, uuid: RequestUuid) -> String {
        uuid.short()
    }
}
