//! Storage Lens: configurations of dashboards, whose metrics are exported every day, and [`groups`] of objects.
//!
//! Every account has a default dashboard in its partition's first region: it is there until somebody changes it, and cannot be
//! deleted.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens.html>

mod checks;
pub mod groups;

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot};
use serde::{Deserialize, Serialize};

use crate::control::errors::refused;
use crate::control::kept::{KEPT, Kept, Kind};
use crate::control::lens_export::output::Destinations;
use crate::control::lens_export::requests;
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

/// The most that somebody has made in a region.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_basics_metrics_recommendations.html#storage_lens_basics_dashboards>
const MAX_CONFIGURATIONS: usize = 50;
const MAX_TAGS: usize = 50;
/// The most of one page; the API has no say in it.
const PAGE: usize = 100;

fn no_configuration(id: &str) -> Error {
    refused("NoSuchConfiguration", 404, format!("The specified configuration does not exist: {id}"))
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
    too_many: fn() -> Error,
) -> Result<()> {
    let mut count = 0;
    for key in tx.keys(&KEPT, scope, Range::prefix(&(account, region, kind.name())), Order::Ascending)?.take(most + 1) {
        count += usize::from(key?.3 != DEFAULT);
    }
    if count < most { Ok(()) } else { Err(too_many()) }
}

fn too_many() -> Error {
    let message = format!("You cannot have more than {MAX_CONFIGURATIONS} S3 Storage Lens configurations in a Region");
    refused("TooManyConfigurations", 400, message)
}

/// The default dashboard's id.
const DEFAULT: &str = "default-account-dashboard";

/// Whether this is a region's default dashboard: there is one in a partition, in its first region.
fn is_default(cx: &Context, id: &str) -> bool {
    id == DEFAULT && is_home(cx)
}

fn is_home(cx: &Context) -> bool {
    let home = match cx.world.partition.as_str() {
        "aws" => "us-east-1",
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => return false,
    };
    cx.region.as_str() == home
}

/// The default dashboard as every account has it: free metrics of everything, exported nowhere.
fn default_kept(cx: &Context) -> Result<Kept> {
    let configuration = api::StorageLensConfiguration {
        id: DEFAULT.to_owned(),
        is_enabled: true,
        storage_lens_arn: Some(arn(cx, "storage-lens", DEFAULT)),
        ..Default::default()
    };
    Kept::new(cx.now(), &configuration, Vec::new())
}

/// A configuration that was made, or the default one.
fn find(snapshot: &Snapshot<'_>, cx: &Context, scope: &Scope, id: &str) -> Result<Option<Kept>> {
    match Kind::Lens.get(snapshot, scope, cx.world.account.as_str(), cx.region.as_str(), id)? {
        None if is_default(cx, id) => default_kept(cx).map(Some),
        found => Ok(found),
    }
}

pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutStorageLensConfigurationInput,
) -> Result<api::PutStorageLensConfigurationOutput> {
    checks::check(cx, &input.config_id, &input.storage_lens_configuration)?;
    let given = input.tags.map(|tags| tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
    let given = given.map(|given| tags::check(given, MAX_TAGS)).transpose()?;
    let mut configuration = input.storage_lens_configuration;
    configuration.storage_lens_arn = Some(arn(cx, "storage-lens", &input.config_id));
    let (scope, now) = (scope(cx), cx.now());
    let (account, region, id) = (cx.world.account.as_str(), cx.region.as_str(), input.config_id.as_str());
    let counts_requests = s3
        .store
        .write(|tx| {
            let before = find(tx, cx, &scope, id)?;
            if before.is_none() {
                check_count(tx, &scope, (account, region), Kind::Lens, MAX_CONFIGURATIONS, too_many)?;
            }
            let created_at = before.as_ref().map_or(now, |before| before.created_at);
            let kept_tags = before.map(|before| before.tags).unwrap_or_default();
            let kept = Kept::new(created_at, &configuration, given.clone().unwrap_or(kept_tags))?;
            Kind::Lens.put(tx, &scope, account, region, id, &kept)?;
            if Destinations::of(&configuration).any() {
                tx.put(&EXPORTS, &scope, &(account, region, id), &Due { at: midnight_after(now) })?;
            } else {
                tx.delete(&EXPORTS, &scope, &(account, region, id))?;
            }
            requests::watch(tx, &scope, (account, region, id), Some(&configuration))
        })
        .await?;
    if counts_requests {
        s3.schedule.watches_now();
    }
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
    let scope = scope(cx);
    let kept = s3.store.read(|snapshot| find(snapshot, cx, &scope, &input.config_id)).await?;
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
    if is_default(cx, id) {
        let message = "The Default configuration cannot be deleted.";
        return Err(refused("DefaultConfigurationDeleteForbidden", 403, message));
    }
    s3.store
        .write(|tx| {
            if !Kind::Lens.remove(tx, &scope, account, region, id)? {
                return Err(no_configuration(id));
            }
            tx.delete(&EXPORTS, &scope, &(account, region, id))?;
            requests::watch(tx, &scope, (account, region, id), None)
        })
        .await?;
    s3.lens.wake();
    // It finds out whether anybody still watches.
    s3.schedule.wake();
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
    let (mut found, next_token) = listed(s3, cx, Kind::Lens, input.next_token.as_deref()).await?;
    // The default one stands first, until somebody changes it.
    if input.next_token.is_none() && is_home(cx) && look(s3, cx, Kind::Lens, DEFAULT).await?.is_none() {
        found.insert(0, (DEFAULT.to_owned(), default_kept(cx)?));
    }
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
            let kept = find(tx, cx, &scope, id)?;
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
    let scope = scope(cx);
    let kept = s3.store.read(|snapshot| find(snapshot, cx, &scope, &input.config_id)).await?;
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
