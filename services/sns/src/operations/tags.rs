//! Tags of topics.

use fractus_host::Context;
use fractus_sns_api as api;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::names;
use crate::operations::topics::change;
use crate::service::{Sns, topic};
use crate::store::Place;

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-tags.html>
const MAX_TAGS: usize = 50;

/// Tags as they were given; a key stands once.
pub fn read(tags: Vec<api::Tag>) -> Result<IndexMap<String, String>> {
    let mut read = IndexMap::with_capacity(tags.len());
    for tag in tags {
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::invalid_because("Tags", "Tag keys must not begin with aws:"));
        }
        if read.insert(tag.key, tag.value).is_some() {
            return Err(Error::invalid("Duplicated keys are not allowed."));
        }
    }
    if read.len() > MAX_TAGS { Err(Error::TagLimitExceeded) } else { Ok(read) }
}

fn place_of(cx: &Context, arn: &str) -> Result<Place> {
    names::place_of(cx, "ResourceArn", arn)
}

/// A topic that does not exist is called a resource here.
fn as_resource(error: Error) -> Error {
    if matches!(error, Error::NotFound(_)) { Error::ResourceNotFound } else { error }
}

pub async fn tag(sns: &Sns, cx: &Context, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let place = place_of(cx, &input.resource_arn)?;
    let given = read(input.tags)?;
    let changed = change(sns, &place, |topic| {
        topic.tags.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
        if topic.tags.len() > MAX_TAGS { Err(Error::TagLimitExceeded) } else { Ok(()) }
    });
    changed.await.map_err(as_resource)?;
    Ok(api::TagResourceOutput::default())
}

pub async fn untag(sns: &Sns, cx: &Context, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let place = place_of(cx, &input.resource_arn)?;
    let changed = change(sns, &place, |topic| {
        topic.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    });
    changed.await.map_err(as_resource)?;
    Ok(api::UntagResourceOutput::default())
}

pub async fn list(
    sns: &Sns,
    cx: &Context,
    input: api::ListTagsForResourceInput,
) -> Result<api::ListTagsForResourceOutput> {
    let place = place_of(cx, &input.resource_arn)?;
    let topic = sns.store.read(|snapshot| topic(snapshot, &place)).await.map_err(as_resource)?;
    let tags = topic.tags.iter().map(|(key, value)| api::Tag { key: key.clone(), value: value.clone() });
    Ok(api::ListTagsForResourceOutput { tags: Some(tags.collect()) })
}
