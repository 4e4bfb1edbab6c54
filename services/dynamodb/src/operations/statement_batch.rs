//! BatchExecuteStatement and ExecuteTransaction: many PartiQL statements, each on its own, or all or none.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.multiplestatements.batching.html>
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.multiplestatements.transactions.html>

use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::Item;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode};
use fractus_dynamodb_rules::key::KeyBytes;
use fractus_dynamodb_rules::partiql::{Action, Statement, write_key};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_host::Context;
use fractus_store::{Scope, Snapshot};

use super::capacity::{consumed, consumed_by};
use super::outcome::{Asked, Outcome, TWICE, Transacted, once};
use super::request_digest::Digest;
use super::statements::{key_of, prepared, write, write_alone};
use crate::error::{Error, Reason, Result};
use crate::replicas::strong;
use crate::service::{DynamoDb, active_table, scope, table_name};
use crate::store::Table;
use crate::throttle::Kind;
use crate::values::item_to_api;
use crate::writes::{self, Cost};

fn is_read(statement: &Statement) -> bool {
    matches!(statement.action, Action::Select(_))
}

fn tells_old(wanted: Option<&api::ReturnValuesOnConditionCheckFailure>) -> bool {
    wanted == Some(&api::ReturnValuesOnConditionCheckFailure::AllOld)
}

/// An item that a SELECT by its whole key has found, what of it is wanted, and how large it is.
struct Looked {
    table: Arc<Table>,
    key: KeyBytes,
    item: Option<Item>,
    bytes: usize,
}

/// Reads the one item of a SELECT; `of` is the operation it is in.
fn look(snapshot: &Snapshot<'_>, scope: &Scope, statement: &Statement, of: &str) -> Result<Looked> {
    let Action::Select(select) = &statement.action else { return Err(Error::validation("a SELECT is wanted")) };
    let table = active_table(snapshot, scope, table_name(&statement.table))?;
    let schema = table.schema();
    let whole_key = || {
        Error::validation(format!("Select statements within {of} must specify the primary key in the where clause."))
    };
    if select.index.is_some() {
        return Err(whole_key());
    }
    let wanted = write_key(statement, select.condition.as_ref(), schema).map_err(|_| whole_key())?;
    schema.check_key(&wanted.key)?;
    let key = schema.table_bytes(&wanted.key);
    let found = writes::read(snapshot, scope, &table, &key)?;
    let bytes = found.as_ref().map_or(0, item_bytes);
    let holds =
        |item: &Item| wanted.rest.clone().is_none_or(|rest| statement.bound(rest).holds(&statement.attributes, item));
    let item = found.filter(holds).map(|item| match &select.projection {
        Some(projection) => projection.apply(&statement.attributes, &item),
        None => item,
    });
    Ok(Looked { table, key, item, bytes })
}

/// Costs by table, in the order in which tables come.
#[derive(Default)]
struct Costs(Vec<(String, Cost)>);

impl Costs {
    fn add(&mut self, table: &Table, cost: Cost) {
        match self.0.iter_mut().find(|(name, _)| *name == table.name) {
            Some((_, own)) => own.add(cost),
            None => self.0.push((table.name.clone(), cost)),
        }
    }
}

/// How an error is told of one statement of a batch; those that are not its own end the batch.
fn told(error: Error) -> Result<api::BatchStatementError> {
    let message = Some(error.to_string());
    let (code, item) = match error {
        Error::ConditionFailed(item) => (api::BatchStatementErrorCodeEnum::ConditionalCheckFailed, item),
        Error::Duplicate => (api::BatchStatementErrorCodeEnum::DuplicateItem, None),
        Error::NoResource | Error::NoTable(_) => (api::BatchStatementErrorCodeEnum::ResourceNotFound, None),
        Error::Rule(_) | Error::Enveloped(_) | Error::Validation(_) => {
            (api::BatchStatementErrorCodeEnum::ValidationError, None)
        }
        Error::Throttled { .. } => (api::BatchStatementErrorCodeEnum::ProvisionedThroughputExceeded, None),
        Error::BeyondMaximum => (api::BatchStatementErrorCodeEnum::ThrottlingError, None),
        Error::TransactionConflict => (api::BatchStatementErrorCodeEnum::TransactionConflict, None),
        other => return Err(other),
    };
    Ok(api::BatchStatementError { code: Some(code), message, item: item.map(|item| item_to_api(*item)) })
}

