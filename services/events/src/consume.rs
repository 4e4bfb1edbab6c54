//! What other services bring and tell: deliveries to event buses and API destinations, changes of state, and recorded calls.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{Arn, World};
use fractus_bus::contracts::{ApiCallRecorded, Cause, Delivery, Fate, StateChange};
use fractus_bus::outbox::Handoff;
use fractus_bus::{Heard, Hears, Outcome, Publishers, Subscription};
use fractus_clock::Timestamp;
use fractus_host::{Resending, taken};
use fractus_patterns::Event;
use fractus_store::Transaction;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::index::BusSettings;
use crate::invoke::{self, Attempt};
use crate::keys::{self, Refused};
use crate::logs;
use crate::model::event::{self, Parts};
use crate::model::names::{BusRef, DEFAULT_BUS, Place};
use crate::model::policy::{self, Reach};
use crate::model::target::Kind;
use crate::operations::buses;
use crate::route::{self, Arrival, Plan};
use crate::service::Events;

/// Before something is tried again that failed for a reason of this process.
const PAUSE: Duration = Duration::from_secs(1);
/// Entries of one request that a delivery may hold.
const MAX_ENTRIES: usize = 10;

/// Begins to consume and to hear; both live as long as the host.
pub fn start(events: &Arc<Events>) {
    let resending = events.host.resend(&events.outbox, |_, attempted| Ok(logs::of_attempt(attempted)));
    let (handler, sending) = (Arc::clone(events), resending.clone());
    events.host.consume(Some(resending), move |delivery| {
        let (events, resending) = (Arc::clone(&handler), sending.clone());
        async move { deliver(&events, &resending, delivery).await }
    });
    let bus = events.host.bus();
    let changes = bus.subscribe::<StateChange>(Publishers::Any, Hears::OneReplica);
    hear(events, "state changes", changes, |events, change, cause| Box::pin(state_changed(events, change, cause)));
    let calls = bus.subscribe::<ApiCallRecorded>(Publishers::Any, Hears::OneReplica);
    hear(events, "recorded calls", calls, |events, call, cause| Box::pin(call_recorded(events, call, cause)));
}

type Hearing<'a> = futures::future::BoxFuture<'a, Result<()>>;

fn hear<E: fractus_bus::contracts::Event>(
    events: &Arc<Events>,
    name: &'static str,
    mut told: Subscription<E>,
    take: impl for<'a> Fn(&'a Events, E, Cause) -> Hearing<'a> + Send + Sync + 'static,
) {
    let hearing = Arc::clone(events);
    events.host.spawn(name, async move {
        let draining = hearing.host.draining();
        loop {
            let heard = tokio::select! {
                () = draining.cancelled() => return,
                heard = told.next() => heard,
            };
            match heard {
                Some(Heard::Event { event, cause, .. }) => {
                    if let Err(error) = take(&hearing, event, cause).await {
                        tracing::warn!(%error, "{name}: an event was not put on its bus");
                    }
                }
                Some(Heard::Missed) => {}
                None => return,
            }
        }
    });
}

/// Brings a delivery to where it is for.
pub async fn deliver(events: &Events, resending: &Resending, delivery: Delivery) -> Outcome {
    let wrong = || Outcome::Refused {
        code: "RESOURCE_NOT_FOUND".to_owned(),
        message: format!("{} is no event bus and no API destination.", delivery.target),
    };
    let lane_of = World { lane: delivery.lane.clone(), ..World::default_world() };
    let Some(place) = Place::of_arn(&lane_of, &delivery.target) else { return wrong() };
    match Kind::of(&delivery.target) {
        Kind::ApiDestination => match call(events, resending, &place, &delivery).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::RetryIn { delay: PAUSE, reason: error.to_string() },
        },
        Kind::Bus => match BusRef::of_arn(&lane_of, &delivery.target) {
            Some(bus) => outcome(put(events, &bus, &delivery).await),
            None => wrong(),
        },
        _ => wrong(),
    }
}

