//! TransactWriteItems and TransactGetItems: all or nothing, with the reasons of a cancellation in the order of the actions.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>

use std::time::Duration;

use bytes::Bytes;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode, Units};
use fractus_dynamodb_rules::key::{KeyBytes, KeyError, partition_hash};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, RuleError, Value};
use fractus_host::Context;
use fractus_store::{Scope, Transaction};

use super::capacity::consumed;
use super::items::{Guarded, PreparedUpdate, prepare_delete, prepare_put, prepare_update, projection, updated};
use crate::error::{Error, Reason, Result};
use crate::forms::Forms;
use crate::service::{DynamoDb, active_table, scope, table_name};
use crate::store::{TOKENS, Table};
use crate::values::{item_from_api, item_to_api};
use crate::writes::{self, Cost};

/// How long a client's token stands for the request it came with.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// What the items of one transaction may hold together.
const MAX_BYTES: usize = 4 * 1_024 * 1_024;

const TWICE: &str = "Transaction request cannot include multiple operations on one item";

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
                prepared.check_key(&schema)?;
            }
        }
        Ok(schema.table_bytes(match self {
            Action::Put { item, .. } => item,
            Action::Check { key, .. } | Action::Delete { key, .. } => key,
            Action::Update(prepared) => &prepared.key,
        }))
    }

    /// What the item becomes.
    fn outcome(&self, old: Option<&Item>) -> Result<Option<Item>> {
        match self {
            Action::Check { .. } => Ok(old.cloned()),
            Action::Put { item, .. } => Ok(Some(item.clone())),
            Action::Delete { .. } => Ok(None),
            Action::Update(prepared) => updated(prepared, old),
        }
    }
}

