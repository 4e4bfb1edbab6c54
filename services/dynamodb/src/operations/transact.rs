//! TransactWriteItems and TransactGetItems: all or nothing, with the reasons of a cancellation in the order of the actions.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::Item;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode};
use fractus_dynamodb_rules::key::KeyBytes;
use fractus_dynamodb_rules::size::item_bytes;
use fractus_host::Context;
use fractus_store::{Scope, Snapshot, Transaction};
use indexmap::IndexMap;

use super::capacity::{as_named, consumed_by};
use super::items::{Guarded, PreparedUpdate, prepare_delete, prepare_put, prepare_update, projection, updated};
use super::outcome::{Asked, Outcome, TWICE, Transacted, once};
use super::request_digest;
use crate::error::{Error, Reason, Result};
use crate::forms::Forms;
use crate::inputs::{Put, TransactWriteItem, TransactWriteItemsInput};
use crate::replicas::strong;
use crate::service::{DynamoDb, active_table, common_scope};
use crate::store::Table;
use crate::throttle::Kind;
use crate::values::{item_from_api, item_to_api};
use crate::writes::{self, Cost, Writer};

#[derive(Debug)]
enum Action {
    Check { key: Item, guarded: Guarded },
    Put { item: Item, guarded: Guarded },
    Delete { key: Item, guarded: Guarded },
    Update(Box<PreparedUpdate>),
}

#[derive(Debug)]
struct Planned {
    table: String,
    action: Action,
}

impl Action {
    const fn guarded(&self) -> &Guarded {
        match self {
            Action::Check { guarded, .. } | Action::Put { guarded, .. } | Action::Delete { guarded, .. } => guarded,
            Action::Update(prepared) => &prepared.guarded,
        }
    }

    fn key(&self, table: &Table) -> Result<KeyBytes> {
        let schema = table.schema();
        match self {
            Action::Put { item, .. } => schema.check_item(item)?,
            Action::Check { key, .. } | Action::Delete { key, .. } => schema.check_key(key)?,
            Action::Update(prepared) => {
                schema.check_key(&prepared.key)?;
                prepared.check_key(schema)?;
            }
        }
        Ok(schema.table_bytes(self.item()))
    }

    /// What the item becomes.
    fn outcome<'a>(&'a self, old: Option<&'a Item>) -> Result<Option<Cow<'a, Item>>> {
        match self {
            Action::Check { .. } => Ok(old.map(Cow::Borrowed)),
            Action::Put { item, .. } => Ok(Some(Cow::Borrowed(item))),
            Action::Delete { .. } => Ok(None),
            Action::Update(prepared) => Ok(updated(prepared, old)?.map(Cow::Owned)),
        }
    }

    /// The item, or its key.
    const fn item(&self) -> &Item {
        match self {
            Action::Put { item, .. } => item,
            Action::Check { key, .. } | Action::Delete { key, .. } => key,
            Action::Update(prepared) => &prepared.key,
        }
    }
}

pub(crate) fn put_of(put: api::Put) -> api::PutItemInput {
    api::PutItemInput {
        table_name: put.table_name,
        item: put.item,
        condition_expression: put.condition_expression,
        expression_attribute_names: put.expression_attribute_names,
        expression_attribute_values: put.expression_attribute_values,
        return_values_on_condition_check_failure: put.return_values_on_condition_check_failure,
        ..Default::default()
    }
}

pub(crate) fn delete_of(delete: api::Delete) -> api::DeleteItemInput {
    api::DeleteItemInput {
        table_name: delete.table_name,
        key: delete.key,
        condition_expression: delete.condition_expression,
        expression_attribute_names: delete.expression_attribute_names,
        expression_attribute_values: delete.expression_attribute_values,
        return_values_on_condition_check_failure: delete.return_values_on_condition_check_failure,
        ..Default::default()
    }
}

pub(crate) fn check_of(check: api::ConditionCheck) -> api::DeleteItemInput {
    delete_of(api::Delete {
        key: check.key,
        table_name: check.table_name,
        condition_expression: Some(check.condition_expression),
        expression_attribute_names: check.expression_attribute_names,
        expression_attribute_values: check.expression_attribute_values,
        return_values_on_condition_check_failure: check.return_values_on_condition_check_failure,
    })
}