/// One attempt at an API destination; whether there is another one, the lane's clock decides.
async fn call(events: &Events, resending: &Resending, place: &Place, delivery: &Delivery) -> Result<Outcome> {
    if resending.is_settled(delivery).await? {
        return Ok(Outcome::Done);
    }
    match invoke::invoke(events, place, delivery).await {
        Attempt::Settled(outcome) => Ok(outcome),
        Attempt::Failed { after, reason } => Ok(Outcome::Failed { code: "SERVICE_ERROR".to_owned(), reason, after }),
        Attempt::HasTurnAt(at) if at > delivery.created_at.plus(delivery.retry.maximum_age()) => {
            let late = Fate::Exhausted {
                code: "THROTTLING".to_owned(),
                message: "The invocation rate limit is reached.".to_owned(),
                condition: "MaximumEventAgeInSeconds".to_owned(),
            };
            resending.settle(delivery, &late).await?;
            Ok(Outcome::Done)
        }
        Attempt::HasTurnAt(at) => {
            resending.postpone(delivery, at, invoke::turn_note(delivery)).await?;
            Ok(Outcome::Done)
        }
    }
}

fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(Error::Store(error)) => Outcome::Retry { reason: error.to_string() },
        // Our own outbox is full: no failure of the bus that it is for, and nothing that a lane's clock could wait for.
        Err(Error::LimitExceeded(reason)) => Outcome::RetryIn { delay: PAUSE, reason },
        Err(Error::Kms(refusal, reason)) => Outcome::Failed { code: refusal.code().to_owned(), reason, after: None },
        Err(Error::AccessDenied(message)) => Outcome::Refused { code: "NO_PERMISSIONS".to_owned(), message },
        Err(Error::NotFound(message)) => Outcome::Refused { code: "RESOURCE_NOT_FOUND".to_owned(), message },
        Err(error) => Outcome::Refused { code: "INVALID_PARAMETER".to_owned(), message: error.to_string() },
    }
}

/// The events that a delivery holds, as JSON: a whole event, the detail of one whose source and type stand beside it, or
/// the input of PutEvents.
fn events_of(events: &Events, bus: &BusRef, delivery: &Delivery, now: Timestamp) -> Result<Vec<(BusRef, String)>> {
    let malformed = || Error::parameter("Detail", "Detail is malformed.");
    let body = delivery.body.as_text().ok_or_else(malformed)?;
    let text = |name: &str| delivery.parameters.get(name).and_then(Value::as_str);
    if let (Some(detail_type), Some(source)) = (text("DetailType"), text("Source")) {
        let resources: Vec<String> = match delivery.parameters.get("Resources").and_then(Value::as_array) {
            Some(list) => list.iter().filter_map(|value| Some(value.as_str()?.to_owned())).collect(),
            None => delivery.source.arn.iter().map(Arn::to_string).collect(),
        };
        let parts = Parts {
            id: &events.host.random().uuid(),
            detail_type,
            source,
            account: &delivery.source.account,
            region: &bus.place.region,
            time: now,
            resources: &resources,
            detail: body,
        };
        return Ok(vec![(bus.clone(), event::envelope(&parts).map_err(|_| malformed())?)]);
    }
    let value: Value = serde_json::from_str(body).map_err(|_| malformed())?;
    if let Some(entries) = value.get("Entries").and_then(Value::as_array) {
        return entries.iter().take(MAX_ENTRIES).map(|entry| entry_event(events, bus, entry, now)).collect();
    }
    let is_event = ["source", "detail-type", "detail"].iter().all(|name| value.get(*name).is_some());
    if !is_event {
        return Err(Error::parameter("Input", "It is not an event."));
    }
    let mut whole = String::with_capacity(body.len());
    event::push_compact_object(&mut whole, body).map_err(|_| malformed())?;
    Ok(vec![(bus.clone(), whole)])
}

