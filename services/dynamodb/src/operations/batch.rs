//! BatchGetItem and BatchWriteItem: many items at once, each on its own.

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode, Units};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, check};
use fractus_host::Context;
use indexmap::IndexMap;

use super::capacity::consumed;
use super::reads::batch_projection;
use crate::error::{Error, Result};
use crate::forms::Forms;
use crate::service::{DynamoDb, active_table, scope};
use crate::values::{ApiItem, item_from_api, item_to_api};
use crate::writes::{self, Cost};

const MAX_READS: usize = 100;
const MAX_WRITES: usize = 25;
/// What one answer of BatchGetItem may hold; keys beyond it come back as unprocessed.
const MAX_ANSWER_BYTES: usize = 16 * 1_024 * 1_024;

const DUPLICATES: &str = "Provided list of item keys contains duplicates";

pub async fn get(dynamodb: &DynamoDb, cx: &Context, input: api::BatchGetItemInput) -> Result<api::BatchGetItemOutput> {
    if input.request_items.values().map(|keys| keys.keys.len()).sum::<usize>() > MAX_READS {
        return Err(Error::validation("Too many items requested for the BatchGetItem call"));
    }
    let scope = scope(cx);
    let (mut responses, mut unprocessed) = (IndexMap::new(), IndexMap::new());
    let (mut capacities, mut answer_bytes) = (Vec::new(), 0);
    for (name, mut wanted) in input.request_items {
        let whole = wanted.clone();
        let forms = Forms::new(&dynamodb.cache, wanted.expression_attribute_names.take(), None)?;
        let projection = batch_projection(forms, &mut wanted)?;
        let keys = wanted.keys.into_iter().map(item_from_api).collect::<Result<Vec<Item>, _>>()?;
        let mode = if wanted.consistent_read == Some(true) { ReadMode::Consistent } else { ReadMode::Eventual };
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
            Ok((table.name.clone(), items.collect::<Result<Vec<_>>>()?))
        });
        let (table, items) = read.await?;
        let (mut found, mut left, mut used): (Vec<ApiItem>, Vec<ApiItem>, Units) = Default::default();
        for (item, key) in items.into_iter().zip(&whole.keys) {
            let bytes = item.as_ref().map_or(0, item_bytes);
            if answer_bytes + bytes > MAX_ANSWER_BYTES {
                left.push(key.clone());
                continue;
            }
            answer_bytes += bytes;
            used = used + units::read(bytes, mode);
            let item = item.map(|item| match &projection {
                Some((projection, attributes)) => projection.apply(attributes, &item),
                None => item,
            });
            found.extend(item.map(item_to_api));
        }
        if !left.is_empty() {
            unprocessed.insert(name.clone(), api::KeysAndAttributes { keys: left, ..whole });
        }
        responses.insert(name, found);
        let cost = Cost { table: used, indexes: Vec::new() };
        capacities.extend(consumed(&input.return_consumed_capacity, &table, &cost));
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
        .collect::<Result<Vec<_>>>()?;
    let scope = scope(cx);
    // All of a batch is refused if any of it is; so it is one transaction, though AWS promises less.
    let costs = dynamodb.store.write(|tx| {
        let mut costs: Vec<(String, Cost)> = Vec::new();
        for (name, writes) in &batches {
            let table = active_table(tx, &scope, name)?;
            let schema = table.schema();
            let (mut seen, mut cost) = (Vec::new(), Cost::default());
            for write in writes {
                let (key, new) = match write {
                    Write::Put(item) => {
                        schema.check_item(item)?;
                        (schema.table_bytes(item), Some(item))
                    }
                    Write::Delete(key) => {
                        schema.check_key(key)?;
                        (schema.table_bytes(key), None)
                    }
                };
                if seen.contains(&key) {
                    return Err(Error::validation(DUPLICATES));
                }
                let old = writes::read(tx, &scope, &table, &key)?;
                cost.add(writes::change(tx, &scope, (&table, &schema), &key, (old.as_ref(), new))?);
                seen.push(key);
            }
            costs.push((table.name.clone(), cost));
        }
        Ok(costs)
    });
    let costs = costs.await?;
    let capacities: Vec<_> =
        costs.iter().filter_map(|(name, cost)| consumed(&input.return_consumed_capacity, name, cost)).collect();
    Ok(api::BatchWriteItemOutput {
        unprocessed_items: Some(IndexMap::new()),
        item_collection_metrics: None,
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
    })
}
