//! Streams as they are written: which shard a change goes to, and when shards close.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
//!
//! A shard takes the changes of the items whose partition keys' hashes lie in its range, in the order of their transactions.
//! Four hours after it was opened it is followed by one of the same range; after [`SPLIT_AFTER`] records in that time by two of half
//! the range. Both happen with the next record. A disabled stream's shards close.

use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::key::KeySchema;
use fractus_dynamodb_rules::size::entries_bytes;
use fractus_dynamodb_rules::{Item, codec};
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};

use crate::error::Result;
use crate::store::{
    Event, NEXT_PLACES, OPEN_SHARDS, OpenShard, OpenShards, SHARDS, STREAM_RECORDS, STREAMS, Shard, Stream,
    StreamRecord, Table,
};
use crate::table::{StreamSettings, View};
use crate::writes::By;

/// How long records are kept, and a closed shard or a disabled stream after its last one.
pub const RETENTION: Duration = Duration::from_secs(24 * 3_600);
/// How long a shard takes records.
pub const SHARD_LIFE: Duration = Duration::from_secs(4 * 3_600);
/// A shard that has taken so many records within its life splits.
pub const SPLIT_AFTER: u64 = 100_000;
/// With so many open shards none splits.
pub const MAX_OPEN_SHARDS: usize = 64;

/// A change of an item, as a stream is told it.
pub struct Change<'a> {
    pub schema: &'a KeySchema,
    /// The item's stored key.
    pub key: &'a [u8],
    pub before: Option<&'a Item>,
    pub after: Option<&'a Item>,
    /// The item after the change in its stored form.
    pub stored: Option<Bytes>,
    pub by: By,
}

/// A shard's id: when it was opened, and its number.
pub fn shard_id(opened_at: Timestamp, number: u64) -> String {
    format!("shardId-{:020}-{number:08x}", opened_at.millis())
}

/// The number of the shard that such an id names.
pub fn shard_number(id: &str) -> Option<u64> {
    u64::from_str_radix(id.strip_prefix("shardId-")?.get(20..)?.strip_prefix('-')?, 16).ok()
}

/// Sequence numbers have 21 digits. The last four say the shard, so that no two of a stream are equal.
const FIRST_SEQUENCE: u128 = 100_000_000_000_000_000_000;
const SHARDS_APART: u128 = 10_000;

pub fn sequence_number(shard: u64, place: u64) -> String {
    (FIRST_SEQUENCE + u128::from(place) * SHARDS_APART + u128::from(shard) % SHARDS_APART).to_string()
}

/// The place in its shard that a sequence number stands for.
pub fn place_of(sequence_number: &str) -> Option<u64> {
    let number: u128 = sequence_number.parse().ok()?;
    u64::try_from(number.checked_sub(FIRST_SEQUENCE)? / SHARDS_APART).ok()
}

/// The open shard whose range a partition's hash lies in, and the range's end.
fn shard_for(open: &OpenShards, key: &[u8]) -> Option<(usize, u128)> {
    let hash = key.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    let at = open.shards.partition_point(|shard| shard.from <= hash).checked_sub(1)?;
    let end = open.shards.get(at + 1).map_or(1 << 64, |next| u128::from(next.from));
    Some((at, end))
}

pub fn next_place(snapshot: &Snapshot<'_>, scope: &Scope, stream: u64, shard: u64) -> Result<u64> {
    Ok(snapshot.get(&NEXT_PLACES, scope, &(stream, shard))?.unwrap_or(1))
}

/// Writes what has changed into the stream, in the transaction of the change.
pub fn record(tx: &mut Transaction<'_>, scope: &Scope, stream: &StreamSettings, change: Change<'_>) -> Result<()> {
    let Some(item) = change.after.or(change.before) else { return Ok(()) };
    let now = tx.now(scope);
    let Some((shard, place)) = place(tx, scope, stream.id, change.key, now)? else { return Ok(()) };
    let keys = item.iter().filter(|(name, _)| change.schema.names(name));
    let mut size_bytes = entries_bytes(keys.clone());
    let mut image = |item: Option<&Item>, is_wanted: bool, stored: Option<Bytes>| {
        let item = item.filter(|_| is_wanted)?;
        size_bytes += entries_bytes(item.iter());
        Some(stored.unwrap_or_else(|| crate::writes::encoded(item)))
    };
    let old = image(change.before, stream.view.has_old(), None);
    let new = image(change.after, stream.view.has_new(), change.stored);
    let mut encoded_keys = Vec::with_capacity(64);
    codec::encode_entries(keys, &mut encoded_keys);
    let event = match (change.before, change.after) {
        (None, _) => Event::Insert,
        (_, None) => Event::Remove,
        _ => Event::Modify,
    };
    let record = StreamRecord {
        at: now,
        event,
        keys: encoded_keys.into(),
        old,
        new,
        size_bytes: size_bytes as u64,
        is_expiry: change.by == By::TimeToLive,
    };
    Ok(tx.put_until(&STREAM_RECORDS, scope, &(stream.id, shard, place), &record, now.plus(RETENTION))?)
}

