//! Some lines put into the table, in one transaction with the progress.

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::{Attributes, Bound, ExpressionKind, Used};
use fractus_dynamodb_rules::size::{entries_bytes, item_bytes};
use fractus_store::{Scope, Transaction};
use serde_json::json;

use super::read::{Line, Put};
use super::{BULKS, Bulk, Kind, Progress, REPORTS, State};
use crate::error::Result;
use crate::import::fits;
use crate::service::DynamoDb;
use crate::store::{TABLES, Table};
use crate::writes::{self, Writer};

/// Which report an item that is not put is in.
pub const ERRORS: &str = "errors";
pub const UNMET: &str = "condition-check-failures";

pub enum Next {
    /// The rate allows more then.
    GoOn(Option<Timestamp>),
    Cancelled,
    NoTable,
}

pub struct Outcome {
    pub next: Next,
    pub first_expiry: Option<u64>,
}

/// Why an item is not put.
enum Left {
    Invalid(String),
    Unmet,
}

/// Puts lines of an object, as far as they can be put, and notes how far the operation is.
pub fn lines(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    dynamodb: &DynamoDb,
    id: &str,
    (key, lines): (&str, &[Line]),
) -> Result<Outcome> {
    let ended = |next| Ok(Outcome { next, first_expiry: None });
    let Some(mut bulk) = tx.get(&BULKS, scope, &(id,))? else { return ended(Next::Cancelled) };
    if bulk.state != State::InProgress {
        return ended(Next::Cancelled);
    }
    let table = tx.get_shared(&TABLES, scope, &(bulk.table_name.as_str(),))?;
    let is_there = |table: &Table| table.id == bulk.table && table.deleted_at.is_none();
    let Some(table) = table.filter(|table| is_there(table)) else { return ended(Next::NoTable) };
    let reports = (bulk.wants(&api::OutputTypeEnum::Error)?, bulk.wants(&api::OutputTypeEnum::ConditionCheckFailure)?);
    let mut writer = Writer::default();
    if bulk.progress.object != key {
        bulk.progress.object = key.to_owned();
        (bulk.progress.lines, bulk.progress.is_object_done) = (0, false);
    }
    for line in lines {
        let progress = &mut bulk.progress;
        progress.lines += 1;
        progress.processed += 1;
        let put = match &line.read {
            Ok(put) => one(tx, scope, dynamodb, &table, put, (&mut writer, progress))?,
            Err(reason) => Err(Left::Invalid(reason.clone())),
        };
        let (kind, wanted, reason) = match put {
            Ok(()) => continue,
            Err(Left::Invalid(reason)) => {
                progress.failed += 1;
                (ERRORS, reports.0, reason)
            }
            Err(Left::Unmet) => {
                progress.unmet += 1;
                (UNMET, reports.1, "The conditional request failed".to_owned())
            }
        };
        if wanted {
            let report = json!({"S3Key": key, "LineNumber": progress.lines, "Line": line.text, "ErrorMessage": reason});
            tx.put(&REPORTS, scope, &(id, kind, progress.reported), &report.to_string())?;
            progress.reported += 1;
        }
    }
    let first_expiry = writer.finish(tx, scope)?;
    tx.put(&BULKS, scope, &(id,), &bulk)?;
    Ok(Outcome { next: Next::GoOn(bulk.due()), first_expiry })
}

/// Puts one item; what is wrong with it leaves it out.
fn one(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    dynamodb: &DynamoDb,
    table: &Table,
    put: &Put,
    (writer, progress): (&mut Writer, &mut Progress),
) -> Result<Result<(), Left>> {
    let condition = match checked(dynamodb, table, put) {
        Ok(condition) => condition,
        Err(error) => return Ok(Err(Left::Invalid(error.to_string()))),
    };
    let key = table.schema().table_bytes(&put.item);
    let old = writes::read(tx, scope, table, &key)?;
    if let Some((condition, attributes)) = condition {
        let holds = match &old {
            Some(old) => condition.holds(&attributes, old),
            None => condition.holds(&attributes, &fractus_dynamodb_rules::Item::new()),
        };
        if !holds {
            return Ok(Err(Left::Unmet));
        }
    }
    let cost = writer.change(tx, scope, (table, table.schema()), &key, (old.as_ref(), Some(&put.item)))?;
    progress.halves += cost.table.halves() + cost.indexes.iter().map(|(_, _, units)| units.halves()).sum::<u64>();
    progress.table_bytes += item_bytes(&put.item) as u64;
    for index in &table.indexes {
        if table.index_schema(index).check_index(&index.name, &put.item).unwrap_or(false) {
            let kind = if index.is_global { Kind::Global } else { Kind::Local };
            let bytes = entries_bytes(table.projected(index, &put.item)) as u64;
            progress.indexes.entry(index.name.clone()).or_insert((kind, 0)).1 += bytes;
        }
    }
    for (name, bytes) in cost.vectors {
        progress.indexes.entry(name).or_insert((Kind::Vectors, 0)).1 += bytes;
    }
    Ok(Ok(()))
}

type Condition = (Bound<fractus_dynamodb_rules::expression::Condition>, Attributes);

/// An item fits its table, and its condition means something.
fn checked(dynamodb: &DynamoDb, table: &Table, put: &Put) -> Result<Option<Condition>> {
    fits(table, &put.item)?;
    let attributes = Attributes::new(put.names.clone(), put.values.clone())?;
    let Some(text) = &put.condition else {
        attributes.check_absent("ConditionExpression is null")?;
        return Ok(None);
    };
    let form = dynamodb.cache.condition(ExpressionKind::Condition, text)?;
    let mut used = Used::default();
    let bound = Bound::new(&form, &attributes, &mut used)?;
    attributes.check_used(&used)?;
    Ok(Some((bound, attributes)))
}

/// Marks an operation as to be ended; gives its status.
pub fn cancel(bulk: &mut Bulk, now: Timestamp) -> api::BulkOperationStatus {
    if bulk.state == State::InProgress {
        bulk.state = State::Cancelling;
    }
    bulk.status(now)
}