/// Carries out one statement of a batch: its table, what it gives back, and what it costs.
async fn carry_out(
    dynamodb: &DynamoDb,
    cx: &Context,
    statement: &Statement,
    request: (bool, bool),
) -> Result<(Arc<Table>, Option<Item>, Cost)> {
    let (is_consistent, tells_old) = request;
    if !is_read(statement) {
        let wrote = write_alone(dynamodb, cx, (statement, tells_old)).await?;
        return Ok((wrote.table, wrote.item, wrote.cost));
    }
    let scope = scope(cx);
    let looked = dynamodb.store.read(|snapshot| look(snapshot, &scope, statement, "BatchExecuteStatement")).await?;
    let mode = if is_consistent { ReadMode::Consistent } else { ReadMode::Eventual };
    let cost = Cost { table: units::read(looked.bytes, mode), ..Cost::default() };
    dynamodb.throttle.take(&looked.table, &cost, Kind::Read, cx.now())?;
    Ok((looked.table, looked.item, cost))
}

pub async fn batch(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::BatchExecuteStatementInput,
) -> Result<api::BatchExecuteStatementOutput> {
    let mut statements = Vec::with_capacity(input.statements.len());
    for request in input.statements {
        let how = (
            request.consistent_read == Some(true),
            tells_old(request.return_values_on_condition_check_failure.as_ref()),
        );
        statements.push((prepared(cx, &request.statement, request.parameters), how));
    }
    let reads = statements.iter().filter_map(|(statement, _)| statement.as_ref().ok()).map(is_read);
    let (reads, writes): (Vec<bool>, Vec<bool>) = reads.partition(|is_read| *is_read);
    if !reads.is_empty() && !writes.is_empty() {
        // Unconfirmed words.
        return Err(Error::validation("A batch contains either read statements or write statements, not both"));
    }
    let (mut responses, mut costs) = (Vec::with_capacity(statements.len()), Costs::default());
    for (statement, how) in statements {
        let table = statement.as_ref().ok().map(|statement| table_name(&statement.table).to_owned());
        let done = match statement {
            Ok(statement) => carry_out(dynamodb, cx, &statement, how).await,
            Err(error) => Err(error),
        };
        let mut response = api::BatchStatementResponse { table_name: table, ..Default::default() };
        match done {
            Ok((table, item, cost)) => {
                costs.add(&table, cost);
                response.item = item.map(item_to_api);
            }
            Err(error) => response.error = Some(told(error)?),
        }
        responses.push(response);
    }
    let wanted = &input.return_consumed_capacity;
    let capacities: Vec<_> = costs.0.iter().filter_map(|(name, cost)| consumed(wanted, name, cost)).collect();
    Ok(api::BatchExecuteStatementOutput {
        responses: Some(responses),
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
    })
}

fn digest(statements: &[api::ParameterizedStatement]) -> bytes::Bytes {
    let mut digest = Digest::default();
    for statement in statements {
        digest.text(Some(&statement.statement));
        statement.parameters.iter().flatten().for_each(|value| digest.value(value));
        let on_failure = statement.return_values_on_condition_check_failure.as_ref();
        digest.text(on_failure.map(api::ReturnValuesOnConditionCheckFailure::as_str));
    }
    digest.finish()
}

