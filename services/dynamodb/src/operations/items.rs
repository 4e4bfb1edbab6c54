//! One item: got, put, updated, deleted.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode};
use fractus_dynamodb_rules::codec::{self, stored_item_bytes};
use fractus_dynamodb_rules::expression::{Bound, Condition, ExpressionKind, Update};
use fractus_dynamodb_rules::key::{KeyBytes, KeySchema};
use fractus_dynamodb_rules::legacy::{self, AttributeUpdate, UpdateAction};
use fractus_dynamodb_rules::{Item, check};
use fractus_host::Context;
use fractus_store::{Scope, Transaction};
use indexmap::IndexMap;

use super::capacity::{collection_metrics, consumed};
use crate::answers::{ItemAnswer, Told};
use crate::error::{Error, Result};
use crate::forms::{Forms, With, conditional_operator, expected, present};
use crate::inputs::{PutItemInput, ReadItem};
use crate::service::{DynamoDb, active_table, owned_scope};
use crate::store::Table;
use crate::throttle::Kind;
use crate::values::{ApiItem, item_from_api, item_to_api, value_from_api};
use crate::writes::{self, Cost, Writer};

/// The projection of a read, from either kind of parameter.
pub(super) fn projection(
    forms: Forms<'_>,
    bound: Option<Bound<fractus_dynamodb_rules::expression::Projection>>,
    names: Option<Vec<String>>,
) -> Result<Option<With<fractus_dynamodb_rules::expression::Projection>>> {
    // No read of an item takes values.
    let attributes = forms.finish("")?;
    if let Some(bound) = bound {
        return Ok(Some((bound, attributes)));
    }
    let Some(names) = names else { return Ok(None) };
    let (bound, attributes) = legacy::attributes_to_get(&names)?;
    Ok(Some((bound, Arc::new(attributes))))
}

pub async fn get(dynamodb: &DynamoDb, cx: &Context, input: api::GetItemInput) -> Result<ItemAnswer> {
    let legacy_parameters = present(&[("AttributesToGet", input.attributes_to_get.is_some())]);
    let expressions = present(&[("ProjectionExpression", input.projection_expression.is_some())]);
    legacy::check_mixing(&legacy_parameters, &expressions)?;
    let key = item_from_api(input.key)?;
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, None)?;
    let bound = forms.projection(input.projection_expression.as_deref())?;
    let projection = projection(forms, bound, input.attributes_to_get)?;
    let scope = owned_scope(cx, &input.table_name);
    let (table, stored) = dynamodb
        .store
        .read(|snapshot| {
            let table = active_table(snapshot, &scope, &input.table_name)?;
            let schema = table.schema();
            schema.check_key(&key)?;
            let stored = writes::stored(snapshot, &scope, &table, &schema.table_bytes(&key))?;
            Ok::<_, Error>((table, stored))
        })
        .await?;
    let mode = if input.consistent_read == Some(true) { ReadMode::Consistent } else { ReadMode::Eventual };
    let bytes = stored.as_deref().map(stored_item_bytes).transpose()?.unwrap_or(0);
    let cost = Cost { table: units::read(bytes, mode), ..Cost::default() };
    dynamodb.take(&table, &cost, Kind::Read, &key, cx.now())?;
    dynamodb.contributors.count_all(&table, None, [&key], cx.now());
    let told = |stored: Bytes| match &projection {
        Some((projection, attributes)) => {
            Ok::<_, Error>(Told::Made(item_to_api(projection.apply(attributes, &codec::decode(&stored)?))))
        }
        None => Ok(Told::Stored(stored)),
    };
    Ok(ItemAnswer {
        item: stored.map(told).transpose()?,
        consumed_capacity: consumed(&input.return_consumed_capacity, &input.table_name, &cost),
    })
}

/// The parameters that the three writes of one item have in common.
#[derive(Debug)]
pub(super) struct Guarded {
    pub condition: Option<With<Condition>>,
    pub tells_old: bool,
}

impl Guarded {
    pub(super) fn check(&self, item: Option<&Item>) -> Result<()> {
        let Some((condition, attributes)) = &self.condition else { return Ok(()) };
        let holds = match item {
            Some(item) => condition.holds(attributes, item),
            None => condition.holds(attributes, &Item::new()),
        };
        if holds {
            return Ok(());
        }
        Err(Error::ConditionFailed(item.filter(|_| self.tells_old).cloned().map(Box::new)))
    }
}

