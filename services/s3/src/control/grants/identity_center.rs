//! An Identity Center beside the instance: its people and groups can be grantees, and an application of it stands for the
//! instance there.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants-directory-ids.html>

use fractus_aws::Arn;
use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::Snapshot;

use super::{DEFAULT, Home, invalid_grant};
use crate::control::errors::{invalid, refused};
use crate::control::kept::Kind;
use crate::error::Result;
use crate::service::S3;

/// Associates a center: `arn:aws:sso:::instance/ssoins-...`.
pub fn set(cx: &Context, entry: &mut api::ListAccessGrantsInstanceEntry, center: String) -> Result<()> {
    let arn: Option<Arn> = center.parse().ok();
    let named = arn.as_ref().filter(|arn| arn.service == "sso").and_then(|arn| arn.resource.strip_prefix("instance/"));
    let is_name = |name: &&str| name.trim_start_matches("sso").strip_prefix("ins-").is_some_and(|id| !id.is_empty());
    let Some(name) = named.filter(is_name) else {
        let message = "The specified identity center instance is invalid";
        return Err(refused("InvalidIdentityCenterInstance", 400, message));
    };
    let application = hex::encode(cx.random().bytes::<8>());
    let (partition, account) = (cx.world.partition, &cx.world.account);
    entry.identity_center_application_arn =
        Some(format!("arn:{partition}:sso::{account}:application/{name}/apl-{application}"));
    entry.identity_center_instance_arn = Some(center.clone());
    entry.identity_center_arn = Some(center);
    Ok(())
}

/// Whether a grantee is somebody of a directory.
pub fn is_of_directory(kind: &api::GranteeType) -> bool {
    matches!(kind, api::GranteeType::DirectoryUser | api::GranteeType::DirectoryGroup)
}

/// People and groups of a directory can be granted something where an Identity Center knows them.
pub fn check_grantee(instance: &api::ListAccessGrantsInstanceEntry, kind: &api::GranteeType) -> Result<()> {
    if is_of_directory(kind) && instance.identity_center_arn.is_none() {
        let message = "a directory user or group needs an identity center associated with the access grants instance";
        return Err(invalid_grant(message));
    }
    Ok(())
}

pub async fn associate(
    s3: &S3,
    cx: &Context,
    input: api::AssociateAccessGrantsIdentityCenterInput,
) -> Result<api::AssociateAccessGrantsIdentityCenterOutput> {
    let home = Home::of(cx);
    s3.store
        .write(|tx| {
            let kept = home.instance(tx)?;
            let mut entry: api::ListAccessGrantsInstanceEntry = kept.read()?;
            if entry.identity_center_arn.as_ref() == Some(&input.identity_center_arn) {
                return Ok(());
            }
            if entry.identity_center_arn.is_some() {
                return Err(invalid("The access grants instance is associated with another identity center"));
            }
            set(cx, &mut entry, input.identity_center_arn.clone())?;
            home.change(Kind::GrantsInstance, tx, DEFAULT, kept, &entry)
        })
        .await?;
    Ok(api::AssociateAccessGrantsIdentityCenterOutput::default())
}

/// Whom only the center knows must have no grant any more.
pub async fn dissociate(
    s3: &S3,
    cx: &Context,
    _: api::DissociateAccessGrantsIdentityCenterInput,
) -> Result<api::DissociateAccessGrantsIdentityCenterOutput> {
    let home = Home::of(cx);
    s3.store
        .write(|tx| {
            let kept = home.instance(tx)?;
            if has_directory_grants(&home, tx)? {
                let message = "Please clean up access grants of directory users and groups before dissociating the \
                               identity center";
                return Err(invalid(message));
            }
            let mut entry: api::ListAccessGrantsInstanceEntry = kept.read()?;
            entry.identity_center_arn = None;
            entry.identity_center_instance_arn = None;
            entry.identity_center_application_arn = None;
            home.change(Kind::GrantsInstance, tx, DEFAULT, kept, &entry)
        })
        .await?;
    Ok(api::DissociateAccessGrantsIdentityCenterOutput::default())
}

fn has_directory_grants(home: &Home, snapshot: &Snapshot<'_>) -> Result<bool> {
    let is_of_directory = |entry: &api::ListAccessGrantEntry| {
        let kind = entry.grantee.as_ref().and_then(|grantee| grantee.grantee_type.as_ref());
        kind.is_some_and(is_of_directory)
    };
    Ok(!super::grant::page(home, snapshot, None, 1, is_of_directory)?.is_empty())
}
