//! Access grants: who may reach which prefix, kept in an instance for an account and region.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants.html>

use fractus_host::Context;
use fractus_policy::{Policy, PolicyKind};
use fractus_s3control_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};

use crate::control::errors::{invalid, refused};
use crate::control::kept::{KEPT, Kept, Kind};
use crate::control::pages::Page;
use crate::control::tags;
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;
use crate::store::BUCKETS;

/// The grants of a grantee: (account, region, grantee, grant id).
pub const GRANTEES: Collection<(String, String, String, String), ()> = Collection::new("control.grantees");

/// The one instance of an account and region, and the location of all buckets.
pub const DEFAULT: &str = "default";
/// The most of one page.
const PAGE: usize = 1_000;

pub fn no_instance() -> Error {
    refused("AccessGrantsInstanceNotExistsError", 404, "Access Grants Instance does not exist")
}

fn no_location() -> Error {
    refused("NoSuchAccessGrantsLocationError", 404, "The specified access grants location does not exist")
}

fn no_grant() -> Error {
    refused("NoSuchAccessGrantError", 404, "The specified access grant does not exist")
}

pub fn instance_arn(cx: &Context, account: &str) -> String {
    format!("arn:{}:s3:{}:{account}:access-grants/{DEFAULT}", cx.world.partition, cx.region)
}

fn arn(cx: &Context, family: &str, id: &str) -> String {
    format!("arn:{}:s3:{}:{}:access-grants/{family}/{id}", cx.world.partition, cx.region, cx.world.account)
}

/// Where the caller's own account keeps things.
fn home(cx: &Context) -> (&str, &str) {
    (cx.world.account.as_str(), cx.region.as_str())
}

pub fn instance(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (account, region): (&str, &str),
) -> Result<api::ListAccessGrantsInstanceEntry> {
    Kind::GrantsInstance.get(snapshot, scope, account, region, DEFAULT)?.ok_or_else(no_instance)?.read()
}

pub async fn create_instance(
    s3: &S3,
    cx: &Context,
    input: api::CreateAccessGrantsInstanceInput,
) -> Result<api::CreateAccessGrantsInstanceOutput> {
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let now = cx.now().to_millis_precision();
    let (scope, (account, region)) = (scope(cx), home(cx));
    let entry = api::ListAccessGrantsInstanceEntry {
        access_grants_instance_id: Some(DEFAULT.to_owned()),
        access_grants_instance_arn: Some(instance_arn(cx, account)),
        created_at: Some(now),
        identity_center_arn: input.identity_center_arn.clone(),
        identity_center_instance_arn: input.identity_center_arn,
        identity_center_application_arn: None,
    };
    let kept = Kept::new(now, &entry, tags)?;
    s3.store
        .write(|tx| {
            if Kind::GrantsInstance.get(tx, &scope, account, region, DEFAULT)?.is_some() {
                let message = "Access Grants Instance already exists";
                return Err(refused("AccessGrantsInstanceAlreadyExists", 409, message));
            }
            Kind::GrantsInstance.put(tx, &scope, account, region, DEFAULT, &kept)
        })
        .await?;
    Ok(api::CreateAccessGrantsInstanceOutput {
        created_at: entry.created_at,
        access_grants_instance_id: entry.access_grants_instance_id,
        access_grants_instance_arn: entry.access_grants_instance_arn,
        identity_center_arn: entry.identity_center_arn,
        identity_center_instance_arn: entry.identity_center_instance_arn,
        identity_center_application_arn: None,
    })
}

pub async fn get_instance(
    s3: &S3,
    cx: &Context,
    _: api::GetAccessGrantsInstanceInput,
) -> Result<api::GetAccessGrantsInstanceOutput> {
    let scope = scope(cx);
    let entry = s3.store.read(|snapshot| instance(snapshot, &scope, home(cx))).await?;
    Ok(api::GetAccessGrantsInstanceOutput {
        created_at: entry.created_at,
        access_grants_instance_id: entry.access_grants_instance_id,
        access_grants_instance_arn: entry.access_grants_instance_arn,
        identity_center_arn: entry.identity_center_arn,
        identity_center_instance_arn: entry.identity_center_instance_arn,
        identity_center_application_arn: entry.identity_center_application_arn,
    })
}

