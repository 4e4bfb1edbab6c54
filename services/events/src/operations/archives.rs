//! Archives. What an archive takes comes to it by a rule that it makes for itself on its bus.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html>

use fractus_aws::Arn;
use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::{Order, Range, Snapshot, Transaction};
use serde_json::json;

use crate::error::{Error, Result};
use crate::index;
use crate::model::names::{BusRef, Place};
use crate::model::retention;
use crate::operations::{buses, rules};
use crate::pages::{self, Asked};
use crate::service::Events;
use crate::store::{ARCHIVE_DAYS, ARCHIVES, Archive, ArchiveDay, DISCARDED_ARCHIVES, RULES, Rule, Target};

const MANAGER: &str = "prod.vhs.events.aws.internal";

fn missing(name: &str) -> Error {
    Error::NotFound(format!("Archive {name} does not exist."))
}

pub fn load(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<Archive> {
    snapshot.get(&ARCHIVES, &place.scope, &(name,))?.ok_or_else(|| missing(name))
}

pub fn arn(place: &Place, name: &str) -> Arn {
    place.arn(format!("archive/{name}"))
}

fn rule_name(archive: &str) -> String {
    format!("Events-Archive-{archive}")
}

/// The archive's pattern, and never what is replayed.
fn rule_pattern(pattern: Option<&str>) -> String {
    let rest = pattern.map(str::trim_start).and_then(|pattern| pattern.strip_prefix('{'));
    let first = r#"{"replay-name":[{"exists":false}]"#;
    match rest {
        Some(rest) => format!("{first},{rest}"),
        None => format!("{first}}}"),
    }
}

fn rule(bus: &BusRef, archive: &Archive, now: Timestamp) -> Rule {
    let target_arn = format!("arn:{}:events:{}:::", bus.place.world.partition, bus.place.region);
    let template = format!(
        "{{\"archive-arn\": \"{}:{}\", \"event\": <aws.events.event.json>, \"ingestion-time\": <aws.events.event.ingestion-time>}}",
        arn(&bus.place, &archive.name),
        archive.id
    );
    let target = json!({
        "Id": archive.name, "Arn": target_arn,
        "InputTransformer": {"InputPathsMap": {}, "InputTemplate": template},
    });
    Rule {
        name: rule_name(&archive.name),
        pattern: Some(rule_pattern(archive.pattern.as_deref())),
        state: "ENABLED".to_owned(),
        managed_by: Some(MANAGER.to_owned()),
        created_by: bus.place.world.account.to_string(),
        targets: vec![Target { id: archive.name.clone(), arn: target_arn, json: target }],
        scheduled_at: now,
        ..Rule::default()
    }
}

/// The bus of an archive, by ARN.
fn bus_of(cx: &Context, text: &str) -> Result<BusRef> {
    let arn: Option<Arn> = text.parse().ok();
    let bus = arn.and_then(|arn| BusRef::of_arn(&cx.world, &arn)).filter(|bus| bus.place == Place::of(cx));
    bus.ok_or_else(|| Error::parameter("EventSourceArn", "Must contain an event bus ARN."))
}

fn check_pattern(pattern: Option<&String>) -> Result<()> {
    pattern.filter(|text| !text.is_empty()).map_or(Ok(()), |text| rules::check_pattern(text))
}

fn days(retention: Option<i32>) -> u32 {
    retention.and_then(|days| u32::try_from(days).ok()).unwrap_or(0)
}

pub async fn create(events: &Events, cx: &Context, input: api::CreateArchiveInput) -> Result<api::CreateArchiveOutput> {
    let bus = bus_of(cx, &input.event_source_arn)?;
    check_pattern(input.event_pattern.as_ref())?;
    let now = cx.now();
    let kms_key = input.kms_key_identifier.filter(|key| !key.is_empty());
    let archive = Archive {
        name: input.archive_name.clone(),
        id: cx.random().uuid(),
        bus: bus.name.clone(),
        pattern: input.event_pattern.filter(|text| !text.is_empty()),
        description: input.description,
        retention_days: days(input.retention_days),
        data_key: events.archive_key(cx, &bus, kms_key.as_ref()).await?,
        kms_key,
        created_at: now,
    };
    let scope = &bus.place.scope;
    let write = events.store.write(|tx| {
        if tx.contains(&ARCHIVES, scope, &(archive.name.as_str(),))? {
            return Err(Error::AlreadyExists(format!("Archive {} already exists.", archive.name)));
        }
        buses::check_exists(tx, &bus)?;
        let limit = events.config.resources_of_a_kind;
        if tx.keys(&ARCHIVES, scope, Range::all(), Order::Ascending)?.take(limit).count() >= limit {
            return Err(Error::limit());
        }
        let rule = rule(&bus, &archive, now);
        if !tx.contains(&RULES, scope, &(bus.name.as_str(), rule.name.as_str()))? {
            rules::count_new(tx, events, &bus)?;
        }
        rules::save(tx, &bus, &rule)?;
        tx.put(&ARCHIVES, scope, &(archive.name.as_str(),), &archive)?;
        index::touch(tx, &bus, events.host.random())
    });
    write.await?;
    Ok(api::CreateArchiveOutput {
        archive_arn: Some(arn(&bus.place, &archive.name).to_string()),
        state: Some(api::ArchiveState::Enabled),
        state_reason: None,
        creation_time: Some(now),
    })
}

pub async fn delete(events: &Events, cx: &Context, input: api::DeleteArchiveInput) -> Result<api::DeleteArchiveOutput> {
    let place = Place::of(cx);
    let write = events.store.write(|tx| {
        let archive = load(tx, &place, &input.archive_name)?;
        tx.delete(&ARCHIVES, &place.scope, &(archive.name.as_str(),))?;
        tx.put(&DISCARDED_ARCHIVES, &place.scope, &(archive.id.as_str(),), &())?;
        let bus = BusRef { place: place.clone(), name: archive.bus };
        rules::remove(tx, &bus, &rule_name(&archive.name))?;
        if buses::check_exists(tx, &bus).is_ok() {
            index::touch(tx, &bus, events.host.random())?;
        }
        Ok::<_, Error>(())
    });
    write.await?;
    Ok(api::DeleteArchiveOutput::default())
}

/// What an archive holds now.
pub fn count(snapshot: &Snapshot<'_>, place: &Place, archive: &Archive, now: Timestamp) -> Result<ArchiveDay> {
    let first = retention::first_day(archive.retention_days, now);
    let range = Range::prefix(&(archive.id.as_str(),)).from(&(archive.id.as_str(), first));
    let mut sum = ArchiveDay::default();
    for day in snapshot.range(&ARCHIVE_DAYS, &place.scope, range, Order::Ascending)? {
        let (_, day) = day?;
        sum.events += day.events;
        sum.bytes += day.bytes;
    }
    Ok(sum)
}

fn long(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

/// An archive whose bus, or whose own rule, is gone takes nothing more.
fn state(snapshot: &Snapshot<'_>, place: &Place, archive: &Archive) -> Result<api::ArchiveState> {
    let rule = snapshot.get(&RULES, &place.scope, &(archive.bus.as_str(), rule_name(&archive.name).as_str()))?;
    let is_taking = rule.is_some_and(|rule| rule.is_enabled());
    Ok(if is_taking { api::ArchiveState::Enabled } else { api::ArchiveState::Disabled })
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeArchiveInput,
) -> Result<api::DescribeArchiveOutput> {
    let place = Place::of(cx);
    let now = cx.now();
    let read = events.store.read(|snapshot| {
        let archive = load(snapshot, &place, &input.archive_name)?;
        let (count, state) = (count(snapshot, &place, &archive, now)?, state(snapshot, &place, &archive)?);
        Ok::<_, Error>((archive, count, state))
    });
    let (archive, count, state) = read.await?;
    Ok(api::DescribeArchiveOutput {
        archive_arn: Some(arn(&place, &archive.name).to_string()),
        event_source_arn: Some(place.arn(format!("event-bus/{}", archive.bus)).to_string()),
        archive_name: Some(archive.name),
        description: archive.description,
        event_pattern: archive.pattern,
        state: Some(state),
        state_reason: None,
        kms_key_identifier: archive.kms_key,
        retention_days: i32::try_from(archive.retention_days).ok(),
        size_bytes: long(count.bytes),
        event_count: long(count.events),
        creation_time: Some(archive.created_at),
    })
}

pub async fn update(events: &Events, cx: &Context, input: api::UpdateArchiveInput) -> Result<api::UpdateArchiveOutput> {
    let place = Place::of(cx);
    check_pattern(input.event_pattern.as_ref())?;
    let now = cx.now();
    let key = input.kms_key_identifier.as_ref().filter(|key| !key.is_empty());
    let data_key = match key {
        None => None,
        Some(_) => {
            let archive = events.store.read(|snapshot| load(snapshot, &place, &input.archive_name)).await?;
            events.archive_key(cx, &BusRef { place: place.clone(), name: archive.bus }, key).await?
        }
    };
    let write = events.store.write(|tx| {
        let mut archive = load(tx, &place, &input.archive_name)?;
        if let Some(text) = &input.description {
            archive.description = Some(text.clone());
        }
        if let Some(days) = input.retention_days {
            archive.retention_days = u32::try_from(days).unwrap_or(0);
        }
        if let Some(key) = &input.kms_key_identifier {
            archive.kms_key = Some(key.clone()).filter(|key| !key.is_empty());
            archive.data_key.clone_from(&data_key);
        }
        if let Some(pattern) = &input.event_pattern {
            archive.pattern = Some(pattern.clone()).filter(|text| !text.is_empty());
            let bus = BusRef { place: place.clone(), name: archive.bus.clone() };
            if tx.contains(&RULES, &place.scope, &(bus.name.as_str(), rule_name(&archive.name).as_str()))? {
                rules::save(tx, &bus, &rule(&bus, &archive, now))?;
                index::touch(tx, &bus, events.host.random())?;
            }
        }
        tx.put(&ARCHIVES, &place.scope, &(archive.name.as_str(),), &archive)?;
        let state = state(tx, &place, &archive)?;
        Ok::<_, Error>((archive, state))
    });
    let (archive, state) = write.await?;
    Ok(api::UpdateArchiveOutput {
        archive_arn: Some(arn(&place, &archive.name).to_string()),
        state: Some(state),
        state_reason: None,
        creation_time: Some(archive.created_at),
    })
}

pub async fn list(events: &Events, cx: &Context, input: api::ListArchivesInput) -> Result<api::ListArchivesOutput> {
    let place = Place::of(cx);
    let filters = [input.name_prefix.is_some(), input.event_source_arn.is_some(), input.state.is_some()];
    if filters.into_iter().filter(|is_given| *is_given).count() > 1 {
        return Err(Error::validation(
            "At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix.",
        ));
    }
    let bus = input.event_source_arn.as_deref().map(|arn| bus_of(cx, arn)).transpose()?;
    let asked = Asked { prefix: input.name_prefix.as_deref(), token: input.next_token.as_deref(), limit: input.limit };
    let now = cx.now();
    let read = events.store.read(|snapshot| {
        pages::page(snapshot, &ARCHIVES, &place.scope, &asked, |archive: Archive| {
            let state = state(snapshot, &place, &archive)?;
            if bus.as_ref().is_some_and(|bus| bus.name != archive.bus)
                || input.state.as_ref().is_some_and(|wanted| *wanted != state)
            {
                return Ok(None);
            }
            let count = count(snapshot, &place, &archive, now)?;
            Ok(Some(api::Archive {
                event_source_arn: Some(place.arn(format!("event-bus/{}", archive.bus)).to_string()),
                archive_name: Some(archive.name),
                state: Some(state),
                state_reason: None,
                retention_days: i32::try_from(archive.retention_days).ok(),
                size_bytes: long(count.bytes),
                event_count: long(count.events),
                creation_time: Some(archive.created_at),
            }))
        })
    });
    let (archives, next_token) = read.await?;
    Ok(api::ListArchivesOutput { archives: Some(archives), next_token })
}

/// Clears some of what an archive no longer has; says whether there is more.
pub fn clear(
    tx: &mut Transaction<'_>,
    place: &Place,
    id: &str,
    before_day: Option<u64>,
    at_once: usize,
) -> Result<bool> {
    use crate::store::ARCHIVED;
    let until = before_day.map(retention::start_of);
    let mut range = Range::prefix(&(id,));
    if let Some(until) = until {
        range = range.to(&(id, until));
    }
    let keys = tx.keys(&ARCHIVED, &place.scope, range, Order::Ascending)?.take(at_once);
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    for key in &keys {
        tx.delete(&ARCHIVED, &place.scope, key)?;
    }
    if keys.len() == at_once {
        return Ok(true);
    }
    let mut range = Range::prefix(&(id,));
    if let Some(day) = before_day {
        range = range.to(&(id, day));
    }
    let days = tx.keys(&ARCHIVE_DAYS, &place.scope, range, Order::Ascending)?.take(at_once);
    let days = days.collect::<Result<Vec<_>, _>>()?;
    for day in &days {
        tx.delete(&ARCHIVE_DAYS, &place.scope, day)?;
    }
    Ok(days.len() == at_once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_s_rule_sees_no_replays() {
        assert_eq!(rule_pattern(None), r#"{"replay-name":[{"exists":false}]}"#);
        assert_eq!(rule_pattern(Some(" {\"source\":[\"a\"]}")), r#"{"replay-name":[{"exists":false}],"source":["a"]}"#);
        rules::check_pattern(&rule_pattern(Some("{\"source\":[\"a\"]}"))).unwrap();
    }
}
