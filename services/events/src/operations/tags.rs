//! Tags of rules and event buses.

use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::Snapshot;

use crate::error::{Error, Result};
use crate::model::names::Tagged;
use crate::operations::{buses, permissions, rules};
use crate::service::Events;
use crate::store::Tags;

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-tagging.html>
const MAX_TAGS: usize = 50;

/// The tags of a new resource.
pub fn of(given: Option<&[api::Tag]>) -> Result<Tags> {
    let mut tags = Tags::new();
    add(&mut tags, given.unwrap_or_default())?;
    Ok(tags)
}

fn add(tags: &mut Tags, given: &[api::Tag]) -> Result<()> {
    for tag in given {
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::validation("System tags cannot be added or removed by a requester."));
        }
        tags.insert(tag.key.clone(), tag.value.clone());
    }
    if tags.len() > MAX_TAGS {
        return Err(Error::validation(format!("A resource can have at most {MAX_TAGS} tags.")));
    }
    Ok(())
}

fn missing(tagged: &Tagged, error: Error) -> Error {
    match (tagged, error) {
        (Tagged::Rule(bus, name), Error::NotFound(_)) => Error::no_rule(name, &bus.name),
        (_, error) => error,
    }
}

/// What lies in another account is its bus's to give.
fn check(snapshot: &Snapshot<'_>, cx: &Context, tagged: &Tagged, action: &str) -> Result<()> {
    match tagged {
        Tagged::Bus(bus) => permissions::check_reach(snapshot, cx, bus, action, &[]),
        Tagged::Rule(bus, name) => permissions::check_rule(snapshot, cx, bus, name, action),
    }
}

async fn change(
    events: &Events,
    cx: &Context,
    tagged: &Tagged,
    action: &str,
    change: impl Fn(&mut Tags) -> Result<()>,
) -> Result<()> {
    let write = events.store.write(|tx| {
        check(tx, cx, tagged, action)?;
        match tagged {
            Tagged::Bus(bus) => {
                let mut record = buses::load(tx, bus)?;
                change(&mut record.tags)?;
                buses::save(tx, bus, &record)
            }
            Tagged::Rule(bus, name) => {
                let mut rule = rules::load(tx, bus, name).map_err(|error| missing(tagged, error))?;
                change(&mut rule.tags)?;
                rules::save(tx, bus, &rule)
            }
        }
    });
    write.await
}

fn read(snapshot: &Snapshot<'_>, tagged: &Tagged) -> Result<Tags> {
    match tagged {
        Tagged::Bus(bus) => Ok(buses::load(snapshot, bus)?.tags),
        Tagged::Rule(bus, name) => Ok(rules::load(snapshot, bus, name).map_err(|error| missing(tagged, error))?.tags),
    }
}

pub async fn tag(events: &Events, cx: &Context, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let tagged = Tagged::parse(cx, &input.resource_arn)?;
    change(events, cx, &tagged, "events:TagResource", |tags| add(tags, &input.tags)).await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn untag(events: &Events, cx: &Context, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let tagged = Tagged::parse(cx, &input.resource_arn)?;
    let remove = |tags: &mut Tags| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    };
    change(events, cx, &tagged, "events:UntagResource", remove).await?;
    Ok(api::UntagResourceOutput::default())
}

pub async fn list(
    events: &Events,
    cx: &Context,
    input: api::ListTagsForResourceInput,
) -> Result<api::ListTagsForResourceOutput> {
    let tagged = Tagged::parse(cx, &input.resource_arn)?;
    let found = events.store.read(|snapshot| {
        check(snapshot, cx, &tagged, "events:ListTagsForResource")?;
        read(snapshot, &tagged)
    });
    let tags = found.await?;
    let tags = tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect();
    Ok(api::ListTagsForResourceOutput { tags: Some(tags) })
}