/// An instance can go when nothing is registered with it.
pub async fn delete_instance(
    s3: &S3,
    cx: &Context,
    _: api::DeleteAccessGrantsInstanceInput,
) -> Result<api::DeleteAccessGrantsInstanceOutput> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    s3.store
        .write(|tx| {
            instance(tx, &scope, (account, region))?;
            if !Kind::GrantsLocation.list(tx, &scope, account, region, None, 1)?.is_empty() {
                return Err(invalid("The access grants instance still has locations"));
            }
            Kind::GrantsPolicy.remove(tx, &scope, account, region, DEFAULT)?;
            Kind::GrantsInstance.remove(tx, &scope, account, region, DEFAULT)
        })
        .await?;
    Ok(api::DeleteAccessGrantsInstanceOutput::default())
}

/// One a region; the region that is asked answers for itself.
pub async fn list_instances(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessGrantsInstancesInput,
) -> Result<api::ListAccessGrantsInstancesOutput> {
    Page::read(input.next_token.as_deref(), input.max_results, PAGE)?;
    let scope = scope(cx);
    let found = s3.store.read(|snapshot| instance(snapshot, &scope, home(cx))).await;
    let list = match found {
        Ok(entry) => vec![entry],
        Err(Error::Other(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(api::ListAccessGrantsInstancesOutput { next_token: None, access_grants_instances_list: Some(list) })
}

async fn set_identity_center(s3: &S3, cx: &Context, center: Option<String>) -> Result<()> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    s3.store
        .write(|tx| {
            let kept = Kind::GrantsInstance.get(tx, &scope, account, region, DEFAULT)?.ok_or_else(no_instance)?;
            let mut entry: api::ListAccessGrantsInstanceEntry = kept.read()?;
            entry.identity_center_arn.clone_from(&center);
            entry.identity_center_instance_arn.clone_from(&center);
            let kept = Kept::new(kept.created_at, &entry, kept.tags)?;
            Kind::GrantsInstance.put(tx, &scope, account, region, DEFAULT, &kept)
        })
        .await
}

pub async fn associate(
    s3: &S3,
    cx: &Context,
    input: api::AssociateAccessGrantsIdentityCenterInput,
) -> Result<api::AssociateAccessGrantsIdentityCenterOutput> {
    set_identity_center(s3, cx, Some(input.identity_center_arn)).await?;
    Ok(api::AssociateAccessGrantsIdentityCenterOutput::default())
}

pub async fn dissociate(
    s3: &S3,
    cx: &Context,
    _: api::DissociateAccessGrantsIdentityCenterInput,
) -> Result<api::DissociateAccessGrantsIdentityCenterOutput> {
    set_identity_center(s3, cx, None).await?;
    Ok(api::DissociateAccessGrantsIdentityCenterOutput::default())
}

pub async fn put_policy(
    s3: &S3,
    cx: &Context,
    input: api::PutAccessGrantsInstanceResourcePolicyInput,
) -> Result<api::PutAccessGrantsInstanceResourcePolicyOutput> {
    let malformed = |message: String| refused("MalformedPolicy", 400, message);
    let policy = Policy::parse(&input.policy).map_err(|flaw| malformed(flaw.s3_message()))?;
    policy.validate(PolicyKind::Resource).map_err(|flaw| malformed(flaw.s3_message()))?;
    let now = cx.now().to_millis_precision();
    let document = api::GetAccessGrantsInstanceResourcePolicyOutput {
        policy: Some(input.policy.clone()),
        organization: input.organization.clone(),
        created_at: Some(now),
    };
    let kept = Kept::new(now, &document, Vec::new())?;
    let (scope, (account, region)) = (scope(cx), home(cx));
    s3.store
        .write(|tx| {
            instance(tx, &scope, (account, region))?;
            Kind::GrantsPolicy.put(tx, &scope, account, region, DEFAULT, &kept)
        })
        .await?;
    Ok(api::PutAccessGrantsInstanceResourcePolicyOutput {
        policy: Some(input.policy),
        organization: input.organization,
        created_at: Some(now),
    })
}

pub async fn get_policy(
    s3: &S3,
    cx: &Context,
    _: api::GetAccessGrantsInstanceResourcePolicyInput,
) -> Result<api::GetAccessGrantsInstanceResourcePolicyOutput> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    let found = s3.store.read(|snapshot| {
        instance(snapshot, &scope, (account, region))?;
        Kind::GrantsPolicy.get(snapshot, &scope, account, region, DEFAULT)
    });
    let message = "The access grants instance has no resource policy";
    found.await?.ok_or_else(|| refused("NoSuchAccessGrantsInstanceResourcePolicy", 404, message))?.read()
}

pub async fn delete_policy(
    s3: &S3,
    cx: &Context,
    _: api::DeleteAccessGrantsInstanceResourcePolicyInput,
) -> Result<api::DeleteAccessGrantsInstanceResourcePolicyOutput> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    s3.store.write(|tx| Kind::GrantsPolicy.remove(tx, &scope, account, region, DEFAULT)).await?;
    Ok(api::DeleteAccessGrantsInstanceResourcePolicyOutput::default())
}

