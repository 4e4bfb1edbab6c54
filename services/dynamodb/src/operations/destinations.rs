//! Kinesis streams as destinations: enabled, described, changed, disabled.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds_gettingstarted.html>

use std::time::Duration;

use fractus_aws::Arn;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Scope, Snapshot};

use super::table_shape::status;
use crate::error::{Error, Result};
use crate::kinesis::Destination;
use crate::replicas;
use crate::service::{DynamoDb, place, table_name};
use crate::store::{TABLES, Table};

/// How many streams a table has at most.
const MAX_DESTINATIONS: usize = 2;

fn existing(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<Table> {
    let table = snapshot.get(&TABLES, scope, &(name,))?;
    let table = table.filter(|table| status(table, snapshot.now(scope)).is_some());
    table.ok_or_else(|| Error::NoTable(name.to_owned()))
}

fn in_use(what: String) -> Error {
    Error::answer(api::ResourceInUseException { message: Some(what) })
}

fn check_stream(arn: &str) -> Result<()> {
    let parsed: Option<Arn> = arn.parse().ok();
    let is_stream = parsed.is_some_and(|arn| arn.service == "kinesis" && arn.resource.starts_with("stream/"));
    if is_stream { Ok(()) } else { Err(Error::validation(format!("Invalid StreamArn: {arn}"))) }
}

fn precision(wanted: Option<&api::ApproximateCreationDateTimePrecision>) -> Option<String> {
    wanted.map(|own| own.as_str().to_owned())
}

/// Changes a table's destinations; `change` is given the table, the time, and when the change is settled.
async fn change(
    dynamodb: &DynamoDb,
    cx: &Context,
    (table, stream): (&str, &str),
    change: impl Fn(&mut Table, Timestamp, Timestamp) -> Result<()>,
) -> Result<()> {
    check_stream(stream)?;
    let (scope, name) = place(cx, table);
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let written = dynamodb.store.write(|tx| {
        let (mut table, now) = (existing(tx, &scope, name)?, tx.now(&scope));
        change(&mut table, now, now.plus(transition))?;
        // One that is open stays as it is.
        if !table.features.destinations.is_empty() {
            replicas::open_feed(tx, &scope, table.id)?;
        }
        Ok::<_, Error>(tx.put(&TABLES, &scope, &(name,), &table)?)
    });
    written.await
}

pub async fn enable(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::KinesisStreamingDestinationInput,
) -> Result<api::KinesisStreamingDestinationOutput> {
    let stream = &input.stream_arn;
    let name = table_name(&input.table_name);
    let configuration = input.enable_kinesis_streaming_configuration.as_ref();
    let precision = precision(configuration.and_then(|own| own.approximate_creation_date_time_precision.as_ref()));
    let enabled = change(dynamodb, cx, (&input.table_name, stream), |table, now, active_at| {
        let is_not_valid = "Table is not in a valid state to enable Kinesis Streaming Destination";
        if status(table, now) != Some(api::TableStatus::Active) {
            return Err(in_use(format!("{is_not_valid}: {name}")));
        }
        let destinations = &mut table.features.destinations;
        if destinations.iter().any(|own| own.stream_arn == *stream && !own.is_over(now)) {
            return Err(in_use(format!("{is_not_valid}: {name} streams to {stream} already")));
        }
        if destinations.iter().filter(|own| !own.is_over(now)).count() >= MAX_DESTINATIONS {
            return Err(Error::answer(api::LimitExceededException::new(
                "A table can have at most two active Kinesis streaming destinations",
            )));
        }
        destinations.retain(|own| own.stream_arn != *stream);
        destinations.push(Destination {
            stream_arn: stream.clone(),
            precision: precision.clone(),
            active_at,
            updated_at: None,
            disabled_at: None,
        });
        Ok(())
    });
    enabled.await?;
    dynamodb.feeds.wake();
    Ok(told(input, api::DestinationStatus::Enabling))
}

fn told(
    input: api::KinesisStreamingDestinationInput,
    status: api::DestinationStatus,
) -> api::KinesisStreamingDestinationOutput {
    api::KinesisStreamingDestinationOutput {
        table_name: Some(table_name(&input.table_name).to_owned()),
        stream_arn: Some(input.stream_arn),
        destination_status: Some(status),
        enable_kinesis_streaming_configuration: input.enable_kinesis_streaming_configuration,
    }
}

/// The destination of a stream that has not been disabled.
fn active<'a>(table: &'a mut Table, stream: &str, now: Timestamp) -> Result<&'a mut Destination> {
    let name = table.name.clone();
    let own = table.features.destinations.iter_mut().find(|own| own.stream_arn == stream);
    let own = own.filter(|own| !own.is_over(now)).ok_or_else(|| {
        let message = format!("Requested resource not found: {name} does not stream to {stream}");
        Error::answer(api::ResourceNotFoundException { message: Some(message) })
    })?;
    match own.status(now) {
        api::DestinationStatus::Active => Ok(own),
        status => Err(in_use(format!(
            "Kinesis Streaming Destination of table {name} is not in a valid state to be changed: {}",
            status.as_str()
        ))),
    }
}