pub(crate) fn update_of(update: api::Update) -> api::UpdateItemInput {
    api::UpdateItemInput {
        table_name: update.table_name,
        key: update.key,
        update_expression: Some(update.update_expression),
        condition_expression: update.condition_expression,
        expression_attribute_names: update.expression_attribute_names,
        expression_attribute_values: update.expression_attribute_values,
        return_values_on_condition_check_failure: update.return_values_on_condition_check_failure,
        ..Default::default()
    }
}

fn planned(dynamodb: &DynamoDb, asked: TransactWriteItem) -> Result<Planned> {
    let TransactWriteItem { rest: item, put } = asked;
    let (table, action) = match (item.condition_check, put, item.delete, item.update) {
        (Some(check), None, None, None) => {
            let table = check.table_name.clone();
            let (key, guarded) = prepare_delete(dynamodb, check_of(check))?;
            (table, Action::Check { key, guarded })
        }
        (None, Some(Put { rest: put, item }), None, None) => {
            let table = put.table_name.clone();
            let (item, guarded) = prepare_put(dynamodb, item, put_of(put))?;
            (table, Action::Put { item, guarded })
        }
        (None, None, Some(delete), None) => {
            let table = delete.table_name.clone();
            let (key, guarded) = prepare_delete(dynamodb, delete_of(delete))?;
            (table, Action::Delete { key, guarded })
        }
        (None, None, None, Some(update)) => {
            let table = update.table_name.clone();
            (table, Action::Update(Box::new(prepare_update(dynamodb, update_of(update))?)))
        }
        _ => {
            return Err(Error::validation("TransactItems can only contain one of Check, Put, Update or Delete"));
        }
    };
    Ok(Planned { table, action })
}

/// Carries out one action; what a condition or a rule has against it is its reason.
fn act(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    writer: &mut Writer,
    (table, action): (&Table, &Action),
    outcome: &mut Outcome,
) -> Result<Cost> {
    let key = action.key(table)?;
    outcome.see(table, &key)?;
    if let Action::Put { item, guarded } = action
        && guarded.condition.is_none()
        && table.is_plain()
    {
        let bytes = item_bytes(item);
        outcome.weigh(bytes);
        outcome.read(table, bytes);
        outcome.collect(table, item);
        return Ok(writer.replace(tx, scope, table, &key, Some(item))?.doubled());
    }
    let old = writes::read(tx, scope, table, &key)?;
    action.guarded().check(old.as_ref())?;
    let new = action.outcome(old.as_ref())?;
    let bytes = new.as_deref().map_or(0, item_bytes);
    outcome.weigh(bytes);
    outcome.read(table, bytes);
    if let Action::Check { .. } = action {
        let units = units::write(old.as_ref().map(item_bytes), None, true);
        return Ok(Cost { table: units, ..Cost::default() });
    }
    outcome.collect(table, action.item());
    Ok(writer.change(tx, scope, (table, table.schema()), &key, (old.as_ref(), new.as_deref()))?.doubled())
}