fn entry_event(events: &Events, bus: &BusRef, entry: &Value, now: Timestamp) -> Result<(BusRef, String)> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let required =
        |name: &str| text(name).ok_or_else(|| Error::parameter(name, format!("{name} is a required argument.")));
    let resources: Vec<String> = match entry.get("Resources").and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(|value| Some(value.as_str()?.to_owned())).collect(),
        None => Vec::new(),
    };
    let parts = Parts {
        id: &events.host.random().uuid(),
        detail_type: required("DetailType")?,
        source: required("Source")?,
        account: &bus.place.world.account,
        region: &bus.place.region,
        time: now,
        resources: &resources,
        detail: required("Detail")?,
    };
    let json = event::envelope(&parts).map_err(|_| Error::parameter("Detail", "Detail is malformed."))?;
    let bus = match text("EventBusName") {
        Some(name) => BusRef::in_place(&bus.place, Some(name))?,
        None => bus.clone(),
    };
    Ok((bus, json))
}

/// Puts the events of a delivery on their buses, unless it was taken before.
async fn put(events: &Events, bus: &BusRef, delivery: &Delivery) -> Result<()> {
    let now = events.host.clocks().lane(delivery.lane.as_str()).now();
    let arrived = events_of(events, bus, delivery, now)?;
    let is_forwarded = match delivery.parameters.get(route::IS_FORWARDED).and_then(Value::as_bool) {
        Some(was_forwarded) => was_forwarded,
        None => delivery.source.principal == "events.amazonaws.com",
    };
    let mut refusals = Vec::with_capacity(arrived.len());
    for (bus, json) in &arrived {
        refusals.push(judged(events, bus, json, now).await?);
    }
    let trace = delivery.system_attributes.get("AWSTraceHeader").and_then(|header| header.value.as_text());
    let cause = delivery.cause.child(delivery.id.clone());
    let passage = events.host.random().uuid();
    let write = events.store.write(|tx| {
        if !taken::take(tx, &delivery.id)? {
            return Ok(Vec::new());
        }
        let mut handoffs = Vec::new();
        for (number, ((bus, json), refused)) in arrived.iter().zip(&refusals).enumerate() {
            let id = format!("{passage}-{number}");
            let arrival =
                Arrival { trace_header: trace, is_forwarded, ..Arrival::new(&delivery.lane, json, &id, now, &cause) };
            check_source(tx, bus, delivery, now)?;
            handoffs.append(&mut match refused {
                None => put_on(tx, events, bus, &arrival)?,
                Some(refused) => {
                    let settings = BusSettings::read(tx, bus)?;
                    let plan = Plan::of_refused(bus, &settings, &arrival, refused);
                    route::write(tx, events, &bus.place.scope, &plan)?
                }
            });
        }
        Ok::<_, Error>(handoffs)
    });
    write.await.map(drop)
}

/// Why a delivered event cannot be kept under its bus's key; what passes is an error, and its sender tries again.
async fn judged(events: &Events, bus: &BusRef, json: &str, now: Timestamp) -> Result<Option<Refused>> {
    let settings = events.store.read(|snapshot| BusSettings::read(snapshot, bus)).await?;
    if settings.kms_key.is_none() || keys::is_of_aws(json) {
        return Ok(None);
    }
    match events.judge(bus, &settings, now).await {
        Some(Refused { refusal, message }) if refusal.passes() => Err(Error::Kms(refusal, message)),
        refused => Ok(refused),
    }
}

/// A sender in another account needs the bus's policy; the bus must be there.
fn check_source(tx: &Transaction<'_>, bus: &BusRef, delivery: &Delivery, now: Timestamp) -> Result<()> {
    let record = buses::load(tx, bus)?;
    if delivery.source.account == bus.place.world.account {
        return Ok(());
    }
    policy::check_reach(&Reach {
        principal: &policy::principal_of_rule(&delivery.source, bus.place.world.partition.as_str()),
        action: "events:PutEvents",
        resource: &bus.arn().to_string(),
        owner: &bus.place.world.account,
        policy: record.policy.as_deref(),
        conditions: &[],
        now,
    })
}

