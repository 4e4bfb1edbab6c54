//! Locations: the prefixes that grants can be of, each with the role that reaches them.

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::Transaction;

use super::{DEFAULT, Home, PAGE, arn, bucket_of_scope, grant, invalid_location};
use crate::control::errors::refused;
use crate::control::kept::{Kept, Kind};
use crate::control::pages::Page;
use crate::control::{roles, tags};
use crate::error::{Error, Result};
use crate::service::S3;
use crate::store::BUCKETS;

/// How many an instance may have.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants-limitations.html>
const MAX_LOCATIONS: usize = 1_000;

/// Checks a location: `s3://`, or a bucket of the account in the region, with or without a prefix.
fn check_location(tx: &Transaction<'_>, home: &Home, location: &str) -> Result<()> {
    if !location.starts_with("s3://") {
        return Err(invalid_location("its scope must begin with s3://"));
    }
    let Some(bucket) = bucket_of_scope(location) else { return Ok(()) };
    match tx.get(&BUCKETS, &home.scope, &(bucket,))? {
        Some(found) if found.account == home.account && found.region == home.region => Ok(()),
        Some(_) => Err(invalid_location("its bucket must be of this account and Region")),
        None => Err(Error::NoSuchBucket { bucket: bucket.to_owned() }),
    }
}

/// A role of the instance's own account.
fn check_role(cx: &Context, role: &str) -> Result<()> {
    let found = roles::of_account(role, cx.world.partition, &cx.world.account);
    found.map(drop).ok_or_else(|| refused("InvalidIamRole", 400, "The specified IAM Role is invalid"))
}

pub async fn create(
    s3: &S3,
    cx: &Context,
    input: api::CreateAccessGrantsLocationInput,
) -> Result<api::CreateAccessGrantsLocationOutput> {
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    check_role(cx, &input.iam_role_arn)?;
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
    let home = Home::of(cx);
    s3.store
        .write(|tx| {
            home.instance(tx)?;
            check_location(tx, &home, &input.location_scope)?;
            let others = home.list(Kind::GrantsLocation, tx, None, MAX_LOCATIONS)?;
            for (_, other) in &others {
                let other: api::ListAccessGrantsLocationsEntry = other.read()?;
                if other.location_scope == entry.location_scope {
                    let message = "The specified access grants location already exists";
                    return Err(refused("AccessGrantsLocationAlreadyExistsError", 409, message));
                }
            }
            if others.len() == MAX_LOCATIONS {
                let message = format!(
                    "The access grants location quota has been exceeded. Access Grants Locations Quota: {MAX_LOCATIONS}. \
                     Please reach out to S3 if an increase is required."
                );
                return Err(refused("AccessGrantsLocationsQuotaExceededError", 409, message));
            }
            home.put(Kind::GrantsLocation, tx, &id, &kept)
        })
        .await?;
    kept.read()
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessGrantsLocationInput,
) -> Result<api::GetAccessGrantsLocationOutput> {
    let home = Home::of(cx);
    let found = s3.store.read(|snapshot| {
        home.instance(snapshot)?;
        home.location(snapshot, &input.access_grants_location_id)
    });
    found.await?.read()
}

pub async fn update(
    s3: &S3,
    cx: &Context,
    input: api::UpdateAccessGrantsLocationInput,
) -> Result<api::UpdateAccessGrantsLocationOutput> {
    check_role(cx, &input.iam_role_arn)?;
    let home = Home::of(cx);
    let id = input.access_grants_location_id.as_str();
    let kept = s3.store.write(|tx| {
        home.instance(tx)?;
        let kept = home.location(tx, id)?;
        let mut entry: api::ListAccessGrantsLocationsEntry = kept.read()?;
        entry.iam_role_arn = Some(input.iam_role_arn.clone());
        home.change(Kind::GrantsLocation, tx, id, kept, &entry)?;
        home.location(tx, id)
    });
    kept.await?.read()
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessGrantsLocationInput,
) -> Result<api::DeleteAccessGrantsLocationOutput> {
    let home = Home::of(cx);
    let id = input.access_grants_location_id.as_str();
    s3.store
        .write(|tx| {
            home.instance(tx)?;
            home.location(tx, id)?;
            let is_of = |grant: &api::ListAccessGrantEntry| grant.access_grants_location_id.as_deref() == Some(id);
            if !grant::page(&home, tx, None, 1, is_of)?.is_empty() {
                let message = "Please clean up access grants before deleting access grants location";
                return Err(refused("AccessGrantsLocationNotEmptyError", 400, message));
            }
            home.remove(Kind::GrantsLocation, tx, id)
        })
        .await?;
    Ok(api::DeleteAccessGrantsLocationOutput::default())
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessGrantsLocationsInput,
) -> Result<api::ListAccessGrantsLocationsOutput> {
    let page = Page::read(input.next_token.as_deref(), input.max_results, PAGE)?;
    let home = Home::of(cx);
    let found = s3.store.read(|snapshot| {
        home.instance(snapshot)?;
        home.list(Kind::GrantsLocation, snapshot, page.after.as_deref(), page.max + 1)
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
