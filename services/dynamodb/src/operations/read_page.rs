//! What Query, Scan and SELECT do alike: read one page of a table or an index.

use std::sync::Arc;

use bytes::Bytes;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::Item;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode};
use fractus_dynamodb_rules::codec::{self, stored_item_bytes};
use fractus_dynamodb_rules::expression::{Attributes, Condition, Projection};
use fractus_dynamodb_rules::key::{KeyBytes, KeyError, KeyRange, KeySchema};
use fractus_dynamodb_rules::plan::{Page, ReadPlan};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_host::Context;
use fractus_store::{Order, Scope, Snapshot};

use super::capacity::{Wanted, consumed};
use crate::answers::{PageAnswer, Told};
use crate::error::{Error, Result};
use crate::forms::With;
use crate::service::{DynamoDb, active_table, owned_scope};
use crate::store::{INDEX_ITEMS, ITEMS, Index, Table, index_range, item_range};
use crate::throttle::Kind;
use crate::values::item_to_api;
use crate::writes::{self, Cost};

/// What a Query and a Scan have in common.
pub(super) struct Read {
    pub table_name: String,
    pub index_name: Option<String>,
    pub start: Option<Item>,
    pub limit: Option<i32>,
    pub is_consistent: bool,
    pub select: Option<api::Select>,
    pub filter: Option<With<Condition>>,
    pub projection: Option<With<Projection>>,
    /// Its name, as refusals say it.
    pub operation: &'static str,
    /// A PartiQL statement, whose errors have words of their own.
    pub is_statement: bool,
}

/// What has been read, and the key to go on from.
pub(super) struct Found {
    pub table: Arc<Table>,
    /// Its items are those that were filtered or projected.
    pub page: Page,
    /// Items that nothing was asked of but to be told, as they are stored.
    pub stored: Vec<Bytes>,
    pub last: Option<Item>,
    pub cost: Cost,
}

