//! Kinesis streams as destinations of a table's changes.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds_gettingstarted.html>

use bytes::Bytes;
use fractus_aws::Arn;
use fractus_bus::contracts::{Body, Cause, Delivery, Source};
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::json::item_to_json;
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, codec};
use fractus_store::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::error::Result;
use crate::places::Place;
use crate::service::DynamoDb;
use crate::store::Table;

/// A stream that a table's changes go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub stream_arn: String,
    /// MILLISECOND or MICROSECOND, where it was said.
    pub precision: Option<String>,
    /// ENABLING until then.
    pub active_at: Timestamp,
    /// UPDATING until then.
    pub updated_at: Option<Timestamp>,
    /// DISABLING until then, DISABLED after.
    pub disabled_at: Option<Timestamp>,
}

impl Destination {
    pub fn status(&self, now: Timestamp) -> api::DestinationStatus {
        match (self.disabled_at, self.updated_at) {
            (Some(disabled_at), _) if disabled_at <= now => api::DestinationStatus::Disabled,
            (Some(_), _) => api::DestinationStatus::Disabling,
            _ if self.active_at > now => api::DestinationStatus::Enabling,
            (None, Some(updated_at)) if updated_at > now => api::DestinationStatus::Updating,
            _ => api::DestinationStatus::Active,
        }
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.disabled_at.is_some_and(|disabled_at| disabled_at <= now)
    }

    /// Whether a change of a moment goes to the stream.
    pub fn takes(&self, at: Timestamp) -> bool {
        self.active_at <= at && self.disabled_at.is_none_or(|disabled_at| at < disabled_at)
    }
}

/// A change that is told.
pub struct Told<'a> {
    pub table: &'a Table,
    pub number: u64,
    pub at: Timestamp,
    pub key: &'a [u8],
    pub before: &'a Option<Bytes>,
    pub after: &'a Option<Bytes>,
}

fn decoded(bytes: &Option<Bytes>) -> Result<Option<Item>> {
    Ok(bytes.as_ref().map(|bytes| codec::decode(bytes)).transpose()?)
}

/// A change as a record of a data stream.
fn record(place: &Place, destination: &Destination, id: &str, told: &Told<'_>) -> Result<Json> {
    let (before, after) = (decoded(told.before)?, decoded(told.after)?);
    let Some(either) = after.as_ref().or(before.as_ref()) else { return Ok(Json::Null) };
    let event = match (&before, &after) {
        (None, _) => "INSERT",
        (Some(_), Some(_)) => "MODIFY",
        (Some(_), None) => "REMOVE",
    };
    let keys = told.table.schema().key_of(either);
    let size: usize = item_bytes(&keys) + [&before, &after].into_iter().flatten().map(item_bytes).sum::<usize>();
    let is_micro = destination.precision.as_deref() == Some("MICROSECOND");
    let time = if is_micro { told.at.micros() } else { told.at.millis() };
    let mut change = json!({
        "ApproximateCreationDateTime": time,
        "Keys": item_to_json(&keys),
        "SizeBytes": size,
    });
    if let Some(after) = &after {
        change["NewImage"] = item_to_json(after);
    }
    if let Some(before) = &before {
        change["OldImage"] = item_to_json(before);
    }
    if is_micro {
        change["ApproximateCreationDateTimePrecision"] = json!("MICROSECOND");
    }
    Ok(json!({
        "awsRegion": place.region.as_str(),
        "eventID": id,
        "eventName": event,
        "userIdentity": null,
        "recordFormat": "application/json",
        "tableName": told.table.name,
        "dynamodb": change,
        "eventSource": "aws:dynamodb",
    }))
}

/// The id of a change's record: the same whenever it is told.
fn event_id(told: &Told<'_>) -> String {
    let bits = u128::from(told.table.id) << 64 | u128::from(told.number);
    fractus_host::RequestUuid(bits).hyphenated()
}

/// Puts a change on its way to a stream, in the transaction that takes it from the feed.
pub fn deliver(
    tx: &mut Transaction<'_>,
    dynamodb: &DynamoDb,
    place: &Place,
    destination: &Destination,
    told: &Told<'_>,
) -> Result<()> {
    let Ok(stream) = destination.stream_arn.parse::<Arn>() else { return Ok(()) };
    let id = event_id(told);
    let body = record(place, destination, &id, told)?;
    if body.is_null() {
        return Ok(());
    }
    let source = Source {
        principal: "dynamodb.amazonaws.com".to_owned(),
        arn: place.arn(format_args!("table/{}", told.table.name)).parse().ok(),
        account: place.world.account.clone(),
        role: None,
    };
    let text = Body::text(body.to_string());
    let delivery_id = format!("{id}/{}", stream.resource);
    let mut delivery =
        Delivery::new(delivery_id, place.world.lane.clone(), stream, text, source, tx.now(&place.scope()));
    // Records of one partition key stay in their order.
    let partition: String = told.key.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    delivery.action = "kinesis:PutRecord".to_owned();
    delivery.parameters = json!({ "PartitionKey": partition });
    delivery.group_id = Some(partition);
    delivery.cause = Cause::root(id, "dynamodb.amazonaws.com".to_owned());
    // The pump finds the record; it goes out when this transaction is kept.
    drop(dynamodb.outbox.put(tx, &delivery)?);
    Ok(())
}
