//! Tables: made, described, listed, deleted.

use std::time::Duration;

use fractus_dynamodb_api as api;
use fractus_host::{Context, RequestUuid};
use fractus_store::{Order, Range};

use super::table_shape::{defined, described, status};
use crate::error::{Error, Result};
use crate::service::{DynamoDb, scope, table_name};
use crate::store::{COUNTERS, Counters, DISCARDED, TABLES};

/// The largest page of ListTables, and its size without a Limit.
const MAX_TABLES: usize = 100;

pub async fn create(dynamodb: &DynamoDb, cx: &Context, input: api::CreateTableInput) -> Result<api::CreateTableOutput> {
    let mut table = defined(&input)?;
    let now = cx.now();
    table.id = cx.random().u64();
    let uuid = u128::from(cx.random().u64()) << 64 | u128::from(cx.random().u64());
    table.uuid = RequestUuid(uuid).hyphenated();
    table.created_at = now;
    table.active_at = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let scope = scope(cx);
    dynamodb
        .store
        .write(|tx| {
            if let Some(existing) = tx.get(&TABLES, &scope, &(table.name.as_str(),))? {
                if status(&existing, now).is_some() {
                    return Err(Error::TableExists(existing.name));
                }
                tx.put(&DISCARDED, &scope, &(existing.id,), &())?;
            }
            Ok(tx.put(&TABLES, &scope, &(table.name.as_str(),), &table)?)
        })
        .await?;
    // AWS answers CREATING whatever comes next.
    let description = described(cx, &table, api::TableStatus::Creating, Counters::default());
    Ok(api::CreateTableOutput { table_description: Some(description) })
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeTableInput,
) -> Result<api::DescribeTableOutput> {
    let (scope, name) = (scope(cx), table_name(&input.table_name));
    let no_table = || Error::NoTable(name.to_owned());
    let found = dynamodb.store.read(|snapshot| {
        let table = snapshot.get(&TABLES, &scope, &(name,))?.ok_or_else(no_table)?;
        let counters = snapshot.get(&COUNTERS, &scope, &(table.id,))?.unwrap_or_default();
        let status = status(&table, snapshot.now(&scope)).ok_or_else(no_table)?;
        Ok::<_, Error>((table, status, counters))
    });
    let (table, status, counters) = found.await?;
    Ok(api::DescribeTableOutput { table: Some(described(cx, &table, status, counters)) })
}

pub async fn delete(dynamodb: &DynamoDb, cx: &Context, input: api::DeleteTableInput) -> Result<api::DeleteTableOutput> {
    let (scope, name) = (scope(cx), table_name(&input.table_name));
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let (table, counters) = dynamodb
        .store
        .write(|tx| {
            let now = tx.now(&scope);
            let no_table = || Error::NoTable(name.to_owned());
            let mut table = tx.get(&TABLES, &scope, &(name,))?.ok_or_else(no_table)?;
            match status(&table, now) {
                None => return Err(no_table()),
                Some(api::TableStatus::Active) => {}
                Some(other) => {
                    let state = if other == api::TableStatus::Creating { "created" } else { "deleted" };
                    return Err(Error::InUse(format!(
                        "Attempt to change a resource which is still in use: Table is being {state}: {name}"
                    )));
                }
            }
            if table.deletion_protection {
                return Err(Error::validation(
                    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
                ));
            }
            let counters = tx.get(&COUNTERS, &scope, &(table.id,))?.unwrap_or_default();
            table.deleted_at = Some(now.plus(transition));
            if transition.is_zero() {
                tx.delete(&TABLES, &scope, &(name,))?;
                tx.put(&DISCARDED, &scope, &(table.id,), &())?;
            } else {
                tx.put(&TABLES, &scope, &(name,), &table)?;
            }
            Ok((table, counters))
        })
        .await?;
    dynamodb.discarded.notify_one();
    let description = described(cx, &table, api::TableStatus::Deleting, counters);
    Ok(api::DeleteTableOutput { table_description: Some(description) })
}

pub async fn list(dynamodb: &DynamoDb, cx: &Context, input: api::ListTablesInput) -> Result<api::ListTablesOutput> {
    let scope = scope(cx);
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_TABLES).min(MAX_TABLES);
    let range = match &input.exclusive_start_table_name {
        Some(after) => Range::all().after(&(after.as_str(),)),
        None => Range::all(),
    };
    let names = dynamodb.store.read(|snapshot| {
        let now = snapshot.now(&scope);
        let mut names = Vec::new();
        for record in snapshot.range(&TABLES, &scope, range, Order::Ascending)? {
            let ((name,), table) = record?;
            if status(&table, now).is_none() {
                continue;
            }
            names.push(name);
            if names.len() > limit {
                break;
            }
        }
        Ok::<_, Error>(names)
    });
    let mut names = names.await?;
    let has_more = names.len() > limit;
    names.truncate(limit);
    let last = if has_more { names.last().cloned() } else { None };
    Ok(api::ListTablesOutput { last_evaluated_table_name: last, table_names: Some(names) })
}
