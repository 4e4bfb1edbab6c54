//! The conditions S3 can meet, and their one mapping to AWS's errors.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use fractus_store::StoreError;
use fractus_wire::{BodyError, Failure};

use crate::keys::Need;

/// How a refusal begins that is of nobody's permissions.
pub const ANONYMOUS: &str = "Anonymous users";

/// Why S3 refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The specified bucket does not exist")]
    NoSuchBucket { bucket: String },
    #[error("The specified key does not exist.")]
    NoSuchKey { key: String },
    /// The newest version of the key is a delete marker.
    #[error("The specified key does not exist.")]
    Deleted { key: String, version_id: String, last_modified: fractus_clock::Timestamp },
    #[error("The specified method is not allowed against this resource.")]
    IsDeleteMarker { version_id: String, last_modified: fractus_clock::Timestamp },
    #[error("The specified version does not exist.")]
    NoSuchVersion { key: String, version_id: String },
    #[error(
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )]
    NoSuchUpload { upload_id: String },
    #[error(
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."
    )]
    BucketAlreadyExists { bucket: String },
    #[error("Your previous request to create the named bucket succeeded and you already own it.")]
    BucketAlreadyOwnedByYou { bucket: String },
    #[error("The bucket you tried to delete is not empty")]
    BucketNotEmpty { bucket: String },
    #[error("The bucket you tried to delete is not empty. You must delete all versions in the bucket.")]
    VersionsLeft { bucket: String },
    #[error(
        "The bucket you tried to delete has access points attached. Delete your access points before you delete your bucket."
    )]
    AccessPointsAttached { bucket: String },
    #[error("The specified bucket is not valid.")]
    InvalidBucketName { bucket: String },
    #[error("The specified location-constraint is not valid")]
    InvalidLocationConstraint { location: String },
    #[error(
        "The {location} location constraint is incompatible for the region specific endpoint this request was sent to."
    )]
    IllegalLocationConstraint { location: String },
    #[error("Your key is too long")]
    KeyTooLong { size: usize, max: usize },
    #[error("{message}")]
    InvalidArgument { name: String, value: String, message: String },
    #[error("{message}")]
    InvalidRequest { message: String },
    #[error("The requested range is not satisfiable")]
    InvalidRange { requested: String, size: u64 },
    #[error("The requested partnumber is not satisfiable")]
    InvalidPartNumber { requested: u32, parts: u32 },
    #[error("At least one of the pre-conditions you specified did not hold")]
    PreconditionFailed { condition: &'static str },
    /// The answer is 304 with no body.
    #[error("Not Modified")]
    NotModified { etag: String, last_modified: fractus_clock::Timestamp },
    #[error("The conditional request cannot succeed due to a conflicting operation against this resource.")]
    ConditionalRequestConflict { condition: &'static str, key: String },
    #[error("The Content-MD5 you specified was invalid.")]
    InvalidDigest { digest: String },
    #[error("The Content-MD5 you specified did not match what we received.")]
    BadDigest { expected: String, calculated: String },
    #[error("The {algorithm} you specified did not match the calculated checksum.")]
    ChecksumMismatch { algorithm: &'static str },
    #[error("Value for x-amz-checksum-{algorithm} header is invalid.")]
    InvalidChecksumValue { algorithm: String },
    #[error("Your proposed upload is smaller than the minimum allowed size")]
    EntityTooSmall { size: u64, min: u64, part_number: u32, etag: String },
    #[error("Your proposed upload exceeds the maximum allowed size")]
    EntityTooLarge { size: u64, max: u64 },
    #[error(
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    )]
    InvalidPart { upload_id: String, part_number: u32, etag: String },
    #[error("The list of parts was not in ascending order. Parts must be ordered by part number.")]
    InvalidPartOrder { upload_id: String },
    #[error("The XML you provided was not well-formed or did not validate against our published schema")]
    MalformedXml,
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    IncompleteBody,
    #[error("You must provide the Content-Length HTTP header.")]
    MissingContentLength,
    #[error("Your metadata headers exceed the maximum allowed metadata size")]
    MetadataTooLarge { size: usize, max: usize },
    #[error("The specified method is not allowed against this resource.")]
    MethodNotAllowed { method: String, resource: &'static str },
    #[error("Access Denied")]
    AccessDenied,
    #[error("{ANONYMOUS} cannot {what}. Please authenticate.")]
    AnonymousForbidden { what: &'static str },
    #[error("The {what} does not exist")]
    NoSuchConfiguration { code: &'static str, what: &'static str },
    #[error("A header you provided implies functionality that is not implemented")]
    NotImplemented { header: String },
    #[error("Unable to validate the following destination configurations")]
    UnableToValidateDestinations { arn: String, reason: String },
    /// What is to be written is to be kept under a key of KMS, which has not been asked yet. Whoever writes asks it, and tries
    /// again.
    #[error("a data key is missing")]
    NeedsDataKey(Box<Need>),
    /// An error that another layer has already put in S3's words (signatures, chunked bodies).
    #[error("{0}")]
    Other(Box<Failure>),
    #[error("the body could not be read")]
    Body(#[source] BodyError),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("the body could not be hashed")]
    Hashing(#[from] fractus_md5::Stopped),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn invalid_argument(name: impl Into<String>, value: impl Into<String>, message: impl Into<String>) -> Self {
        Error::InvalidArgument { name: name.into(), value: value.into(), message: message.into() }
    }

    /// An error that only one place knows.
    pub fn other(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Error::Other(Box::new(Failure::new(code, status, message)))
    }

    pub fn invalid_request(message: impl Into<String>) -> Self {
        Error::InvalidRequest { message: message.into() }
    }

    /// Code and status of each condition.
    fn code_and_status(&self) -> (&'static str, u16) {
        use Error::*;
        match self {
            NoSuchBucket { .. } => ("NoSuchBucket", 404),
            NoSuchKey { .. } | Deleted { .. } => ("NoSuchKey", 404),
            IsDeleteMarker { .. } => ("MethodNotAllowed", 405),
            NoSuchVersion { .. } => ("NoSuchVersion", 404),
            NoSuchUpload { .. } => ("NoSuchUpload", 404),
            BucketAlreadyExists { .. } => ("BucketAlreadyExists", 409),
            BucketAlreadyOwnedByYou { .. } => ("BucketAlreadyOwnedByYou", 409),
            BucketNotEmpty { .. } | VersionsLeft { .. } => ("BucketNotEmpty", 409),
            AccessPointsAttached { .. } => ("BucketHasAccessPointsAttached", 400),
            InvalidBucketName { .. } => ("InvalidBucketName", 400),
            InvalidLocationConstraint { .. } => ("InvalidLocationConstraint", 400),
            IllegalLocationConstraint { .. } => ("IllegalLocationConstraintException", 400),
            KeyTooLong { .. } => ("KeyTooLongError", 400),
            InvalidArgument { .. } => ("InvalidArgument", 400),
            InvalidRequest { .. } | InvalidChecksumValue { .. } => ("InvalidRequest", 400),
            InvalidRange { .. } => ("InvalidRange", 416),
            InvalidPartNumber { .. } => ("InvalidPartNumber", 416),
            PreconditionFailed { .. } => ("PreconditionFailed", 412),
            NotModified { .. } => ("NotModified", 304),
            ConditionalRequestConflict { .. } => ("ConditionalRequestConflict", 409),
            InvalidDigest { .. } => ("InvalidDigest", 400),
            BadDigest { .. } | ChecksumMismatch { .. } => ("BadDigest", 400),
            EntityTooSmall { .. } => ("EntityTooSmall", 400),
            EntityTooLarge { .. } => ("EntityTooLarge", 400),
            InvalidPart { .. } => ("InvalidPart", 400),
            InvalidPartOrder { .. } => ("InvalidPartOrder", 400),
            MalformedXml => ("MalformedXML", 400),
            IncompleteBody => ("IncompleteBody", 400),
            MissingContentLength => ("MissingContentLength", 411),
            MetadataTooLarge { .. } => ("MetadataTooLarge", 400),
            MethodNotAllowed { .. } => ("MethodNotAllowed", 405),
            AccessDenied | AnonymousForbidden { .. } => ("AccessDenied", 403),
            NoSuchConfiguration { code, .. } => (code, 404),
            NotImplemented { .. } => ("NotImplemented", 501),
            UnableToValidateDestinations { .. } => ("InvalidArgument", 400),
            Other(failure) => ("", failure.status),
            Body(_) => ("IncompleteBody", 400),
            Store(_) | Hashing(_) | NeedsDataKey(_) => ("InternalError", 500),
        }
    }
}

/// Which argument is meant, and what it was.
pub fn told_of(failure: Failure, name: impl Into<String>, value: impl Into<String>) -> Failure {
    failure.with_detail("ArgumentName", name).with_detail("ArgumentValue", value)
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Error {
        match error {
            BodyError::Refused(failure) => Error::Other(failure),
            other => Error::Body(other),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        use Error::*;
        let (code, status) = error.code_and_status();
        let message = match &error {
            Store(source) => {
                tracing::error!(error = source as &dyn std::error::Error, "the store failed");
                source.told("We encountered an internal error. Please try again.")
            }
            Body(_) => Error::IncompleteBody.to_string(),
            other => other.to_string(),
        };
        let failure = Failure::new(code, status, message);
        match error {
            Other(failure) => *failure,
            NoSuchBucket { bucket }
            | BucketAlreadyExists { bucket }
            | BucketAlreadyOwnedByYou { bucket }
            | BucketNotEmpty { bucket }
            | VersionsLeft { bucket }
            | AccessPointsAttached { bucket }
            | InvalidBucketName { bucket } => failure.with_detail("BucketName", bucket),
            NoSuchKey { key } => failure.with_detail("Key", key),
            Deleted { key, version_id, .. } => failure
                .with_detail("Key", key)
                .with_header("x-amz-delete-marker", "true".to_owned())
                .with_header("x-amz-version-id", version_id),
            // The method is the request's, which the last word on every failure knows.
            IsDeleteMarker { version_id, last_modified } => failure
                .with_detail("ResourceType", "DeleteMarker".to_owned())
                .with_header("allow", "DELETE".to_owned())
                .with_header("last-modified", last_modified.http_date())
                .with_header("x-amz-delete-marker", "true".to_owned())
                .with_header("x-amz-version-id", version_id),
            NoSuchVersion { key, version_id } => failure.with_detail("Key", key).with_detail("VersionId", version_id),
            NoSuchUpload { upload_id } | InvalidPartOrder { upload_id } => failure.with_detail("UploadId", upload_id),
            InvalidLocationConstraint { location } => failure.with_detail("LocationConstraint", location),
            KeyTooLong { size, max } => {
                failure.with_detail("Size", size.to_string()).with_detail("MaxSizeAllowed", max.to_string())
            }
            InvalidArgument { name, value, .. } => told_of(failure, name, value),
            UnableToValidateDestinations { arn, reason } => told_of(failure, arn, reason),
            InvalidRange { requested, size } => failure
                .with_detail("RangeRequested", requested)
                .with_detail("ActualObjectSize", size.to_string())
                .with_header("content-range", format!("bytes */{size}")),
            InvalidPartNumber { requested, parts } => failure
                .with_detail("PartNumberRequested", requested.to_string())
                .with_detail("ActualPartCount", parts.to_string()),
            PreconditionFailed { condition } => failure.with_detail("Condition", condition),
            ConditionalRequestConflict { condition, key } => {
                failure.with_detail("Condition", condition).with_detail("Key", key)
            }
            NotModified { etag, last_modified } => {
                failure.with_header("etag", etag).with_header("last-modified", last_modified.http_date())
            }
            InvalidDigest { digest } => failure.with_detail("Content-MD5", digest),
            BadDigest { expected, calculated } => {
                failure.with_detail("CalculatedDigest", calculated).with_detail("ExpectedDigest", expected)
            }
            EntityTooSmall { size, min, part_number, etag } => failure
                .with_detail("ProposedSize", size.to_string())
                .with_detail("MinSizeAllowed", min.to_string())
                .with_detail("PartNumber", part_number.to_string())
                .with_detail("ETag", etag),
            EntityTooLarge { size, max } => {
                failure.with_detail("ProposedSize", size.to_string()).with_detail("MaxSizeAllowed", max.to_string())
            }
            InvalidPart { upload_id, part_number, etag } => failure
                .with_detail("UploadId", upload_id)
                .with_detail("PartNumber", part_number.to_string())
                .with_detail("ETag", etag),
            MetadataTooLarge { size, max } => {
                failure.with_detail("Size", size.to_string()).with_detail("MaxSizeAllowed", max.to_string())
            }
            MethodNotAllowed { method, resource } => {
                failure.with_detail("Method", method).with_detail("ResourceType", resource)
            }
            NotImplemented { header } => failure.with_detail("Header", header),
            _ => failure,
        }
    }
}
