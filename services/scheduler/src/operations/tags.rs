//! TagResource, UntagResource, ListTagsForResource: groups carry tags, schedules do not.

use fractus_host::Context;
use fractus_scheduler_api as api;
use fractus_store::Scope;
use indexmap::IndexMap;

use super::groups::keep_default;
use crate::error::{Error, Result};
use crate::model::groups::{self, DEFAULT};
use crate::service::{Scheduler, place};
use crate::store::GROUPS;

/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
const MAX_TAGS: usize = 50;

/// `given` over `tags`.
pub fn merged(mut tags: IndexMap<String, String>, given: Vec<api::Tag>) -> Result<IndexMap<String, String>> {
    for (index, tag) in given.iter().enumerate() {
        if given[..index].iter().any(|other| other.key == tag.key) {
            return Err(Error::validation(format!("The tag key {} is given more than once.", tag.key)));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::validation("Tag keys that begin with aws: are reserved."));
        }
    }
    tags.extend(given.into_iter().map(|tag| (tag.key, tag.value)));
    if tags.len() > MAX_TAGS {
        return Err(Error::validation(format!("A resource has at most {MAX_TAGS} tags.")));
    }
    Ok(tags)
}

/// The name of the caller's group that an ARN means.
fn group_name(cx: &Context, arn: &str) -> Result<String> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    // Another account's or region's group is not among the caller's.
    if place(cx).group_arn(name) == arn { Ok(name.to_owned()) } else { Err(Error::NoGroup(name.to_owned())) }
}

async fn change(
    scheduler: &Scheduler,
    scope: &Scope,
    name: &str,
    change: impl Fn(IndexMap<String, String>) -> Result<IndexMap<String, String>> + Send + Sync,
) -> Result<()> {
    scheduler
        .store
        .write(|tx| {
            let mut group = groups::get_active(tx, scope, name)?;
            group.tags = change(group.tags)?;
            Ok::<_, Error>(tx.put(&GROUPS, scope, &(name,), &group)?)
        })
        .await
}

pub async fn tag(scheduler: &Scheduler, cx: &Context, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let name = group_name(cx, &input.resource_arn)?;
    change(scheduler, &place(cx).scope(), &name, |tags| merged(tags, input.tags.clone())).await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn untag(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::UntagResourceInput,
) -> Result<api::UntagResourceOutput> {
    let name = group_name(cx, &input.resource_arn)?;
    let without = |mut tags: IndexMap<String, String>| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(tags)
    };
    change(scheduler, &place(cx).scope(), &name, without).await?;
    Ok(api::UntagResourceOutput::default())
}

pub async fn list(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::ListTagsForResourceInput,
) -> Result<api::ListTagsForResourceOutput> {
    let (name, scope) = (group_name(cx, &input.resource_arn)?, place(cx).scope());
    if name == DEFAULT {
        keep_default(scheduler, &scope).await?;
    }
    let group = scheduler.store.read(|snapshot| groups::get(snapshot, &scope, &name)).await?;
    let tags = group.tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect();
    Ok(api::ListTagsForResourceOutput { tags: Some(tags) })
}
