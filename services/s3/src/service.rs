//! S3's state in memory, its operation table, and how it differs from other services at the edge.

use std::sync::Arc;

use fractus_bus::outbox::Outbox;
use fractus_host::{Access, Context, Host, Operations, Prepared, RequestUuid, Service};
use fractus_s3_api as api;
use fractus_store::{BlobRef, Store};
use fractus_wire::{ByteStream, Failure};
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::error::Error;
use crate::operations::{
    attributes, buckets, copy, delete, form, get, list, multipart, notifications, parts, put, tagging, uploads,
};
use crate::readers::Readers;
use crate::{access, addressing};

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

/// Every operation of S3.
pub fn operations() -> Operations<S3> {
    Operations::new(&[&api::MODEL])
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
        .access(api::PutObject, on_object!("s3:PutObject"))
        .on(api::GetObject, get::get)
        .access(api::GetObject, on_object!("s3:GetObject"))
        .on(api::HeadObject, get::head)
        .access(api::HeadObject, on_object!("s3:GetObject"))
        .on(api::GetObjectAttributes, attributes::get)
        .access(api::GetObjectAttributes, on_object!("s3:GetObjectAttributes"))
        .on(api::CopyObject, copy::copy)
        .access(api::CopyObject, |cx, input| access::to_copy(cx, &input.copy_source, &input.bucket, &input.key))
        .on(api::DeleteObject, delete::one)
        .access(api::DeleteObject, on_object!("s3:DeleteObject"))
        .on(api::DeleteObjects, delete::many)
        .access(api::DeleteObjects, |cx, input| Ok::<_, Error>(access::to_delete_many(cx, input)))
        .on(api::PutObjectTagging, tagging::put_object)
        .access(api::PutObjectTagging, on_object!("s3:PutObjectTagging"))
        .on(api::GetObjectTagging, tagging::get_object)
        .access(api::GetObjectTagging, on_object!("s3:GetObjectTagging"))
        .on(api::DeleteObjectTagging, tagging::delete_object)
        .access(api::DeleteObjectTagging, on_object!("s3:DeleteObjectTagging"))
        .on(api::ListObjects, list::v1)
        .access(api::ListObjects, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            Ok::<_, Error>(access::to_list(cx, &input.bucket, prefix, delimiter, input.max_keys))
        })
        .on(api::ListObjectsV2, list::v2)
        .access(api::ListObjectsV2, |cx, input| {
            let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
            Ok::<_, Error>(access::to_list(cx, &input.bucket, prefix, delimiter, input.max_keys))
        })
        .on(api::CreateMultipartUpload, multipart::create)
        .access(api::CreateMultipartUpload, on_object!("s3:PutObject"))
        .on(api::UploadPart, parts::upload)
        .access(api::UploadPart, on_object!("s3:PutObject"))
        .on(api::UploadPartCopy, parts::upload_copy)
        .access(api::UploadPartCopy, |cx, input| access::to_copy(cx, &input.copy_source, &input.bucket, &input.key))
        .on(api::ListParts, parts::list)
        .access(api::ListParts, on_object!("s3:ListMultipartUploadParts"))
        .on(api::CompleteMultipartUpload, multipart::complete)
        .access(api::CompleteMultipartUpload, on_object!("s3:PutObject"))
        .on(api::AbortMultipartUpload, multipart::abort)
        .access(api::AbortMultipartUpload, on_object!("s3:AbortMultipartUpload"))
        .on(api::ListMultipartUploads, uploads::list)
        .access(api::ListMultipartUploads, on_bucket!("s3:ListBucketMultipartUploads"))
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

    /// A bucket may be open to everybody; its policy says so.
    fn takes_anonymous(&self) -> bool {
        true
    }

    /// The model says 200 of every read; a part of an object is 206.
    fn finish<'a>(&'a self, _cx: &'a Context, response: &'a mut Response<ByteStream>) -> Option<BoxFuture<'a, ()>> {
        if response.status() == StatusCode::OK && response.headers().contains_key(http::header::CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        None
    }

    fn host_id(&self, _cx: &Context) -> Option<String> {
        Some(self.host_id.to_string())
    }

    fn request_id(&self, uuid: RequestUuid) -> String {
        uuid.short()
    }
}
