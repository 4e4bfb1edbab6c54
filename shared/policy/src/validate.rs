//! What a document must fulfil beyond the grammar, by the place where it is to stand.

use std::collections::HashSet;

use crate::document::{Policy, Statement, Version};
use crate::error::MalformedPolicy;

/// Where a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// Attached to a user, group or role, managed or inline; also permissions boundaries and session policies.
    Identity,
    /// Attached to a resource.
    Resource,
    /// A role's trust policy.
    Trust,
    /// Service control policies.
    ServiceControl,
    /// Resource control policies, and those of VPC endpoints: they name everyone as their principal.
    ResourceControl,
}

impl Policy {
    /// Whether the document may stand there; the first flaw in IAM's words.
    pub fn validate(&self, kind: PolicyKind) -> Result<(), MalformedPolicy> {
        if matches!(kind, PolicyKind::Identity | PolicyKind::ServiceControl) && self.version() == Version::V2008 {
            return Err(MalformedPolicy::OldVersion);
        }
        self.statements().iter().try_for_each(|statement| validate_statement(statement, kind))?;
        let mut sids = HashSet::new();
        let mut all = self.statements().iter().filter_map(Statement::sid).filter(|sid| !sid.is_empty());
        if all.all(|sid| sids.insert(sid)) { Ok(()) } else { Err(MalformedPolicy::SidsNotUnique) }
    }
}

fn validate_statement(statement: &Statement, kind: PolicyKind) -> Result<(), MalformedPolicy> {
    let has_principal = statement.principal().is_some_and(|principal| !principal.entries().is_empty());
    match kind {
        PolicyKind::Identity | PolicyKind::ServiceControl => {
            if statement.principal().is_some() {
                return Err(MalformedPolicy::PrincipalNotAllowed);
            }
            validate_sid(statement)?;
        }
        _ if !has_principal => return Err(MalformedPolicy::PrincipalMissing),
        _ => {}
    }
    let (_, mut actions) = statement.actions();
    let mut any = false;
    actions.try_for_each(|action| {
        any = true;
        validate_action(action, kind)
    })?;
    if !any {
        return Err(MalformedPolicy::NoActions);
    }
    let (_, resources) = statement.resources();
    let resources: Vec<&str> = resources.collect();
    match (kind, resources.is_empty()) {
        (PolicyKind::Trust, true) => Ok(()),
        (PolicyKind::Trust, false) => Err(MalformedPolicy::ResourceNotAllowed),
        (_, true) => Err(MalformedPolicy::NoResources),
        (_, false) => resources.into_iter().try_for_each(validate_resource),
    }
}

fn validate_sid(statement: &Statement) -> Result<(), MalformedPolicy> {
    match statement.sid() {
        Some(sid) if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Err(MalformedPolicy::InvalidSid(sid.to_owned()))
        }
        _ => Ok(()),
    }
}

fn validate_action(action: &str, kind: PolicyKind) -> Result<(), MalformedPolicy> {
    if action == "*" && kind != PolicyKind::Trust {
        return Ok(());
    }
    let Some((vendor, name)) = action.split_once(':') else {
        return Err(match kind {
            PolicyKind::Trust => MalformedPolicy::NotAnAssumeRoleAction(action.to_owned()),
            _ => MalformedPolicy::ActionWithoutVendor(action.to_owned()),
        });
    };
    if name.contains(':') {
        return Err(MalformedPolicy::ActionWithColons(action.to_owned()));
    }
    if vendor.is_empty() || !vendor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(MalformedPolicy::InvalidVendor(vendor.to_owned()));
    }
    if kind == PolicyKind::Trust && !vendor.eq_ignore_ascii_case("sts") {
        return Err(MalformedPolicy::NotAnAssumeRoleAction(action.to_owned()));
    }
    Ok(())
}

