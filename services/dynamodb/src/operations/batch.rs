//! BatchGetItem and BatchWriteItem: many items at once, each on its own.

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode, Units};
use fractus_dynamodb_rules::key::KeyBytes;
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, check};
use fractus_host::Context;
use indexmap::IndexMap;

use super::capacity::{collection_metrics, consumed};
use super::reads::batch_projection;
use crate::error::{Error, Result};
use crate::forms::Forms;
use crate::replicas::strong;
use crate::service::{DynamoDb, active_table, owned_scope};
use crate::store::Table;
use crate::throttle::Kind;
use crate::values::{ApiItem, item_from_api, item_to_api};
use crate::writes::{self, Cost, Writer};

const MAX_READS: usize = 100;
const MAX_WRITES: usize = 25;
/// What one answer of BatchGetItem may hold; keys beyond it come back as unprocessed.
const MAX_ANSWER_BYTES: usize = 16 * 1_024 * 1_024;

const DUPLICATES: &str = "Provided list of item keys contains duplicates";

pub async fn get(dynamodb: &DynamoDb, cx: &Context, input: api::BatchGetItemInput) -> Result<api::BatchGetItemOutput> {
    if input.request_items.values().map(|keys| keys.keys.len()).sum::<usize>() > MAX_READS {
        return Err(Error::validation("Too many items requested for the BatchGetItem call"));
    }
    let (mut responses, mut unprocessed) = (IndexMap::new(), IndexMap::new());
    let (mut capacities, mut answer_bytes, mut read_count, mut throttled) = (Vec::new(), 0, 0, None);
    for (name, mut wanted) in input.request_items {
        let whole = wanted.clone();
        let forms = Forms::new(&dynamodb.cache, wanted.expression_attribute_names.take(), None)?;
        let projection = batch_projection(forms, &mut wanted)?;
        let keys = wanted.keys.into_iter().map(item_from_api).collect::<Result<Vec<Item>, _>>()?;
        let mode = if wanted.consistent_read == Some(true) { ReadMode::Consistent } else { ReadMode::Eventual };
        let scope = owned_scope(cx, &name);
        let read = dynamodb.store.read(|snapshot| {
            let table = active_table(snapshot, &scope, &name)?;
            let schema = table.schema();
            let mut seen = Vec::with_capacity(keys.len());
            for key in &keys {
                schema.check_key(key)?;
                let bytes = schema.table_bytes(key);
                if seen.contains(&bytes) {
                    return Err(Error::validation(DUPLICATES));
                }
                seen.push(bytes);
            }
            let items = seen.iter().map(|key| writes::read(snapshot, &scope, &table, key));
            let items = items.collect::<Result<Vec<_>>>()?;
            Ok((table, items))
        });
        let (table, items) = read.await?;
        let (mut found, mut left, mut used): (Vec<ApiItem>, Vec<ApiItem>, Units) = Default::default();
        for (item, key) in items.into_iter().zip(&whole.keys) {
            let bytes = item.as_ref().map_or(0, item_bytes);
            if answer_bytes + bytes > MAX_ANSWER_BYTES {
                left.push(key.clone());
                continue;
            }
            let cost = Cost { table: units::read(bytes, mode), ..Cost::default() };
            if let Err(error) = dynamodb.throttle.take(&table, &cost, Kind::Read, cx.now()) {
                throttled = Some(error);
                left.push(key.clone());
                continue;
            }
            dynamodb.contributors.count_all(&table, None, &item, cx.now());
            read_count += 1;
            answer_bytes += bytes;
            used = used + cost.table;
            let item = item.map(|item| match &projection {
                Some((projection, attributes)) => projection.apply(attributes, &item),
                None => item,
            });
            found.extend(item.map(item_to_api));
        }
        if !left.is_empty() {
            unprocessed.insert(name.clone(), api::KeysAndAttributes { keys: left, ..whole });
        }
        let cost = Cost { table: used, ..Cost::default() };
        capacities.extend(consumed(&input.return_consumed_capacity, &name, &cost));
        responses.insert(name, found);
    }
    // A part is done and the rest told; only where nothing is done it is an error.
    if let Some(error) = throttled.filter(|_| read_count == 0) {
        return Err(error);
    }
    Ok(api::BatchGetItemOutput {
        responses: Some(responses),
        unprocessed_keys: Some(unprocessed),
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
    })
}

/// One request of a batch: an item to put, or a key to delete.
enum Write {
    Put(Item),
    Delete(Item),
}

impl Write {
    const fn item(&self) -> &Item {
        match self {
            Write::Put(item) | Write::Delete(item) => item,
        }
    }

    /// The stored key, and the item to be put, if they are fit for the table.
    fn checked(&self, table: &Table) -> Result<(KeyBytes, Option<&Item>)> {
        let schema = table.schema();
        match self {
            Write::Put(item) => schema.check_item(item)?,
            Write::Delete(key) => schema.check_key(key)?,
        }
        let new = Some(self.item()).filter(|_| matches!(self, Write::Put(_)));
        Ok((schema.table_bytes(self.item()), new))
    }

