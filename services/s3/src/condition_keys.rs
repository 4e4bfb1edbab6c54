//! What conditions of policies may ask of a request, whatever its operation.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys>

use fractus_clock::Timestamp;
use fractus_host::{CallerKind, Context};

use crate::access::lock_conditions;

/// Headers that conditions ask about by their names.
pub const HEADER_KEYS: [&str; 17] = [
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-tagging-directive",
    "x-amz-website-redirect-location",
];
/// Those of Object Lock, which have keys of other names.
const LOCK_HEADERS: [&str; 3] =
    ["x-amz-object-lock-legal-hold", "x-amz-object-lock-event-hold", "x-amz-object-lock-event-hold-duration-days"];

/// Operations whose requests make an object, and those that lead to one.
const CREATES: [&str; 3] = ["PutObject", "CopyObject", "CompleteMultipartUpload"];
const PREPARES: [&str; 3] = ["CreateMultipartUpload", "UploadPart", "UploadPartCopy"];

/// A parameter of the request, decoded.
pub fn parameter(cx: &Context, name: &str) -> Option<String> {
    let query = cx.uri().query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?.1;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// How a request was signed.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html>
struct Signed {
    by: &'static str,
    version: &'static str,
    /// Whether the version is one of those that sign the body's digest.
    covers_body: bool,
    at: Option<Timestamp>,
}

impl Signed {
    fn of(cx: &Context) -> Option<Signed> {
        if cx.caller.kind == CallerKind::Anonymous {
            return None;
        }
        const FOUR: &str = "AWS4-HMAC-SHA256";
        let header = cx.header("authorization");
        let by_url = parameter(cx, "X-Amz-Signature").is_some() || parameter(cx, "Signature").is_some();
        let (by, version) = match header {
            Some(header) if header.starts_with("AWS4-ECDSA") => ("REST-HEADER", "AWS4-ECDSA-P256-SHA256"),
            Some(header) if header.starts_with("AWS ") => ("REST-HEADER", "AWS"),
            Some(_) => ("REST-HEADER", FOUR),
            None if by_url && parameter(cx, "X-Amz-Signature").is_none() => ("REST-QUERY-STRING", "AWS"),
            None if by_url && parameter(cx, "X-Amz-Algorithm").is_some_and(|name| name.contains("ECDSA")) => {
                ("REST-QUERY-STRING", "AWS4-ECDSA-P256-SHA256")
            }
            None if by_url => ("REST-QUERY-STRING", FOUR),
            None => ("POST", FOUR),
        };
        let date = parameter(cx, "X-Amz-Date").or_else(|| cx.header("x-amz-date").map(str::to_owned));
        let at = date.and_then(|date| Timestamp::parse_amz_date(&date).ok());
        Some(Signed { by, version, covers_body: version != "AWS", at })
    }
}

/// What a request says of itself.
pub fn of_request(cx: &Context) -> Vec<(String, Vec<String>)> {
    let header = |name: &&str| {
        // A lock's headers are keys without their beginning.
        let key = name.strip_prefix("x-amz-").filter(|rest| rest.starts_with("object-lock-")).unwrap_or(name);
        Some((format!("s3:{key}"), vec![cx.header(name)?.to_owned()]))
    };
    let mut conditions: Vec<_> = HEADER_KEYS.iter().chain(&LOCK_HEADERS).filter_map(header).collect();
    let mut add = |key: &str, value: String| conditions.push((key.to_owned(), vec![value]));
    if let Some(version) = parameter(cx, "versionId") {
        add("s3:VersionId", version);
    }
    let until = cx.header("x-amz-object-lock-retain-until-date");
    let until = until.and_then(|until| Timestamp::parse_date_time(until).ok());
    for (key, value) in lock_conditions(cx.header("x-amz-object-lock-mode"), until, cx.now()) {
        add(key, value);
    }
    let operation = cx.operation().map(|called| called.schema.name).unwrap_or_default();
    if CREATES.contains(&operation) || PREPARES.contains(&operation) {
        add("s3:ObjectCreationOperation", CREATES.contains(&operation).to_string());
    }
    if let Some(signed) = Signed::of(cx) {
        add("s3:authType", signed.by.to_owned());
        add("s3:signatureversion", signed.version.to_owned());
        if let Some(at) = signed.at {
            add("s3:signatureAge", (cx.now().micros() - at.micros()).max(0).div_euclid(1_000).to_string());
        }
        let digest = cx.header("x-amz-content-sha256").map(str::to_owned);
        let digest = digest.or_else(|| parameter(cx, "X-Amz-Content-Sha256"));
        // A URL that says nothing of the body leaves it open.
        let open = (signed.covers_body && signed.by == "REST-QUERY-STRING").then(|| "UNSIGNED-PAYLOAD".to_owned());
        if let Some(digest) = digest.or(open) {
            add("s3:x-amz-content-sha256", digest);
        }
    }
    let tags = cx.header("x-amz-tagging").and_then(|header| crate::operations::tagging::of_header(Some(header)).ok());
    let tags = tags.unwrap_or_default();
    if !tags.is_empty() {
        let keys = tags.iter().map(|(key, _)| key.clone()).collect();
        conditions.push(("s3:RequestObjectTagKeys".to_owned(), keys));
    }
    for (key, value) in tags {
        conditions.push((format!("s3:RequestObjectTag/{key}"), vec![value]));
    }
    conditions
}