pub async fn transaction(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ExecuteTransactionInput,
) -> Result<api::ExecuteTransactionOutput> {
    let token = input.client_request_token.as_deref().map(|token| (token, digest(&input.transact_statements)));
    let mut statements = Vec::with_capacity(input.transact_statements.len());
    for request in input.transact_statements {
        let tells_old = tells_old(request.return_values_on_condition_check_failure.as_ref());
        statements.push((prepared(cx, &request.statement, request.parameters)?, tells_old));
    }
    let read_count = statements.iter().filter(|(statement, _)| is_read(statement)).count();
    match read_count {
        0 => {}
        count if count == statements.len() => {
            return read_all(dynamodb, cx, &statements, &input.return_consumed_capacity).await;
        }
        // Unconfirmed words.
        _ => {
            return Err(Error::validation(
                "A transaction contains either read statements or write statements, not both",
            ));
        }
    }
    let items = |snapshot: &Snapshot<'_>, scope: &Scope| {
        let item = |(statement, _): &(Statement, bool)| {
            let table = active_table(snapshot, scope, table_name(&statement.table)).ok()?;
            Some((scope.clone(), table.id, key_of(statement, &table).ok()?))
        };
        statements.iter().map(item).collect()
    };
    let asked = Asked { scope: scope(cx), token, count: statements.len() };
    let transacted = once(dynamodb, cx, asked, items, |tx, scope, writer| {
        let mut outcome = Outcome::default();
        for (statement, tells_old) in &statements {
            let table = active_table(tx, scope, table_name(&statement.table))?;
            strong::check_transaction(&table, tx.now(scope))?;
            let wrote = write(tx, scope, writer, (statement, *tells_old), |_, table, key| outcome.see(table, key));
            let acted = wrote.map(|wrote| {
                outcome.read(&wrote.table, wrote.bytes);
                outcome.weigh(wrote.bytes);
                wrote.cost.doubled()
            });
            outcome.settle(table, acted)?;
        }
        outcome.end(dynamodb, writer, tx.now(scope))?;
        Ok(outcome)
    });
    let transacted: Transacted = transacted.await?;
    Ok(api::ExecuteTransactionOutput {
        consumed_capacity: transacted.consumed(&input.return_consumed_capacity),
        responses: Some(statements.iter().map(|_| api::ItemResponse::default()).collect()),
    })
}

/// A transaction of SELECTs: one moment of all their items.
async fn read_all(
    dynamodb: &DynamoDb,
    cx: &Context,
    statements: &[(Statement, bool)],
    wanted: &super::capacity::Wanted,
) -> Result<api::ExecuteTransactionOutput> {
    let scope = scope(cx);
    let looked = dynamodb.store.read(|snapshot| {
        let mut seen = std::collections::HashSet::new();
        let (mut all, mut reasons) = (Vec::with_capacity(statements.len()), Vec::with_capacity(statements.len()));
        for (statement, _) in statements {
            let looked = look(snapshot, &scope, statement, "ExecuteTransaction")?;
            strong::check_transaction(&looked.table, snapshot.now(&scope))?;
            if !seen.insert((looked.table.id, looked.key.clone())) {
                return Err(Error::validation(TWICE));
            }
            let is_held = dynamodb.ongoing.holds(&scope, looked.table.id, &looked.key);
            reasons.push(if is_held { Reason::Conflict } else { Reason::None });
            all.push(looked);
        }
        if reasons.iter().any(|reason| matches!(reason, Reason::Conflict)) {
            return Err(Error::Cancelled(reasons));
        }
        Ok(all)
    });
    let (mut responses, mut costs) = (Vec::new(), Costs::default());
    for looked in looked.await? {
        let cost = Cost { table: units::read(looked.bytes, ReadMode::Transactional), ..Cost::default() };
        dynamodb.throttle.take(&looked.table, &cost, Kind::Read, cx.now())?;
        costs.add(&looked.table, cost);
        responses.push(api::ItemResponse { item: looked.item.map(item_to_api) });
    }
    let capacities: Vec<_> =
        costs.0.iter().filter_map(|(name, cost)| consumed_by(Kind::Read, wanted, name, cost)).collect();
    Ok(api::ExecuteTransactionOutput {
        consumed_capacity: (!capacities.is_empty()).then_some(capacities),
        responses: Some(responses),
    })
}
