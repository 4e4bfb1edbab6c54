//! Paths that name a service where neither a signature nor a host does.

use fractus_handoff::RouteFacts;
use percent_encoding::percent_decode_str;

use super::tables;

/// The service of an unsigned request by its path; `None` leaves it to S3, whose buckets may be named almost anything:
/// so a path counts only when no bucket is likely to look like it.
pub fn service_of_path(facts: &RouteFacts<'_>, bearer: bool) -> Option<&'static str> {
    let path = facts.path;
    let mut segments = path.strip_prefix('/').unwrap_or(path).splitn(4, '/');
    let first = segments.next().unwrap_or("");
    let second = segments.next().unwrap_or("");
    let third = segments.next();
    match first {
        // The paths of other local stacks that scripts have learnt: /queue/<region>/<account>/<name>, /_aws/<service>/…
        "queue" if third.is_some_and(|account| is_account(account.split('/').next().unwrap_or(""))) => Some("sqs"),
        "_aws" => Some(match second {
            "execute-api" => "apigateway",
            other => tables::service_of_endpoint(other).or_else(|| tables::known_service(other))?,
        }),
        // A container engine's registry protocol: it probes /v2/ before it signs in.
        "v2" => Some("ecr"),
        "oauth2" => Some("cognito-idp"),
        "restapis" if path.contains("/_user_request_") => Some("apigateway"),
        // rpcv2Cbor and rpcv2Json.
        "service" if third == Some("operation") => tables::service_of_target(second),
        _ if is_account(first) && !second.is_empty() && third.is_none() => Some("sqs"),
        _ if second == ".well-known" && is_user_pool(first) => Some("cognito-idp"),
        // An API's paths begin with its version's date; those that do not are taken only with a bearer token, which
        // S3 does not know.
        _ if is_date(first) || bearer => tables::service_of_rest_path(facts.method, path, None),
        _ => None,
    }
}

/// The service among `several` that sign with the same name.
pub fn service_among(facts: &RouteFacts<'_>, several: &'static [&'static str]) -> Option<&'static str> {
    let path = facts.path;
    if several.contains(&"apigatewayv2") {
        if path.contains("/@connections") || path.starts_with("/v2/") || is_v2_tag_path(path) {
            return Some("apigatewayv2");
        }
        return Some("apigateway");
    }
    tables::service_of_rest_path(facts.method, path, Some(several))
}

/// Both generations have `/tags/{arn}`; the ARN tells them apart: `…::/apis/…` is the second's.
fn is_v2_tag_path(path: &str) -> bool {
    path.strip_prefix("/tags/").is_some_and(|arn| percent_decode_str(arn).decode_utf8_lossy().contains(":/apis/"))
}

fn is_account(segment: &str) -> bool {
    segment.len() == 12 && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2015-03-31`.
fn is_date(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
}

/// `us-east-1_AbCdEfGhI`.
fn is_user_pool(segment: &str) -> bool {
    segment.split_once('_').is_some_and(|(region, id)| {
        region.split('-').count() >= 3 && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
