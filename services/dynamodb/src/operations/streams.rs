//! DynamoDB Streams as they are read: listed, described, and their shards read by iterators.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api::streams as api;
use fractus_dynamodb_rules::codec;
use fractus_host::Context;
use fractus_store::{Order, Range, Scope, Snapshot};

use super::described::table_arn;
use crate::error::{Error, Result};
use crate::service::{DynamoDb, scope};
use crate::store::{Event, SHARDS, STREAMS, Shard, Stream, StreamRecord};
use crate::streams::{first_place, place_of, records_from, sequence_number, shard_id, shard_number, trim_horizon};
use crate::table::View;
use crate::values::item_to_stream_api;

/// Streams, and shards, that one answer lists.
const MAX_LISTED: usize = 100;
const MAX_RECORDS: usize = 1_000;
const MAX_BYTES: u64 = 1_024 * 1_024;
const ITERATOR_LIFE: Duration = Duration::from_secs(15 * 60);

fn stream_arn(cx: &Context, stream: &Stream) -> String {
    format!("{}/stream/{}", table_arn(cx, &stream.table), stream.label)
}

/// The stream that an ARN names.
fn stream_of(cx: &Context, snapshot: &Snapshot<'_>, scope: &Scope, arn: &str) -> Result<Stream> {
    let gone = || Error::NoStream(arn.to_owned());
    let Some((table, label)) = arn.split_once("/stream/") else {
        // Unconfirmed words.
        return Err(Error::validation(format!("Invalid StreamArn: {arn}")));
    };
    let name = table.split_once(":table/").map(|(_, name)| name).ok_or_else(gone)?;
    if table_arn(cx, name) != table {
        return Err(gone());
    }
    snapshot.get(&STREAMS, scope, &(name, label))?.ok_or_else(gone)
}

fn limit(wanted: Option<i32>, max: usize) -> usize {
    wanted.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(max).min(max)
}

pub async fn list(dynamodb: &DynamoDb, cx: &Context, input: api::ListStreamsInput) -> Result<api::ListStreamsOutput> {
    let (scope, limit) = (scope(cx), limit(input.limit, MAX_LISTED));
    let mut range = match &input.table_name {
        Some(table) => Range::prefix(&(table.as_str(),)),
        None => Range::all(),
    };
    if let Some(arn) = &input.exclusive_start_stream_arn {
        let parts = arn.split_once(":table/").and_then(|(_, rest)| rest.split_once("/stream/"));
        // Unconfirmed words.
        let (table, label) =
            parts.ok_or_else(|| Error::validation(format!("Invalid ExclusiveStartStreamArn: {arn}")))?;
        range = range.after(&(table, label));
    }
    let found = dynamodb.store.read(|snapshot| {
        let streams = snapshot.range(&STREAMS, &scope, range, Order::Ascending)?.take(limit + 1);
        streams.map(|found| Ok(found?.1)).collect::<Result<Vec<Stream>>>()
    });
    let mut found = found.await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|stream| stream_arn(cx, stream));
    let described = |stream: Stream| api::Stream {
        stream_arn: Some(stream_arn(cx, &stream)),
        table_name: Some(stream.table),
        stream_label: Some(stream.label),
    };
    Ok(api::ListStreamsOutput {
        streams: Some(found.into_iter().map(described).collect()),
        last_evaluated_stream_arn: last,
    })
}

fn view(view: View) -> api::StreamViewType {
    match view {
        View::KeysOnly => api::StreamViewType::KeysOnly,
        View::New => api::StreamViewType::NewImage,
        View::Old => api::StreamViewType::OldImage,
        View::NewAndOld => api::StreamViewType::NewAndOldImages,
    }
}

fn status(stream: &Stream, now: Timestamp) -> api::StreamStatus {
    match stream.disabled_at {
        Some(disabled_at) if disabled_at > now => api::StreamStatus::Disabling,
        Some(_) => api::StreamStatus::Disabled,
        None if stream.enabled_at > now => api::StreamStatus::Enabling,
        None => api::StreamStatus::Enabled,
    }
}

fn described_shard(number: u64, shard: Shard) -> api::Shard {
    let last = shard.end.map(|end| end.saturating_sub(1).max(shard.start));
    api::Shard {
        shard_id: Some(shard_id(shard.opened_at, number)),
        sequence_number_range: Some(api::SequenceNumberRange {
            starting_sequence_number: Some(sequence_number(number, shard.start)),
            ending_sequence_number: last.map(|last| sequence_number(number, last)),
        }),
        parent_shard_id: shard.parent,
    }
}

fn key_schema(stream: &Stream) -> Vec<api::KeySchemaElement> {
    let of = |names: &[String], kind: api::KeyType| -> Vec<api::KeySchemaElement> {
        let element = |name: &String| api::KeySchemaElement { attribute_name: name.clone(), key_type: kind.clone() };
        names.iter().map(element).collect()
    };
    let mut elements = of(&stream.key.0, api::KeyType::Hash);
    elements.extend(of(&stream.key.1, api::KeyType::Range));
    elements
}

