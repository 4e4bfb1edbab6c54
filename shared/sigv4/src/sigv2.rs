//! S3's first signature scheme: HMAC-SHA1 over a few headers, in a header or a presigned URL.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use sha1::Sha1;

use crate::canonical::RequestView;
use crate::credential::{CredentialScope, Place, query_value};
use crate::crypto::same;
use crate::error::{Mismatch, SignatureError};
use crate::payload::Payload;
use crate::signature::RequestSignature;
use crate::verify::{Expectation, Verified};

/// The query parameters that are part of the signed resource.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

pub(crate) fn parse_header<'a>(
    request: &RequestView<'a>,
    authorization: &'a str,
) -> Result<RequestSignature<'a>, SignatureError> {
    let incomplete =
        || SignatureError::UnsupportedAlgorithm { place: Place::Header, algorithm: authorization.to_owned() };
    let pair = authorization.trim().strip_prefix("AWS ").ok_or_else(incomplete)?;
    let (access_key, signature) = pair.trim().rsplit_once(':').ok_or_else(incomplete)?;
    let date = request.header("x-amz-date").or(request.header("date")).ok_or(SignatureError::MissingDate)?;
    let signed_at = Timestamp::parse_http_date(date)
        .or_else(|_| Timestamp::parse_amz_date(date))
        .or_else(|_| Timestamp::parse_http_date(&date.replace("+0000", "GMT")))
        .map_err(|_| SignatureError::InvalidDate { place: Place::Header, given: date.to_owned() })?;
    Ok(RequestSignature {
        credential: CredentialScope::v2(Place::Header, access_key.into()),
        signed_headers: Cow::Borrowed(""),
        signature: signature.into(),
        token: request.header("x-amz-security-token").map(Cow::Borrowed),
        region_set: None,
        date: date.into(),
        signed_at,
        expires: None,
    })
}

pub(crate) fn parse_query<'a>(request: &RequestView<'a>) -> Result<RequestSignature<'a>, SignatureError> {
    let value = |name| query_value(request.query, name).map(|value| percent_decode_str(value).decode_utf8_lossy());
    let (Some(access_key), Some(signature), Some(expires)) =
        (value("AWSAccessKeyId"), value("Signature"), value("Expires"))
    else {
        return Err(SignatureError::MissingParameters { place: Place::Query, missing: vec!["Expires"] });
    };
    let not_a_time = |_| SignatureError::ExpiresNotATime { given: expires.clone().into_owned() };
    let seconds: i64 = expires.parse().map_err(not_a_time)?;
    Ok(RequestSignature {
        credential: CredentialScope::v2(Place::Query, access_key),
        signed_headers: Cow::Borrowed(""),
        // A plus is a digit of base64; senders that leave it bare mean it.
        signature,
        token: value("x-amz-security-token").or_else(|| request.header("x-amz-security-token").map(Cow::Borrowed)),
        region_set: None,
        date: expires,
        signed_at: Timestamp::from_secs(seconds),
        expires: Some(Duration::ZERO),
    })
}

pub(crate) fn verify(
    signature: &RequestSignature<'_>,
    request: &RequestView<'_>,
    secret: &str,
    expected: &Expectation<'_>,
) -> Result<Verified, SignatureError> {
    if !expected.services.contains(&"s3") {
        return Err(SignatureError::UnsupportedAlgorithm {
            place: signature.credential.place,
            algorithm: signature.credential.scheme.algorithm().to_owned(),
        });
    }
    let presigned = signature.credential.place == Place::Query;
    if presigned {
        // SigV2 names the end of the life and has no beginning.
        if expected.now > signature.signed_at {
            let (expires_at, expires) = (signature.signed_at, Duration::ZERO);
            return Err(SignatureError::RequestExpired { expires_at, expires, now: expected.now });
        }
    } else {
        signature.check_time(expected)?;
    }
    let text = string_to_sign(request, expected.host_bucket, presigned.then_some(&*signature.date));
    if same(sign(secret, &text).as_bytes(), signature.signature.as_bytes()) {
        return Ok(Verified { signed_at: signature.signed_at, payload: Payload::Unsigned, chunks: None });
    }
    Err(SignatureError::SignatureDoesNotMatch(Box::new(Mismatch {
        access_key: signature.access_key().to_owned(),
        canonical_request: String::new(),
        string_to_sign: text,
        signature_provided: signature.signature.to_string(),
    })))
}