fn check_select(read: &Read, index: Option<&Index>) -> Result<()> {
    let has_projection = read.projection.is_some();
    match read.select {
        Some(api::Select::AllProjectedAttributes) if index.is_none() => {
            Err(Error::validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"))
        }
        Some(api::Select::SpecificAttributes) if !has_projection => Err(Error::validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        Some(api::Select::AllAttributes | api::Select::AllProjectedAttributes | api::Select::Count)
            if has_projection =>
        {
            let select = match &read.select {
                Some(api::Select::Count) => "only the Count",
                other => other.as_ref().map_or("", api::Select::as_str),
            };
            Err(Error::validation(format!("Cannot specify the ProjectionExpression when choosing to get {select}")))
        }
        Some(api::Select::AllAttributes) => match index.filter(|index| index.is_global) {
            Some(index) if index.projected != crate::store::Projected::All => Err(Error::validation(format!(
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index {} because its projection type is not ALL",
                index.name
            ))),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether what is asked for goes beyond what the index has; a global index refuses that.
fn reaches_beyond(read: &Read, table: &Table, index: &Index) -> Result<bool> {
    if matches!(read.select, Some(api::Select::AllAttributes)) {
        return Ok(!index.is_global && index.projected != crate::store::Projected::All);
    }
    let Some((projection, attributes)) = &read.projection else { return Ok(false) };
    let mut beyond = Vec::new();
    projection.each_attribute(attributes, |name| {
        if !table.projects(index, name) {
            beyond.push(name.to_owned());
        }
    });
    if index.is_global && !beyond.is_empty() {
        return Err(Error::validation(format!(
            "One or more parameter values were invalid: Global secondary index {} does not project [{}]",
            index.name,
            beyond.join(", ")
        )));
    }
    Ok(!beyond.is_empty())
}

/// The stored key of an ExclusiveStartKey, which names the key of the table and that of the index.
fn start_bytes(start: &Item, table: &KeySchema, index: Option<&KeySchema>) -> Result<KeyBytes> {
    let names =
        |item: &Item| item.iter().all(|(name, _)| table.names(name) || index.is_some_and(|index| index.names(name)));
    let is_whole =
        names(start) && table.check_item(start).is_ok() && index.is_none_or(|index| index.check_item(start).is_ok());
    if !is_whole {
        return Err(if index.is_some() { KeyError::Start } else { KeyError::TableStart }.into());
    }
    Ok(match index {
        Some(index) => index.index_bytes(table, start),
        None => table.table_bytes(start),
    })
}

/// Reads one page; `range` says which keys of the table or index, and whether forward.
pub(super) fn run(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    read: &Read,
    range: impl FnOnce(&KeySchema) -> Result<(KeyRange, bool)>,
) -> Result<Found> {
    let table = active_table(snapshot, scope, &read.table_name)?;
    let schema = table.schema();
    let now = snapshot.now(scope);
    let index = match &read.index_name {
        Some(name) => {
            let named = if read.is_statement { String::new() } else { format!(": {name}") };
            let no_index = || Error::validation(format!("The table does not have the specified index{named}"));
            if table.vector_index(name).is_some() {
                return Err(Error::validation(format!(
                    "{} operation not supported on this index type.",
                    read.operation
                )));
            }
            let index = table.index(name).ok_or_else(no_index)?;
            if !index.is_readable(now) {
                return Err(Error::validation(match index.deleted_at {
                    None => format!("Cannot read from backfilling global secondary index: {name}"),
                    Some(_) => format!("The table does not have the specified index{named}"),
                }));
            }
            Some(index)
        }
        None => None,
    };
    if read.is_consistent && index.is_some_and(|index| index.is_global) {
        return Err(Error::validation(if read.is_statement {
            "Strongly consistent read is not supported on Global Secondary Indexes"
        } else {
            "Consistent reads are not supported on global secondary indexes"
        }));
    }
    check_select(read, index)?;
    let fetches = index.map(|index| reaches_beyond(read, &table, index)).transpose()?.unwrap_or(false);
    let index_schema = index.map(|index| table.index_schema(index));
    let (mut range, is_forward) = range(index_schema.unwrap_or(schema))?;
    if let Some(start) = &read.start {
        range = range.after(&start_bytes(start, schema, index_schema)?, is_forward)?;
    }
    let plan = ReadPlan {
        range,
        is_forward,
        limit: read.limit.and_then(|limit| usize::try_from(limit).ok()),
        filter: read.filter.as_ref().map(|(filter, _)| filter.clone()),
        projection: read.projection.as_ref().map(|(projection, _)| projection.clone()),
        counts_only: matches!(read.select, Some(api::Select::Count)),
    };
    let none = Attributes::default();
    let filter_by = read.filter.as_ref().map_or(&none, |(_, attributes)| attributes);
    let project_by = read.projection.as_ref().map_or(&none, |(_, attributes)| attributes);
    let (mut page, mut last) = (Page::default(), None);
    let index_key = |item: &Item| index_schema.map(|index| index.key_of(item)).into_iter().flatten();
    let key_of = |item: &Item| -> Item { schema.key_of(item).into_iter().chain(index_key(item)).collect() };
    let is_plain = plan.filter.is_none() && plan.projection.is_none() && !fetches && !read.is_statement;
    let mut told = Vec::new();
    let mut take = |stored: Bytes| -> Result<bool> {
        if is_plain {
            let bytes = stored_item_bytes(&stored)?;
            let is_last = page.is_full_with(&plan, bytes);
            if is_last {
                last = Some(key_of(&codec::decode(&stored)?));
            }
            page.pass(bytes);
            told.extend(Some(stored).filter(|_| !plan.counts_only));
            return Ok(is_last);
        }
        let item = codec::decode(&stored)?;
        let whole = match fetches {
            true => writes::read(snapshot, scope, &table, &schema.table_bytes(&item))?.unwrap_or(item),
            false => item,
        };
        let bytes = item_bytes(&whole);
        let is_last = page.is_full_with(&plan, bytes);
        if is_last {
            last = Some(key_of(&whole));
        }
        // The filter and the projection may have been written apart, each with its own values.
        page.read_with(&plan, (filter_by, project_by), whole, bytes);
        Ok(is_last)
    };
    let order = if is_forward { Order::Ascending } else { Order::Descending };
    match index {
        None => {
            for record in snapshot.range(&ITEMS, scope, item_range(table.id, &plan.range), order)? {
                if take(record?.1)? {
                    break;
                }
            }
        }
        Some(index) => {
            let range = index_range(table.id, index.number, &plan.range);
            for record in snapshot.range(&INDEX_ITEMS, scope, range, order)? {
                if take(record?.1)? {
                    break;
                }
            }
        }
    }
    let mode = if read.is_consistent { ReadMode::Consistent } else { ReadMode::Eventual };
    let used = units::read(page.read_bytes, mode);
    let cost = match index {
        None => Cost { table: used, ..Cost::default() },
        Some(index) => Cost { indexes: vec![(index.name.clone(), index.is_global, used)], ..Cost::default() },
    };
    Ok(Found { table, page, stored: told, last, cost })
}

/// Reads one page and answers it: what a Query and a Scan do alike.
pub(super) async fn answer(
    dynamodb: &DynamoDb,
    cx: &Context,
    read: &Read,
    wanted: &Wanted,
    range: impl FnOnce(&KeySchema) -> Result<(KeyRange, bool)>,
) -> Result<PageAnswer> {
    let scope = owned_scope(cx, &read.table_name);
    let found = dynamodb.store.read(|snapshot| run(snapshot, &scope, read, range)).await?;
    dynamodb.throttle.take(&found.table, &found.cost, Kind::Read, cx.now())?;
    if !found.table.features.insights.is_empty() {
        let stored = found.stored.iter().map(|stored| codec::decode(stored));
        let stored = stored.collect::<std::result::Result<Vec<Item>, _>>()?;
        let items = stored.iter().chain(&found.page.items);
        dynamodb.contributors.count_all(&found.table, read.index_name.as_deref(), items, cx.now());
    }
    let has_items = !matches!(read.select, Some(api::Select::Count));
    let made = found.page.items.into_iter().map(|item| Told::Made(item_to_api(item)));
    Ok(PageAnswer {
        count: i32::try_from(found.page.count).ok(),
        scanned_count: i32::try_from(found.page.scanned_count).ok(),
        consumed_capacity: consumed(wanted, &read.table_name, &found.cost),
        last_evaluated_key: found.last.map(item_to_api),
        // A page is either told as it is stored, or made.
        items: has_items.then(|| found.stored.into_iter().map(Told::Stored).chain(made).collect()),
    })
}
