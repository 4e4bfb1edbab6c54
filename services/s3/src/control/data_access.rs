//! What a grantee is given: keys that reach what a grant covers, and no more.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants-credentials.html>

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_aws::{AccountId, Arn};
use fractus_bus::contracts::Credential;
use fractus_host::access_key::issue_access_key_id;
use fractus_host::{Access, Context};
use fractus_s3control_api as api;
use serde_json::json;

use crate::control::errors::{invalid, refused};
use crate::control::grants::grant::{LOOKED_THROUGH, of_grantee};
use crate::control::grants::{DEFAULT, Home, bucket_of_scope, instance_arn};
use crate::control::kept::Kind;
use crate::control::pages::Page;
use crate::control::roles;
use crate::directory::{SESSIONS, session_scope};
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

const SHORTEST_SECS: i32 = 900;
const LONGEST_SECS: i32 = 43_200;
const DEFAULT_SECS: i32 = 3_600;

/// How grants name the caller: a user or root by its ARN, the session of a role by the role's.
pub fn grantee(cx: &Context) -> String {
    let role = cx.caller.credential.as_deref().and_then(|credential| credential.role.as_ref());
    role.map_or_else(|| cx.caller.arn.clone(), ToString::to_string)
}

/// All names that grants may know the caller by: somebody of a directory, whose session says so, has that name too.
///
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/condition-context-keys-sts-idc.html>
fn grantees(cx: &Context) -> Vec<String> {
    let session = cx.caller.credential.iter().flat_map(|credential| &credential.session_context);
    let user = session.filter(|(key, _)| key == "identitystore:UserId").map(|(_, user)| user.clone());
    std::iter::once(grantee(cx)).chain(user).collect()
}

/// Whether a scope reaches all that a target names; both may end with `*`.
pub fn reaches(scope: &str, target: &str) -> bool {
    match scope.strip_suffix('*') {
        Some(prefix) => target.trim_end_matches('*').starts_with(prefix),
        None => scope == target,
    }
}

/// Whether a grant's permission covers what is asked for.
pub fn permits(granted: &api::Permission, asked: &api::Permission) -> bool {
    granted == asked || *granted == api::Permission::Readwrite
}