/// Puts one event on a bus within a transaction.
pub fn put_on(tx: &mut Transaction<'_>, events: &Events, bus: &BusRef, arrival: &Arrival<'_>) -> Result<Vec<Handoff>> {
    let parsed = Event::parse(arrival.event).map_err(|_| Error::parameter("Detail", "Detail is malformed."))?;
    let Some(index) = events.indexes.of(tx, bus)? else { return Ok(Vec::new()) };
    let mut plan = Plan::default();
    route::plan(bus, &index, &parsed, arrival, &mut plan);
    if !route::has_room(events, &plan) {
        return Err(Error::LimitExceeded("Too many deliveries wait for the message bus.".to_owned()));
    }
    route::write(tx, events, &bus.place.scope, &plan)
}

/// The default bus of an account in a region.
fn default_bus(lane: &fractus_aws::Lane, account: &fractus_aws::AccountId, region: &fractus_aws::Region) -> BusRef {
    let world = World { lane: lane.clone(), partition: region.partition(), account: account.clone() };
    BusRef { place: Place::new(world, region.clone()), name: DEFAULT_BUS.to_owned() }
}

async fn state_changed(events: &Events, change: StateChange, cause: Cause) -> Result<()> {
    let bus = default_bus(&change.lane, &change.account, &change.region);
    let resources: Vec<String> = change.resources.iter().map(Arn::to_string).collect();
    let parts = Parts {
        id: &change.id,
        detail_type: &change.detail_type,
        source: &change.source,
        account: &change.account,
        region: &change.region,
        time: change.time,
        resources: &resources,
        detail: &change.detail.to_string(),
    };
    put_told(events, &bus, &parts, &cause, false).await
}

/// A management call as CloudTrail tells it.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>
async fn call_recorded(events: &Events, call: ApiCallRecorded, cause: Cause) -> Result<()> {
    let bus = default_bus(&call.lane, &call.account, &call.region);
    let service = call.event_source.split('.').next().unwrap_or_default();
    // What rules cause must not cause rules for ever.
    if service == "events" && call.operation.starts_with("Put") && call.operation.ends_with("Events") {
        return Ok(());
    }
    let mut detail = json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": call.principal, "accountId": call.account, "accessKeyId": call.access_key_id},
        "eventTime": call.time.to_secs_precision().date_time(),
        "eventSource": call.event_source,
        "eventName": call.operation,
        "awsRegion": call.region,
        "sourceIPAddress": call.source_ip,
        "userAgent": call.user_agent,
        "requestParameters": call.request_parameters,
        "responseElements": call.response_elements,
        "requestID": call.request_id,
        "eventID": events.host.random().uuid(),
        "readOnly": call.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
    });
    if let Some(code) = &call.error_code {
        detail["errorCode"] = json!(code);
        detail["errorMessage"] = json!(call.error_message);
    }
    let parts = Parts {
        id: &events.host.random().uuid(),
        detail_type: "AWS API Call via CloudTrail",
        source: &format!("aws.{service}"),
        account: &call.account,
        region: &call.region,
        time: call.time,
        resources: &[],
        detail: &detail.to_string(),
    };
    put_told(events, &bus, &parts, &cause, call.read_only).await
}

async fn put_told(
    events: &Events,
    bus: &BusRef,
    parts: &Parts<'_>,
    cause: &Cause,
    is_read_only_call: bool,
) -> Result<()> {
    let json = event::envelope(parts).map_err(|_| Error::parameter("Detail", "Detail is malformed."))?;
    let now = events.host.clocks().lane(bus.place.world.lane.as_str()).now();
    let id = events.host.random().uuid();
    let time = Some(parts.time.to_secs_precision());
    let arrival = Arrival { is_read_only_call, time, ..Arrival::new(&bus.place.world.lane, &json, &id, now, cause) };
    events.store.write(|tx| put_on(tx, events, bus, &arrival)).await.map(drop)
}
