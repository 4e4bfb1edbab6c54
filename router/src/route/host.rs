//! Host names that name a service: `b.s3.us-east-1.localhost`, `sqs.eu-west-1.amazonaws.com`,
//! `abc.execute-api.localhost`, `000000000000.dkr.ecr.us-east-1.localhost.localstack.cloud`.

use super::tables;

/// What stands for AWS's own domains on this machine, and those domains themselves, the longer before the shorter.
const SUFFIXES: [&str; 10] = [
    "localhost.localstack.cloud",
    "localhost",
    "amazonaws.com.cn",
    "amazonaws.com",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws",
];

/// Domains that belong to one service as a whole.
const DOMAINS: [(&str, &str); 5] = [
    ("cloudfront.net", "cloudfront"),
    ("amazoncognito.com", "cognito-idp"),
    ("lambda-url.localhost", "lambda"),
    ("on.aws", "lambda"),
    ("elb.amazonaws.com", "elbv2"),
];

/// Labels that are no API's endpoint prefix.
const LABELS: [(&str, &str); 10] = [
    ("execute-api", "apigateway"),
    ("lambda-url", "lambda"),
    ("cloudfront", "cloudfront"),
    ("queue", "sqs"),
    ("ecr", "ecr"),
    ("auth", "cognito-idp"),
    ("email-smtp", "ses"),
    ("elb", "elbv2"),
    ("s3express", "s3"),
    ("s3tables", "s3"),
];

/// What operations put before an endpoint's name (Smithy's endpoint trait).
const OPERATION_PREFIXES: [&str; 3] = ["sync-", "stream-", "streaming-"];

/// The service that a host names. A host below one of the suffixes that names none is a bucket
/// (`my-bucket.localhost`: what SDKs make of an endpoint `http://localhost` without path style).
pub fn service_of_host(host: &str) -> Option<&'static str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let found = DOMAINS.iter().find(|(domain, _)| labels_before(host, domain).is_some_and(|labels| !labels.is_empty()));
    if let Some((_, service)) = found {
        return Some(service);
    }
    let (labels, suffix) = SUFFIXES.iter().find_map(|suffix| Some((labels_before(host, suffix)?, *suffix)))?;
    if labels.is_empty() {
        return None;
    }
    // From the right, since a bucket's name stands on the left and may be any service's name.
    if let Some(service) = labels.rsplit('.').find_map(service_of_label) {
        return Some(service);
    }
    suffix.starts_with("localhost").then_some("s3")
}

/// What stands before `suffix`, without the dot; empty when the host is the suffix itself.
fn labels_before<'a>(host: &'a str, suffix: &str) -> Option<&'a str> {
    let at = host.len().checked_sub(suffix.len())?;
    if !host.is_char_boundary(at) || !host[at..].eq_ignore_ascii_case(suffix) {
        return None;
    }
    if at == 0 { Some("") } else { host[..at].strip_suffix('.') }
}

fn service_of_label(label: &str) -> Option<&'static str> {
    let lower = label.to_ascii_lowercase();
    // Legacy and special endpoints: s3-website-eu-west-1, s3-us-west-2, s3-accelerate, s3-control, s3express-use1-az4.
    if lower == "s3" || lower.starts_with("s3-") || lower.starts_with("s3express-") {
        return Some("s3");
    }
    let plain = lower.strip_suffix("-fips").or_else(|| lower.strip_prefix("fips-")).unwrap_or(&lower);
    let named = |label: &str| {
        let special = LABELS.iter().find(|(name, _)| *name == label).map(|(_, service)| *service);
        special.or_else(|| tables::service_of_endpoint(label))
    };
    named(plain).or_else(|| {
        let rest = OPERATION_PREFIXES.iter().find_map(|prefix| plain.strip_prefix(prefix))?;
        named(rest)
    })
}
