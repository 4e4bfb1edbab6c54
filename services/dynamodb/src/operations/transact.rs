//! TransactWriteItems and TransactGetItems: all or nothing, with the reasons of a cancellation in the order of the actions.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode, Units};
use fractus_dynamodb_rules::key::{KeyBytes, KeyError};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, RuleError};
use fractus_host::Context;
use fractus_store::{Scope, Transaction};
use indexmap::IndexMap;

use super::capacity::{Wanted, collection_metrics, consumed_by};
use super::items::{Guarded, PreparedUpdate, prepare_delete, prepare_put, prepare_update, projection, updated};
use super::request_digest;
use crate::error::{Error, Reason, Result};
use crate::forms::Forms;
use crate::service::{DynamoDb, active_table, scope, table_name};
use crate::store::{TOKENS, Table, Token};
use crate::throttle::Kind;
use crate::values::{item_from_api, item_to_api};
use crate::writes::{self, Cost, Writer};

/// How long a client's token stands for the request it came with.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// What the items of one transaction may hold together.
const MAX_BYTES: usize = 4 * 1_024 * 1_024;

pub(super) const TWICE: &str = "Transaction request cannot include multiple operations on one item";

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
        Error::Duplicate => Ok(Reason::Duplicate),
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
    writer: &mut Writer,
    (table, action): (&Table, &Action),
    outcome: &mut Outcome,
) -> Result<Cost> {
    let key = action.key(table)?;
    outcome.see(table, &key)?;
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

/// What a transaction has come to.
#[derive(Default)]
pub(super) struct Outcome {
    costs: Vec<(Arc<Table>, Cost)>,
    reasons: Vec<Reason>,
    seen: HashSet<(u64, KeyBytes)>,
    bytes: usize,
    /// What reading the items costs, by table.
    reads: Vec<(String, Units)>,
    metrics: IndexMap<String, Vec<api::ItemCollectionMetrics>>,
    wants_metrics: Option<api::ReturnItemCollectionMetrics>,
}

impl Outcome {
    /// No two actions may be on one item.
    pub fn see(&mut self, table: &Table, key: &KeyBytes) -> Result<()> {
        if self.seen.insert((table.id, key.clone())) { Ok(()) } else { Err(Error::TwiceInTransaction) }
    }

    /// Counts an item towards what a transaction may hold.
    pub const fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    pub fn read(&mut self, table: &Table, bytes: usize) {
        let units = units::read(bytes, ReadMode::Transactional);
        match self.reads.iter_mut().find(|(name, _)| *name == table.name) {
            Some((_, own)) => *own = *own + units,
            None => self.reads.push((table.name.clone(), units)),
        }
    }

    fn collect(&mut self, table: &Table, item: &Item) {
        let Some(metrics) = collection_metrics(&self.wants_metrics, table, item) else { return };
        let told = self.metrics.entry(table.name.clone()).or_default();
        if !told.contains(&metrics) {
            told.push(metrics);
        }
    }

    /// Notes how an action has ended; an error that is not the action's own ends the transaction.
    pub fn settle(&mut self, table: Arc<Table>, acted: Result<Cost>) -> Result<()> {
        match acted {
            Ok(cost) => {
                self.reasons.push(Reason::None);
                match self.costs.iter_mut().find(|(own, _)| own.id == table.id) {
                    Some((_, own)) => own.add(cost),
                    None => self.costs.push((table, cost)),
                }
                Ok(())
            }
            Err(Error::TwiceInTransaction) => Err(Error::validation(TWICE)),
            Err(error) => {
                self.reasons.push(reason(error)?);
                Ok(())
            }
        }
    }

    /// The whole of it: done, or cancelled.
    pub fn end(&self, dynamodb: &DynamoDb, now: Timestamp) -> Result<()> {
        if self.bytes > MAX_BYTES {
            // Unconfirmed words.
            return Err(Error::validation("The aggregate size of the items in the transaction cannot exceed 4 MB"));
        }
        if self.reasons.iter().any(|reason| !matches!(reason, Reason::None)) {
            return Err(Error::Cancelled(self.reasons.clone()));
        }
        self.costs.iter().try_for_each(|(table, cost)| dynamodb.throttle.take(table, cost, Kind::Write, now))
    }

    pub fn consumed(&self, wanted: &Wanted) -> Option<Vec<api::ConsumedCapacity>> {
        let told = self.costs.iter().filter_map(|(table, cost)| consumed_by(Kind::Write, wanted, &table.name, cost));
        let told: Vec<_> = told.collect();
        (!told.is_empty()).then_some(told)
    }
}

/// What came of a request with a token: it was carried out now, or had been before and cost its reading now.
pub(super) enum Transacted {
    Now(Box<Outcome>),
    Before(Vec<(String, u64)>),
}

impl Transacted {
    pub fn consumed(&self, wanted: &Wanted) -> Option<Vec<api::ConsumedCapacity>> {
        match self {
            Transacted::Now(outcome) => outcome.consumed(wanted),
            Transacted::Before(reads) => {
                let cost = |halves: u64| Cost { table: Units::of_halves(halves), ..Cost::default() };
                let told =
                    reads.iter().filter_map(|(name, halves)| consumed_by(Kind::Read, wanted, name, &cost(*halves)));
                let told: Vec<_> = told.collect();
                (!told.is_empty()).then_some(told)
            }
        }
    }
}

/// Runs `work` as one transaction, once for each token.
pub(super) async fn once(
    dynamodb: &DynamoDb,
    cx: &Context,
    token: Option<(&str, Bytes)>,
    work: impl Fn(&mut Transaction<'_>, &Scope, &mut Writer) -> Result<Outcome>,
) -> Result<Transacted> {
    dynamodb
        .change(cx, |tx, scope, writer| {
            let Some((token, request)) = &token else {
                return Ok(Transacted::Now(Box::new(work(tx, scope, writer)?)));
            };
            match tx.get(&TOKENS, scope, &(*token,))? {
                Some(known) if known.request == *request => return Ok(Transacted::Before(known.reads)),
                Some(_) => return Err(Error::OtherRequest),
                None => {}
            }
            let outcome = work(tx, scope, writer)?;
            let reads = outcome.reads.iter().map(|(name, units)| (name.clone(), units.halves())).collect();
            let until = tx.now(scope).plus(TOKEN_LIFE);
            tx.put_until(&TOKENS, scope, &(*token,), &Token { request: request.clone(), reads }, until)?;
            Ok(Transacted::Now(Box::new(outcome)))
        })
        .await
}

pub async fn write(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::TransactWriteItemsInput,
) -> Result<api::TransactWriteItemsOutput> {
    let token = input.client_request_token.as_deref().map(|token| (token, request_digest::of(&input.transact_items)));
    let plan =
        input.transact_items.into_iter().map(|item| planned(dynamodb, item)).collect::<Result<Vec<Planned>>>()?;
    let transacted = once(dynamodb, cx, token, |tx, scope, writer| {
        let mut outcome = Outcome { wants_metrics: input.return_item_collection_metrics.clone(), ..Outcome::default() };
        for planned in &plan {
            let table = active_table(tx, scope, &planned.table)?;
            let acted = act(tx, scope, writer, (&table, &planned.action), &mut outcome);
            outcome.settle(table, acted)?;
        }
        outcome.end(dynamodb, tx.now(scope))?;
        Ok(outcome)
    });
    let transacted = transacted.await?;
    let consumed_capacity = transacted.consumed(&input.return_consumed_capacity);
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
    let scope = scope(cx);
    let found = dynamodb.store.read(|snapshot| {
        let (mut items, mut seen) = (Vec::with_capacity(wanted.len()), HashSet::new());
        for (name, key, _) in &wanted {
            let table = active_table(snapshot, &scope, name)?;
            let schema = table.schema();
            schema.check_key(key)?;
            let key = schema.table_bytes(key);
            let item = writes::read(snapshot, &scope, &table, &key)?;
            if !seen.insert((table.id, key)) {
                return Err(Error::validation(TWICE));
            }
            items.push((table, item));
        }
        Ok(items)
    });
    let (mut responses, mut costs): (Vec<api::ItemResponse>, Vec<(Arc<Table>, Cost)>) = Default::default();
    for ((table, item), (_, _, projection)) in found.await?.into_iter().zip(&wanted) {
        let used = units::read(item.as_ref().map_or(0, item_bytes), ReadMode::Transactional);
        let cost = Cost { table: used, ..Cost::default() };
        dynamodb.throttle.take(&table, &cost, Kind::Read, cx.now())?;
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
    let wanted = &input.return_consumed_capacity;
    let told = costs.iter().filter_map(|(table, cost)| consumed_by(Kind::Read, wanted, &table.name, cost));
    let capacities: Vec<_> = told.collect();
    Ok(api::TransactGetItemsOutput {
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
        responses: Some(responses),
    })
}