    /// As it was asked for.
    fn request(&self) -> api::WriteRequest {
        let item = item_to_api(self.item().clone());
        match self {
            Write::Put(_) => api::WriteRequest { put_request: Some(api::PutRequest { item }), delete_request: None },
            Write::Delete(_) => {
                api::WriteRequest { put_request: None, delete_request: Some(api::DeleteRequest { key: item }) }
            }
        }
    }
}

/// The checks of batches use the older words.
fn older(error: fractus_dynamodb_rules::ValueError) -> Error {
    Error::validation(error.in_older_words())
}

fn writes_of(requests: Vec<api::WriteRequest>) -> Result<Vec<Write>> {
    let one = |request: api::WriteRequest| match (request.put_request, request.delete_request) {
        (Some(put), None) => {
            let item = item_from_api(put.item).map_err(older)?;
            check::item(&item).map_err(older)?;
            Ok(Write::Put(item))
        }
        (None, Some(delete)) => Ok(Write::Delete(item_from_api(delete.key).map_err(older)?)),
        _ => Err(Error::validation(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
        )),
    };
    requests.into_iter().map(one).collect()
}

pub async fn write(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::BatchWriteItemInput,
) -> Result<api::BatchWriteItemOutput> {
    if input.request_items.values().map(Vec::len).sum::<usize>() > MAX_WRITES {
        return Err(Error::validation("Too many items requested for the BatchWriteItem call"));
    }
    let batches = input
        .request_items
        .into_iter()
        .map(|(name, requests)| Ok((name, writes_of(requests)?)))
        .collect::<Result<IndexMap<String, Vec<Write>>>>()?;
    let metrics = &input.return_item_collection_metrics;
    // All of a batch is refused if any of it is wrong; so it is one transaction, though AWS promises less.
    let done = dynamodb.change(cx, |tx, _, all| {
        let mut done = Done::default();
        for (name, writes) in &batches {
            // A table of another account lies elsewhere.
            let scope = &owned_scope(cx, name);
            let mut writer = Writer::default();
            let table = active_table(tx, scope, name)?;
            let (mut seen, mut cost) = (Vec::new(), Cost::default());
            for (at, write) in writes.iter().enumerate() {
                let (key, new) = write.checked(&table)?;
                if seen.contains(&key) {
                    return Err(Error::validation(DUPLICATES));
                }
                if dynamodb.ongoing.holds(scope, table.id, &key) {
                    done.left.push((name.clone(), at));
                    seen.push(key);
                    continue;
                }
                strong::check_write(tx, scope, &table, &key, dynamodb.config.replicated_write())?;
                let old = writes::read(tx, scope, &table, &key)?;
                let least = Cost {
                    table: units::write(old.as_ref().map(item_bytes), new.map(item_bytes), false),
                    ..Cost::default()
                };
                match dynamodb.throttle.take(&table, &least, Kind::Write, tx.now(scope)) {
                    Ok(taken) => {
                        all.took(taken);
                        cost.add(writer.change(tx, scope, (&table, table.schema()), &key, (old.as_ref(), new))?);
                        done.written += 1;
                        done.told(name, collection_metrics(metrics, &table, write.item()));
                    }
                    Err(error) => {
                        done.throttled = Some(error);
                        done.left.push((name.clone(), at));
                    }
                }
                seen.push(key);
            }
            all.touch(writer.take_touched());
            all.expect(writer.finish(tx, scope)?);
            done.costs.push((name.clone(), cost));
        }
        Ok(done)
    });
    let done = done.await.map_err(Error::of_write)?;
    if let Some(error) = done.throttled.filter(|_| done.written == 0) {
        return Err(error);
    }
    let mut unprocessed: IndexMap<String, Vec<api::WriteRequest>> = IndexMap::new();
    for (name, at) in done.left {
        let request = batches.get(&name).and_then(|writes| writes.get(at)).map(Write::request);
        unprocessed.entry(name).or_default().extend(request);
    }
    let capacities: Vec<_> =
        done.costs.iter().filter_map(|(name, cost)| consumed(&input.return_consumed_capacity, name, cost)).collect();
    Ok(api::BatchWriteItemOutput {
        unprocessed_items: Some(unprocessed),
        item_collection_metrics: (!done.metrics.is_empty()).then_some(done.metrics),
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
    })
}

/// What became of a batch.
#[derive(Default)]
struct Done {
    costs: Vec<(String, Cost)>,
    metrics: IndexMap<String, Vec<api::ItemCollectionMetrics>>,
    written: usize,
    throttled: Option<Error>,
    /// Tables and places of the requests that were not carried out.
    left: Vec<(String, usize)>,
}

impl Done {
    /// Each item collection is told once.
    fn told(&mut self, table: &str, metrics: Option<api::ItemCollectionMetrics>) {
        let Some(metrics) = metrics else { return };
        let told = self.metrics.entry(table.to_owned()).or_default();
        if !told.contains(&metrics) {
            told.push(metrics);
        }
    }
}