pub async fn disable(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::KinesisStreamingDestinationInput,
) -> Result<api::KinesisStreamingDestinationOutput> {
    let disabled = change(dynamodb, cx, (&input.table_name, &input.stream_arn), |table, now, disabled_at| {
        active(table, &input.stream_arn, now)?.disabled_at = Some(disabled_at);
        Ok(())
    });
    disabled.await?;
    Ok(told(input, api::DestinationStatus::Disabling))
}

pub async fn update(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateKinesisStreamingDestinationInput,
) -> Result<api::UpdateKinesisStreamingDestinationOutput> {
    check_stream(&input.stream_arn)?;
    let name = table_name(&input.table_name);
    let configuration = input.update_kinesis_streaming_configuration.as_ref();
    let precision = precision(configuration.and_then(|own| own.approximate_creation_date_time_precision.as_ref()));
    let precision = precision.ok_or_else(|| {
        Error::validation("UpdateKinesisStreamingConfiguration must specify ApproximateCreationDateTimePrecision")
    })?;
    let updated = change(dynamodb, cx, (&input.table_name, &input.stream_arn), |table, now, updated_at| {
        let own = active(table, &input.stream_arn, now)?;
        if own.precision.as_deref().unwrap_or("MILLISECOND") == precision {
            return Err(Error::validation(format!(
                "Invalid Request: Precision is already set to the desired value of {precision} for tableId: {name}, kdsArn: {}",
                input.stream_arn
            )));
        }
        own.precision = Some(precision.clone());
        own.updated_at = Some(updated_at);
        Ok(())
    });
    updated.await?;
    Ok(api::UpdateKinesisStreamingDestinationOutput {
        table_name: Some(name.to_owned()),
        stream_arn: Some(input.stream_arn),
        destination_status: Some(api::DestinationStatus::Updating),
        update_kinesis_streaming_configuration: input.update_kinesis_streaming_configuration,
    })
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeKinesisStreamingDestinationInput,
) -> Result<api::DescribeKinesisStreamingDestinationOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let (table, now) = (dynamodb.store.read(|snapshot| existing(snapshot, &scope, name)).await?, cx.now());
    let described = |own: &Destination| api::KinesisDataStreamDestination {
        stream_arn: Some(own.stream_arn.clone()),
        destination_status: Some(own.status(now)),
        destination_status_description: None,
        approximate_creation_date_time_precision: Some(api::ApproximateCreationDateTimePrecision::from(
            own.precision.as_deref().unwrap_or("MILLISECOND"),
        )),
    };
    Ok(api::DescribeKinesisStreamingDestinationOutput {
        table_name: Some(name.to_owned()),
        kinesis_data_stream_destinations: Some(table.features.destinations.iter().map(described).collect()),
    })
}