struct Conditions {
    expected: Option<IndexMap<String, api::ExpectedAttributeValue>>,
    operator: Option<api::ConditionalOperator>,
    on_failure: Option<api::ReturnValuesOnConditionCheckFailure>,
}

/// Those of one of the three writes' requests.
macro_rules! conditions {
    ($input:ident) => {
        Conditions {
            expected: $input.expected,
            operator: $input.conditional_operator,
            on_failure: $input.return_values_on_condition_check_failure,
        }
    };
}

fn guarded(
    conditions: Conditions,
    (forms, missing): (Forms<'_>, &'static str),
    bound: Option<Bound<Condition>>,
) -> Result<(Guarded, Arc<fractus_dynamodb_rules::expression::Attributes>)> {
    let attributes = forms.finish(missing)?;
    let tells_old = matches!(conditions.on_failure, Some(api::ReturnValuesOnConditionCheckFailure::AllOld));
    let operator = conditional_operator(conditions.operator);
    let condition = match (bound, conditions.expected) {
        (Some(bound), _) => Some((bound, Arc::clone(&attributes))),
        (None, Some(entries)) if !entries.is_empty() => {
            let (bound, own) = legacy::expected(expected(entries)?, operator)?;
            Some((bound, Arc::new(own)))
        }
        _ if operator.is_some() => return Err(legacy::LegacyError::OperatorAlone.into()),
        _ => None,
    };
    Ok((Guarded { condition, tells_old }, attributes))
}

fn only_old(return_values: &Option<api::ReturnValue>) -> Result<bool> {
    match return_values {
        None | Some(api::ReturnValue::None) => Ok(false),
        Some(api::ReturnValue::AllOld) => Ok(true),
        _ => Err(Error::validation("ReturnValues can only be ALL_OLD or NONE")),
    }
}

/// What a write found and what it did.
struct Written {
    table: Arc<Table>,
    old: Option<Item>,
    /// What an update made.
    new: Option<Item>,
    cost: Cost,
}

/// The one item that is written: of which table, on which condition, with which key.
struct Target<'a, F> {
    name: &'a str,
    guarded: &'a Guarded,
    /// The item that was there is told, or what becomes of it depends on it.
    reads_old: bool,
    key: F,
}

/// Finds the item, checks the condition, and replaces the item by what `make` makes of it.
async fn write<'i>(
    dynamodb: &DynamoDb,
    cx: &Context,
    target: Target<'_, impl Fn(&Table) -> Result<KeyBytes>>,
    make: impl Fn(Option<&Item>) -> Result<Option<Cow<'i, Item>>>,
) -> Result<Written> {
    let work = |tx: &mut Transaction<'_>, scope: &Scope, writer: &mut Writer| {
        let table = active_table(tx, scope, target.name)?;
        let key = (target.key)(&table)?;
        dynamodb.check_free(tx, scope, &table, &key)?;
        if !target.reads_old && target.guarded.condition.is_none() && table.is_plain() {
            let cost = writer.replace(tx, scope, &table, &key, make(None)?.as_deref())?;
            writer.took(dynamodb.throttle.take(&table, &cost, Kind::Write, tx.now(scope))?);
            return Ok(Written { table, old: None, new: None, cost });
        }
        let old = writes::read(tx, scope, &table, &key)?;
        target.guarded.check(old.as_ref())?;
        let new = make(old.as_ref())?;
        let cost = writer.change(tx, scope, (&table, table.schema()), &key, (old.as_ref(), new.as_deref()))?;
        writer.took(match new.as_deref().or(old.as_ref()) {
            Some(item) => dynamodb.take(&table, &cost, Kind::Write, item, tx.now(scope))?,
            None => dynamodb.throttle.take(&table, &cost, Kind::Write, tx.now(scope))?,
        });
        let new = match new {
            Some(Cow::Owned(new)) => Some(new),
            _ => None,
        };
        Ok(Written { table, old, new, cost })
    };
    let scope = owned_scope(cx, target.name);
    match dynamodb.change_in(cx, scope.clone(), work).await {
        Ok(written) => Ok(written),
        Err(error) => Err(dynamodb.conflict((&scope, target.name), error).await),
    }
}

