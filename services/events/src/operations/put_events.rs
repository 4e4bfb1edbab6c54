//! PutEvents.

use std::sync::Arc;

use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_patterns::Event;
use fractus_store::Snapshot;

use crate::error::{Error, Result};
use crate::index::BusIndex;
use crate::model::event::{self, MAX_REQUEST_BYTES, Parts};
use crate::model::names::{BusRef, Place};
use crate::operations::{endpoints, permissions};
use crate::route::{self, Arrival, Plan};
use crate::service::Events;

/// Why one entry was not taken, as its result says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>
pub fn refusal(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}

fn missing(name: &str) -> Refusal {
    refusal("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
}

pub fn malformed() -> Refusal {
    refusal("MalformedDetail", "Detail is malformed.")
}

/// An entry that is an event.
struct Taken<'a> {
    /// Its position in the request.
    entry: usize,
    bus: BusRef,
    id: String,
    json: String,
    source: &'a str,
    detail_type: &'a str,
    trace_header: Option<&'a str>,
    time: Timestamp,
}

impl Taken<'_> {
    fn arrival<'a>(&'a self, cx: &'a Context, now: Timestamp, cause: &'a Cause) -> Arrival<'a> {
        Arrival {
            trace_header: self.trace_header,
            time: Some(self.time),
            ..Arrival::new(&cx.world.lane, &self.json, &self.id, now, cause)
        }
    }
}

fn given<'a>(value: Option<&'a String>, name: &str) -> Result<&'a str, Refusal> {
    value.map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
}

/// An entry as an event in JSON, with its source and detail type.
fn read<'a>(
    cx: &Context,
    entry: &'a api::PutEventsRequestEntry,
    id: &str,
    now: Timestamp,
) -> Result<(String, &'a str, &'a str), Refusal> {
    let source = given(entry.source.as_ref(), "Source")?;
    let detail_type = given(entry.detail_type.as_ref(), "DetailType")?;
    let detail = given(entry.detail.as_ref(), "Detail")?;
    if source.starts_with("aws.") {
        return Err(refusal("NotAuthorizedForSourceException", "Not authorized for the source."));
    }
    let parts = Parts {
        id,
        detail_type,
        source,
        account: &cx.world.account,
        region: &cx.region,
        time: entry.time.unwrap_or(now),
        resources: entry.resources.as_deref().unwrap_or_default(),
        detail,
    };
    let json = event::envelope(&parts).map_err(|_| malformed())?;
    Ok((json, source, detail_type))
}

fn check_size(entries: &[api::PutEventsRequestEntry]) -> Result<()> {
    let text = |value: &'_ Option<String>| value.as_ref().map_or(0, String::len);
    let bytes = entries.iter().map(|entry| {
        let texts = [text(&entry.source), text(&entry.detail_type), text(&entry.detail)];
        event::entry_bytes(entry.time.is_some(), texts, entry.resources.as_deref().unwrap_or_default())
    });
    if bytes.sum::<usize>() > MAX_REQUEST_BYTES {
        return Err(Error::validation("Total size of the entries in the request is over the limit."));
    }
    Ok(())
}

/// The index of the bus that was asked last: a request's entries mostly go to one bus.
type Last = Option<(BusRef, Option<Arc<BusIndex>>)>;

fn index_of(events: &Events, snapshot: &Snapshot<'_>, bus: &BusRef, last: &mut Last) -> Result<Option<Arc<BusIndex>>> {
    if let Some((known, index)) = last
        && known == bus
    {
        return Ok(index.clone());
    }
    let index = events.indexes.of(snapshot, bus)?;
    *last = Some((bus.clone(), index.clone()));
    Ok(index)
}

/// An event's way so far.
struct Planned {
    /// Its position among those that were taken.
    at: usize,
    plan: Plan,
    index: Arc<BusIndex>,
}

/// What all events lead to, in the order of the request.
fn plan(
    events: &Events,
    cx: &Context,
    snapshot: &Snapshot<'_>,
    taken: &[(&Taken<'_>, Event<'_>)],
    now: Timestamp,
) -> Result<Vec<Planned>> {
    let cause = cx.cause();
    let mut last = None;
    let mut plans = Vec::new();
    for (at, (taken, parsed)) in taken.iter().enumerate() {
        if taken.bus.place.world.account != cx.world.account {
            let conditions = [("events:source", taken.source), ("events:detail-type", taken.detail_type)];
            permissions::check_reach(snapshot, cx, &taken.bus, "events:PutEvents", &conditions)?;
        }
        let Some(index) = index_of(events, snapshot, &taken.bus, &mut last)? else { continue };
        let mut plan = Plan::default();
        route::plan(&taken.bus, &index, parsed, &taken.arrival(cx, now, &cause), &mut plan);
        if !plan.is_empty() || index.settings.kms_key.is_some() {
            plans.push(Planned { at, plan, index });
        }
    }
    Ok(plans)
}

