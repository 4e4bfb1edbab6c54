//! Storage Lens: configurations of dashboards, whose metrics are exported every day, and groups of objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens.html>

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Collection, Order, Range, Scope};
use serde::{Deserialize, Serialize};

use crate::control::errors::refused;
use crate::control::kept::{KEPT, Kept, Kind};
use crate::control::pages::Page;
use crate::control::tags;
use crate::error::{Error, Result};
use crate::model::lifecycle::midnight_after;
use crate::objects::scope;
use crate::service::S3;

/// When a configuration's metrics are exported next: (account, region, id).
pub const EXPORTS: Collection<(String, String, String), Due> = Collection::new("control.lens-exports");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Due {
    pub at: fractus_clock::Timestamp,
}

const MAX_CONFIGURATIONS: usize = 200;
const MAX_GROUPS: usize = 50;
const MAX_TAGS: usize = 50;
/// The most of one page; the API has no say in it.
const PAGE: usize = 100;

fn no_configuration(id: &str) -> Error {
    refused("NoSuchConfiguration", 404, format!("The specified configuration does not exist: {id}"))
}

fn no_group(name: &str) -> Error {
    refused("NoSuchStorageLensGroup", 404, format!("The specified Storage Lens group does not exist: {name}"))
}

fn arn(cx: &Context, family: &str, name: &str) -> String {
    format!("arn:{}:s3:{}:{}:{family}/{name}", cx.world.partition, cx.region, cx.world.account)
}

/// Whether there is room for another of a kind.
fn check_count(
    tx: &fractus_store::Transaction<'_>,
    scope: &Scope,
    (account, region): (&str, &str),
    kind: Kind,
    most: usize,
) -> Result<()> {
    let there = tx.keys(&KEPT, scope, Range::prefix(&(account, region, kind.name())), Order::Ascending)?;
    if there.take(most).count() < most {
        return Ok(());
    }
    Err(refused("TooManyConfigurations", 400, format!("You cannot have more than {most} of these in a Region")))
}

/// The most buckets or regions that a configuration names, and how deep its prefixes go.
const MAX_NAMED: usize = 50;
const DEPTHS: std::ops::RangeInclusive<i32> = 1..=10;
const PERCENTAGES: std::ops::RangeInclusive<f64> = 1.0..=100.0;

/// What a configuration's parts say of each other, in the words of AWS's list.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#S3LensErrorCodeList>
fn check(id: &str, configuration: &api::StorageLensConfiguration) -> Result<()> {
    let flaw = |code, message: &str| Err(refused(code, 400, message));
    if configuration.id != id {
        return flaw("InvalidConfigId", "The configuration ID is not valid.");
    }
    if configuration.aws_org.is_some() {
        let message = "This account is not part of your organization.";
        return Err(refused("AWSOrganizationsNotInUseException", 403, message));
    }
    if configuration.include.is_some() && configuration.exclude.is_some() {
        let message = "You can specify either an Include container or an Exclude container in a configuration. You \
                       cannot specify both in a configuration.";
        return flaw("InvalidIncludeExcludeContainers", message);
    }
    let include = configuration.include.as_ref().map(|include| (&include.buckets, &include.regions));
    let exclude = configuration.exclude.as_ref().map(|exclude| (&exclude.buckets, &exclude.regions));
    for (buckets, regions) in include.into_iter().chain(exclude) {
        let more = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.len() > MAX_NAMED);
        if more(buckets) {
            return flaw("TooManyBuckets", "The buckets container cannot have more than 50 buckets.");
        }
        if more(regions) {
            return flaw("TooManyRegions", "The Regions container cannot have more than 50 Regions.");
        }
    }
    let prefixes = configuration.account_level.bucket_level.prefix_level.as_ref();
    let criteria = prefixes.and_then(|level| level.storage_metrics.selection_criteria.as_ref());
    if criteria.and_then(|criteria| criteria.max_depth).is_some_and(|depth| !DEPTHS.contains(&depth)) {
        return flaw("InvalidMaximumPrefixDepth", "`MaxDepth` must be within the range [1,10].");
    }
    let share = criteria.and_then(|criteria| criteria.min_storage_bytes_percentage);
    if share.is_some_and(|share| !PERCENTAGES.contains(&share)) {
        let message = "`MinStorageBytesPercentage` must be within the range [1.00,100.00].";
        return flaw("InvalidMinimumStorageBytesPercentage", message);
    }
    let export = configuration.data_export.as_ref().and_then(|export| export.s3_bucket_destination.as_ref());
    if export.is_some_and(|export| !export.arn.contains(":s3:::") || export.arn.ends_with(':')) {
        return flaw("InvalidDestination", "The S3 bucket ARN is malformed.");
    }
    Ok(())
}

pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutStorageLensConfigurationInput,
) -> Result<api::PutStorageLensConfigurationOutput> {
    check(&input.config_id, &input.storage_lens_configuration)?;
    let given = input.tags.map(|tags| tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
    let given = given.map(|given| tags::check(given, MAX_TAGS)).transpose()?;
    let mut configuration = input.storage_lens_configuration;
    configuration.storage_lens_arn = Some(arn(cx, "storage-lens", &input.config_id));
    let (scope, now) = (scope(cx), cx.now());
    let (account, region, id) = (cx.world.account.as_str(), cx.region.as_str(), input.config_id.as_str());
    s3.store
        .write(|tx| {
            let before = Kind::Lens.get(tx, &scope, account, region, id)?;
            if before.is_none() {
                check_count(tx, &scope, (account, region), Kind::Lens, MAX_CONFIGURATIONS)?;
            }
            let created_at = before.as_ref().map_or(now, |before| before.created_at);
            let kept_tags = before.map(|before| before.tags).unwrap_or_default();
            let kept = Kept::new(created_at, &configuration, given.clone().unwrap_or(kept_tags))?;
            Kind::Lens.put(tx, &scope, account, region, id, &kept)?;
            let exports =
                configuration.data_export.as_ref().is_some_and(|export| export.s3_bucket_destination.is_some());
            if exports && configuration.is_enabled {
                tx.put(&EXPORTS, &scope, &(account, region, id), &Due { at: midnight_after(now) })?;
            } else {
                tx.delete(&EXPORTS, &scope, &(account, region, id))?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    s3.lens.wake();
    Ok(api::PutStorageLensConfigurationOutput::default())
}

async fn look(s3: &S3, cx: &Context, kind: Kind, name: &str) -> Result<Option<Kept>> {
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    s3.store.read(|snapshot| kind.get(snapshot, &scope, account, region, name)).await
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetStorageLensConfigurationInput,
) -> Result<api::GetStorageLensConfigurationOutput> {
    let kept = look(s3, cx, Kind::Lens, &input.config_id).await?;
    let kept = kept.ok_or_else(|| no_configuration(&input.config_id))?;
    Ok(api::GetStorageLensConfigurationOutput { storage_lens_configuration: Some(kept.read()?) })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteStorageLensConfigurationInput,
) -> Result<api::DeleteStorageLensConfigurationOutput> {
    let scope = scope(cx);
    let (account, region, id) = (cx.world.account.as_str(), cx.region.as_str(), input.config_id.as_str());
    s3.store
        .write(|tx| {
            if !Kind::Lens.remove(tx, &scope, account, region, id)? {
                return Err(no_configuration(id));
            }
            Ok(tx.delete(&EXPORTS, &scope, &(account, region, id))?)
        })
        .await?;
    Ok(api::DeleteStorageLensConfigurationOutput::default())
}

/// A page of what the account has of a kind.
async fn listed(
    s3: &S3,
    cx: &Context,
    kind: Kind,
    token: Option<&str>,
) -> Result<(Vec<(String, Kept)>, Option<String>)> {
    let page = Page::read(token, None, PAGE)?;
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let after = page.after.as_deref();
    let mut found = s3.store.read(|snapshot| kind.list(snapshot, &scope, account, region, after, page.max + 1)).await?;
    let next = page.cut(&mut found, |(name, _)| name.clone());
    Ok((found, next))
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListStorageLensConfigurationsInput,
) -> Result<api::ListStorageLensConfigurationsOutput> {
    let (found, next_token) = listed(s3, cx, Kind::Lens, input.next_token.as_deref()).await?;
    let shown = found.into_iter().map(|(id, kept)| {
        let configuration: api::StorageLensConfiguration = kept.read()?;
        Ok(api::ListStorageLensConfigurationEntry {
            storage_lens_arn: arn(cx, "storage-lens", &id),
            id,
            home_region: cx.region.to_string(),
            is_enabled: Some(configuration.is_enabled),
        })
    });
    let list = shown.collect::<Result<_>>()?;
    Ok(api::ListStorageLensConfigurationsOutput { next_token, storage_lens_configuration_list: Some(list) })
}

async fn set_tags(s3: &S3, cx: &Context, id: &str, tags: tags::Tags) -> Result<()> {
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    s3.store
        .write(|tx| {
            let kept = Kind::Lens.get(tx, &scope, account, region, id)?;
            let mut kept = kept.ok_or_else(|| no_configuration(id))?;
            kept.tags.clone_from(&tags);
            Kind::Lens.put(tx, &scope, account, region, id, &kept)
        })
        .await
}

pub async fn put_tags(
    s3: &S3,
    cx: &Context,
    input: api::PutStorageLensConfigurationTaggingInput,
) -> Result<api::PutStorageLensConfigurationTaggingOutput> {
    let tags = input.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    set_tags(s3, cx, &input.config_id, tags::check(tags, MAX_TAGS)?).await?;
    Ok(api::PutStorageLensConfigurationTaggingOutput::default())
}

pub async fn get_tags(
    s3: &S3,
    cx: &Context,
    input: api::GetStorageLensConfigurationTaggingInput,
) -> Result<api::GetStorageLensConfigurationTaggingOutput> {
    let kept = look(s3, cx, Kind::Lens, &input.config_id).await?;
    let kept = kept.ok_or_else(|| no_configuration(&input.config_id))?;
    let tags = kept.tags.into_iter().map(|(key, value)| api::StorageLensTag { key, value }).collect();
    Ok(api::GetStorageLensConfigurationTaggingOutput { tags: Some(tags) })
}

pub async fn delete_tags(
    s3: &S3,
    cx: &Context,
    input: api::DeleteStorageLensConfigurationTaggingInput,
) -> Result<api::DeleteStorageLensConfigurationTaggingOutput> {
    set_tags(s3, cx, &input.config_id, Vec::new()).await?;
    Ok(api::DeleteStorageLensConfigurationTaggingOutput::default())
}

/// A filter says one thing, or several by And or by Or.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#S3LensErrorCodeList>
fn check_group(name: &str, group: &api::StorageLensGroup) -> Result<()> {
    let flaw = |code, message: &str| Err(refused(code, 400, message));
    if group.name != name {
        return flaw("MismatchedName", "The name specified in the request doesn't match the Storage Lens group name.");
    }
    let filter = &group.filter;
    let (and, or) = (filter.and.as_ref(), filter.or.as_ref());
    let said = |parts: [bool; 5]| parts.into_iter().filter(|is_said| *is_said).count();
    let own = said([
        filter.match_any_prefix.is_some(),
        filter.match_any_suffix.is_some(),
        filter.match_any_tag.is_some(),
        filter.match_object_age.is_some(),
        filter.match_object_size.is_some(),
    ]);
    if own + usize::from(and.is_some()) + usize::from(or.is_some()) != 1 {
        let message = "A filter must include one of the following elements: `And`, `Or`, `MatchAnyTag`, \
                       `MatchAnyPrefix`, `MatchAnySuffix`, `MatchObjectAge`, `MatchObjectSize`.";
        return flaw("InvalidFilter", message);
    }
    let of_and = and.map(|and| {
        said([
            and.match_any_prefix.is_some(),
            and.match_any_suffix.is_some(),
            and.match_any_tag.is_some(),
            and.match_object_age.is_some(),
            and.match_object_size.is_some(),
        ])
    });
    let of_or = or.map(|or| {
        said([
            or.match_any_prefix.is_some(),
            or.match_any_suffix.is_some(),
            or.match_any_tag.is_some(),
            or.match_object_age.is_some(),
            or.match_object_size.is_some(),
        ])
    });
    if of_and.or(of_or).is_some_and(|count| count < 2) {
        let message = "At least two sub elements must be present in the logical operators `And` or `Or`.";
        return flaw("InvalidLogicalOperator", message);
    }
    Ok(())
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
            check_count(tx, &scope, (account, region), Kind::LensGroup, MAX_GROUPS)?;
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