pub async fn put(dynamodb: &DynamoDb, cx: &Context, input: PutItemInput) -> Result<api::PutItemOutput> {
    let PutItemInput { rest: input, item } = input;
    let tells_old = only_old(&input.return_values)?;
    let wanted = (input.return_consumed_capacity.clone(), input.return_item_collection_metrics.clone());
    let name = input.table_name.clone();
    let (item, guarded) = prepare_put(dynamodb, item, input).map_err(Error::enveloped)?;
    let key = |table: &Table| {
        let schema = table.schema();
        schema.check_item(&item)?;
        Ok(schema.table_bytes(&item))
    };
    let target = Target { name: &name, guarded: &guarded, reads_old: tells_old, key };
    let written = write(dynamodb, cx, target, |_| Ok(Some(Cow::Borrowed(&item)))).await?;
    Ok(api::PutItemOutput {
        attributes: written.old.filter(|_| tells_old).map(item_to_api),
        consumed_capacity: consumed(&wanted.0, &name, &written.cost),
        item_collection_metrics: collection_metrics(&wanted.1, &written.table, &item),
    })
}

/// A write's condition is given by an expression or by the legacy parameters, never by both.
fn check_condition_mixing<E, O>(expected: &Option<E>, operator: &Option<O>, expression: &Option<String>) -> Result<()> {
    let legacy_parameters = present(&[("Expected", expected.is_some()), ("ConditionalOperator", operator.is_some())]);
    let expressions = present(&[("ConditionExpression", expression.is_some())]);
    Ok(legacy::check_mixing(&legacy_parameters, &expressions)?)
}

/// The condition of a put or a delete, whichever way it was given.
fn guarded_by(conditions: Conditions, mut forms: Forms<'_>, expression: Option<&str>) -> Result<Guarded> {
    let bound = forms.condition(ExpressionKind::Condition, expression)?;
    Ok(guarded(conditions, (forms, "ConditionExpression is null"), bound)?.0)
}

pub(super) fn prepare_put(dynamodb: &DynamoDb, item: ReadItem, input: api::PutItemInput) -> Result<(Item, Guarded)> {
    check_condition_mixing(&input.expected, &input.conditional_operator, &input.condition_expression)?;
    let item = item.into_item()?;
    check::item(&item)?;
    let forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let conditions = conditions!(input);
    let guarded = guarded_by(conditions, forms, input.condition_expression.as_deref())?;
    Ok((item, guarded))
}

pub async fn delete(dynamodb: &DynamoDb, cx: &Context, input: api::DeleteItemInput) -> Result<api::DeleteItemOutput> {
    let tells_old = only_old(&input.return_values)?;
    let wanted = (input.return_consumed_capacity.clone(), input.return_item_collection_metrics.clone());
    let name = input.table_name.clone();
    let (key, guarded) = prepare_delete(dynamodb, input).map_err(Error::enveloped)?;
    let of = |table: &Table| key_of(table, &key);
    let target = Target { name: &name, guarded: &guarded, reads_old: tells_old, key: of };
    let written = write(dynamodb, cx, target, |_| Ok(None)).await?;
    Ok(api::DeleteItemOutput {
        attributes: written.old.filter(|_| tells_old).map(item_to_api),
        consumed_capacity: consumed(&wanted.0, &name, &written.cost),
        item_collection_metrics: collection_metrics(&wanted.1, &written.table, &key),
    })
}

fn key_of(table: &Table, key: &Item) -> Result<KeyBytes> {
    let schema = table.schema();
    schema.check_key(key)?;
    Ok(schema.table_bytes(key))
}

pub(super) fn prepare_delete(dynamodb: &DynamoDb, input: api::DeleteItemInput) -> Result<(Item, Guarded)> {
    check_condition_mixing(&input.expected, &input.conditional_operator, &input.condition_expression)?;
    let key = item_from_api(input.key)?;
    let forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let conditions = conditions!(input);
    let guarded = guarded_by(conditions, forms, input.condition_expression.as_deref())?;
    Ok((key, guarded))
}

/// An update and how its errors are worded.
#[derive(Debug)]
pub(super) struct PreparedUpdate {
    pub key: Item,
    update: Option<With<Update>>,
    is_legacy: bool,
    pub guarded: Guarded,
}