fn validate_resource(resource: &str) -> Result<(), MalformedPolicy> {
    if resource == "*" {
        return Ok(());
    }
    let malformed = || MalformedPolicy::ResourceNotArn(resource.to_owned());
    let rest = resource.strip_prefix("arn:").ok_or_else(malformed)?;
    let (partition, rest) = rest.split_once(':').ok_or_else(malformed)?;
    const PARTITIONS: [&str; 9] =
        ["*", "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"];
    if !PARTITIONS.contains(&partition) && !partition.contains("${") {
        let (partition, resource) = (partition.to_owned(), resource.to_owned());
        return Err(MalformedPolicy::InvalidPartition { partition, resource });
    }
    let (vendor, _) = rest.split_once(':').ok_or_else(malformed)?;
    if vendor.contains(['*', '?']) {
        return Err(MalformedPolicy::ResourceVendorWildcard(resource.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(document: &str, kind: PolicyKind) -> String {
        match Policy::parse(document).and_then(|policy| policy.validate(kind)) {
            Ok(()) => "valid".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn identity_policies() {
        let document = |statement: &str| format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        for (statement, expected) in [
            (r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#, "valid"),
            (r#"{"Effect": "Allow", "Resource": "*"}"#, "Policy statement must contain actions."),
            (r#"{"Effect": "Allow", "Action": [], "Resource": "*"}"#, "Policy statement must contain actions."),
            (r#"{"Effect": "Allow", "Action": "s3:*"}"#, "Policy statement must contain resources."),
            (r#"{"Effect": "Allow", "Action": "s3:*", "Resource": []}"#, "Policy statement must contain resources."),
            (
                r#"{"Effect": "Allow", "Action": "GetObject", "Resource": "*"}"#,
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
            (
                r#"{"Effect": "Allow", "Action": "s3:a:b", "Resource": "*"}"#,
                "Actions/Condition can contain only one colon.",
            ),
            (r#"{"Effect": "Allow", "Action": "s_3:a", "Resource": "*"}"#, "Vendor s_3 is not valid"),
            (
                r#"{"Effect": "Allow", "Action": "s3:a", "Resource": "bucket"}"#,
                "Resource bucket must be in ARN format or \"*\".",
            ),
            (
                r#"{"Effect": "Allow", "Action": "s3:a", "Resource": "arn:ows:s3:::b"}"#,
                "Partition \"ows\" is not valid for resource \"arn:ows:s3:::b\".",
            ),
            (
                r#"{"Effect": "Allow", "Action": "s3:a", "Resource": "arn:aws:s*:::b"}"#,
                "Resource vendor must be fully qualified and cannot contain regexes.",
            ),
            (
                r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:a", "Resource": "*"}"#,
                "Policy document should not specify a principal.",
            ),
            (r#"{"Effect": "allow", "Action": "s3:a", "Resource": "*"}"#, "Syntax errors in policy."),
            (r#"{"Effect": "Allow", "Action": 1, "Resource": "*"}"#, "Syntax errors in policy."),
            (r#"{"Effect": "Allow", "Actions": "s3:a", "Resource": "*"}"#, "Syntax errors in policy."),
            (
                r#"{"Effect": "Allow", "Action": "a:b", "NotAction": "c:d", "Resource": "*"}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Sid": "A", "Effect": "Allow", "Action": "a:b", "Resource": "*"}, {"Sid": "A", "Effect": "Allow", "Action": "a:b", "Resource": "*"}"#,
                "Statement IDs (SID) in a single policy must be unique.",
            ),
        ] {
            assert_eq!(message(&document(statement), PolicyKind::Identity), expected, "{statement}");
        }
        assert_eq!(message("{", PolicyKind::Identity), "This policy contains invalid Json");
        assert_eq!(message("[]", PolicyKind::Identity), "Syntax errors in policy.");
        assert_eq!(
            message(r#"{"Statement": []}"#, PolicyKind::Identity),
            "Policy document must be version 2012-10-17 or greater."
        );
        assert_eq!(
            message(r#"{"Version": "2013-01-01", "Statement": []}"#, PolicyKind::Identity),
            "Syntax errors in policy."
        );
    }

    #[test]
    fn resource_and_trust_policies() {
        for (document, kind, expected) in [
            (
                r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sqs:*", "Resource": "*"}}"#,
                PolicyKind::Resource,
                "valid",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}}"#,
                PolicyKind::Resource,
                "Missing required field Principal",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "nobody"}, "Action": "sqs:*", "Resource": "*"}}"#,
                PolicyKind::Resource,
                "Invalid principal in policy: \"AWS\":\"nobody\"",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}"#,
                PolicyKind::Trust,
                "valid",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "s3:GetObject"}}"#,
                PolicyKind::Trust,
                "AssumeRole policy may only specify STS AssumeRole actions.",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*"}}"#,
                PolicyKind::Trust,
                "Has prohibited field Resource",
            ),
        ] {
            assert_eq!(message(document, kind), expected, "{document}");
        }
    }
}
