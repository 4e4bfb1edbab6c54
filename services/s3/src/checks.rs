//! What is checked of a request whatever its operation: values that an enumeration does not have, and digests that headers
//! give of a body that is read whole.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_host::Context;
use fractus_wire::validation::{Constraint, Shown, Violation};
use fractus_wire::{Failure, HeaderMarks, Location, OperationSchema};
use md5::{Digest, Md5};

use crate::error::{Error, Result, told_of};
use crate::model::checksum::{self, Algorithm, UNSUPPORTED_ALGORITHM};
use crate::operations::attributes;
use crate::operations::put::invalid_storage_class;

/// Members whose values their handlers judge, in words of their own, and those of which AWS does not say that a wrong
/// value is refused.
const JUDGED_ELSEWHERE: [&str; 14] = [
    "ACL",
    "AccessControlPolicy",
    "ChecksumMode",
    "EncodingType",
    "LocationConstraint",
    "NotificationConfiguration",
    "ObjectOwnership",
    "OptionalObjectAttributes",
    "Protocol",
    "RequestPayer",
    "ServerSideEncryption",
    "Tagging",
    "TagSet",
    "TransitionDefaultMinimumObjectSize",
];

/// Operations that name their own errors for every value.
const JUDGE_THEMSELVES: [&str; 1] = ["SelectObjectContent"];

/// Operations whose document must come with a digest of it. The model marks more; of the others S3 takes documents without.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html> and the pages of the others
const DEMAND_A_DIGEST: [&str; 9] = [
    "DeleteObjects",
    "PutBucketCors",
    "PutBucketLifecycle",
    "PutBucketLifecycleConfiguration",
    "PutBucketReplication",
    "PutBucketTagging",
    "PutObjectLegalHold",
    "PutObjectLockConfiguration",
    "PutObjectRetention",
];

/// The header of a request that cannot be answered. An upload's length has to be known before its bytes; one that comes as
/// `aws-chunked` says it in a header of its own.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
pub fn unsupported(head: &http::request::Parts, sent: &HeaderMarks) -> Option<&'static str> {
    let has = |name: &str| sent.find(&head.headers, name).is_some();
    if head.method == http::Method::PUT && has("transfer-encoding") && !has("x-amz-decoded-content-length") {
        return Some("Transfer-Encoding");
    }
    None
}

const MAX_REDIRECT_BYTES: usize = 2_048;

/// The error of a place to which a website is to redirect that is none.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html>
pub fn redirect(headers: &http::HeaderMap, sent: &HeaderMarks) -> Option<Failure> {
    no_redirect(sent.find(headers, "x-amz-website-redirect-location")?.as_bytes())
}

