//! Whether a resource-based policy is public, as S3 and others define it for blocking public access.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>

use crate::condition::Condition;
use crate::document::{Effect, Policy, Statement};
use crate::principal::PrincipalEntry;

/// Keys that tie a statement to someone, if their values are fixed.
const NARROWING_KEYS: [&str; 15] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

impl Policy {
    /// Whether a statement allows something to everyone, unless conditions with fixed values narrow it down.
    pub fn is_public(&self) -> bool {
        self.statements().iter().any(is_public)
    }
}

fn is_public(statement: &Statement) -> bool {
    let everyone = statement
        .principal()
        .is_some_and(|principal| principal.is_negated() || principal.entries().contains(&PrincipalEntry::Everyone));
    statement.effect() == Effect::Allow && everyone && !statement.conditions().iter().any(narrows)
}

fn narrows(condition: &Condition) -> bool {
    let key = condition.key().to_ascii_lowercase();
    // A negation, or a clause that an absent key fulfils, leaves the door open.
    let positive = !condition.is_negated() && !condition.holds_if_absent();
    positive && NARROWING_KEYS.contains(&key.as_str()) && condition.values().iter().all(|value| is_fixed(&key, value))
}

fn is_fixed(key: &str, value: &str) -> bool {
    match key {
        // Ranges as wide as these are no restriction.
        "aws:sourceip" => match value.split_once('/').map(|(address, length)| (address, length.parse::<u32>())) {
            Some((address, Ok(length))) => length >= if address.contains(':') { 32 } else { 8 },
            _ => true,
        },
        // `AROLEID:*` stands for the sessions of one role.
        "aws:userid" => !value.strip_suffix(":*").unwrap_or(value).contains(['*', '?', '$']),
        "aws:sourcearn" | "aws:principalarn" | "s3:dataaccesspointarn" => fixed_account(value),
        _ => !value.contains(['*', '?', '$']),
    }
}

/// An ARN may end in wildcards as long as it names its account, or a bucket, which has none.
fn fixed_account(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let fixed = |part: &str| !part.is_empty() && !part.contains(['*', '?', '$']);
    match parts[..] {
        ["arn", _, _, _, account, _] if !account.is_empty() => fixed(account),
        ["arn", _, service, _, _, resource] => fixed(service) && fixed(resource),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(principal: &str, condition: &str) -> bool {
        let statement = format!(
            r#"{{"Effect": "Allow", "Principal": {principal}, "Action": "s3:*", "Resource": "*", "Condition": {condition}}}"#
        );
        Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#)).unwrap().is_public()
    }

    #[test]
    fn as_s3_means_it() {
        for (principal, condition, expected) in [
            (r#""*""#, "{}", true),
            (r#"{"AWS": "*"}"#, "{}", true),
            (r#"{"AWS": "123456789012"}"#, "{}", false),
            (r#""*""#, r#"{"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}"#, false),
            (r#""*""#, r#"{"StringLike": {"aws:SourceVpc": "vpc-*"}}"#, true),
            (r#""*""#, r#"{"StringNotEquals": {"aws:SourceVpc": "vpc-91237329"}}"#, true),
            (r#""*""#, r#"{"StringEqualsIfExists": {"aws:SourceVpc": "vpc-91237329"}}"#, true),
            (r#""*""#, r#"{"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}"#, false),
            (r#""*""#, r#"{"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}"#, true),
            (r#""*""#, r#"{"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:123456789012:*"}}"#, false),
            (r#""*""#, r#"{"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}"#, true),
            (r#""*""#, r#"{"StringEquals": {"aws:UserAgent": "x"}}"#, true),
        ] {
            assert_eq!(public(principal, condition), expected, "{principal} {condition}");
        }
    }
}
