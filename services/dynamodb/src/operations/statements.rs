//! ExecuteStatement: one PartiQL statement.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity as units;
use fractus_dynamodb_rules::expression::{Bound, Condition, Update};
use fractus_dynamodb_rules::key::{KeyBytes, KeyRange, KeySchema};
use fractus_dynamodb_rules::partiql::{Action, PartiqlError, Reads, Returning, Select, Statement, reads, write_key};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, check, codec};
use fractus_host::Context;
use fractus_store::{Scope, Transaction};

use super::capacity::consumed;
use super::read_page::{Read, run};
use crate::error::{Error, Result};
use crate::service::{DynamoDb, active_table, own_table, scope, table_name};
use crate::store::Table;
use crate::throttle::Kind;
use crate::values::{item_to_api, value_from_api};
use crate::writes::{self, Cost, Writer};

/// What a statement gave back.
#[derive(Default)]
struct Done {
    items: Vec<Item>,
    table: String,
    cost: Cost,
    /// How many items a SELECT has looked at.
    looked_at: i32,
    /// Where to go on: which of a SELECT's queries, after which key.
    next: Option<(usize, Item)>,
}

/// A place in a SELECT as a token: the query's number, then the key in its stored form, in hexadecimal digits.
fn token_of((query, key): &(usize, Item)) -> String {
    let mut bytes = (*query as u32).to_be_bytes().to_vec();
    codec::encode(key, &mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn place_of(token: &str) -> Result<(usize, Item)> {
    let invalid = || Error::validation("Invalid NextToken");
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = token.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    let bytes = pairs.collect::<Option<Vec<u8>>>().ok_or_else(invalid)?;
    let (query, key) = bytes.split_first_chunk::<4>().ok_or_else(invalid)?;
    Ok((u32::from_be_bytes(*query) as usize, codec::decode(key).map_err(|_| invalid())?))
}

/// Whether a SELECT's order is the keys' own, or it turned; any other cannot be had.
fn is_forward(select: &Select, schema: &KeySchema, is_query: bool) -> Result<bool> {
    // Unconfirmed words.
    if !select.order.is_empty() && !is_query {
        return Err(Error::validation("Must have WHERE clause in the statement when using ORDER BY clause."));
    }
    if let Some((name, _)) = select.order.iter().find(|(name, _)| !schema.names(name)) {
        return Err(Error::validation(format!(
            "Variable reference {name} in ORDER BY clause must be part of the primary key"
        )));
    }
    Ok(!select
        .order
        .iter()
        .any(|(name, is_descending)| *is_descending && schema.sort.iter().any(|attribute| attribute.name == *name)))
}

async fn select(
    dynamodb: &DynamoDb,
    cx: &Context,
    (statement, select): (&Statement, &Select),
    input: &api::ExecuteStatementInput,
) -> Result<Done> {
    let scope = &scope(cx);
    let attributes = Arc::new(statement.attributes.clone());
    let filter = select.condition.clone().map(|condition| (statement.bound(condition), Arc::clone(&attributes)));
    let projection = select.projection.clone().map(|paths| (paths, Arc::clone(&attributes)));
    let (mut query, mut start) = match &input.next_token {
        Some(token) => {
            let (query, key) = place_of(token)?;
            (query, Some(key))
        }
        None => (0, None),
    };
    let count = AtomicUsize::new(1);
    let mut done = Done::default();
    loop {
        let looked_at = done.looked_at;
        let read = Read {
            table_name: table_name(&statement.table).to_owned(),
            index_name: select.index.clone(),
            start: start.take(),
            limit: input.limit.map(|limit| limit.saturating_sub(looked_at)),
            is_consistent: input.consistent_read == Some(true),
            select: None,
            filter: filter.clone(),
            projection: projection.clone(),
            operation: "ExecuteStatement",
            is_statement: true,
        };
        let range = |schema: &KeySchema| {
            let found = reads(statement, select.condition.as_ref(), schema);
            let forward = is_forward(select, schema, matches!(found, Reads::Queries(_)))?;
            let Reads::Queries(queries) = found else { return Ok((KeyRange::everything(), forward)) };
            count.store(queries.len(), Ordering::Relaxed);
            let query = queries.get(query).ok_or_else(|| Error::validation("Invalid NextToken"))?;
            Ok((query.range(), forward))
        };
        let found = dynamodb.store.read(|snapshot| run(snapshot, scope, &read, range)).await?;
        dynamodb.throttle.take(&found.table, &found.cost, Kind::Read, cx.now())?;
        dynamodb.contributors.count_all(&found.table, select.index.as_deref(), &found.page.items, cx.now());
        done.table = found.table.name.clone();
        done.cost.add(found.cost);
        done.looked_at += i32::try_from(found.page.scanned_count).unwrap_or(i32::MAX);
        done.items.extend(found.page.items);
        if let Some(last) = found.last {
            done.next = Some((query, last));
            return Ok(done);
        }
        query += 1;
        if query >= count.load(Ordering::Relaxed) {
            return Ok(done);
        }
    }
}

/// What a write has done.
pub(super) struct Wrote {
    pub table: Arc<Table>,
    pub cost: Cost,
    /// What it gives back.
    pub item: Option<Item>,
    /// The size of the item afterwards.
    pub bytes: usize,
}

/// Carries out an INSERT, UPDATE or DELETE, or looks whether an EXISTS holds. `see` is told which item it is for.
pub(super) fn write(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    writer: &mut Writer,
    (statement, tells_old): (&Statement, bool),
    see: impl FnOnce(&Transaction<'_>, &Table, &KeyBytes) -> Result<()>,
) -> Result<Wrote> {
    let table = active_table(tx, scope, table_name(&statement.table))?;
    let (condition, update, returning) = match &statement.action {
        Action::Insert(item) => return insert(tx, scope, writer, (table, item), see),
        Action::Update { update, condition, returning } => (condition.as_ref(), Some(update), *returning),
        Action::Delete { condition, returning } => (condition.as_ref(), None, *returning),
        Action::Exists(select) | Action::Select(select) => (select.condition.as_ref(), None, None),
    };
    let schema = table.schema();
    let wanted = write_key(statement, condition, schema)?;
    schema.check_key(&wanted.key)?;
    let key = schema.table_bytes(&wanted.key);
    see(tx, &table, &key)?;
    let old = writes::read(tx, scope, &table, &key)?;
    let empty = Item::new();
    let holds = |rest: Condition| statement.bound(rest).holds(&statement.attributes, old.as_ref().unwrap_or(&empty));
    let is_look = matches!(statement.action, Action::Exists(_) | Action::Select(_));
    let must_be_there = update.is_some() || is_look;
    if (must_be_there && old.is_none()) || !wanted.rest.is_none_or(holds) {
        return Err(Error::ConditionFailed(old.filter(|_| tells_old).map(Box::new)));
    }
    if is_look {
        let bytes = old.as_ref().map_or(0, item_bytes);
        let cost = Cost { table: units::write(Some(bytes), None, false), ..Cost::default() };
        return Ok(Wrote { table, cost, item: None, bytes });
    }
    let new = match (update, &old) {
        (Some(update), Some(old)) => {
            update.check_key(&statement.attributes, schema)?;
            Some(update.apply(&statement.attributes, old)?)
        }
        _ => None,
    };
    let cost = writer.change(tx, scope, (&table, schema), &key, (old.as_ref(), new.as_ref()))?;
    let bytes = new.as_ref().map_or(0, item_bytes);
    let item = returned(statement, update, returning, (old, new));
    Ok(Wrote { table, cost, item, bytes })
}

/// The stored key of the item that a write is for, or a SELECT by its whole key.
pub(super) fn key_of(statement: &Statement, table: &Table) -> Result<KeyBytes> {
    let schema = table.schema();
    let condition = match &statement.action {
        Action::Insert(item) => {
            schema.check_item(item)?;
            return Ok(schema.table_bytes(item));
        }
        Action::Update { condition, .. } | Action::Delete { condition, .. } => condition.as_ref(),
        Action::Exists(select) | Action::Select(select) => select.condition.as_ref(),
    };
    let wanted = write_key(statement, condition, schema)?;
    schema.check_key(&wanted.key)?;
    Ok(schema.table_bytes(&wanted.key))
}

fn returned(
    statement: &Statement,
    update: Option<&Bound<Update>>,
    returning: Option<Returning>,
    (old, new): (Option<Item>, Option<Item>),
) -> Option<Item> {
    let touched = |item: Item| update.map(|update| update.touched(&statement.attributes, &item));
    match returning? {
        Returning::AllOld => old,
        Returning::AllNew => new,
        Returning::ModifiedOld => old.and_then(touched),
        Returning::ModifiedNew => new.and_then(touched),
    }
}

fn insert(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    writer: &mut Writer,
    (table, item): (Arc<Table>, &Item),
    see: impl FnOnce(&Transaction<'_>, &Table, &KeyBytes) -> Result<()>,
) -> Result<Wrote> {
    check::item(item)?;
    let schema = table.schema();
    schema.check_item(item)?;
    let key = schema.table_bytes(item);
    see(tx, &table, &key)?;
    if writes::read(tx, scope, &table, &key)?.is_some() {
        return Err(Error::Duplicate);
    }
    let cost = writer.change(tx, scope, (&table, schema), &key, (None, Some(item)))?;
    Ok(Wrote { table, cost, item: None, bytes: item_bytes(item) })
}

/// A statement that is to be carried out: of a table that statements reach.
pub(super) fn prepared(cx: &Context, text: &str, parameters: Option<Vec<api::AttributeValue>>) -> Result<Statement> {
    let statement = parsed(text, parameters)?;
    own_table(cx, &statement.table)?;
    Ok(statement)
}

/// The statement of a request, with its parameters in it.
pub(crate) fn parsed(text: &str, parameters: Option<Vec<api::AttributeValue>>) -> Result<Statement> {
    let parameters = parameters
        .unwrap_or_default()
        .into_iter()
        .map(value_from_api)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::from(PartiqlError::Value(error)))?;
    Ok(Statement::parse(text, parameters)?)
}

/// One write on its own.
pub(super) async fn write_alone(
    dynamodb: &DynamoDb,
    cx: &Context,
    (statement, tells_old): (&Statement, bool),
) -> Result<Wrote> {
    dynamodb
        .change(cx, |tx, scope, writer| {
            let see = |tx: &Transaction<'_>, table: &Table, key: &KeyBytes| dynamodb.check_free(tx, scope, table, key);
            let wrote = write(tx, scope, writer, (statement, tells_old), see)?;
            writer.took(dynamodb.throttle.take(&wrote.table, &wrote.cost, Kind::Write, tx.now(scope))?);
            Ok(wrote)
        })
        .await
        .map_err(Error::of_write)
}

pub async fn execute(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ExecuteStatementInput,
) -> Result<api::ExecuteStatementOutput> {
    let mut input = input;
    let statement = prepared(cx, &input.statement, input.parameters.take())?;
    let tells_old =
        input.return_values_on_condition_check_failure == Some(api::ReturnValuesOnConditionCheckFailure::AllOld);
    let done = match &statement.action {
        Action::Select(wanted) => select(dynamodb, cx, (&statement, wanted), &input).await?,
        // Unconfirmed words.
        Action::Exists(_) => return Err(Error::validation("EXISTS is only supported in ExecuteTransaction")),
        _ => {
            let wrote = write_alone(dynamodb, cx, (&statement, tells_old)).await?;
            let items = wrote.item.into_iter().collect();
            Done { table: wrote.table.name.clone(), cost: wrote.cost, items, ..Done::default() }
        }
    };
    Ok(api::ExecuteStatementOutput {
        next_token: done.next.as_ref().map(token_of),
        last_evaluated_key: done.next.map(|(_, key)| item_to_api(key)),
        consumed_capacity: consumed(&input.return_consumed_capacity, &done.table, &done.cost),
        items: Some(done.items.into_iter().map(item_to_api).collect()),
    })
}
