//! Which region's requests a bucket takes: a request that is signed for another is told where the bucket is, so that the
//! SDKs go there.
//!
//! A host that names no region stands for the endpoint of whatever region the request is signed for: so it is told, as by
//! a regional endpoint, that the bucket is elsewhere. What names none at all (no signature, or one of version 2, or one
//! for all regions) is served, as it would be once DNS has led it there.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html#VirtualHostingBackwardsCompatibility>

use std::sync::Arc;

use fractus_host::{CallerKind, Context};
use fractus_wire::Failure;

use crate::addressing;
use crate::control::routing::Through;
use crate::directory;
use crate::error::{Error, Result};
use crate::store::Bucket;

/// The region whose endpoint answers for all where a bucket is.
const GLOBAL: &str = "us-east-1";

/// The regions there were before March 20, 2019. Endpoints tell of a bucket in a later one by an error and not by a
/// redirect.
const REDIRECTED: [&str; 20] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Refuses a request that is for a region the bucket is not in.
pub fn check(cx: &Context, bucket: &Bucket) -> Result<()> {
    if bucket.region == cx.region.as_str() { Ok(()) } else { elsewhere(cx, bucket) }
}

/// Where a request says which region it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    ByHeader,
    ByQuery,
}

fn signed(cx: &Context) -> Option<Signed> {
    if cx.header("authorization").is_some_and(|header| header.starts_with("AWS4-HMAC-SHA256")) {
        return Some(Signed::ByHeader);
    }
    let names = |pair: &str| pair.eq_ignore_ascii_case("X-Amz-Algorithm=AWS4-HMAC-SHA256");
    cx.uri().query().is_some_and(|query| query.split('&').any(names)).then_some(Signed::ByQuery)
}

#[cold]
fn elsewhere(cx: &Context, bucket: &Bucket) -> Result<()> {
    let Some(signed) = signed(cx) else { return Ok(()) };
    let (addressed, _) = addressing::split(cx.uri().path());
    // Sources of copies, and what S3 does by itself, may be anywhere; so may what the stack's services are sent to.
    let is_meant = addressed == bucket.name
        && cx.caller.kind != CallerKind::Service
        && !cx.header("user-agent").is_some_and(|agent| agent.starts_with(fractus_client::AGENT));
    // The endpoints of directory buckets are their zone's, and access points lead to their bucket themselves.
    let is_led = directory::is_directory(&bucket.name) || cx.extensions().get::<Arc<Through>>().is_some();
    if !is_meant || is_led {
        return Ok(());
    }
    let operation = cx.operation().map(|called| called.schema.name);
    if operation == Some("GetBucketLocation") && cx.region.as_str() == GLOBAL {
        return Ok(());
    }
    let host = cx.authority().rsplit_once(':').map_or(cx.authority(), |(host, _)| host);
    Err(refusal(&bucket.name, &bucket.region, cx.region.as_str(), host, cx.authority(), signed))
}

fn refusal(bucket: &str, is_in: &str, signed_for: &str, host: &str, authority: &str, signed: Signed) -> Error {
    // The global name of a bucket leads to where the bucket is.
    let by_dns = addressing::bucket_of_host(host).is_some() && host.ends_with(".s3.amazonaws.com");
    let serves = if by_dns { is_in } else { addressing::region_of_host(host).unwrap_or(signed_for) };
    let failure = if serves != signed_for {
        malformed(signed_for, serves, signed)
    } else if REDIRECTED.contains(&is_in) {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
        let port = authority.rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default();
        let base = if host.ends_with(".amazonaws.com") { "amazonaws.com" } else { "localhost" };
        Failure::new("PermanentRedirect", 301, message)
            .with_detail("Endpoint", format!("{bucket}.s3.{is_in}.{base}{port}"))
            .with_detail("Bucket", bucket)
    } else {
        let message = format!(
            "The {is_in} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        Failure::new("IllegalLocationConstraintException", 400, message)
    };
    Error::Other(Box::new(failure.with_header("x-amz-bucket-region", is_in)))
}

/// A signature for another region than the endpoint's.
fn malformed(signed_for: &str, expected: &str, signed: Signed) -> Failure {
    let (code, what) = match signed {
        Signed::ByHeader => ("AuthorizationHeaderMalformed", "The authorization header is malformed"),
        Signed::ByQuery => ("AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter"),
    };
    let message = format!("{what}; the region '{signed_for}' is wrong; expecting '{expected}'");
    Failure::new(code, 400, message).with_detail("Region", expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, is_in: &str, signed_for: &str, signed: Signed) -> (String, u16, String) {
        let authority = format!("{host}:4566");
        let failure: Failure = refusal("b", is_in, signed_for, host, &authority, signed).into();
        (failure.code.to_string(), failure.status, failure.message)
    }

    #[test]
    fn an_endpoint_tells_where_a_bucket_is() {
        let code = |host, is_in, signed_for| {
            let (code, status, _) = refused(host, is_in, signed_for, Signed::ByHeader);
            (code, status)
        };
        let redirect = ("PermanentRedirect".to_owned(), 301);
        let malformed = ("AuthorizationHeaderMalformed".to_owned(), 400);
        assert_eq!(code("localhost", "eu-west-1", "us-east-1"), redirect);
        assert_eq!(code("127.0.0.1", "eu-west-1", "us-east-1"), redirect);
        assert_eq!(code("s3.us-west-2.amazonaws.com", "eu-west-1", "us-west-2"), redirect);
        assert_eq!(code("b.s3.us-west-2.localhost", "eu-west-1", "us-west-2"), redirect);
        assert_eq!(code("s3.amazonaws.com", "eu-west-1", "us-east-1"), redirect);
        assert_eq!(code("b.s3.amazonaws.com", "eu-west-1", "us-east-1"), malformed);
        assert_eq!(code("b.s3.eu-west-1.localhost", "eu-west-1", "us-east-1"), malformed);
        assert_eq!(
            code("localhost", "af-south-1", "us-east-1"),
            ("IllegalLocationConstraintException".to_owned(), 400)
        );
    }

    #[test]
    fn a_wrong_region_is_told_with_the_right_one() {
        let (_, _, message) = refused("b.s3.amazonaws.com", "eu-west-1", "us-east-1", Signed::ByHeader);
        assert_eq!(
            message,
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'"
        );
        let (code, status, message) = refused("s3.eu-west-1.localhost", "eu-west-1", "us-east-1", Signed::ByQuery);
        assert_eq!((code.as_str(), status), ("AuthorizationQueryParametersError", 400));
        assert!(message.ends_with("the region 'us-east-1' is wrong; expecting 'eu-west-1'"), "{message}");
    }
}