/// The same of the place itself.
pub fn no_redirect(location: &[u8]) -> Option<Failure> {
    let refused = |message: &str| Some(Failure::new("InvalidRedirectLocation", 400, message));
    if location.len() > MAX_REDIRECT_BYTES {
        return refused("The length of website redirect location cannot exceed 2,048 characters.");
    }
    let begins = |start: &str| location.starts_with(start.as_bytes());
    if begins("/") || begins("http://") || begins("https://") {
        return None;
    }
    refused("The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
}

/// What S3 says of what is missing, where it is no document that lacks it.
pub fn lacking(violations: &[Violation]) -> Result<(), Failure> {
    let lacks =
        |violation: &Violation| violation.constraint == Constraint::Required && violation.member == "ObjectAttributes";
    if violations.iter().any(lacks) { Err(attributes::none_named().into()) } else { Ok(()) }
}

/// What S3 says of constraints that are broken. What a body lacks, and values that a document's schema does not have, make
/// it malformed; a header says which one is wrong.
pub fn refuse(cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
    let Some(operation) = cx.operation().map(|operation| operation.schema) else { return Ok(()) };
    if JUDGE_THEMSELVES.contains(&operation.name) {
        return Ok(());
    }
    violations.iter().try_for_each(|violation| refuse_one(operation, violation))
}

fn refuse_one(operation: &OperationSchema, violation: &Violation) -> Result<(), Failure> {
    let first = violation.path.split('.').next().unwrap_or_default();
    let member = operation.input.members.iter().find(|member| member.name.eq_ignore_ascii_case(first));
    let Some(member) = member else { return Ok(()) };
    if JUDGED_ELSEWHERE.contains(&member.name) || JUDGED_ELSEWHERE.contains(&violation.member) {
        return Ok(());
    }
    // Whoever names an algorithm may write it as they like.
    let is_algorithm = |value: &Shown| matches!(value, Shown::Text(name) if Algorithm::parse(name).is_some());
    if member.name == "ChecksumAlgorithm" && is_algorithm(&violation.value) {
        return Ok(());
    }
    match (member.location, is_unknown_value(&violation.constraint), is_length(&violation.constraint)) {
        (Location::Body, true, _) | (Location::Body, _, true) => Err(Error::MalformedXml.into()),
        (Location::Header | Location::QueryString, true, _) => {
            Err(unknown_value(member.name, member.wire_name, &violation.value))
        }
        _ => Ok(()),
    }
}

fn is_unknown_value(constraint: &Constraint) -> bool {
    match constraint {
        Constraint::Enum(_) => true,
        Constraint::Elements(inner) => inner.iter().any(is_unknown_value),
        _ => false,
    }
}

fn is_length(constraint: &Constraint) -> bool {
    matches!(constraint, Constraint::LengthAtLeast(_) | Constraint::LengthAtMost(_))
}

fn unknown_value(name: &str, header: &str, value: &Shown) -> Failure {
    let value = match value {
        // A list stands in brackets.
        Shown::Text(value) => value.trim_start_matches('[').trim_end_matches(']'),
        Shown::Null | Shown::Hidden => "",
    };
    let message = match name {
        "StorageClass" => return invalid_storage_class(value),
        "ChecksumAlgorithm" if header == "x-amz-checksum-algorithm" => {
            return Failure::new("InvalidRequest", 400, UNSUPPORTED_ALGORITHM);
        }
        "ChecksumAlgorithm" | "ChecksumType" => {
            return Failure::new("InvalidRequest", 400, format!("Value for {header} header is invalid."));
        }
        "MetadataDirective" => "Unknown metadata directive.".to_owned(),
        "TaggingDirective" => "Unknown tagging directive.".to_owned(),
        "ObjectAttributes" => "Invalid attribute name specified.".to_owned(),
        "ObjectLockMode" => "Unknown wormMode directive.".to_owned(),
        "ObjectLockLegalHoldStatus" => "Legal Hold must be either of 'ON' or 'OFF'".to_owned(),
        _ => format!("Value for {header} is invalid."),
    };
    told_of(Failure::new("InvalidArgument", 400, message), header, value)
}

/// Holds a body against `Content-MD5` and `x-amz-checksum-*`.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
pub fn body(cx: &Context, body: &[u8]) -> Result<()> {
    let md5 = cx.header("content-md5");
    if let Some(digest) = md5 {
        check_md5(digest, body)?;
    }
    let Some(operation) = cx.operation().map(|operation| operation.schema) else { return Ok(()) };
    if md5.is_none() && DEMAND_A_DIGEST.contains(&operation.name) && !has_checksum(cx) {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(Error::invalid_request(message));
    }
    // Where the checksum is a member of its own it is the object's, and its handler knows what it is of.
    let is_of_body = |member: &fractus_wire::Member| member.name == "ChecksumAlgorithm";
    let is_of_object = |member: &fractus_wire::Member| member.name == "ChecksumCRC32";
    let members = operation.input.members;
    if body.is_empty() || !members.iter().any(is_of_body) || members.iter().any(is_of_object) {
        return Ok(());
    }
    for (name, value) in cx.headers() {
        let Some(algorithm) = Algorithm::of_header(name.as_str()) else { continue };
        let value = value.to_str().unwrap_or_default();
        if !checksum::is_well_formed(algorithm, value) {
            return Err(Error::InvalidChecksumValue { algorithm: algorithm.as_str().to_ascii_lowercase() });
        }
        let mut hasher = algorithm.hasher();
        hasher.update(body);
        if checksum::encode(&hasher.finish()) != value {
            return Err(Error::ChecksumMismatch { algorithm: algorithm.as_str() });
        }
    }
    Ok(())
}

/// In a header, or announced to come behind the body.
fn has_checksum(cx: &Context) -> bool {
    let announced = cx.header("x-amz-trailer").is_some_and(|names| names.contains("x-amz-checksum-"));
    announced || cx.headers().keys().any(|name| Algorithm::of_header(name.as_str()).is_some())
}

fn check_md5(digest: &str, body: &[u8]) -> Result<()> {
    if STANDARD.decode(digest).ok().is_none_or(|bytes| bytes.len() != 16) {
        return Err(Error::InvalidDigest { digest: digest.to_owned() });
    }
    let calculated = STANDARD.encode(Md5::digest(body));
    if calculated == digest { Ok(()) } else { Err(Error::BadDigest { expected: digest.to_owned(), calculated }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_body_or_refused() {
        assert!(check_md5(&STANDARD.encode(Md5::digest(b"body")), b"body").is_ok());
        assert!(matches!(check_md5(&STANDARD.encode([0; 16]), b"body"), Err(Error::BadDigest { .. })));
        assert!(matches!(check_md5("abc", b"body"), Err(Error::InvalidDigest { .. })));
    }

    #[test]
    fn redirects_lead_somewhere() {
        let said = |location: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("x-amz-website-redirect-location", location.parse().unwrap());
            redirect(&headers, &HeaderMarks::of(&headers)).map(|failure| failure.code.to_string())
        };
        assert!(said("/a").is_none() && said("https://example.com").is_none());
        assert_eq!(said("ftp://example.com").as_deref(), Some("InvalidRedirectLocation"));
        assert!(said(&format!("/{}", "a".repeat(2_048))).is_some());
        assert!(redirect(&http::HeaderMap::new(), &HeaderMarks::ALL).is_none());
    }

    #[test]
    fn an_unknown_value_is_told() {
        let shown = Shown::Text("odd".into());
        let class = unknown_value("StorageClass", "x-amz-storage-class", &shown);
        assert_eq!(class.code, "InvalidStorageClass");
        assert_eq!(class.details, [("StorageClassRequested", "odd".to_owned())]);
        let mode = unknown_value("SessionMode", "x-amz-create-session-mode", &shown);
        assert_eq!(mode.code, "InvalidArgument");
        assert_eq!(mode.details[1], ("ArgumentValue", "odd".to_owned()));
    }

    #[test]
    fn some_documents_come_with_a_digest() {
        for (operation, is_demanded) in
            [("DeleteObjects", true), ("PutBucketTagging", true), ("PutObjectTagging", false)]
        {
            assert_eq!(DEMAND_A_DIGEST.contains(&operation), is_demanded, "{operation}");
        }
    }
}