pub async fn write(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: TransactWriteItemsInput,
) -> Result<api::TransactWriteItemsOutput> {
    let TransactWriteItemsInput { rest: input, transact_items } = input;
    let token = input.client_request_token.as_deref().map(|token| (token, request_digest::of(&transact_items)));
    let plan = transact_items.into_iter().map(|item| planned(dynamodb, item)).collect::<Result<Vec<Planned>>>()?;
    let scope = common_scope(cx, plan.iter().map(|planned| planned.table.as_str()))?;
    let items = |snapshot: &Snapshot<'_>, scope: &Scope| {
        let item = |planned: &Planned| {
            let table = active_table(snapshot, scope, &planned.table).ok()?;
            Some((scope.clone(), table.id, planned.action.key(&table).ok()?))
        };
        plan.iter().map(item).collect()
    };
    let transacted = once(dynamodb, cx, Asked { scope, token, count: plan.len() }, items, |tx, scope, writer| {
        let mut outcome = Outcome::telling(input.return_item_collection_metrics.clone());
        let mut latest: Option<(&str, Arc<Table>)> = None;
        for planned in &plan {
            // Actions on one table mostly follow each other.
            let known = latest.take().filter(|(name, _)| *name == planned.table).map(|(_, table)| table);
            let table = known.map_or_else(|| active_table(tx, scope, &planned.table), Ok)?;
            latest = Some((&planned.table, Arc::clone(&table)));
            strong::check_transaction(&table, tx.now(scope))?;
            let acted = act(tx, scope, writer, (&table, &planned.action), &mut outcome);
            outcome.settle(table, acted)?;
        }
        outcome.end(dynamodb, writer, tx.now(scope))?;
        Ok(outcome)
    });
    let transacted = transacted.await?;
    let names = plan.iter().map(|planned| planned.table.as_str());
    let consumed_capacity = transacted.consumed(&input.return_consumed_capacity).map(|told| as_named(told, names));
    let metrics = match transacted {
        Transacted::Now(outcome) => outcome.metrics,
        Transacted::Before(_) => IndexMap::new(),
    };
    Ok(api::TransactWriteItemsOutput {
        consumed_capacity,
        item_collection_metrics: (!metrics.is_empty()).then_some(metrics),
    })
}

pub async fn get(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::TransactGetItemsInput,
) -> Result<api::TransactGetItemsOutput> {
    let mut wanted = Vec::with_capacity(input.transact_items.len());
    for item in input.transact_items {
        let mut forms = Forms::new(&dynamodb.cache, item.get.expression_attribute_names, None)?;
        let bound = forms.projection(item.get.projection_expression.as_deref())?;
        wanted.push((item.get.table_name, item_from_api(item.get.key)?, projection(forms, bound, None)?));
    }
    let scope = common_scope(cx, wanted.iter().map(|(name, ..)| name.as_str()))?;
    let found = dynamodb.store.read(|snapshot| {
        let (mut items, mut seen) = (Vec::with_capacity(wanted.len()), HashSet::new());
        let mut reasons = Vec::with_capacity(wanted.len());
        for (name, key, _) in &wanted {
            let table = active_table(snapshot, &scope, name)?;
            strong::check_transaction(&table, snapshot.now(&scope))?;
            let schema = table.schema();
            schema.check_key(key)?;
            let key = schema.table_bytes(key);
            let item = writes::read(snapshot, &scope, &table, &key)?;
            let is_held = dynamodb.ongoing.holds(&scope, table.id, &key);
            reasons.push(if is_held { Reason::Conflict } else { Reason::None });
            if !seen.insert((table.id, key)) {
                return Err(Error::validation(TWICE));
            }
            items.push((table, item));
        }
        if reasons.iter().any(|reason| matches!(reason, Reason::Conflict)) {
            return Err(Error::Cancelled(reasons));
        }
        Ok(items)
    });
    let (mut responses, mut costs): (Vec<api::ItemResponse>, Vec<(Arc<Table>, Cost)>) = Default::default();
    for ((table, item), (_, _, projection)) in found.await?.into_iter().zip(&wanted) {
        let used = units::read(item.as_ref().map_or(0, item_bytes), ReadMode::Transactional);
        let cost = Cost { table: used, ..Cost::default() };
        dynamodb.throttle.take(&table, &cost, Kind::Read, cx.now())?;
        dynamodb.contributors.count_all(&table, None, &item, cx.now());
        match costs.iter_mut().find(|(own, _)| own.id == table.id) {
            Some((_, own)) => own.add(cost),
            None => costs.push((table, cost)),
        }
        let item = item.map(|item| match projection {
            Some((projection, attributes)) => projection.apply(attributes, &item),
            None => item,
        });
        responses.push(api::ItemResponse { item: item.map(item_to_api) });
    }
    let names = wanted.iter().map(|(name, ..)| name.as_str());
    let wanted = &input.return_consumed_capacity;
    let told = costs.iter().filter_map(|(table, cost)| consumed_by(Kind::Read, wanted, &table.name, cost));
    let capacities = as_named(told.collect(), names);
    Ok(api::TransactGetItemsOutput {
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
        responses: Some(responses),
    })
}