/// The shard and the place in it for the next record of an item; nothing if the stream takes none.
fn place(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    stream: u64,
    key: &[u8],
    now: Timestamp,
) -> Result<Option<(u64, u64)>> {
    let Some(open) = tx.get_shared(&OPEN_SHARDS, scope, &(stream,))? else { return Ok(None) };
    let Some((at, end)) = shard_for(&open, key) else { return Ok(None) };
    let mut shard = open.shards[at];
    let mut place = next_place(tx, scope, stream, shard.number)?;
    let is_full = place - shard.start >= SPLIT_AFTER && open.shards.len() < MAX_OPEN_SHARDS;
    if is_full || now.since(shard.opened_at) >= SHARD_LIFE {
        let mut open = (*open).clone();
        follow(tx, scope, stream, &mut open, (at, end, is_full), now)?;
        let Some((at, _)) = shard_for(&open, key) else { return Ok(None) };
        shard = open.shards[at];
        place = shard.start;
    }
    tx.put(&NEXT_PLACES, scope, &(stream, shard.number), &(place + 1))?;
    Ok(Some((shard.number, place)))
}

/// Closes a shard and opens the one or two that go on from it.
fn follow(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    stream: u64,
    open: &mut OpenShards,
    (at, end, splits): (usize, u128, bool),
    now: Timestamp,
) -> Result<()> {
    let closed = open.shards[at];
    let place = close(tx, scope, stream, closed, now)?;
    let parent = shard_id(closed.opened_at, closed.number);
    let half = (u128::from(closed.from) + end) / 2;
    let mut begins = vec![closed.from];
    begins.extend(u64::try_from(half).ok().filter(|half| splits && *half > closed.from));
    let mut children = Vec::with_capacity(begins.len());
    for from in begins {
        let shard = OpenShard { from, number: open.next_number, opened_at: now, start: place };
        open.next_number += 1;
        children.push(shard);
        put_open(tx, scope, stream, shard, Some(parent.clone()))?;
    }
    open.shards.splice(at..=at, children);
    Ok(tx.put(&OPEN_SHARDS, scope, &(stream,), open)?)
}

fn put_open(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    stream: u64,
    shard: OpenShard,
    parent: Option<String>,
) -> Result<()> {
    let record = Shard { opened_at: shard.opened_at, parent, start: shard.start, end: None };
    tx.put(&SHARDS, scope, &(stream, shard.number), &record)?;
    Ok(tx.put(&NEXT_PLACES, scope, &(stream, shard.number), &shard.start)?)
}

/// Closes a shard; gives the place that those after it begin with.
fn close(tx: &mut Transaction<'_>, scope: &Scope, stream: u64, shard: OpenShard, now: Timestamp) -> Result<u64> {
    let place = next_place(tx, scope, stream, shard.number)?;
    let until = now.plus(RETENTION);
    if let Some(record) = tx.get(&SHARDS, scope, &(stream, shard.number))? {
        let closed = Shard { end: Some(place), ..record };
        tx.put_until(&SHARDS, scope, &(stream, shard.number), &closed, until)?;
    }
    tx.put_until(&NEXT_PLACES, scope, &(stream, shard.number), &place, until)?;
    Ok(place)
}

/// What a new stream is made with.
#[derive(Debug, Clone, Copy)]
pub struct NewStream {
    pub id: u64,
    pub view: View,
    pub now: Timestamp,
    pub enabled_at: Timestamp,
    pub shard_count: u64,
}

/// Makes a stream for a table, which is changed to say so and is left to be written by the caller.
pub fn enable(tx: &mut Transaction<'_>, scope: &Scope, table: &mut Table, new: NewStream) -> Result<()> {
    let label = label(tx, scope, &table.name, new.now)?;
    let stream = Stream {
        id: new.id,
        table: table.name.clone(),
        label: label.clone(),
        view: new.view,
        created_at: new.now,
        enabled_at: new.enabled_at,
        disabled_at: None,
        key: table.key.clone(),
    };
    tx.put(&STREAMS, scope, &(table.name.as_str(), label.as_str()), &stream)?;
    let count = new.shard_count.clamp(1, MAX_OPEN_SHARDS as u64);
    let mut open = OpenShards { shards: Vec::new(), next_number: count };
    for number in 0..count {
        let from = ((u128::from(number) << 64) / u128::from(count)) as u64;
        let shard = OpenShard { from, number, opened_at: new.now, start: 1 };
        put_open(tx, scope, new.id, shard, None)?;
        open.shards.push(shard);
    }
    tx.put(&OPEN_SHARDS, scope, &(new.id,), &open)?;
    table.latest_stream_label = Some(label.clone());
    table.stream = Some(StreamSettings { id: new.id, label, view: new.view });
    Ok(())
}

