//! Event buses.

use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::{Order, Range, Snapshot, Transaction};

use crate::error::{Error, Result};
use crate::index;
use crate::model::names::{BusRef, DEFAULT_BUS, Place};
use crate::model::{json, target};
use crate::operations::{event_sources, permissions, rules, tags};
use crate::pages::{self, Asked};
use crate::service::Events;
use crate::store::{BUSES, Bus, RULE_COUNTS, RULES, STAMPS};

/// The bus's record; the default bus has one before anything is written about it.
pub fn load(snapshot: &Snapshot<'_>, bus: &BusRef) -> Result<Bus> {
    let found = snapshot.get(&BUSES, &bus.place.scope, &(bus.name.as_str(),))?;
    match found {
        Some(found) => Ok(found),
        None if bus.is_default() => Ok(Bus { name: DEFAULT_BUS.to_owned(), ..Bus::default() }),
        None => Err(Error::no_bus(&bus.name)),
    }
}

pub fn check_exists(snapshot: &Snapshot<'_>, bus: &BusRef) -> Result<()> {
    if bus.is_default() || snapshot.contains(&BUSES, &bus.place.scope, &(bus.name.as_str(),))? {
        return Ok(());
    }
    Err(Error::no_bus(&bus.name))
}

pub fn save(tx: &mut Transaction<'_>, bus: &BusRef, record: &Bus) -> Result<()> {
    Ok(tx.put(&BUSES, &bus.place.scope, &(bus.name.as_str(),), record)?)
}

/// A default bus that somebody has looked at stays as it was seen.
async fn keep_default(events: &Events, place: &Place, now: Timestamp) -> Result<()> {
    let key = (DEFAULT_BUS,);
    let is_there = events.store.read(|snapshot| Ok::<_, Error>(snapshot.contains(&BUSES, &place.scope, &key)?)).await?;
    if is_there {
        return Ok(());
    }
    let write = events.store.write(|tx| {
        if tx.contains(&BUSES, &place.scope, &key)? {
            return Ok(());
        }
        let bus = Bus { name: DEFAULT_BUS.to_owned(), created_at: Some(now), modified_at: Some(now), ..Bus::default() };
        Ok::<_, Error>(tx.put(&BUSES, &place.scope, &key, &bus)?)
    });
    write.await
}

fn dead_letter_arn(config: Option<&api::DeadLetterConfig>) -> Result<Option<String>> {
    let arn = config.and_then(|config| config.arn.clone()).filter(|arn| !arn.is_empty());
    if let Some(arn) = &arn {
        target::check_dead_letter(arn)?;
    }
    Ok(arn)
}

fn dead_letter_config(arn: Option<String>) -> Option<api::DeadLetterConfig> {
    arn.map(|arn| api::DeadLetterConfig { arn: Some(arn) })
}

pub async fn create(
    events: &Events,
    cx: &Context,
    input: api::CreateEventBusInput,
) -> Result<api::CreateEventBusOutput> {
    let bus = BusRef { place: Place::of(cx), name: input.name.clone() };
    if bus.is_default() {
        return Err(Error::AlreadyExists("Event bus default already exists.".to_owned()));
    }
    match &input.event_source_name {
        Some(source) if *source != input.name => {
            return Err(Error::validation("The name of a partner event bus must be the name of its event source."));
        }
        None if input.name.contains('/') => return Err(Error::validation("Event bus name must not contain '/'.")),
        _ => {}
    }
    let now = cx.now();
    let record = Bus {
        name: input.name.clone(),
        description: input.description.clone(),
        kms_key: input.kms_key_identifier.clone(),
        dead_letter_arn: dead_letter_arn(input.dead_letter_config.as_ref())?,
        log_config: input.log_config.as_ref().map(|config| json::of_shape(config)).transpose()?,
        event_source: input.event_source_name.clone(),
        tags: tags::of(input.tags.as_deref())?,
        created_at: Some(now),
        modified_at: Some(now),
        policy: None,
    };
    let write = events.store.write(|tx| {
        if tx.contains(&BUSES, &bus.place.scope, &(bus.name.as_str(),))? {
            return Err(Error::AlreadyExists(format!("Event bus {} already exists.", bus.name)));
        }
        let limit = events.config.event_buses;
        if tx.keys(&BUSES, &bus.place.scope, Range::all(), Order::Ascending)?.take(limit).count() >= limit {
            return Err(Error::limit());
        }
        if let Some(source) = &record.event_source {
            event_sources::become_active(tx, &bus.place, source)?;
        }
        save(tx, &bus, &record)?;
        index::touch(tx, &bus, events.host.random())
    });
    write.await?;
    Ok(api::CreateEventBusOutput {
        event_bus_arn: Some(bus.arn().to_string()),
        description: record.description,
        kms_key_identifier: record.kms_key,
        dead_letter_config: dead_letter_config(record.dead_letter_arn),
        log_config: input.log_config,
    })
}

