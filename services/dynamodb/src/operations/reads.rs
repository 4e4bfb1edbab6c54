//! Query and Scan.

use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::Item;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode, Units};
use fractus_dynamodb_rules::codec;
use fractus_dynamodb_rules::expression::{Attributes, Condition, ExpressionKind, Projection};
use fractus_dynamodb_rules::key::{KeyBytes, KeyError, KeyRange, KeySchema};
use fractus_dynamodb_rules::key_condition::{self, KeyCondition, KeyTerm};
use fractus_dynamodb_rules::legacy;
use fractus_dynamodb_rules::plan::{Page, ReadPlan};
use fractus_host::Context;
use fractus_store::{Order, Scope, Snapshot};

use super::capacity::consumed;
use super::items::projection;
use crate::error::{Error, Result};
use crate::forms::{Forms, With, conditional_operator, present, tests};
use crate::service::{DynamoDb, active_table, scope};
use crate::store::{INDEX_ITEMS, ITEMS, Index, Table, index_range, item_range};
use crate::values::{item_from_api, item_to_api};
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
    /// A PartiQL statement, whose errors have words of their own.
    pub is_statement: bool,
}

/// What has been read, and the key to go on from.
pub(super) struct Found {
    pub table: String,
    pub page: Page,
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
            let select = read.select.as_ref().map_or("", api::Select::as_str);
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
        return Err(KeyError::Start.into());
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
    let index = match &read.index_name {
        Some(name) => {
            let named = if read.is_statement { String::new() } else { format!(": {name}") };
            let no_index = || Error::validation(format!("The table does not have the specified index{named}"));
            Some(table.index(name).ok_or_else(no_index)?)
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
    let (mut range, is_forward) = range(index_schema.as_ref().unwrap_or(&schema))?;
    if let Some(start) = &read.start {
        range = range.after(&start_bytes(start, &schema, index_schema.as_ref())?, is_forward)?;
    }
    let plan = ReadPlan {
        range,
        is_forward,
        limit: read.limit.and_then(|limit| usize::try_from(limit).ok()),
        filter: read.filter.as_ref().map(|(filter, _)| filter.clone()),
        projection: read.projection.as_ref().map(|(projection, _)| projection.clone()),
        counts_only: matches!(read.select, Some(api::Select::Count)),
    };
    let (mut page, mut last) = (Page::default(), None);
    let mut take = |item: Item| -> Result<bool> {
        let is_last = {
            let item_key = schema.key_of(&item);
            let key = index_schema.as_ref().map(|index| index.key_of(&item));
            let whole = match (fetches, index) {
                (true, Some(_)) => writes::read(snapshot, scope, &table, &schema.table_bytes(&item))?.unwrap_or(item),
                _ => item,
            };
            read_one(&mut page, &plan, read, whole);
            let is_last = page.is_full(&plan);
            if is_last {
                last = Some(item_key.into_iter().chain(key.into_iter().flatten()).collect());
            }
            is_last
        };
        Ok(is_last)
    };
    let order = if is_forward { Order::Ascending } else { Order::Descending };
    match index {
        None => {
            for record in snapshot.range(&ITEMS, scope, item_range(table.id, &plan.range), order)? {
                if take(codec::decode(&record?.1)?)? {
                    break;
                }
            }
        }
        Some(index) => {
            let range = index_range(table.id, index.number, &plan.range);
            for record in snapshot.range(&INDEX_ITEMS, scope, range, order)? {
                if take(codec::decode(&record?.1)?)? {
                    break;
                }
            }
        }
    }
    let mode = if read.is_consistent { ReadMode::Consistent } else { ReadMode::Eventual };
    let used = units::read(page.read_bytes, mode);
    let cost = match index {
        None => Cost { table: used, indexes: Vec::new() },
        Some(index) => Cost { table: Units::ZERO, indexes: vec![(index.name.clone(), index.is_global, used)] },
    };
    Ok(Found { table: table.name.clone(), page, last, cost })
}

/// The filter and the projection may have been written apart, each with its own values.
fn read_one(page: &mut Page, plan: &ReadPlan, read: &Read, item: Item) {
    let none = Arc::new(Attributes::default());
    let of = |attributes: Option<&Arc<Attributes>>| attributes.map_or_else(|| Arc::clone(&none), Arc::clone);
    let filter = of(read.filter.as_ref().map(|(_, attributes)| attributes));
    let projection = of(read.projection.as_ref().map(|(_, attributes)| attributes));
    page.read_with(plan, (&filter, &projection), item);
}

fn check_filter(filter: &With<Condition>, schema: &KeySchema, parameter: &str) -> Result<()> {
    let (condition, attributes) = filter;
    let mut key = None;
    condition.each_attribute(attributes, |name| {
        if schema.names(name) {
            key.get_or_insert_with(|| name.to_owned());
        }
    });
    match key {
        Some(name) => Err(Error::validation(format!(
            "{parameter} can only contain non-primary key attributes: Primary key attribute: {name}"
        ))),
        None => Ok(()),
    }
}

pub async fn query(dynamodb: &DynamoDb, cx: &Context, input: api::QueryInput) -> Result<api::QueryOutput> {
    let legacy_parameters = present(&[
        ("AttributesToGet", input.attributes_to_get.is_some()),
        ("QueryFilter", input.query_filter.is_some()),
        ("ConditionalOperator", input.conditional_operator.is_some()),
        ("KeyConditions", input.key_conditions.is_some()),
    ]);
    let expressions = present(&[
        ("ProjectionExpression", input.projection_expression.is_some()),
        ("FilterExpression", input.filter_expression.is_some()),
        ("KeyConditionExpression", input.key_condition_expression.is_some()),
    ]);
    legacy::check_mixing(&legacy_parameters, &expressions)?;
    let start = input.exclusive_start_key.map(item_from_api).transpose()?;
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let filter = forms.condition(ExpressionKind::Filter, input.filter_expression.as_deref())?;
    let key = forms.condition(ExpressionKind::KeyCondition, input.key_condition_expression.as_deref())?;
    let paths = forms.projection(input.projection_expression.as_deref())?;
    let key_terms: Vec<KeyTerm> = match (&key, input.key_conditions) {
        (Some(key), _) => key_condition::terms(key, forms.attributes())?,
        (None, Some(conditions)) => legacy::key_terms(tests(conditions)?)?,
        (None, None) => {
            return Err(Error::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            ));
        }
    };
    let operator = conditional_operator(input.conditional_operator);
    let (attributes, projection) = with_attributes(forms, paths, input.attributes_to_get)?;
    let (filter, parameter) = match (filter, input.query_filter) {
        (Some(filter), _) => (Some((filter, attributes)), "Filter Expression"),
        (None, Some(filter)) => {
            let (bound, own) = legacy::filter(tests(filter)?, operator)?;
            (Some((bound, Arc::new(own))), "QueryFilter")
        }
        (None, None) => (None, ""),
    };
    let read = Read {
        table_name: input.table_name,
        index_name: input.index_name,
        start,
        limit: input.limit,
        is_consistent: input.consistent_read == Some(true),
        select: input.select,
        filter,
        projection,
        is_statement: false,
    };
    let scope = scope(cx);
    let range = |schema: &KeySchema| {
        let condition = KeyCondition::new(&key_terms, schema)?;
        if let Some(filter) = &read.filter {
            check_filter(filter, schema, parameter)?;
        }
        Ok((condition.range(), input.scan_index_forward != Some(false)))
    };
    let found = dynamodb.store.read(|snapshot| run(snapshot, &scope, &read, range)).await?;
    let has_items = !matches!(read.select, Some(api::Select::Count));
    Ok(api::QueryOutput {
        count: i32::try_from(found.page.count).ok(),
        scanned_count: i32::try_from(found.page.scanned_count).ok(),
        consumed_capacity: consumed(&input.return_consumed_capacity, &found.table, &found.cost),
        last_evaluated_key: found.last.map(item_to_api),
        items: has_items.then(|| found.page.items.into_iter().map(item_to_api).collect()),
    })
}

type Projected = Option<With<Projection>>;

/// The names and values of the expressions, and the projection with its own.
fn with_attributes(
    forms: Forms<'_>,
    paths: Option<fractus_dynamodb_rules::expression::Bound<Projection>>,
    names: Option<Vec<String>>,
) -> Result<(Arc<Attributes>, Projected)> {
    let attributes = forms.finish()?;
    if let Some(paths) = paths {
        return Ok((Arc::clone(&attributes), Some((paths, attributes))));
    }
    let Some(names) = names else { return Ok((attributes, None)) };
    let (bound, own) = legacy::attributes_to_get(&names)?;
    Ok((attributes, Some((bound, Arc::new(own)))))
}

fn segment(input: &api::ScanInput) -> Result<KeyRange> {
    match (input.segment, input.total_segments) {
        (None, None) => Ok(KeyRange::everything()),
        (Some(_), None) => Err(Error::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(Error::validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(Error::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => {
            Ok(KeyRange::segment(u32::try_from(segment).unwrap_or(0), u32::try_from(total).unwrap_or(1)))
        }
    }
}

pub async fn scan(dynamodb: &DynamoDb, cx: &Context, input: api::ScanInput) -> Result<api::ScanOutput> {
    let legacy_parameters = present(&[
        ("AttributesToGet", input.attributes_to_get.is_some()),
        ("ScanFilter", input.scan_filter.is_some()),
        ("ConditionalOperator", input.conditional_operator.is_some()),
    ]);
    let expressions = present(&[
        ("ProjectionExpression", input.projection_expression.is_some()),
        ("FilterExpression", input.filter_expression.is_some()),
    ]);
    legacy::check_mixing(&legacy_parameters, &expressions)?;
    let segment = segment(&input)?;
    let start = input.exclusive_start_key.map(item_from_api).transpose()?;
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let filter = forms.condition(ExpressionKind::Filter, input.filter_expression.as_deref())?;
    let paths = forms.projection(input.projection_expression.as_deref())?;
    let operator = conditional_operator(input.conditional_operator);
    let (attributes, projection) = with_attributes(forms, paths, input.attributes_to_get)?;
    let filter = match (filter, input.scan_filter) {
        (Some(filter), _) => Some((filter, attributes)),
        (None, Some(filter)) => {
            let (bound, own) = legacy::filter(tests(filter)?, operator)?;
            Some((bound, Arc::new(own)))
        }
        (None, None) => None,
    };
    let read = Read {
        table_name: input.table_name,
        index_name: input.index_name,
        start,
        limit: input.limit,
        is_consistent: input.consistent_read == Some(true),
        select: input.select,
        filter,
        projection,
        is_statement: false,
    };
    let scope = scope(cx);
    let found = dynamodb.store.read(|snapshot| run(snapshot, &scope, &read, |_| Ok((segment.clone(), true)))).await?;
    let has_items = !matches!(read.select, Some(api::Select::Count));
    Ok(api::ScanOutput {
        count: i32::try_from(found.page.count).ok(),
        scanned_count: i32::try_from(found.page.scanned_count).ok(),
        consumed_capacity: consumed(&input.return_consumed_capacity, &found.table, &found.cost),
        last_evaluated_key: found.last.map(item_to_api),
        items: has_items.then(|| found.page.items.into_iter().map(item_to_api).collect()),
    })
}

/// What BatchGetItem wants of one table.
pub(super) fn batch_projection(forms: Forms<'_>, keys: &mut api::KeysAndAttributes) -> Result<Projected> {
    let mut forms = forms;
    let bound = forms.projection(keys.projection_expression.as_deref())?;
    projection(forms, bound, keys.attributes_to_get.take())
}