/// Asks KMS for the keys of the buses that have one; what cannot be kept leads elsewhere.
async fn judge(
    events: &Events,
    cx: &Context,
    taken: &[(&Taken<'_>, Event<'_>)],
    plans: &mut [Planned],
    now: Timestamp,
) {
    let cause = cx.cause();
    for Planned { at, plan, index } in plans.iter_mut().filter(|planned| planned.index.settings.kms_key.is_some()) {
        let taken = taken[*at].0;
        if let Some(refused) = events.judge(&taken.bus, &index.settings, now).await {
            *plan = Plan::of_refused(&taken.bus, &index.settings, &taken.arrival(cx, now, &cause), &refused);
        }
    }
}

pub async fn put_events(events: &Events, cx: &Context, input: api::PutEventsInput) -> Result<api::PutEventsOutput> {
    check_size(&input.entries)?;
    let now = cx.now();
    let place = Place::of(cx);
    let endpoint = match &input.endpoint_id {
        Some(id) => Some(endpoints::buses_of(events, cx, id).await?),
        None => None,
    };
    let mut results: Vec<Result<String, Refusal>> = Vec::with_capacity(input.entries.len());
    let mut taken: Vec<Taken<'_>> = Vec::with_capacity(input.entries.len());
    for (position, entry) in input.entries.iter().enumerate() {
        let id = cx.random().uuid();
        let (json, source, detail_type) = match read(cx, entry, &id, now) {
            Ok(read) => read,
            Err(refusal) => {
                results.push(Err(refusal));
                continue;
            }
        };
        let buses = match &endpoint {
            Some(buses) => buses.clone(),
            None => vec![BusRef::in_place(&place, entry.event_bus_name.as_deref())?],
        };
        for (copy, bus) in buses.into_iter().enumerate() {
            taken.push(Taken {
                entry: position,
                bus,
                // Deliveries are numbered behind it; a replicated event's must differ.
                id: if copy == 0 { id.clone() } else { format!("{id}-{copy}") },
                json: json.clone(),
                source,
                detail_type,
                trace_header: entry.trace_header.as_deref(),
                time: entry.time.unwrap_or(now).to_secs_precision(),
            });
        }
        results.push(Ok(id));
    }
    keep(events, cx, &taken, &mut results, now).await?;
    Ok(answer(results))
}

/// Takes the events apart, asks the rules, and keeps what comes of it in one transaction.
async fn keep(
    events: &Events,
    cx: &Context,
    taken: &[Taken<'_>],
    results: &mut [Result<String, Refusal>],
    now: Timestamp,
) -> Result<()> {
    let mut parsed = Vec::with_capacity(taken.len());
    for taken in taken {
        match Event::parse(&taken.json) {
            Ok(event) => parsed.push((taken, event)),
            Err(_) => results[taken.entry] = Err(malformed()),
        }
    }
    let mut plans = events.store.read(|snapshot| plan(events, cx, snapshot, &parsed, now)).await?;
    judge(events, cx, &parsed, &mut plans, now).await;
    let mut kept = Vec::with_capacity(plans.len());
    for Planned { at, plan, .. } in plans {
        let taken = parsed[at].0;
        if route::has_room(events, &plan) {
            kept.push((taken, plan));
        } else {
            results[taken.entry] = Err(refusal("ThrottlingException", "Rate exceeded"));
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    let write = events.store.write(|tx| {
        let mut handoffs = Vec::new();
        for (taken, plan) in &kept {
            handoffs.append(&mut route::write(tx, events, &taken.bus.place.scope, plan)?);
        }
        Ok::<_, Error>(handoffs)
    });
    write.await.map(drop)
}

fn answer(results: Vec<Result<String, Refusal>>) -> api::PutEventsOutput {
    let failed = results.iter().filter(|result| result.is_err()).count();
    let entries = results.into_iter().map(|result| match result {
        Ok(id) => api::PutEventsResultEntry { event_id: Some(id), ..Default::default() },
        Err(refusal) => api::PutEventsResultEntry {
            event_id: None,
            error_code: Some(refusal.code.to_owned()),
            error_message: Some(refusal.message),
        },
    });
    api::PutEventsOutput { entries: Some(entries.collect()), failed_entry_count: i32::try_from(failed).ok() }
}