/// The bucket of a scope: none for all buckets (`s3://`).
pub fn bucket_of_scope(scope: &str) -> Option<&str> {
    let rest = scope.strip_prefix("s3://")?;
    Some(rest.split('/').next().unwrap_or_default()).filter(|bucket| !bucket.is_empty())
}

/// Checks a location: `s3://`, or a bucket of the account in the region, with or without a prefix.
fn check_location(tx: &Transaction<'_>, scope: &Scope, (account, region): (&str, &str), location: &str) -> Result<()> {
    if !location.starts_with("s3://") {
        return Err(invalid("The location scope must begin with s3://"));
    }
    let Some(bucket) = bucket_of_scope(location) else { return Ok(()) };
    let found = tx.get(&BUCKETS, scope, &(bucket,))?;
    match found {
        Some(found) if found.account == account && found.region == region => Ok(()),
        Some(_) => Err(invalid("The bucket of a location must be of this account and Region")),
        None => Err(Error::NoSuchBucket { bucket: bucket.to_owned() }),
    }
}

pub async fn create_location(
    s3: &S3,
    cx: &Context,
    input: api::CreateAccessGrantsLocationInput,
) -> Result<api::CreateAccessGrantsLocationOutput> {
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let now = cx.now().to_millis_precision();
    let id = if input.location_scope == "s3://" { DEFAULT.to_owned() } else { cx.random().uuid() };
    let entry = api::ListAccessGrantsLocationsEntry {
        created_at: Some(now),
        access_grants_location_arn: Some(arn(cx, "location", &id)),
        access_grants_location_id: Some(id.clone()),
        location_scope: Some(input.location_scope.clone()),
        iam_role_arn: Some(input.iam_role_arn),
    };
    let kept = Kept::new(now, &entry, tags)?;
    let (scope, (account, region)) = (scope(cx), home(cx));
    s3.store
        .write(|tx| {
            instance(tx, &scope, (account, region))?;
            check_location(tx, &scope, (account, region), &input.location_scope)?;
            for (_, other) in Kind::GrantsLocation.list(tx, &scope, account, region, None, PAGE)? {
                let other: api::ListAccessGrantsLocationsEntry = other.read()?;
                if other.location_scope.as_deref() == Some(&input.location_scope) {
                    let message = "A location of this scope is registered already";
                    return Err(refused("AccessGrantsLocationAlreadyExistsError", 409, message));
                }
            }
            if Kind::GrantsLocation.list(tx, &scope, account, region, None, PAGE)?.len() == PAGE {
                return Err(invalid("An access grants instance can have 1000 locations"));
            }
            Kind::GrantsLocation.put(tx, &scope, account, region, &id, &kept)
        })
        .await?;
    Ok(api::CreateAccessGrantsLocationOutput {
        created_at: entry.created_at,
        access_grants_location_id: entry.access_grants_location_id,
        access_grants_location_arn: entry.access_grants_location_arn,
        location_scope: entry.location_scope,
        iam_role_arn: entry.iam_role_arn,
    })
}