/// The signature of a string to sign: HMAC-SHA1 in base64. Form uploads sign their policy with it too.
pub fn sign(secret: &str, string_to_sign: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap_or_else(|_| Hmac::<Sha1>::new(&Default::default()));
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// What is signed. `host_bucket` is the bucket where the host names it; `expires` takes the date's place in a presigned
/// URL.
pub fn string_to_sign(request: &RequestView<'_>, host_bucket: Option<&str>, expires: Option<&str>) -> String {
    let header = |name| {
        let presigned = expires.and_then(|_| query_value(request.query, name));
        let value = presigned.map(|value| percent_decode_str(value).decode_utf8_lossy());
        value.or_else(|| request.header(name).map(|value| Cow::Borrowed(value.trim()))).unwrap_or_default()
    };
    // With x-amz-date among the headers the date's own line is empty.
    let date = match expires {
        Some(expires) => Cow::Borrowed(expires),
        None if request.headers.contains_key("x-amz-date") => Cow::Borrowed(""),
        None => header("date"),
    };
    let mut out = [request.method, &header("content-md5"), &header("content-type"), &date].join("\n");
    out.push('\n');
    push_amz_headers(&mut out, request.headers, if expires.is_some() { request.query } else { "" });
    push_resource(&mut out, request, host_bucket);
    out
}

fn push_amz_headers(out: &mut String, headers: &HeaderMap, query: &str) {
    let mut lines: Vec<(Cow<'_, str>, String)> = Vec::new();
    for name in headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        lines.push((
            Cow::Borrowed(name.as_str()),
            values.iter().map(|value| value.trim()).collect::<Vec<_>>().join(","),
        ));
    }
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") && !lines.iter().any(|(known, _)| *known == name) {
            lines.push((Cow::Owned(name), percent_decode_str(value).decode_utf8_lossy().into_owned()));
        }
    }
    lines.sort();
    for (name, value) in lines {
        out.push_str(&name);
        out.push(':');
        out.push_str(&value);
        out.push('\n');
    }
}

fn push_resource(out: &mut String, request: &RequestView<'_>, host_bucket: Option<&str>) {
    if let Some(bucket) = host_bucket {
        out.push('/');
        out.push_str(bucket);
    }
    out.push_str(if request.path.is_empty() { "/" } else { request.path });
    let mut parameters: Vec<(&str, Option<&str>)> = request
        .query
        .split('&')
        .map(|pair| pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value))))
        .filter(|(name, _)| SUBRESOURCES.contains(name))
        .collect();
    parameters.sort_unstable();
    for (index, (name, value)) in parameters.into_iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(name);
        if let Some(value) = value {
            out.push('=');
            out.push_str(&percent_decode_str(value).decode_utf8_lossy());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// The examples of AWS's page on REST authentication.
    #[test]
    fn the_documented_examples() {
        let date = ("date", "Tue, 27 Mar 2007 19:36:42 +0000");
        let get = headers(&[date]);
        let view = RequestView { method: "GET", path: "/photos/puppy.jpg", query: "", headers: &get, authority: None };
        let text = string_to_sign(&view, Some("awsexamplebucket1"), None);
        assert_eq!(text, "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg");
        assert_eq!(sign(SECRET, &text), "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=");

        let view = RequestView { path: "/", query: "prefix=photos&max-keys=50&marker=puppy", ..view };
        let list = headers(&[("date", "Tue, 27 Mar 2007 19:42:41 +0000")]);
        let text = string_to_sign(&RequestView { headers: &list, ..view }, Some("awsexamplebucket1"), None);
        assert_eq!(sign(SECRET, &text), "m0WP8eCtspQl5Ahe6L1SozdX9YA=");

        let view = RequestView { query: "acl", ..view };
        let fetch = headers(&[("date", "Tue, 27 Mar 2007 19:44:46 +0000")]);
        let text = string_to_sign(&RequestView { headers: &fetch, ..view }, Some("awsexamplebucket1"), None);
        assert_eq!(sign(SECRET, &text), "82ZHiFIjc+WbcwFKGUVEQspPn+0=");
    }

    #[test]
    fn an_end_of_life_is_in_seconds() {
        let none = headers(&[]);
        let query = "AWSAccessKeyId=AK&Signature=x&Expires=tomorrow";
        let view = RequestView { method: "GET", path: "/b/k", query, headers: &none, authority: None };
        let error = parse_query(&view).err().unwrap();
        assert!(matches!(&error, SignatureError::ExpiresNotATime { given } if given == "tomorrow"), "{error}");
    }
}
