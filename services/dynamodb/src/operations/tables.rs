//! Tables: made, described, listed, deleted.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::{Context, RequestUuid};
use fractus_store::{Order, Range};

use super::table_shape::{defined, described, status, stream_view};
use crate::background::discard;
use crate::error::{Error, Result};
use crate::replicas;
use crate::service::{DynamoDb, scope, table_name};
use crate::store::{Counters, TABLES};
use crate::streams::{self, NewStream};
use crate::table::{State, Table};

/// The largest page of ListTables, and its size without a Limit.
const MAX_TABLES: usize = 100;

/// What is said of a table whose state does not let it be changed.
pub(super) fn in_use(table: &Table, now: Timestamp) -> Error {
    let state = match table.state(now) {
        Some(State::Creating) => "created",
        Some(State::Deleting) => "deleted",
        _ => "updated",
    };
    let name = &table.name;
    Error::InUse(format!("Attempt to change a resource which is still in use: Table is being {state}: {name}"))
}

pub async fn create(dynamodb: &DynamoDb, cx: &Context, input: api::CreateTableInput) -> Result<api::CreateTableOutput> {
    if let Some(source) = input.global_table_source_arn.clone() {
        return super::table_of_source::create(dynamodb, cx, (input, &source)).await;
    }
    let mut table = defined(cx, &input)?;
    let view = stream_view(input.stream_specification.as_ref())?;
    let now = cx.now();
    table.id = cx.random().u64();
    let uuid = u128::from(cx.random().u64()) << 64 | u128::from(cx.random().u64());
    table.uuid = RequestUuid(uuid).hyphenated();
    table.created_at = now;
    table.active_at = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let scope = scope(cx);
    let (stream_id, shard_count) = (cx.random().u64(), dynamodb.config.stream_shards);
    let table = dynamodb
        .store
        .write(|tx| {
            let mut table = table.clone();
            if let Some(mut existing) = tx.get(&TABLES, &scope, &(table.name.as_str(),))? {
                if existing.state(now).is_some() {
                    return Err(Error::TableExists(existing.name));
                }
                discard(tx, &scope, &mut existing)?;
            }
            if let Some(view) = view {
                let new = NewStream { id: stream_id, view, now, enabled_at: table.active_at, shard_count };
                streams::enable(tx, &scope, &mut table, new)?;
            }
            tx.put(&TABLES, &scope, &(table.name.as_str(),), &table)?;
            if let Some(policy) = &input.resource_policy {
                super::policies::put_new(tx, &scope, table.id, policy)?;
            }
            Ok(table)
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
        let counters = Counters::of(snapshot, &scope, table.id)?;
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
            match table.state(now) {
                None => return Err(no_table()),
                Some(State::Active) => {}
                Some(_) => return Err(in_use(&table, now)),
            }
            if table.deletion_protection {
                return Err(Error::validation(replicas::update::PROTECTED));
            }
            replicas::strong::check_deletion(&table, now)?;
            replicas::check_is_no_source(&table, now)?;
            super::backups::check_deletion(tx, &scope, &table)?;
            let counters = Counters::of(tx, &scope, table.id)?;
            let described = table.clone();
            replicas::leave(tx, &scope, &mut table, now.plus(transition))?;
            table.deleted_at = Some(now.plus(transition));
            if transition.is_zero() {
                discard(tx, &scope, &mut table)?;
            } else {
                streams::disable(tx, &scope, &mut table, now)?;
                tx.put(&TABLES, &scope, &(name,), &table)?;
            }
            Ok((described, counters))
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