pub fn location(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (account, region): (&str, &str),
    id: &str,
) -> Result<(Kept, api::ListAccessGrantsLocationsEntry)> {
    let kept = Kind::GrantsLocation.get(snapshot, scope, account, region, id)?.ok_or_else(no_location)?;
    let entry = kept.read()?;
    Ok((kept, entry))
}

pub async fn get_location(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessGrantsLocationInput,
) -> Result<api::GetAccessGrantsLocationOutput> {
    let scope = scope(cx);
    let found = s3.store.read(|snapshot| {
        instance(snapshot, &scope, home(cx))?;
        location(snapshot, &scope, home(cx), &input.access_grants_location_id)
    });
    let (_, entry) = found.await?;
    Ok(api::GetAccessGrantsLocationOutput {
        created_at: entry.created_at,
        access_grants_location_id: entry.access_grants_location_id,
        access_grants_location_arn: entry.access_grants_location_arn,
        location_scope: entry.location_scope,
        iam_role_arn: entry.iam_role_arn,
    })
}

pub async fn update_location(
    s3: &S3,
    cx: &Context,
    input: api::UpdateAccessGrantsLocationInput,
) -> Result<api::UpdateAccessGrantsLocationOutput> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    let id = input.access_grants_location_id.as_str();
    let entry = s3
        .store
        .write(|tx| {
            let (kept, mut entry) = location(tx, &scope, (account, region), id)?;
            entry.iam_role_arn = Some(input.iam_role_arn.clone());
            let kept = Kept::new(kept.created_at, &entry, kept.tags)?;
            Kind::GrantsLocation.put(tx, &scope, account, region, id, &kept)?;
            Ok::<_, Error>(entry)
        })
        .await?;
    Ok(api::UpdateAccessGrantsLocationOutput {
        created_at: entry.created_at,
        access_grants_location_id: entry.access_grants_location_id,
        access_grants_location_arn: entry.access_grants_location_arn,
        location_scope: entry.location_scope,
        iam_role_arn: entry.iam_role_arn,
    })
}

/// The grants of an account and region, a page at a time, with those that do not fit left out.
fn grants_of(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (account, region): (&str, &str),
    after: Option<&str>,
    take: usize,
    fits: impl Fn(&api::ListAccessGrantEntry) -> bool,
) -> Result<Vec<(String, api::ListAccessGrantEntry)>> {
    let mut range = Range::prefix(&(account, region, Kind::Grant.name()));
    if let Some(after) = after {
        range = range.after(&(account, region, Kind::Grant.name(), after));
    }
    let mut found = Vec::new();
    for entry in snapshot.range(&KEPT, scope, range, Order::Ascending)? {
        let ((_, _, _, id), kept) = entry?;
        let grant: api::ListAccessGrantEntry = kept.read()?;
        if fits(&grant) {
            found.push((id, grant));
        }
        if found.len() == take {
            break;
        }
    }
    Ok(found)
}

pub async fn delete_location(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessGrantsLocationInput,
) -> Result<api::DeleteAccessGrantsLocationOutput> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    let id = input.access_grants_location_id.as_str();
    s3.store
        .write(|tx| {
            location(tx, &scope, (account, region), id)?;
            let is_of = |grant: &api::ListAccessGrantEntry| grant.access_grants_location_id.as_deref() == Some(id);
            if !grants_of(tx, &scope, (account, region), None, 1, is_of)?.is_empty() {
                return Err(invalid("The location still has grants"));
            }
            Kind::GrantsLocation.remove(tx, &scope, account, region, id)
        })
        .await?;
    Ok(api::DeleteAccessGrantsLocationOutput::default())
}

pub async fn list_locations(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessGrantsLocationsInput,
) -> Result<api::ListAccessGrantsLocationsOutput> {
    let page = Page::read(input.next_token.as_deref(), input.max_results, PAGE)?;
    let (scope, (account, region)) = (scope(cx), home(cx));
    let found = s3.store.read(|snapshot| {
        instance(snapshot, &scope, (account, region))?;
        Kind::GrantsLocation.list(snapshot, &scope, account, region, page.after.as_deref(), page.max + 1)
    });
    let mut found = found.await?;
    let next_token = page.cut(&mut found, |(id, _)| id.clone());
    let mut list = Vec::new();
    for (_, kept) in found {
        let entry: api::ListAccessGrantsLocationsEntry = kept.read()?;
        if input.location_scope.is_none() || input.location_scope == entry.location_scope {
            list.push(entry);
        }
    }
    Ok(api::ListAccessGrantsLocationsOutput { next_token, access_grants_locations_list: Some(list) })
}