/// A bus that is not there is gone already. Its rules go with it.
pub async fn delete(
    events: &Events,
    cx: &Context,
    input: api::DeleteEventBusInput,
) -> Result<api::DeleteEventBusOutput> {
    let bus = BusRef::of(cx, Some(&input.name))?;
    if bus.is_default() {
        return Err(Error::validation("Cannot delete event bus default."));
    }
    let write = events.store.write(|tx| {
        let Some(record) = tx.take(&BUSES, &bus.place.scope, &(bus.name.as_str(),))? else { return Ok(()) };
        if let Some(source) = &record.event_source {
            event_sources::become_pending(tx, &bus.place, source, cx.now())?;
        }
        // A bus has at most some hundred rules.
        let range = Range::prefix(&(bus.name.as_str(),));
        let names = tx.keys(&RULES, &bus.place.scope, range, Order::Ascending)?.collect::<Result<Vec<_>, _>>()?;
        for (_, name) in names {
            rules::remove(tx, &bus, &name)?;
        }
        tx.delete(&RULE_COUNTS, &bus.place.scope, &(bus.name.as_str(),))?;
        Ok::<_, Error>(tx.delete(&STAMPS, &bus.place.scope, &(bus.name.as_str(),))?)
    });
    write.await?;
    Ok(api::DeleteEventBusOutput::default())
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeEventBusInput,
) -> Result<api::DescribeEventBusOutput> {
    let bus = BusRef::of(cx, input.name.as_deref())?;
    if bus == BusRef::of(cx, None)? {
        keep_default(events, &bus.place, cx.now()).await?;
    }
    let read = events.store.read(|snapshot| {
        permissions::check_reach(snapshot, cx, &bus, "events:DescribeEventBus", &[])?;
        load(snapshot, &bus)
    });
    let record = read.await?;
    Ok(api::DescribeEventBusOutput {
        name: Some(bus.name.clone()),
        arn: Some(bus.arn().to_string()),
        description: record.description,
        kms_key_identifier: record.kms_key,
        dead_letter_config: dead_letter_config(record.dead_letter_arn),
        log_config: record.log_config.as_ref().map(json::to_shape),
        policy: record.policy,
        creation_time: record.created_at,
        last_modified_time: record.modified_at,
        managed_by: None,
    })
}

pub async fn update(
    events: &Events,
    cx: &Context,
    input: api::UpdateEventBusInput,
) -> Result<api::UpdateEventBusOutput> {
    let bus = BusRef::of(cx, input.name.as_deref())?;
    let dead_letter = dead_letter_arn(input.dead_letter_config.as_ref())?;
    let log_config = input.log_config.as_ref().map(|config| json::of_shape(config)).transpose()?;
    let now = cx.now();
    let write = events.store.write(|tx| {
        let mut record = load(tx, &bus)?;
        // What is given replaces; what is given empty goes.
        if let Some(text) = &input.description {
            record.description = Some(text.clone()).filter(|text| !text.is_empty());
        }
        if let Some(key) = &input.kms_key_identifier {
            record.kms_key = Some(key.clone()).filter(|key| !key.is_empty());
        }
        if input.dead_letter_config.is_some() {
            record.dead_letter_arn.clone_from(&dead_letter);
        }
        if log_config.is_some() {
            record.log_config.clone_from(&log_config);
        }
        record.created_at = record.created_at.or(Some(now));
        record.modified_at = Some(now);
        save(tx, &bus, &record)?;
        index::touch(tx, &bus, events.host.random())?;
        Ok::<_, Error>(record)
    });
    let record = write.await?;
    Ok(api::UpdateEventBusOutput {
        arn: Some(bus.arn().to_string()),
        name: Some(bus.name.clone()),
        kms_key_identifier: record.kms_key,
        description: record.description,
        dead_letter_config: dead_letter_config(record.dead_letter_arn),
        log_config: record.log_config.as_ref().map(json::to_shape),
    })
}

pub async fn list(events: &Events, cx: &Context, input: api::ListEventBusesInput) -> Result<api::ListEventBusesOutput> {
    let place = Place::of(cx);
    keep_default(events, &place, cx.now()).await?;
    let asked = Asked { prefix: input.name_prefix.as_deref(), token: input.next_token.as_deref(), limit: input.limit };
    let read = events.store.read(|snapshot| {
        pages::page(snapshot, &BUSES, &place.scope, &asked, |bus: Bus| {
            Ok(Some(api::EventBus {
                arn: Some(place.arn(format!("event-bus/{}", bus.name)).to_string()),
                name: Some(bus.name),
                description: bus.description,
                policy: bus.policy,
                creation_time: bus.created_at,
                last_modified_time: bus.modified_at,
                managed_by: None,
            }))
        })
    });
    let (buses, next_token) = read.await?;
    Ok(api::ListEventBusesOutput { event_buses: Some(buses), next_token })
}
