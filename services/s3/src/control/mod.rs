//! S3 Control: what is done with accounts, access points and many objects at once, by an API of its own that this program
//! serves beside S3's.
//!
//! Its paths (`/v20180820/…`) could be those of a bucket: [`is_control`] tells them apart. [`routing`] is where S3's own
//! requests meet access points; [`table`] lists the operations.

pub mod access_point_policy;
pub mod access_points;
pub mod account_block;
pub mod data_access;
pub mod errors;
pub mod grants;
pub mod jobs;
pub mod kept;
pub mod lens;
pub mod lens_export;
pub mod mrap;
pub mod mrap_requests;
pub mod mrap_routes;
pub mod names;
pub mod object_lambda;
pub mod outposts;
pub mod pages;
pub mod roles;
pub mod routing;
pub mod store;
pub mod supported;
pub mod table;
pub mod tags;

use fractus_aws::World;
use fractus_host::Context;
use fractus_wire::validation::{Constraint, Violation};
use fractus_wire::{Failure, Location};
use http::Method;
use http::request::Parts;

use crate::addressing;
use crate::error::Error;

/// Marks the head of a request to S3 Control.
#[derive(Clone, Copy, Debug)]
pub struct Controlled;

const ROOT: &str = "/v20180820/";
const ACCOUNT: &str = "x-amz-account-id";

/// What stands behind the version in S3 Control's paths.
const FAMILIES: [&str; 13] = [
    "accessgrantsinstance",
    "accessgrantsinstances",
    "accesspoint",
    "accesspointfordirectory",
    "accesspointforobjectlambda",
    "async-requests",
    "bucket",
    "configuration",
    "jobs",
    "mrap",
    "storagelens",
    "storagelensgroup",
    "tags",
];

/// Whether a request is S3 Control's: it names an account or an Outpost as only that API's do, comes to its host, or has
/// one of its paths where no host names a bucket. A method that S3 has none of is about no object either.
pub fn is_control(head: &Parts, host: &str) -> bool {
    let Some(rest) = head.uri.path().strip_prefix(ROOT) else { return false };
    let family = rest.split('/').next().unwrap_or_default();
    let is_of_s3 = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS];
    (FAMILIES.contains(&family) || !is_of_s3.contains(&head.method))
        && (head.headers.contains_key(ACCOUNT)
            || head.headers.contains_key("x-amz-outpost-id")
            // Before that of S3 on Outposts stands what objects are reached by.
            || host.starts_with("s3-outposts")
            || host.split('.').any(|label| label.starts_with("s3-control"))
            || (addressing::bucket_of_host(host).is_none() && names::of_host(host).is_none()))
}

/// Every request but one names the account that it is about.
pub fn check_account_header(head: &Parts) -> Result<(), Failure> {
    let given = head.headers.get(ACCOUNT).map(|value| value.to_str().unwrap_or_default());
    let creates_bucket = head.method == Method::PUT
        && head
            .uri
            .path()
            .strip_prefix(ROOT)
            .is_some_and(|rest| rest.starts_with("bucket/") && rest.matches('/').count() == 1);
    match given {
        None if creates_bucket => Ok(()),
        None => Err(invalid("Missing required header for this request: x-amz-account-id")),
        Some(account) if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        Some(_) => Err(invalid("The account id in the x-amz-account-id header is not valid")),
    }
}

fn invalid(message: &str) -> Failure {
    Failure::new("InvalidRequest", 400, message)
}

/// Operations by which one account asks for what another has granted it.
const OF_OTHERS: [&str; 3] =
    ["accessgrantsinstance/dataaccess", "accessgrantsinstance/prefix", "accessgrantsinstance/caller/grants"];

/// An account is controlled by itself alone.
pub fn check_account(head: &Parts, world: &World) -> Result<(), Failure> {
    let given = head.headers.get(ACCOUNT).and_then(|value| value.to_str().ok());
    let rest = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    if given.is_none_or(|account| account == world.account.as_str()) || OF_OTHERS.contains(&rest) {
        return Ok(());
    }
    Err(Error::AccessDenied.into())
}

/// What S3 Control says of broken constraints: a document that its schema does not take is malformed, anything else is an
/// invalid request. Names of access points are judged where they are used, in words of their own.
pub fn refuse(cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
    let Some(operation) = cx.operation().map(|operation| operation.schema) else { return Ok(()) };
    for violation in violations {
        let first = violation.path.split('.').next().unwrap_or_default();
        let member = operation.input.members.iter().find(|member| member.name.eq_ignore_ascii_case(first));
        let Some(member) = member else { continue };
        if member.name == "Name" && operation.name.contains("AccessPoint") {
            continue;
        }
        // The pattern wants a region, which the ARNs of buckets have none of: and those are tagged, too.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging.html
        if member.name == "ResourceArn" && matches!(violation.constraint, Constraint::Pattern(_)) {
            continue;
        }
        return Err(match (member.location, &violation.constraint) {
            (Location::Body, Constraint::Required | Constraint::Enum(_)) => Error::MalformedXml.into(),
            _ => invalid(&fractus_wire::validation::message(std::slice::from_ref(violation))),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, path: &str, account: Option<&str>) -> Parts {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(account) = account {
            request = request.header(ACCOUNT, account);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn control_is_told_from_a_bucket() {
        let account = Some("123456789012");
        let path = "/v20180820/configuration/publicAccessBlock";
        assert!(is_control(&head("GET", path, account), "localhost"));
        assert!(is_control(&head("GET", path, None), "localhost"));
        assert!(is_control(&head("GET", path, account), "123456789012.localhost"));
        assert!(is_control(&head("GET", path, None), "123456789012.s3-control.us-east-1.amazonaws.com"));
        assert!(is_control(&head("GET", path, None), "s3-outposts.us-east-1.amazonaws.com"));
        for host in [
            "bucket.s3.us-east-1.amazonaws.com",
            "ap-123456789012.s3-accesspoint.us-east-1.amazonaws.com",
            "ap-123456789012.op-01ac5d28a6a232904.s3-outposts.us-east-1.amazonaws.com",
        ] {
            assert!(!is_control(&head("GET", path, None), host), "{host}");
        }
        assert!(!is_control(&head("GET", "/v20180820/key", None), "localhost"));
        assert!(is_control(&head("PATCH", "/v20180820/key", None), "localhost"));
        assert!(!is_control(&head("GET", "/bucket/v20180820/jobs", account), "localhost"));
    }

    #[test]
    fn the_account_is_named_and_has_twelve_digits() {
        let path = "/v20180820/accesspoint";
        assert!(check_account_header(&head("GET", path, Some("123456789012"))).is_ok());
        assert!(check_account_header(&head("GET", path, Some("12345678901"))).is_err());
        assert!(check_account_header(&head("GET", path, None)).is_err());
        assert!(check_account_header(&head("PUT", "/v20180820/bucket/b", None)).is_ok());
    }
}