/// What a grant reaches: its location's scope with the sub-prefix behind it. It ends with `*` unless it is one object.
pub fn grant_scope(location: &str, sub_prefix: Option<&str>, is_object: bool) -> Result<String> {
    let base = location.trim_end_matches('*');
    let sub = sub_prefix.unwrap_or_default();
    let is_bare = base != "s3://" && !base.trim_start_matches("s3://").contains('/');
    let separator = if is_bare && !sub.is_empty() && !sub.starts_with('/') { "/" } else { "" };
    let scope = format!("{base}{separator}{sub}");
    if bucket_of_scope(&scope).is_none_or(|bucket| bucket.contains('*')) {
        return Err(invalid("A grant of the default location names a bucket in its sub-prefix"));
    }
    match (is_object, scope.ends_with('*')) {
        (true, true) => Err(invalid("A grant of one object names its whole key")),
        (true, false) | (false, true) => Ok(scope),
        (false, false) if sub.is_empty() && is_bare => Ok(format!("{scope}/*")),
        (false, false) => Ok(format!("{scope}*")),
    }
}

pub async fn create_grant(
    s3: &S3,
    cx: &Context,
    input: api::CreateAccessGrantInput,
) -> Result<api::CreateAccessGrantOutput> {
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let grantee = match (&input.grantee.grantee_type, &input.grantee.grantee_identifier) {
        (Some(kind), Some(id)) if !matches!(kind, api::GranteeType::Unknown(_)) => id.clone(),
        _ => return Err(Error::MalformedXml),
    };
    let is_object = matches!(input.s3_prefix_type, Some(api::S3PrefixType::Object));
    let sub_prefix =
        input.access_grants_location_configuration.as_ref().and_then(|asked| asked.s3_sub_prefix.as_deref());
    let now = cx.now().to_millis_precision();
    let id = cx.random().uuid();
    let (scope, (account, region)) = (scope(cx), home(cx));
    let entry = s3
        .store
        .write(|tx| {
            instance(tx, &scope, (account, region))?;
            let (_, location) = location(tx, &scope, (account, region), &input.access_grants_location_id)?;
            let reached = grant_scope(location.location_scope.as_deref().unwrap_or_default(), sub_prefix, is_object)?;
            let entry = api::ListAccessGrantEntry {
                created_at: Some(now),
                access_grant_id: Some(id.clone()),
                access_grant_arn: Some(arn(cx, "grant", &id)),
                grantee: Some(input.grantee.clone()),
                permission: Some(input.permission.clone()),
                access_grants_location_id: Some(input.access_grants_location_id.clone()),
                access_grants_location_configuration: input.access_grants_location_configuration.clone(),
                grant_scope: Some(reached),
                application_arn: input.application_arn.clone(),
            };
            let kept = Kept::new(now, &entry, tags.clone())?;
            Kind::Grant.put(tx, &scope, account, region, &id, &kept)?;
            tx.put(&GRANTEES, &scope, &(account, region, grantee.as_str(), id.as_str()), &())?;
            Ok::<_, Error>(entry)
        })
        .await?;
    Ok(api::CreateAccessGrantOutput {
        created_at: entry.created_at,
        access_grant_id: entry.access_grant_id,
        access_grant_arn: entry.access_grant_arn,
        grantee: entry.grantee,
        access_grants_location_id: entry.access_grants_location_id,
        access_grants_location_configuration: entry.access_grants_location_configuration,
        permission: entry.permission,
        application_arn: entry.application_arn,
        grant_scope: entry.grant_scope,
    })
}

pub fn grant(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (account, region): (&str, &str),
    id: &str,
) -> Result<api::ListAccessGrantEntry> {
    Kind::Grant.get(snapshot, scope, account, region, id)?.ok_or_else(no_grant)?.read()
}

