//! Partner event sources as the customer sees them.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-saas.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::{Snapshot, Transaction};

use crate::error::{Error, Result};
use crate::model::names::Place;
use crate::pages::{self, Asked};
use crate::service::Events;
use crate::store::{BUSES, EVENT_SOURCES, EventSource};

/// A source without a bus is deleted after two weeks.
const PENDING_FOR: Duration = Duration::from_secs(14 * 86_400);

pub const PENDING: &str = "PENDING";
pub const ACTIVE: &str = "ACTIVE";
pub const DELETED: &str = "DELETED";

pub fn arn(place: &Place, name: &str) -> String {
    format!("arn:{}:events:{}::event-source/{name}", place.world.partition, place.region)
}

pub fn new(created_by: &str, now: Timestamp) -> EventSource {
    EventSource {
        created_by: created_by.to_owned(),
        created_at: now,
        expires_at: Some(now.plus(PENDING_FOR)),
        state: PENDING.to_owned(),
    }
}

pub fn missing(name: &str) -> Error {
    Error::NotFound(format!("Event source {name} does not exist."))
}

/// A source that has waited for its bus too long is gone.
pub fn load(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<EventSource> {
    let now = snapshot.now(&place.scope);
    let found = snapshot.get(&EVENT_SOURCES, &place.scope, &(name,))?;
    found.filter(|source| source.expires_at.is_none_or(|expires| expires > now)).ok_or_else(|| missing(name))
}

pub fn save(tx: &mut Transaction<'_>, place: &Place, name: &str, source: &EventSource) -> Result<()> {
    Ok(tx.put(&EVENT_SOURCES, &place.scope, &(name,), source)?)
}

/// A bus has been made for it.
pub fn become_active(tx: &mut Transaction<'_>, place: &Place, name: &str) -> Result<()> {
    let mut source = load(tx, place, name)?;
    if source.state == DELETED {
        return Err(Error::InvalidState(format!("Event source {name} is in the state {DELETED}.")));
    }
    ACTIVE.clone_into(&mut source.state);
    source.expires_at = None;
    save(tx, place, name, &source)
}

/// Its bus is gone.
pub fn become_pending(tx: &mut Transaction<'_>, place: &Place, name: &str, now: Timestamp) -> Result<()> {
    let Ok(mut source) = load(tx, place, name) else { return Ok(()) };
    if source.state == DELETED {
        return Ok(tx.delete(&EVENT_SOURCES, &place.scope, &(name,))?);
    }
    PENDING.clone_into(&mut source.state);
    source.expires_at = Some(now.plus(PENDING_FOR));
    save(tx, place, name, &source)
}

/// Takes a source with a bus from one state to the other.
async fn set_state(events: &Events, cx: &Context, name: &str, from: &str, to: &str) -> Result<()> {
    let place = Place::of(cx);
    let now = cx.now();
    let write = events.store.write(|tx| {
        let mut source = load(tx, &place, name)?;
        let has_bus = tx.contains(&BUSES, &place.scope, &(name,))?;
        if source.state != from || to == ACTIVE && !has_bus {
            return Err(Error::InvalidState(format!("Event source {name} is in the state {}.", source.state)));
        }
        to.clone_into(&mut source.state);
        source.expires_at = (to == PENDING).then(|| now.plus(PENDING_FOR));
        save(tx, &place, name, &source)
    });
    write.await
}

pub async fn activate(
    events: &Events,
    cx: &Context,
    input: api::ActivateEventSourceInput,
) -> Result<api::ActivateEventSourceOutput> {
    set_state(events, cx, &input.name, PENDING, ACTIVE).await?;
    Ok(api::ActivateEventSourceOutput::default())
}

pub async fn deactivate(
    events: &Events,
    cx: &Context,
    input: api::DeactivateEventSourceInput,
) -> Result<api::DeactivateEventSourceOutput> {
    set_state(events, cx, &input.name, ACTIVE, PENDING).await?;
    Ok(api::DeactivateEventSourceOutput::default())
}

/// Who made it is the partner's name, the second part of the source's.
fn partner(name: &str) -> Option<String> {
    name.split('/').nth(1).map(str::to_owned)
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeEventSourceInput,
) -> Result<api::DescribeEventSourceOutput> {
    let place = Place::of(cx);
    let source = events.store.read(|snapshot| load(snapshot, &place, &input.name)).await?;
    Ok(api::DescribeEventSourceOutput {
        arn: Some(arn(&place, &input.name)),
        created_by: partner(&input.name),
        creation_time: Some(source.created_at),
        expiration_time: source.expires_at,
        state: Some(source.state.as_str().into()),
        name: Some(input.name),
    })
}

pub async fn list(
    events: &Events,
    cx: &Context,
    input: api::ListEventSourcesInput,
) -> Result<api::ListEventSourcesOutput> {
    let place = Place::of(cx);
    let asked = Asked { prefix: input.name_prefix.as_deref(), token: input.next_token.as_deref(), limit: input.limit };
    let now = cx.now();
    let after = pages::decode(asked.token)?;
    let read = events.store.read(|snapshot| {
        let after = after.as_ref().map(|after| (after.as_str(),));
        let range = pages::behind(&(asked.prefix.unwrap_or_default(),), after);
        pages::collect(
            snapshot,
            &EVENT_SOURCES,
            &place.scope,
            range,
            asked.limit,
            |key| key.0.clone(),
            |key, source| {
                if source.expires_at.is_some_and(|expires| expires <= now) {
                    return Ok(None);
                }
                Ok(Some(api::EventSource {
                    arn: Some(arn(&place, &key.0)),
                    created_by: partner(&key.0),
                    creation_time: Some(source.created_at),
                    expiration_time: source.expires_at,
                    state: Some(source.state.as_str().into()),
                    name: Some(key.0.clone()),
                }))
            },
        )
    });
    let (sources, next_token) = read.await?;
    Ok(api::ListEventSourcesOutput { event_sources: Some(sources), next_token })
}