/// The parent whose children alone are wanted.
fn wanted_parent(filter: Option<&api::ShardFilter>) -> Result<Option<&str>> {
    let Some(filter) = filter else { return Ok(None) };
    // Unconfirmed words.
    let missing = |what: &str| Error::validation(format!("{what} must be specified in the ShardFilter"));
    if filter.r#type.is_none() {
        return Err(missing("Type"));
    }
    filter.shard_id.as_deref().map(Some).ok_or_else(|| missing("ShardId"))
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeStreamInput,
) -> Result<api::DescribeStreamOutput> {
    let (scope, limit) = (scope(cx), limit(input.limit, MAX_LISTED));
    let parent = wanted_parent(input.shard_filter.as_ref())?;
    let after = match &input.exclusive_start_shard_id {
        Some(id) => Some(shard_number(id).ok_or_else(|| {
            // Unconfirmed words.
            Error::validation(format!("Invalid ExclusiveStartShardId: {id}"))
        })?),
        None => None,
    };
    let found = dynamodb.store.read(|snapshot| {
        let stream = stream_of(cx, snapshot, &scope, &input.stream_arn)?;
        let mut range = Range::prefix(&(stream.id,));
        if let Some(after) = after {
            range = range.after(&(stream.id, after));
        }
        // Children come after their parent.
        if let Some(number) = parent.and_then(shard_number) {
            range = range.after(&(stream.id, number));
        }
        let mut shards = Vec::new();
        for found in snapshot.range(&SHARDS, &scope, range, Order::Ascending)? {
            let ((_, number), shard) = found?;
            if parent.is_some() && shard.parent.as_deref() != parent {
                continue;
            }
            shards.push(described_shard(number, shard));
            if shards.len() > limit {
                break;
            }
        }
        Ok::<_, Error>((status(&stream, snapshot.now(&scope)), stream, shards))
    });
    let (status, stream, mut shards) = found.await?;
    let has_more = shards.len() > limit;
    shards.truncate(limit);
    let last = shards.last().filter(|_| has_more).and_then(|shard| shard.shard_id.clone());
    let description = api::StreamDescription {
        stream_arn: Some(stream_arn(cx, &stream)),
        stream_status: Some(status),
        stream_view_type: Some(view(stream.view)),
        creation_request_date_time: Some(stream.created_at),
        key_schema: Some(key_schema(&stream)),
        shards: Some(shards),
        last_evaluated_shard_id: last,
        stream_label: Some(stream.label),
        table_name: Some(stream.table),
    };
    Ok(api::DescribeStreamOutput { stream_description: Some(description) })
}

/// A place in a shard, and when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ShardIterator {
    stream: u64,
    shard: u64,
    place: u64,
    made_at: Timestamp,
}

impl ShardIterator {
    fn text(self, arn: &str) -> String {
        let made_at = self.made_at.micros();
        format!("{arn}|1|{:016x}{:08x}{:016x}{made_at:016x}", self.stream, self.shard, self.place)
    }

    /// The iterator and the stream's ARN.
    fn read(text: &str) -> Result<(Self, &str)> {
        let (arn, digits) = text.split_once("|1|").ok_or_else(invalid_iterator)?;
        let number = |from: usize, to: usize| {
            digits.get(from..to).and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(invalid_iterator)
        };
        if digits.len() != 56 {
            return Err(invalid_iterator());
        }
        let made_at = i64::try_from(number(40, 56)?).map_err(|_| invalid_iterator())?;
        let made_at = Timestamp::from_micros(made_at);
        Ok((ShardIterator { stream: number(0, 16)?, shard: number(16, 24)?, place: number(24, 40)?, made_at }, arn))
    }
}

fn invalid_iterator() -> Error {
    Error::validation("Invalid ShardIterator")
}

/// The place that an iterator begins at.
fn begin(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    stream: u64,
    (number, shard): (u64, &Shard),
    input: &api::GetShardIteratorInput,
) -> Result<u64> {
    let next = match shard.end {
        Some(end) => end,
        None => crate::streams::next_place(snapshot, scope, stream, number)?,
    };
    let horizon = || trim_horizon(snapshot, scope, stream, number, shard.start);
    let sequence = || {
        let given = input.sequence_number.as_deref().ok_or_else(|| {
            // Unconfirmed words.
            Error::validation(format!(
                "SequenceNumber must be specified when ShardIteratorType is {}",
                input.shard_iterator_type.as_str()
            ))
        })?;
        let place = place_of(given).filter(|place| (shard.start..=next.max(shard.start)).contains(place));
        let place = place.ok_or_else(|| {
            // Unconfirmed words.
            Error::validation(format!("Invalid SequenceNumber: {given} is not of shard {}", input.shard_id))
        })?;
        if place < horizon()? { Err(Error::Trimmed) } else { Ok(place) }
    };
    match input.shard_iterator_type {
        api::ShardIteratorType::Latest => Ok(next),
        api::ShardIteratorType::AtSequenceNumber => sequence(),
        api::ShardIteratorType::AfterSequenceNumber => Ok((sequence()? + 1).min(next.max(shard.start))),
        api::ShardIteratorType::AtTimestamp => {
            let at = input.timestamp.ok_or_else(|| {
                // Unconfirmed words.
                Error::validation("Timestamp must be specified when ShardIteratorType is AT_TIMESTAMP")
            })?;
            first_place(snapshot, scope, (stream, number), horizon()?, |record| {
                record.is_none_or(|record| record.at >= at)
            })
        }
        _ => horizon(),
    }
}