pub async fn get_grant(s3: &S3, cx: &Context, input: api::GetAccessGrantInput) -> Result<api::GetAccessGrantOutput> {
    let scope = scope(cx);
    let entry = s3
        .store
        .read(|snapshot| {
            instance(snapshot, &scope, home(cx))?;
            grant(snapshot, &scope, home(cx), &input.access_grant_id)
        })
        .await?;
    Ok(api::GetAccessGrantOutput {
        created_at: entry.created_at,
        access_grant_id: entry.access_grant_id,
        access_grant_arn: entry.access_grant_arn,
        grantee: entry.grantee,
        access_grants_location_id: entry.access_grants_location_id,
        access_grants_location_configuration: entry.access_grants_location_configuration,
        permission: entry.permission,
        application_arn: entry.application_arn,
        grant_scope: entry.grant_scope,
    })
}

pub async fn delete_grant(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessGrantInput,
) -> Result<api::DeleteAccessGrantOutput> {
    let (scope, (account, region)) = (scope(cx), home(cx));
    let id = input.access_grant_id.as_str();
    s3.store
        .write(|tx| {
            let entry = grant(tx, &scope, (account, region), id)?;
            let grantee = entry.grantee.and_then(|grantee| grantee.grantee_identifier).unwrap_or_default();
            tx.delete(&GRANTEES, &scope, &(account, region, grantee.as_str(), id))?;
            Kind::Grant.remove(tx, &scope, account, region, id)
        })
        .await?;
    Ok(api::DeleteAccessGrantOutput::default())
}

pub async fn list_grants(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessGrantsInput,
) -> Result<api::ListAccessGrantsOutput> {
    let page = Page::read(input.next_token.as_deref(), input.max_results, PAGE)?;
    let scope = scope(cx);
    let fits = |entry: &api::ListAccessGrantEntry| {
        let grantee = entry.grantee.clone().unwrap_or_default();
        (input.grantee_type.is_none() || input.grantee_type == grantee.grantee_type)
            && (input.grantee_identifier.is_none() || input.grantee_identifier == grantee.grantee_identifier)
            && (input.permission.is_none() || input.permission == entry.permission)
            && (input.grant_scope.is_none() || input.grant_scope == entry.grant_scope)
            && (input.application_arn.is_none() || input.application_arn == entry.application_arn)
    };
    let mut found = s3
        .store
        .read(|snapshot| {
            instance(snapshot, &scope, home(cx))?;
            grants_of(snapshot, &scope, home(cx), page.after.as_deref(), page.max + 1, fits)
        })
        .await?;
    let next_token = page.cut(&mut found, |(id, _)| id.clone());
    let list = found.into_iter().map(|(_, entry)| entry).collect();
    Ok(api::ListAccessGrantsOutput { next_token, access_grants_list: Some(list) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_grants() {
        let scope = |location: &str, sub: Option<&str>| grant_scope(location, sub, false).map_err(|_| ());
        assert_eq!(scope("s3://", Some("b/p*")).as_deref(), Ok("s3://b/p*"));
        assert_eq!(scope("s3://b", Some("p*")).as_deref(), Ok("s3://b/p*"));
        assert_eq!(scope("s3://b/p/", Some("q")).as_deref(), Ok("s3://b/p/q*"));
        assert_eq!(scope("s3://b/p*", None).as_deref(), Ok("s3://b/p*"));
        assert_eq!(scope("s3://b", None).as_deref(), Ok("s3://b/*"));
        assert!(scope("s3://", None).is_err());
        assert!(scope("s3://", Some("*")).is_err());
        assert_eq!(grant_scope("s3://b/", Some("k"), true).ok().as_deref(), Some("s3://b/k"));
        assert!(grant_scope("s3://b/", Some("k*"), true).is_err());
    }

    #[test]
    fn buckets_of_scopes() {
        assert_eq!(bucket_of_scope("s3://"), None);
        assert_eq!(bucket_of_scope("s3://b"), Some("b"));
        assert_eq!(bucket_of_scope("s3://b/p*"), Some("b"));
        assert_eq!(bucket_of_scope("b"), None);
    }
}
