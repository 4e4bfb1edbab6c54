//! Storage Lens groups: objects by prefix, suffix, tag, age and size, whose metrics dashboards report apart.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-lens-groups-overview.html>

use fractus_host::Context;
use fractus_s3control_api as api;

use super::checks::check_group;
use super::{arn, check_count, listed, look};
use crate::control::errors::refused;
use crate::control::kept::{Kept, Kind};
use crate::control::tags;
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

const MAX_GROUPS: usize = 50;

fn no_group(name: &str) -> Error {
    refused("NoSuchStorageLensGroup", 404, format!("The specified Storage Lens group does not exist: {name}"))
}

fn too_many() -> Error {
    let message = "You have attempted to create more Storage Lens group configurations than the 50 allowed.";
    refused("TooManyConfigurations", 400, message)
}

pub async fn create_group(
    s3: &S3,
    cx: &Context,
    input: api::CreateStorageLensGroupInput,
) -> Result<api::CreateStorageLensGroupOutput> {
    let mut group = input.storage_lens_group;
    check_group(&group.name, &group)?;
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    group.storage_lens_group_arn = Some(arn(cx, "storage-lens-group", &group.name));
    let kept = Kept::new(cx.now(), &group, tags)?;
    let scope = scope(cx);
    let (account, region, name) = (cx.world.account.as_str(), cx.region.as_str(), group.name.as_str());
    s3.store
        .write(|tx| {
            if Kind::LensGroup.get(tx, &scope, account, region, name)?.is_some() {
                let message = "The specified configuration already exists.";
                return Err(refused("ConfigurationAlreadyExists", 409, message));
            }
            check_count(tx, &scope, (account, region), Kind::LensGroup, MAX_GROUPS, too_many)?;
            Kind::LensGroup.put(tx, &scope, account, region, name, &kept)
        })
        .await?;
    Ok(api::CreateStorageLensGroupOutput::default())
}

pub async fn get_group(
    s3: &S3,
    cx: &Context,
    input: api::GetStorageLensGroupInput,
) -> Result<api::GetStorageLensGroupOutput> {
    let kept = look(s3, cx, Kind::LensGroup, &input.name).await?.ok_or_else(|| no_group(&input.name))?;
    Ok(api::GetStorageLensGroupOutput { storage_lens_group: Some(kept.read()?) })
}

pub async fn update_group(
    s3: &S3,
    cx: &Context,
    input: api::UpdateStorageLensGroupInput,
) -> Result<api::UpdateStorageLensGroupOutput> {
    let mut group = input.storage_lens_group;
    check_group(&input.name, &group)?;
    group.storage_lens_group_arn = Some(arn(cx, "storage-lens-group", &group.name));
    let scope = scope(cx);
    let (account, region, name) = (cx.world.account.as_str(), cx.region.as_str(), input.name.as_str());
    s3.store
        .write(|tx| {
            let before = Kind::LensGroup.get(tx, &scope, account, region, name)?;
            let before = before.ok_or_else(|| no_group(name))?;
            let kept = Kept::new(before.created_at, &group, before.tags)?;
            Kind::LensGroup.put(tx, &scope, account, region, name, &kept)
        })
        .await?;
    Ok(api::UpdateStorageLensGroupOutput::default())
}

pub async fn delete_group(
    s3: &S3,
    cx: &Context,
    input: api::DeleteStorageLensGroupInput,
) -> Result<api::DeleteStorageLensGroupOutput> {
    let scope = scope(cx);
    let (account, region, name) = (cx.world.account.as_str(), cx.region.as_str(), input.name.as_str());
    s3.store
        .write(|tx| match Kind::LensGroup.remove(tx, &scope, account, region, name)? {
            true => Ok(()),
            false => Err(no_group(name)),
        })
        .await?;
    Ok(api::DeleteStorageLensGroupOutput::default())
}

pub async fn list_groups(
    s3: &S3,
    cx: &Context,
    input: api::ListStorageLensGroupsInput,
) -> Result<api::ListStorageLensGroupsOutput> {
    let (found, next_token) = listed(s3, cx, Kind::LensGroup, input.next_token.as_deref()).await?;
    let shown = found.into_iter().map(|(name, _)| api::ListStorageLensGroupEntry {
        storage_lens_group_arn: arn(cx, "storage-lens-group", &name),
        name,
        home_region: cx.region.to_string(),
    });
    Ok(api::ListStorageLensGroupsOutput { next_token, storage_lens_group_list: Some(shown.collect()) })
}