impl PreparedUpdate {
    pub(super) fn check_key(&self, schema: &KeySchema) -> Result<()> {
        match &self.update {
            Some((update, attributes)) => Ok(update.check_key(attributes, schema)?),
            None => Ok(()),
        }
    }
}

fn attribute_updates(updates: IndexMap<String, api::AttributeValueUpdate>) -> Result<With<Update>> {
    let one = |(attribute, update): (String, api::AttributeValueUpdate)| {
        let action = match update.action {
            Some(api::AttributeAction::Add) => UpdateAction::Add,
            Some(api::AttributeAction::Delete) => UpdateAction::Delete,
            _ => UpdateAction::Put,
        };
        Ok(AttributeUpdate { attribute, action, value: update.value.map(value_from_api).transpose()? })
    };
    let updates = updates.into_iter().map(one).collect::<Result<_>>()?;
    let (bound, attributes) = legacy::updates(updates)?;
    Ok((bound, Arc::new(attributes)))
}

pub(super) fn prepare_update(dynamodb: &DynamoDb, input: api::UpdateItemInput) -> Result<PreparedUpdate> {
    let legacy_parameters = present(&[
        ("AttributeUpdates", input.attribute_updates.is_some()),
        ("Expected", input.expected.is_some()),
        ("ConditionalOperator", input.conditional_operator.is_some()),
    ]);
    let expressions = present(&[
        ("UpdateExpression", input.update_expression.is_some()),
        ("ConditionExpression", input.condition_expression.is_some()),
    ]);
    legacy::check_mixing(&legacy_parameters, &expressions)?;
    let key = item_from_api(input.key)?;
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let update = forms.update(input.update_expression.as_deref())?;
    let bound = forms.condition(ExpressionKind::Condition, input.condition_expression.as_deref())?;
    let conditions = conditions!(input);
    let missing = "UpdateExpression and ConditionExpression are null";
    let (guarded, attributes) = guarded(conditions, (forms, missing), bound)?;
    let is_legacy = input.attribute_updates.is_some();
    let update = match (update, input.attribute_updates) {
        (Some(update), _) => Some((update, attributes)),
        (None, Some(updates)) => Some(attribute_updates(updates)?),
        (None, None) => None,
    };
    Ok(PreparedUpdate { key, update, is_legacy, guarded })
}

pub(super) fn updated(prepared: &PreparedUpdate, old: Option<&Item>) -> Result<Option<Item>> {
    let before = old.unwrap_or(&prepared.key);
    let Some((update, attributes)) = &prepared.update else { return Ok(Some(before.clone())) };
    let after = update.apply(attributes, before);
    Ok(Some(
        after.map_err(
            |error| {
                if prepared.is_legacy { Error::validation(error.in_legacy_words()) } else { error.into() }
            },
        )?,
    ))
}

pub async fn update(dynamodb: &DynamoDb, cx: &Context, input: api::UpdateItemInput) -> Result<api::UpdateItemOutput> {
    let wanted = (input.return_consumed_capacity.clone(), input.return_item_collection_metrics.clone());
    let returns = input.return_values.clone();
    let name = input.table_name.clone();
    let prepared = prepare_update(dynamodb, input).map_err(Error::enveloped)?;
    let key = |table: &Table| {
        let key = key_of(table, &prepared.key)?;
        prepared.check_key(table.schema())?;
        Ok(key)
    };
    let target = Target { name: &name, guarded: &prepared.guarded, reads_old: true, key };
    let written = write(dynamodb, cx, target, |old| Ok(updated(&prepared, old)?.map(Cow::Owned))).await?;
    let touched = |item: Option<Item>| -> Option<ApiItem> {
        let (update, attributes) = prepared.update.as_ref()?;
        let touched = update.touched(attributes, &item?);
        (!touched.is_empty()).then(|| item_to_api(touched))
    };
    let attributes = match returns {
        Some(api::ReturnValue::AllOld) => written.old.map(item_to_api),
        Some(api::ReturnValue::AllNew) => written.new.map(item_to_api),
        Some(api::ReturnValue::UpdatedOld) => touched(written.old),
        Some(api::ReturnValue::UpdatedNew) => touched(written.new),
        _ => None,
    };
    Ok(api::UpdateItemOutput {
        attributes,
        consumed_capacity: consumed(&wanted.0, &name, &written.cost),
        item_collection_metrics: collection_metrics(&wanted.1, &written.table, &prepared.key),
    })
}
