//! Telling other services what happened: one delivery for each configured target, in the transaction of the change.

use fractus_aws::{AccountId, Arn};
use fractus_bus::contracts::{Body, Delivery, Source};
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_store::Transaction;

use crate::control::outposts::place::Place;
use crate::error::{Error, Result};
use crate::event_bridge;
use crate::metadata::changes;
use crate::model::notification::{self, Detail, ObjectEvent};
use crate::service::S3;
use crate::store::{Bucket, Object};

/// Something that a request does to an object.
pub struct Happening<'a> {
    pub cx: &'a Context,
    /// `s3:ObjectCreated:Put`.
    pub event: &'static str,
    pub now: Timestamp,
    /// The version it is about, where no object is left to say it.
    pub version_id: Option<&'a str>,
    /// What it tells that the object does not.
    pub detail: Option<Detail>,
}

/// The entity tag of nothing, which delete markers are told of with.
const ETAG_OF_NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// Who did what nobody has asked for.
const BY_ITSELF: &str = "s3.amazonaws.com";

/// Whether S3 does it by itself: by a rule, or when its time has come.
fn is_by_itself(event: &str) -> bool {
    let families = ["s3:Lifecycle", "s3:IntelligentTiering", "s3:Replication:"];
    matches!(event, "s3:ObjectRestore:Completed" | "s3:ObjectRestore:Delete")
        || families.iter().any(|family| event.starts_with(family))
}

impl<'a> Happening<'a> {
    pub fn new(cx: &'a Context, event: &'static str, now: Timestamp) -> Self {
        Happening { cx, event, now, version_id: None, detail: None }
    }
}

/// Queues the notifications of a change. `object` is what is there afterwards. What is answered belongs to the
/// transaction's result: the deliveries go out when it is dropped, and that must be after the end.
pub fn announce(
    tx: &mut Transaction<'_>,
    s3: &S3,
    bucket: &Bucket,
    key: &str,
    object: Option<&Object>,
    sequencer: u64,
    happening: &Happening<'_>,
) -> Result<Vec<Handoff>> {
    // Metadata tables tell of all that is announced.
    changes::of_event(tx, bucket, key, object, sequencer, happening)?;
    if bucket.notifications.targets.is_empty() && !bucket.notifications.event_bridge {
        return Ok(Vec::new());
    }
    let cx = happening.cx;
    let by_itself = is_by_itself(happening.event);
    let marks = happening.event.ends_with(":DeleteMarkerCreated");
    let event = ObjectEvent {
        name: happening.event.strip_prefix("s3:").unwrap_or(happening.event),
        time: happening.now.date_time_millis(),
        region: &bucket.region,
        bucket: &bucket.name,
        bucket_arn: bucket_arn(cx, &bucket.name).to_string(),
        bucket_owner: &bucket.account,
        key,
        size: object.map(|object| object.size),
        etag: object.map(|object| object.etag.as_str()).or(marks.then_some(ETAG_OF_NOTHING)),
        version_id: object.and_then(|object| object.version_id.as_deref()).or(happening.version_id),
        sequencer,
        detail: happening.detail.clone().or_else(|| object.and_then(|object| detail(happening.event, object))),
        principal_id: &if by_itself { BY_ITSELF.to_owned() } else { format!("AWS:{}", cx.caller.principal_id) },
        source_ip: &if by_itself { BY_ITSELF.to_owned() } else { cx.source_ip().to_string() },
        by_itself,
        request_id: &cx.request_id,
        host_id: &s3.host_id,
    };
    let mut sent = Vec::new();
    for target in &bucket.notifications.targets {
        if target.matches(happening.event, key) {
            let message = notification::event_message(&event, &target.id);
            sent.push(send(tx, s3, cx, bucket, &target.arn, message, happening.now)?);
        }
    }
    if bucket.notifications.event_bridge {
        sent.extend(event_bridge::send(tx, s3, cx, bucket, &event, happening.now)?);
    }
    Ok(sent)
}

/// What an event tells of its own.
fn detail(event: &str, object: &Object) -> Option<Detail> {
    let extras = object.extras.as_deref();
    Some(match event {
        "s3:LifecycleTransition" => Detail::Class(object.storage_class().to_owned()),
        "s3:IntelligentTiering" => Detail::Tier(extras?.tier_told.as_ref()?.0.clone()),
        "s3:ObjectRestore:Post" => Detail::Restoring { class: object.storage_class().to_owned() },
        "s3:ObjectRetention:Put" => Detail::Retained(extras?.retention?),
        "s3:ObjectRestore:Completed" => {
            Detail::Restored { until: extras?.restore?.until, class: object.storage_class().to_owned() }
        }
        _ => return None,
    })
}

/// Queues one message for a destination.
pub fn send(
    tx: &mut Transaction<'_>,
    s3: &S3,
    cx: &Context,
    bucket: &Bucket,
    destination: &str,
    message: String,
    now: Timestamp,
) -> Result<Handoff> {
    let target: Arn = destination.parse().map_err(|_| invalid_destination(destination))?;
    let account = AccountId::new(&bucket.account).unwrap_or_else(|_| cx.world.account.clone());
    let source = Source {
        principal: "s3.amazonaws.com".to_owned(),
        arn: Some(bucket_arn(cx, &bucket.name)),
        account,
        role: None,
    };
    let id = cx.random().uuid();
    let mut delivery = Delivery::new(id, cx.world.lane.clone(), target, Body::text(message), source, now);
    delivery.cause = cx.cause();
    Ok(s3.outbox.put(tx, &delivery)?)
}

pub fn bucket_arn(cx: &Context, bucket: &str) -> Arn {
    if let Some(place) = Place::of_kept(bucket) {
        return place.arn(cx.world.partition);
    }
    Arn::new(cx.world.partition, "s3", "", "", bucket)
}

fn invalid_destination(arn: &str) -> Error {
    Error::invalid_argument("Queue", arn, "The ARN is not well formed")
}