/// What keys for a target may do.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants-location.html>
fn session_policy(partition: &str, target: &str, permission: &api::Permission) -> String {
    const READS: [&str; 6] = [
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectAcl",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectAttributes",
        "s3:ListMultipartUploadParts",
    ];
    const WRITES: [&str; 6] = [
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:PutObjectVersionAcl",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:AbortMultipartUpload",
    ];
    let path = target.trim_start_matches("s3://");
    let (bucket, key) = path.split_once('/').unwrap_or((path, "*"));
    let (reads, writes) = match permission {
        api::Permission::Read => (true, false),
        api::Permission::Write => (false, true),
        _ => (true, true),
    };
    let objects = format!("arn:{partition}:s3:::{bucket}/{key}");
    let mut statements = Vec::new();
    if reads {
        statements.push(json!({"Effect": "Allow", "Action": READS, "Resource": objects}));
        let mut list = json!({
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": format!("arn:{partition}:s3:::{bucket}"),
        });
        if key != "*" {
            list["Condition"] = json!({"StringLike": {"s3:prefix": [key]}});
        }
        statements.push(list);
    }
    if writes {
        statements.push(json!({"Effect": "Allow", "Action": WRITES, "Resource": objects}));
    }
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// The policy on an access grants instance. Nothing else of S3 Control has one that is evaluated here.
pub async fn policy(s3: &S3, cx: &Context, resource: &Arn) -> Option<String> {
    resource.resource.strip_prefix("access-grants/").filter(|name| *name == DEFAULT)?;
    let scope = scope(cx);
    let (account, region) = (resource.account.as_str(), resource.region.as_str());
    let found = s3.store.read(|snapshot| Kind::GrantsPolicy.get(snapshot, &scope, account, region, DEFAULT)).await;
    let kept = found.unwrap_or_else(|error| {
        tracing::error!(%error, "the policy of an access grants instance cannot be read");
        None
    });
    let document: api::GetAccessGrantsInstanceResourcePolicyOutput = kept?.read().ok()?;
    document.policy
}

/// Another account's instance is used as far as its resource policy says.
async fn check_account(s3: &S3, cx: &Context, account: &str, action: &str) -> Result<()> {
    if account == cx.world.account.as_str() {
        return Ok(());
    }
    let scope = scope(cx);
    let found =
        s3.store.read(|snapshot| Kind::GrantsPolicy.get(snapshot, &scope, account, cx.region.as_str(), DEFAULT));
    if found.await?.is_none() {
        return Err(Error::AccessDenied);
    }
    let arn: Arn = instance_arn(cx, account).parse().map_err(|_| Error::AccessDenied)?;
    let owner = AccountId::new(account).map_err(|_| Error::AccessDenied)?;
    let wanted = [Access::to(&arn).by(action).owned_by(owner)];
    cx.authorize(&wanted).await.map_err(|failure| Error::Other(Box::new(failure)))
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetDataAccessInput) -> Result<api::GetDataAccessOutput> {
    let account = input.account_id.as_str();
    check_account(s3, cx, account, "s3:GetDataAccess").await?;
    let seconds = input.duration_seconds.unwrap_or(DEFAULT_SECS);
    if !(SHORTEST_SECS..=LONGEST_SECS).contains(&seconds) {
        return Err(invalid(format!("DurationSeconds must be between {SHORTEST_SECS} and {LONGEST_SECS}")));
    }
    if !input.target.starts_with("s3://") || bucket_of_scope(&input.target).is_none() {
        return Err(invalid("The target must be an S3 URI: s3://bucket/prefix*"));
    }
    let is_object = matches!(input.target_type, Some(api::S3PrefixType::Object));
    let target = match (is_object, input.target.ends_with('*')) {
        (true, true) => return Err(invalid("A target that is one object names its whole key")),
        (true, false) | (false, true) => input.target.clone(),
        (false, false) => format!("{}*", input.target),
    };
    let (home, names) = (Home::of_account(cx, account), grantees(cx));
    let found = s3
        .store
        .read(|snapshot| {
            home.instance(snapshot)?;
            let mut found = Vec::new();
            for name in &names {
                found.extend(of_grantee(&home, snapshot, name, None, LOOKED_THROUGH)?);
            }
            Ok::<_, Error>(found)
        })
        .await?;
    let fits = |entry: &api::ListAccessGrantEntry| {
        entry.permission.as_ref().is_some_and(|granted| permits(granted, &input.permission))
            && entry.grant_scope.as_deref().is_some_and(|scope| reaches(scope, &target))
    };
    // Of several the narrowest.
    let length = |entry: &api::ListAccessGrantEntry| entry.grant_scope.as_deref().map_or(0, str::len);
    let matched = found.into_iter().map(|(_, entry)| entry).filter(fits).max_by_key(length).ok_or_else(|| {
        let message = format!(
            "You do not have {} permissions to the requested S3 Prefix: {}",
            input.permission.as_str(),
            input.target
        );
        refused("AccessDenied", 403, message)
    })?;
    let granted = matched.grant_scope.unwrap_or_default();
    let given = if input.privilege == Some(api::Privilege::Minimal) { target } else { granted };
    let location = matched.access_grants_location_id.as_deref().unwrap_or_default();
    let role = s3.store.read(|snapshot| home.role_of(snapshot, location)).await?;
    let credential = issue(s3, cx, &role, &given, &input.permission, seconds).await?;
    Ok(api::GetDataAccessOutput {
        credentials: Some(api::Credentials {
            access_key_id: Some(credential.access_key_id),
            secret_access_key: Some(credential.secret_access_key),
            session_token: credential.session_token,
            expiration: credential.expiration,
        }),
        matched_grant_target: Some(given),
        grantee: matched.grantee,
        matched_instance_arn: Some(instance_arn(cx, account)),
    })
}

/// Keys for what was granted: a session of the location's role, which may do what its own policies, those of what it reaches
/// and the session's let it.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants-location.html>
async fn issue(
    s3: &S3,
    cx: &Context,
    role: &Arn,
    given: &str,
    permission: &api::Permission,
    seconds: i32,
) -> Result<Credential> {
    let owner = AccountId::new(&role.account).map_err(|_| Error::AccessDenied)?;
    let random = cx.random();
    let expiration = cx.now().to_secs_precision().plus(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let instance = instance_arn(cx, owner.as_str());
    let mut credential = roles::session(role, &format!("access-grants-{}", random.uuid())).0;
    credential.access_key_id = issue_access_key_id("ASIA", &owner, random);
    credential.secret_access_key = STANDARD.encode(random.bytes::<30>());
    credential.session_token = Some(STANDARD.encode(random.bytes::<96>()));
    credential.expiration = Some(expiration);
    credential.session_policies = vec![session_policy(cx.world.partition.as_str(), given, permission)];
    credential.session_context.push(("s3:AccessGrantsInstanceArn".to_owned(), instance));
    let scope = session_scope(&cx.world.lane, &owner);
    // Known a little longer than it is good for, so that it is told to be expired and not unknown.
    let until = expiration.plus(Duration::from_secs(300));
    s3.store
        .write(|tx| {
            let at = (credential.access_key_id.as_str(),);
            Ok::<_, Error>(tx.put_until(&SESSIONS, &scope, &at, &credential, until)?)
        })
        .await?;
    Ok(credential)
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListCallerAccessGrantsInput,
) -> Result<api::ListCallerAccessGrantsOutput> {
    let account = input.account_id.as_str();
    check_account(s3, cx, account, "s3:ListCallerAccessGrants").await?;
    let page = Page::read(input.next_token.as_deref(), input.max_results, 1_000)?;
    let (home, name) = (Home::of_account(cx, account), grantee(cx));
    let mut found = s3
        .store
        .read(|snapshot| {
            home.instance(snapshot)?;
            of_grantee(&home, snapshot, &name, page.after.as_deref(), page.max + 1)
        })
        .await?;
    let next_token = page.cut(&mut found, |(id, _)| id.clone());
    let within = |entry: &api::ListAccessGrantEntry| {
        let scope = entry.grant_scope.as_deref().unwrap_or_default();
        input.grant_scope.as_deref().is_none_or(|wanted| scope.starts_with(wanted.trim_end_matches('*')))
    };
    let shown =
        found.into_iter().map(|(_, entry)| entry).filter(within).map(|entry| api::ListCallerAccessGrantsEntry {
            permission: entry.permission,
            grant_scope: entry.grant_scope,
            application_arn: entry.application_arn,
            access_grants_instance_arn: Some(instance_arn(cx, account)),
        });
    Ok(api::ListCallerAccessGrantsOutput { next_token, caller_access_grants_list: Some(shown.collect()) })
}

/// The instance whose locations cover a prefix.
pub async fn instance_for_prefix(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessGrantsInstanceForPrefixInput,
) -> Result<api::GetAccessGrantsInstanceForPrefixOutput> {
    let account = input.account_id.as_str();
    check_account(s3, cx, account, "s3:GetAccessGrantsInstanceForPrefix").await?;
    let home = Home::of_account(cx, account);
    let covered = s3
        .store
        .read(|snapshot| {
            home.instance(snapshot)?;
            for (_, kept) in home.list(Kind::GrantsLocation, snapshot, None, 1_000)? {
                let location: api::ListAccessGrantsLocationsEntry = kept.read()?;
                let location = location.location_scope.unwrap_or_default();
                if input.s3_prefix.starts_with(location.trim_end_matches('*')) {
                    return Ok(true);
                }
            }
            Ok::<_, Error>(false)
        })
        .await?;
    if !covered {
        return Err(crate::control::grants::no_instance());
    }
    Ok(api::GetAccessGrantsInstanceForPrefixOutput {
        access_grants_instance_arn: Some(instance_arn(cx, account)),
        access_grants_instance_id: Some(DEFAULT.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_grant_reaches() {
        assert!(reaches("s3://b/p*", "s3://b/p/q*"));
        assert!(reaches("s3://b/p*", "s3://b/p"));
        assert!(!reaches("s3://b/p*", "s3://b/*"));
        assert!(reaches("s3://b/k", "s3://b/k"));
        assert!(!reaches("s3://b/k", "s3://b/k*"));
    }

    #[test]
    fn permissions_cover_each_other() {
        use api::Permission::{Read, Readwrite, Write};
        assert!(permits(&Readwrite, &Read) && permits(&Readwrite, &Write) && permits(&Read, &Read));
        assert!(!permits(&Read, &Write) && !permits(&Read, &Readwrite));
    }

    #[test]
    fn session_policies_are_narrow() {
        let policy = session_policy("aws", "s3://b/p*", &api::Permission::Read);
        assert!(policy.contains("arn:aws:s3:::b/p*") && !policy.contains("s3:PutObject\""));
        assert!(fractus_policy::Policy::parse(&policy).is_ok());
        let policy = session_policy("aws", "s3://b/p*", &api::Permission::Write);
        assert!(policy.contains("s3:PutObject") && !policy.contains("s3:ListBucket"));
    }
}
