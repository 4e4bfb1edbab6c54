//! What goes through access points, and what does not.

use fractus_s3_api as s3_api;
use fractus_wire::{Failure, protocol};
use http::request::Parts;

use crate::control::outposts::{place, points};
use crate::control::routing::Through;
use crate::error::Error;

/// The operations that go through an access point.
const SUPPORTED: [&str; 36] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "CreateSession",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "RestoreObject",
    "SelectObjectContent",
    "UploadPart",
    "UploadPartCopy",
    "WriteGetObjectResponse",
];

/// Those that do not go through a multi-region one.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html>
const NOT_MULTI_REGION: [&str; 12] = [
    "CreateSession",
    "DeleteObjects",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObjectAttributes",
    "ListObjectVersions",
    "ListObjects",
    "SelectObjectContent",
    "WriteGetObjectResponse",
];

/// Those for which Object Lambda has no action.
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3objectlambda.html>
const NOT_OBJECT_LAMBDA: [&str; 10] = [
    "CopyObject",
    "CreateSession",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObjectAttributes",
    "SelectObjectContent",
    "UploadPartCopy",
];

/// Those that S3 on Outposts has not.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsAPI.html>
const NOT_ON_OUTPOSTS: [&str; 16] = [
    "CreateSession",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "RestoreObject",
    "SelectObjectContent",
    "WriteGetObjectResponse",
];

pub fn is_supported(operation: &str, is_multi_region: bool) -> bool {
    SUPPORTED.contains(&operation) && !(is_multi_region && NOT_MULTI_REGION.contains(&operation))
}

pub fn method_not_allowed(method: &str) -> Error {
    Error::MethodNotAllowed { method: method.to_owned(), resource: "ACCESSPOINT" }
}

/// Refuses what does not go through access points. What is no operation at all is told later.
pub fn check_supported(head: &Parts, through: &Through) -> Result<(), Failure> {
    let Ok(identified) = protocol::identify(&s3_api::MODEL, head, None) else { return Ok(()) };
    let operation = identified.operation.name;
    if place::is_kept(&through.bucket) {
        if !is_supported(operation, false) || NOT_ON_OUTPOSTS.contains(&operation) {
            return Err(points::unsupported().into());
        }
        return points::check_headers(head);
    }
    let through_lambda = through.lambda.is_none() || !NOT_OBJECT_LAMBDA.contains(&operation);
    if !is_supported(operation, through.is_multi_region) || !through_lambda {
        return Err(method_not_allowed(head.method.as_str()).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through() {
        assert!(is_supported("GetObject", false) && is_supported("GetObject", true));
        assert!(is_supported("ListObjects", false) && !is_supported("ListObjects", true));
        assert!(!is_supported("DeleteBucket", false) && !is_supported("PutBucketPolicy", false));
    }
}