/// A label is the time the stream was asked for; two of one table never have the same.
fn label(snapshot: &Snapshot<'_>, scope: &Scope, table: &str, now: Timestamp) -> Result<String> {
    let mut at = now;
    loop {
        let label = at.date_time_millis().trim_end_matches('Z').to_owned();
        if !snapshot.contains(&STREAMS, scope, &(table, label.as_str()))? {
            return Ok(label);
        }
        at = at.plus(Duration::from_millis(1));
    }
}

/// Ends a table's stream: its shards close, and what it holds can be read for as long as records are kept.
pub fn disable(tx: &mut Transaction<'_>, scope: &Scope, table: &mut Table, disabled_at: Timestamp) -> Result<()> {
    let Some(settings) = table.stream.take() else { return Ok(()) };
    let now = tx.now(scope);
    if let Some(open) = tx.take(&OPEN_SHARDS, scope, &(settings.id,))? {
        for shard in open.shards {
            close(tx, scope, settings.id, shard, now)?;
        }
    }
    let at = (table.name.as_str(), settings.label.as_str());
    if let Some(stream) = tx.get(&STREAMS, scope, &at)? {
        let disabled = Stream { disabled_at: Some(disabled_at), ..stream };
        tx.put_until(&STREAMS, scope, &at, &disabled, now.plus(RETENTION))?;
    }
    Ok(())
}

/// The first place of a shard whose record is still kept, found by halving: records go in the order of their places.
pub fn trim_horizon(snapshot: &Snapshot<'_>, scope: &Scope, stream: u64, shard: u64, start: u64) -> Result<u64> {
    first_place(snapshot, scope, (stream, shard), start, |record| record.is_some())
}

/// The first place from `start` on whose record is as wanted; those after it are too.
pub fn first_place(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (stream, shard): (u64, u64),
    start: u64,
    wanted: impl Fn(Option<&StreamRecord>) -> bool,
) -> Result<u64> {
    let (mut low, mut high) = (start, next_place(snapshot, scope, stream, shard)?.max(start));
    while low < high {
        let middle = low + (high - low) / 2;
        let record = snapshot.get(&STREAM_RECORDS, scope, &(stream, shard, middle))?;
        if wanted(record.as_ref()) { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}

/// Records with their places, and the place after the last of them.
pub type Stretch = (Vec<(u64, StreamRecord)>, u64);

/// Records of a shard from a place on, and the place after the last of them; nothing if the first has been trimmed.
pub fn records_from(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (stream, shard): (u64, u64),
    from: u64,
    (limit, max_bytes): (usize, u64),
) -> Result<Option<Stretch>> {
    if from < next_place(snapshot, scope, stream, shard)?
        && !snapshot.contains(&STREAM_RECORDS, scope, &(stream, shard, from))?
    {
        return Ok(None);
    }
    let range = Range::prefix(&(stream, shard)).from(&(stream, shard, from));
    let (mut records, mut next, mut bytes) = (Vec::new(), from, 0);
    for found in snapshot.range(&STREAM_RECORDS, scope, range, Order::Ascending)? {
        let ((_, _, place), record) = found?;
        bytes += record.size_bytes;
        if records.len() >= limit || (bytes > max_bytes && !records.is_empty()) {
            break;
        }
        next = place + 1;
        records.push((place, record));
    }
    Ok(Some((records, next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_id_says_its_number() {
        let id = shard_id(Timestamp::from_millis(1_541_626_099_285), 0x2f);
        assert_eq!(id, "shardId-00000001541626099285-0000002f");
        assert_eq!(shard_number(&id), Some(0x2f));
        for wrong in ["shardId-1", "shardId-00000001541626099285", "shard", "shardId-00000001541626099285-xyz"] {
            assert_eq!(shard_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sequence_numbers_go_in_the_order_of_places_and_differ_between_shards() {
        let numbers = [(0, 1), (1, 1), (0, 2), (0, 100_000)].map(|(shard, place)| sequence_number(shard, place));
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert!(numbers.iter().all(|number| number.len() == 21), "{numbers:?}");
        assert_eq!(numbers.each_ref().map(|number| place_of(number)), [Some(1), Some(1), Some(2), Some(100_000)]);
        assert_eq!(place_of("5"), None);
    }
}
