//! The instance of an account and region, and who else may use it.

use fractus_host::Context;
use fractus_policy::{Policy, PolicyKind};
use fractus_s3control_api as api;

use super::{DEFAULT, Home, PAGE, identity_center, instance_arn};
use crate::control::errors::refused;
use crate::control::kept::{Kept, Kind};
use crate::control::pages::Page;
use crate::control::tags;
use crate::error::Result;
use crate::service::S3;

pub async fn create(
    s3: &S3,
    cx: &Context,
    input: api::CreateAccessGrantsInstanceInput,
) -> Result<api::CreateAccessGrantsInstanceOutput> {
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let now = cx.now().to_millis_precision();
    let home = Home::of(cx);
    let mut entry = api::ListAccessGrantsInstanceEntry {
        access_grants_instance_id: Some(DEFAULT.to_owned()),
        access_grants_instance_arn: Some(instance_arn(cx, &home.account)),
        created_at: Some(now),
        ..Default::default()
    };
    if let Some(center) = input.identity_center_arn {
        identity_center::set(cx, &mut entry, center)?;
    }
    let kept = Kept::new(now, &entry, tags)?;
    s3.store
        .write(|tx| {
            if home.instance(tx).is_ok() {
                let message = "Access Grants Instance already exists";
                return Err(refused("AccessGrantsInstanceAlreadyExists", 409, message));
            }
            home.put(Kind::GrantsInstance, tx, DEFAULT, &kept)
        })
        .await?;
    kept.read()
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    _: api::GetAccessGrantsInstanceInput,
) -> Result<api::GetAccessGrantsInstanceOutput> {
    let home = Home::of(cx);
    s3.store.read(|snapshot| home.instance(snapshot)).await?.read()
}

/// An instance can go when nothing is registered with it and no Identity Center is associated.
pub async fn delete(
    s3: &S3,
    cx: &Context,
    _: api::DeleteAccessGrantsInstanceInput,
) -> Result<api::DeleteAccessGrantsInstanceOutput> {
    let home = Home::of(cx);
    s3.store
        .write(|tx| {
            let entry: api::ListAccessGrantsInstanceEntry = home.instance(tx)?.read()?;
            if !home.list(Kind::GrantsLocation, tx, None, 1)?.is_empty() {
                let message = "Please clean up locations before deleting the access grants instance";
                return Err(refused("AccessGrantsInstanceNotEmptyError", 400, message));
            }
            if entry.identity_center_arn.is_some() {
                let message = "Please dissociate the identity center before deleting the access grants instance";
                return Err(refused("AccessGrantsInstanceNotEmptyError", 400, message));
            }
            home.remove(Kind::GrantsPolicy, tx, DEFAULT)?;
            home.remove(Kind::GrantsInstance, tx, DEFAULT)
        })
        .await?;
    Ok(api::DeleteAccessGrantsInstanceOutput::default())
}

/// One a region; the region that is asked answers for itself.
pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessGrantsInstancesInput,
) -> Result<api::ListAccessGrantsInstancesOutput> {
    Page::read(input.next_token.as_deref(), input.max_results, PAGE)?;
    let home = Home::of(cx);
    let found = s3.store.read(|snapshot| home.get(Kind::GrantsInstance, snapshot, DEFAULT)).await?;
    let list = found.iter().map(Kept::read).collect::<Result<_>>()?;
    Ok(api::ListAccessGrantsInstancesOutput { next_token: None, access_grants_instances_list: Some(list) })
}

pub async fn put_policy(
    s3: &S3,
    cx: &Context,
    input: api::PutAccessGrantsInstanceResourcePolicyInput,
) -> Result<api::PutAccessGrantsInstanceResourcePolicyOutput> {
    let malformed = |message: String| {
        refused("InvalidResourcePolicy", 400, format!("The specified Resource Policy is invalid: {message}"))
    };
    let policy = Policy::parse(&input.policy).map_err(|flaw| malformed(flaw.s3_message()))?;
    policy.validate(PolicyKind::Resource).map_err(|flaw| malformed(flaw.s3_message()))?;
    let now = cx.now().to_millis_precision();
    let document = api::GetAccessGrantsInstanceResourcePolicyOutput {
        policy: Some(input.policy),
        organization: input.organization,
        created_at: Some(now),
    };
    let kept = Kept::new(now, &document, Vec::new())?;
    let home = Home::of(cx);
    s3.store
        .write(|tx| {
            home.instance(tx)?;
            home.put(Kind::GrantsPolicy, tx, DEFAULT, &kept)
        })
        .await?;
    kept.read()
}

pub async fn get_policy(
    s3: &S3,
    cx: &Context,
    _: api::GetAccessGrantsInstanceResourcePolicyInput,
) -> Result<api::GetAccessGrantsInstanceResourcePolicyOutput> {
    let home = Home::of(cx);
    let found = s3.store.read(|snapshot| {
        home.instance(snapshot)?;
        home.get(Kind::GrantsPolicy, snapshot, DEFAULT)
    });
    let message = "Access Grants Instance Resource Policy does not exist";
    let missing = || refused("AccessGrantsInstanceResourcePolicyNotExists", 404, message);
    found.await?.ok_or_else(missing)?.read()
}

pub async fn delete_policy(
    s3: &S3,
    cx: &Context,
    _: api::DeleteAccessGrantsInstanceResourcePolicyInput,
) -> Result<api::DeleteAccessGrantsInstanceResourcePolicyOutput> {
    let home = Home::of(cx);
    s3.store
        .write(|tx| {
            home.instance(tx)?;
            home.remove(Kind::GrantsPolicy, tx, DEFAULT)
        })
        .await?;
    Ok(api::DeleteAccessGrantsInstanceResourcePolicyOutput::default())
}
