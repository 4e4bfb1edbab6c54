//! Policies and scopes of access points.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-policies.html>

use fractus_host::Context;
use fractus_policy::{Policy, PolicyKind};
use fractus_s3control_api as api;

use crate::control::access_points::{change, look, reach};
use crate::control::errors::{invalid, no_access_point_policy, refused};
use crate::control::outposts::place::SERVICE;
use crate::control::outposts::points::unsupported;
use crate::control::store::{ACCOUNT_BLOCKS, Reach};
use crate::error::{Error, Result};
use crate::operations::policy::check_words;
use crate::service::S3;

const MAX_POLICY_BYTES: usize = 20 * 1024;

/// Reads a policy on something that is named by an ARN: its statements are about that, or about objects behind it, and its
/// actions are those of the ARN's service.
pub fn checked(text: &str, arn: &str) -> Result<Policy> {
    let malformed = |message: String| refused("MalformedPolicy", 400, message);
    if text.len() > MAX_POLICY_BYTES {
        return Err(malformed("Policies must not be larger than 20480 bytes".to_owned()));
    }
    let policy = Policy::parse(text).map_err(|flaw| malformed(flaw.s3_message()))?;
    policy.validate(PolicyKind::Resource).map_err(|flaw| malformed(flaw.s3_message()))?;
    let service = if arn.split(':').nth(2) == Some(SERVICE) { "s3-outposts:" } else { "s3" };
    for statement in policy.statements() {
        let (_, actions) = statement.actions();
        let of_s3 = |action: &str| action == "*" || action.to_ascii_lowercase().starts_with(service);
        if !actions.into_iter().all(of_s3) {
            return Err(malformed("Policy has invalid action".to_owned()));
        }
        // What goes through Object Lambda and directory buckets has words of its own.
        if arn.split(':').nth(2) == Some("s3") {
            check_words(statement)?;
        }
        let (_, resources) = statement.resources();
        let inside = |resource: &str| resource.strip_prefix(arn).is_some_and(|rest| rest.is_empty() || is_object(rest));
        if !resources.into_iter().all(inside) {
            return Err(malformed("Policy has invalid resource".to_owned()));
        }
    }
    Ok(policy)
}

/// `/object/KEY`, or a pattern for it.
fn is_object(rest: &str) -> bool {
    rest.starts_with("/object/") || rest == "/*" || rest == "*"
}

/// What block public access says of a policy that would open an access point.
pub fn blocked(cx: &Context, arn: &str, action: &str) -> Error {
    let message = format!(
        "User: {} is not authorized to perform: {action} on resource: \"{arn}\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
        cx.caller.arn,
    );
    refused("AccessDenied", 403, message)
}

pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutAccessPointPolicyInput,
) -> Result<api::PutAccessPointPolicyOutput> {
    let partition = cx.world.partition.as_str();
    let arn = look(s3, cx, &input.name).await?.arn(partition);
    let is_public = checked(&input.policy, &arn)?.is_public();
    change(s3, cx, &input.name, |tx, scope, point| {
        let account = tx.get(&ACCOUNT_BLOCKS, scope, &(point.account.as_str(),))?;
        let block = account.map_or(point.block, |account| point.block.and(account));
        if is_public && block.block_public_policy {
            return Err(blocked(cx, &arn, "s3:PutAccessPointPolicy"));
        }
        point.policy = Some(input.policy.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutAccessPointPolicyOutput::default())
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointPolicyInput,
) -> Result<api::GetAccessPointPolicyOutput> {
    let policy = look(s3, cx, &input.name).await?.policy.ok_or_else(|| no_access_point_policy(&input.name))?;
    Ok(api::GetAccessPointPolicyOutput { policy: Some(policy) })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessPointPolicyInput,
) -> Result<api::DeleteAccessPointPolicyOutput> {
    change(s3, cx, &input.name, |_, _, point| {
        point.policy = None;
        Ok(())
    })
    .await?;
    Ok(api::DeleteAccessPointPolicyOutput::default())
}

pub async fn status(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointPolicyStatusInput,
) -> Result<api::GetAccessPointPolicyStatusOutput> {
    let point = look(s3, cx, &input.name).await?;
    if point.outpost.is_some() {
        return Err(unsupported());
    }
    let policy = point.policy.ok_or_else(|| no_access_point_policy(&input.name))?;
    let is_public = Policy::parse(&policy).is_ok_and(|policy| policy.is_public());
    Ok(api::GetAccessPointPolicyStatusOutput { policy_status: Some(api::PolicyStatus { is_public: Some(is_public) }) })
}

fn of_directories_only(is_of_directory: bool) -> Result<()> {
    let message = "A scope is supported only by access points of directory buckets";
    if is_of_directory { Ok(()) } else { Err(invalid(message)) }
}

pub async fn put_scope(
    s3: &S3,
    cx: &Context,
    input: api::PutAccessPointScopeInput,
) -> Result<api::PutAccessPointScopeOutput> {
    let wanted = reach(&input.scope)?;
    change(s3, cx, &input.name, |_, _, point| {
        of_directories_only(point.is_of_directory())?;
        point.scope = Some(wanted.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutAccessPointScopeOutput::default())
}

pub async fn get_scope(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointScopeInput,
) -> Result<api::GetAccessPointScopeOutput> {
    let point = look(s3, cx, &input.name).await?;
    of_directories_only(point.is_of_directory())?;
    let Reach { prefixes, permissions } = point.scope.unwrap_or_default();
    let permissions = permissions.iter().map(|permission| permission.as_str().into()).collect();
    let scope = api::Scope { prefixes: Some(prefixes), permissions: Some(permissions) };
    Ok(api::GetAccessPointScopeOutput { scope: Some(scope) })
}

pub async fn delete_scope(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessPointScopeInput,
) -> Result<api::DeleteAccessPointScopeOutput> {
    change(s3, cx, &input.name, |_, _, point| {
        of_directories_only(point.is_of_directory())?;
        point.scope = None;
        Ok(())
    })
    .await?;
    Ok(api::DeleteAccessPointScopeOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_about_their_access_point() {
        let arn = "arn:aws:s3:us-east-1:123456789012:accesspoint/ap";
        let check = |resource: &str| {
            let text = format!(
                r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "{resource}"}}}}"#
            );
            checked(&text, arn).map(|policy| policy.is_public()).map_err(|error| error.to_string())
        };
        assert_eq!(check(&format!("{arn}/object/*")), Ok(true));
        assert_eq!(check(arn), Ok(true));
        assert!(check(&format!("{arn}x/object/*")).is_err());
        assert!(check("arn:aws:s3:::bucket/*").is_err());
        assert!(checked("{", arn).is_err());
        let unknown = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": "*", "Action": "s3:NoSuchThing", "Resource": "{arn}"}}}}"#
        );
        assert!(checked(&unknown, arn).is_err());
    }
}