fn put_of(put: api::Put) -> api::PutItemInput {
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

fn delete_of(delete: api::Delete) -> api::DeleteItemInput {
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

fn check_of(check: api::ConditionCheck) -> api::DeleteItemInput {
    delete_of(api::Delete {
        key: check.key,
        table_name: check.table_name,
        condition_expression: Some(check.condition_expression),
        expression_attribute_names: check.expression_attribute_names,
        expression_attribute_values: check.expression_attribute_values,
        return_values_on_condition_check_failure: check.return_values_on_condition_check_failure,
    })
}

fn update_of(update: api::Update) -> api::UpdateItemInput {
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

fn planned(dynamodb: &DynamoDb, item: api::TransactWriteItem) -> Result<Planned> {
    let (table, action) = match (item.condition_check, item.put, item.delete, item.update) {
        (Some(check), None, None, None) => {
            let table = check.table_name.clone();
            let (key, guarded) = prepare_delete(dynamodb, check_of(check))?;
            (table, Action::Check { key, guarded })
        }
        (None, Some(put), None, None) => {
            let table = put.table_name.clone();
            let (item, guarded) = prepare_put(dynamodb, put_of(put))?;
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
    Ok(Planned { table: table_name(&table).to_owned(), action })
}

/// What goes wrong with one action cancels the transaction, but for keys that no table would take, and tables that are
/// not there.
fn reason(error: Error) -> Result<Reason> {
    match error {
        Error::ConditionFailed(item) => Ok(Reason::ConditionFailed(item)),
        Error::Rule(RuleError::Key(
            key @ (KeyError::Empty { .. } | KeyError::PartitionTooLong | KeyError::SortTooLong),
        )) => Err(key.into()),
        error @ (Error::Rule(_) | Error::Validation(_)) => Ok(Reason::Invalid(error.to_string())),
        other => Err(other),
    }
}

/// Carries out one action; what a condition or a rule has against it is its reason.
fn act(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    action: &Action,
    (seen, bytes): (&mut Vec<(u64, KeyBytes)>, &mut usize),
) -> Result<Cost> {
    let schema = table.schema();
    let key = action.key(table)?;
    if seen.contains(&(table.id, key.clone())) {
        return Err(Error::TwiceInTransaction);
    }
    seen.push((table.id, key.clone()));
    let old = writes::read(tx, scope, table, &key)?;
    action.guarded().check(old.as_ref())?;
    let new = action.outcome(old.as_ref())?;
    *bytes += new.as_ref().map_or(0, item_bytes);
    if let Action::Check { .. } = action {
        let units = units::write(old.as_ref().map(item_bytes), None, true);
        return Ok(Cost { table: units, indexes: Vec::new() });
    }
    Ok(writes::change(tx, scope, (table, &schema), &key, (old.as_ref(), new.as_ref()))?.doubled())
}

fn carry_out(tx: &mut Transaction<'_>, scope: &Scope, plan: &[Planned]) -> Result<Vec<(String, Cost)>> {
    let (mut costs, mut reasons): (Vec<(String, Cost)>, Vec<Reason>) = Default::default();
    let (mut seen, mut bytes) = (Vec::new(), 0);
    for planned in plan {
        let table = active_table(tx, scope, &planned.table)?;
        match act(tx, scope, &table, &planned.action, (&mut seen, &mut bytes)) {
            Ok(cost) => {
                reasons.push(Reason::None);
                match costs.iter_mut().find(|(name, _)| *name == table.name) {
                    Some((_, own)) => own.add(cost),
                    None => costs.push((table.name.clone(), cost)),
                }
            }
            Err(Error::TwiceInTransaction) => return Err(Error::validation(TWICE)),
            Err(error) => reasons.push(reason(error)?),
        }
    }
    if bytes > MAX_BYTES {
        // Unconfirmed words.
        return Err(Error::validation("The aggregate size of the items in the transaction cannot exceed 4 MB"));
    }
    if reasons.iter().all(|reason| matches!(reason, Reason::None)) { Ok(costs) } else { Err(Error::Cancelled(reasons)) }
}

pub async fn write(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::TransactWriteItemsInput,
) -> Result<api::TransactWriteItemsOutput> {
    let plan =
        input.transact_items.into_iter().map(|item| planned(dynamodb, item)).collect::<Result<Vec<Planned>>>()?;
    let scope = scope(cx);
    let token = input.client_request_token.map(|token| {
        let request = Value::S(format!("{plan:?}"));
        (token, Bytes::copy_from_slice(&partition_hash(std::iter::once(&request))))
    });
    let costs = dynamodb.store.write(|tx| {
        if let Some((token, request)) = &token {
            match tx.get(&TOKENS, &scope, &(token.as_str(),))? {
                Some(known) if known == *request => return Ok(Vec::new()),
                Some(_) => return Err(Error::OtherRequest),
                None => {
                    let until = tx.now(&scope).plus(TOKEN_LIFE);
                    tx.put_until(&TOKENS, &scope, &(token.as_str(),), request, until)?;
                }
            }
        }
        carry_out(tx, &scope, &plan)
    });
    let costs = costs.await?;
    let capacities: Vec<_> =
        costs.iter().filter_map(|(name, cost)| consumed(&input.return_consumed_capacity, name, cost)).collect();
    Ok(api::TransactWriteItemsOutput {
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
        item_collection_metrics: None,
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
    let scope = scope(cx);
    let found = dynamodb.store.read(|snapshot| {
        let (mut items, mut seen) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (name, key, _) in &wanted {
            let table = active_table(snapshot, &scope, name)?;
            let schema = table.schema();
            schema.check_key(key)?;
            let key = schema.table_bytes(key);
            if seen.contains(&(table.id, key.clone())) {
                return Err(Error::validation(TWICE));
            }
            items.push((table.name.clone(), writes::read(snapshot, &scope, &table, &key)?));
            seen.push((table.id, key));
        }
        Ok(items)
    });
    let (mut responses, mut costs): (Vec<api::ItemResponse>, Vec<(String, Cost)>) = Default::default();
    for ((name, item), (_, _, projection)) in found.await?.into_iter().zip(&wanted) {
        let used = units::read(item.as_ref().map_or(0, item_bytes), ReadMode::Transactional);
        match costs.iter_mut().find(|(own, _)| *own == name) {
            Some((_, cost)) => cost.table = cost.table + used,
            None => costs.push((name, Cost { table: Units::ZERO + used, indexes: Vec::new() })),
        }
        let item = item.map(|item| match projection {
            Some((projection, attributes)) => projection.apply(attributes, &item),
            None => item,
        });
        responses.push(api::ItemResponse { item: item.map(item_to_api) });
    }
    let capacities: Vec<_> =
        costs.iter().filter_map(|(name, cost)| consumed(&input.return_consumed_capacity, name, cost)).collect();
    Ok(api::TransactGetItemsOutput {
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
        responses: Some(responses),
    })
}