pub async fn iterator(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::GetShardIteratorInput,
) -> Result<api::GetShardIteratorOutput> {
    let scope = scope(cx);
    let found = dynamodb.store.read(|snapshot| {
        let stream = stream_of(cx, snapshot, &scope, &input.stream_arn)?;
        let number = shard_number(&input.shard_id).ok_or(Error::NoShard)?;
        let shard = snapshot.get(&SHARDS, &scope, &(stream.id, number))?.ok_or(Error::NoShard)?;
        if shard_id(shard.opened_at, number) != input.shard_id {
            return Err(Error::NoShard);
        }
        let place = begin(snapshot, &scope, stream.id, (number, &shard), &input)?;
        Ok(ShardIterator { stream: stream.id, shard: number, place, made_at: snapshot.now(&scope) })
    });
    Ok(api::GetShardIteratorOutput { shard_iterator: Some(found.await?.text(&input.stream_arn)) })
}

pub async fn records(dynamodb: &DynamoDb, cx: &Context, input: api::GetRecordsInput) -> Result<api::GetRecordsOutput> {
    if let Some(limit) = input.limit.filter(|limit| *limit > MAX_RECORDS as i32) {
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"
        )));
    }
    let scope = scope(cx);
    let (iterator, arn) = ShardIterator::read(&input.shard_iterator)?;
    let (limit, now) = (limit(input.limit, MAX_RECORDS), cx.now());
    if now.since(iterator.made_at) >= ITERATOR_LIFE {
        return Err(Error::IteratorExpired);
    }
    let found = dynamodb.store.read(|snapshot| {
        let stream = stream_of(cx, snapshot, &scope, arn)?;
        let at = (iterator.stream, iterator.shard);
        if stream.id != iterator.stream {
            return Err(Error::NoStream(arn.to_owned()));
        }
        let shard = snapshot.get(&SHARDS, &scope, &at)?.ok_or(Error::NoShard)?;
        let found = records_from(snapshot, &scope, at, iterator.place, (limit, MAX_BYTES))?;
        let (records, next) = found.ok_or(Error::Trimmed)?;
        Ok((stream, records, Some(next).filter(|next| shard.end.is_none_or(|end| *next < end))))
    });
    let (stream, records, next) = found.await?;
    let records = records.into_iter().map(|(place, record)| told(cx, &stream, (iterator.shard, place), record));
    Ok(api::GetRecordsOutput {
        records: Some(records.collect::<Result<_>>()?),
        next_shard_iterator: next.map(|place| ShardIterator { place, made_at: now, ..iterator }.text(arn)),
    })
}

/// A record as consumers read it.
fn told(cx: &Context, stream: &Stream, (shard, place): (u64, u64), record: StreamRecord) -> Result<api::Record> {
    let image = |image: bytes::Bytes| Ok::<_, Error>(item_to_stream_api(codec::decode(&image)?));
    let event = match record.event {
        Event::Insert => api::OperationType::Insert,
        Event::Modify => api::OperationType::Modify,
        Event::Remove => api::OperationType::Remove,
    };
    let by_service = || api::Identity {
        principal_id: Some("dynamodb.amazonaws.com".to_owned()),
        r#type: Some("Service".to_owned()),
    };
    Ok(api::Record {
        event_id: Some(format!("{:016x}{:06x}{:010x}", stream.id, shard & 0xff_ffff, place & 0xff_ffff_ffff)),
        event_name: Some(event),
        event_version: Some("1.1".to_owned()),
        event_source: Some("aws:dynamodb".to_owned()),
        aws_region: Some(cx.region.as_str().to_owned()),
        dynamodb: Some(api::StreamRecord {
            approximate_creation_date_time: Some(record.at.to_secs_precision()),
            keys: Some(image(record.keys)?),
            new_image: record.new.map(image).transpose()?,
            old_image: record.old.map(image).transpose()?,
            sequence_number: Some(sequence_number(shard, place)),
            size_bytes: i64::try_from(record.size_bytes).ok(),
            stream_view_type: Some(view(stream.view)),
        }),
        user_identity: record.is_expiry.then(by_service),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iterator_is_read_as_it_was_written() {
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000";
        let iterator =
            ShardIterator { stream: u64::MAX, shard: 3, place: 70_000, made_at: Timestamp::from_secs(1_800_000_000) };
        let text = iterator.text(arn);
        assert_eq!(ShardIterator::read(&text).unwrap(), (iterator, arn));
        for wrong in [
            "",
            "x",
            "a|1|",
            "a|1|zz",
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.replace("00000003", "0000000g"),
        ] {
            assert!(ShardIterator::read(wrong).is_err(), "{wrong}");
        }
    }
}
