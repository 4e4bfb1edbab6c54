//! Bulk operations: begun, described, listed, cancelled.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};

use super::backups::own_place;
use super::begun::{self, Begun, Tokens};
use crate::backups::timed_id;
use crate::bulk::{self, BULKS, Bulk, Format, Progress, State, UNDER_WAY};
use crate::error::{Error, Result};
use crate::import::read::Compression;
use crate::service::{DynamoDb, scope, table_name};
use crate::shapes::to_json;
use crate::store::{TABLES, Table};
use crate::table;

/// What clients' tokens have begun.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_StartBulkPutItems.html>
const TOKENS: Tokens = Collection::new("bulk-tokens");

const MAX_LISTED: usize = 25;
/// How many may be under way in an account's part of a region: as many as imports. Unconfirmed.
const MAX_UNDER_WAY: usize = 50;
/// A page's token is hex, in groups of sixteen.
const TOKEN_GROUP: usize = 16;

fn compression_of(input: &api::InputS3Configuration) -> Compression {
    match input.input_compression_type {
        Some(api::InputCompressionType::Gzip) => Compression::Gzip,
        Some(api::InputCompressionType::Zstd) => Compression::Zstd,
        _ => Compression::None,
    }
}

/// A table that items can be put into in bulk.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/BulkPutItems.Considerations.html>
fn fit_table(tx: &Transaction<'_>, scope: &Scope, name: &str) -> Result<Table> {
    let now = tx.now(scope);
    let table = tx.get(&TABLES, scope, &(name,))?;
    let found = table.and_then(|table| table.state(now).map(|state| (table, state)));
    let (table, state) = found.ok_or_else(|| Error::NoTable(name.to_owned()))?;
    if !matches!(state, table::State::Active | table::State::Updating) {
        return Err(super::tables::in_use(&table, now));
    }
    let is_creating = table.indexes.iter().any(|index| index.state(now) == table::State::Creating)
        || table.vectors.iter().any(|index| index.state(now) == table::State::Creating);
    // Unconfirmed words, all three.
    if is_creating {
        return Err(Error::InUse(format!(
            "Attempt to change a resource which is still in use: Table is creating an index: {name}"
        )));
    }
    if table.features.replicas.as_ref().is_some_and(|replicas| replicas.has_others(now)) {
        return Err(Error::validation("Bulk operations are not supported on tables that are part of a global table"));
    }
    let under_way = tx.keys(&UNDER_WAY, scope, Range::all(), Order::Ascending)?.take(MAX_UNDER_WAY).count();
    if under_way >= MAX_UNDER_WAY {
        return Err(Error::LimitExceeded(format!(
            "Subscriber limit exceeded: There are at most {MAX_UNDER_WAY} bulk operations at a time"
        )));
    }
    Ok(table)
}

fn repeated(snapshot: &Snapshot<'_>, scope: &Scope, token: &str, request: &str) -> Result<Option<Bulk>> {
    // Unconfirmed words.
    let conflict = |_: &str| {
        let message = Some("The client token was used with other parameters".to_owned());
        Error::answer(api::IdempotentParameterMismatchException { message })
    };
    let Some(begun) = begun::before(snapshot, (&TOKENS, scope), (token, request), conflict)? else { return Ok(None) };
    Ok(snapshot.get(&BULKS, scope, &(begun.id.as_str(),))?)
}

pub async fn start(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::StartBulkPutItemsInput,
) -> Result<api::StartBulkPutItemsOutput> {
    let (scope, name) = (scope(cx), table_name(&input.table_name));
    let (chance, request) = (cx.random().u64(), to_json(&input)?);
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let begun = dynamodb.store.write(|tx| {
        let token = input.client_token.as_deref().unwrap_or_default();
        if let Some(bulk) = repeated(tx, &scope, token, &request)? {
            return Ok(bulk);
        }
        let (table, now) = (fit_table(tx, &scope, name)?, tx.now(&scope));
        let id = timed_id(now, chance);
        let tier = input.performance_tier.clone().unwrap_or(api::BulkOperationPerformanceTier::Standard);
        let description = api::BulkOperationDescription {
            bulk_operation_arn: Some(own_place(cx).arn(format_args!("table/{name}/bulk-operation/{id}"))),
            table_details: Some(vec![api::BulkOperationTableDetail {
                table_name: Some(name.to_owned()),
                table_id: Some(table.uuid.clone()),
            }]),
            client_token: input.client_token.clone(),
            input_s3_configuration: Some(input.input_s3_configuration.clone()),
            output_s3_configuration: Some(input.output_s3_configuration.clone()),
            start_time: Some(now),
            max_write_request_units: input.max_write_request_units,
            performance_tier: Some(tier),
            ..Default::default()
        };
        let bulk = Bulk {
            description: bulk::described(&description)?,
            table_name: name.to_owned(),
            table: table.id,
            format: match input.input_s3_configuration.input_format {
                api::BulkOperationInputFormat::Ion => Format::Ion,
                _ => Format::DynamoDbJson,
            },
            compression: compression_of(&input.input_s3_configuration),
            rate: input.max_write_request_units.and_then(|units| u64::try_from(units).ok()),
            state: State::InProgress,
            started_at: now,
            not_before: now.plus(transition),
            ended_at: None,
            failure: None,
            progress: Progress::default(),
        };
        bulk::begin(tx, &scope, &id, &bulk)?;
        let begun = Begun { table: String::new(), id, request: request.clone() };
        begun::remember(tx, (&TOKENS, &scope), token, &begun)?;
        Ok::<_, Error>(bulk)
    });
    let bulk = begun.await?;
    dynamodb.jobs.wake();
    Ok(api::StartBulkPutItemsOutput { bulk_operation_description: bulk.described_at(cx.now())? })
}

/// The operation's id in its ARN.
fn id_of(arn: &str) -> &str {
    arn.split_once(":table/").and_then(|(_, rest)| rest.split_once("/bulk-operation/")).map_or("", |(_, id)| id)
}

fn find(snapshot: &Snapshot<'_>, scope: &Scope, arn: &str) -> Result<Bulk> {
    let bulk = snapshot.get(&BULKS, scope, &(id_of(arn),))?;
    bulk.ok_or_else(|| {
        // Unconfirmed words.
        let message = format!("Requested resource not found: Bulk operation not found: {arn}");
        Error::answer(api::ResourceNotFoundException { message: Some(message) })
    })
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeBulkOperationInput,
) -> Result<api::DescribeBulkOperationOutput> {
    let scope = scope(cx);
    let bulk = dynamodb.store.read(|snapshot| find(snapshot, &scope, &input.bulk_operation_arn)).await?;
    Ok(api::DescribeBulkOperationOutput { bulk_operation_description: bulk.described_at(cx.now())? })
}

pub async fn cancel(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::CancelBulkOperationInput,
) -> Result<api::CancelBulkOperationOutput> {
    let (scope, arn) = (scope(cx), input.bulk_operation_arn);
    let status = dynamodb.store.write(|tx| {
        let mut bulk = find(tx, &scope, &arn)?;
        let is_over = bulk.ended_at.is_some();
        let status = bulk::cancel(&mut bulk, tx.now(&scope));
        if !is_over {
            tx.put(&BULKS, &scope, &(id_of(&arn),), &bulk)?;
        }
        Ok::<_, Error>(status)
    });
    let status = status.await?;
    dynamodb.jobs.wake();
    Ok(api::CancelBulkOperationOutput { bulk_operation_arn: arn, bulk_operation_status: status })
}

/// A place in the list as its page's token, and back.
fn token_of(id: &str) -> String {
    let mut token: String = id.bytes().map(|byte| format!("{byte:02x}")).collect();
    while !token.len().is_multiple_of(TOKEN_GROUP) {
        token.push('0');
    }
    token
}

fn of_token(token: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        (0..token.len() / 2).map(|at| u8::from_str_radix(token.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    Some(String::from_utf8(bytes?).ok()?.trim_end_matches('\0').to_owned())
}

/// The latest ones first. Unconfirmed.
pub async fn list(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ListBulkOperationsInput,
) -> Result<api::ListBulkOperationsOutput> {
    let (scope, now) = (scope(cx), cx.now());
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_LISTED);
    let mut range = Range::all();
    if let Some(token) = &input.next_token {
        let before = of_token(token).ok_or_else(|| Error::validation("Invalid NextToken"))?;
        range = range.to(&(before,));
    }
    let found = dynamodb.store.read(|snapshot| {
        let bulks = snapshot.range(&BULKS, &scope, range, Order::Descending)?.take(limit + 1);
        Ok::<_, Error>(bulks.collect::<std::result::Result<Vec<_>, _>>()?)
    });
    let mut found = found.await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_token = found.last().filter(|_| has_more).map(|((id,), _)| token_of(id));
    let summaries = found.iter().map(|(_, bulk)| summary(bulk, now)).collect::<Result<_>>()?;
    Ok(api::ListBulkOperationsOutput { bulk_operations_summary_list: Some(summaries), next_token })
}

fn summary(bulk: &Bulk, now: Timestamp) -> Result<api::BulkOperationSummary> {
    let described = bulk.described_at(now)?;
    Ok(api::BulkOperationSummary {
        bulk_operation_arn: described.bulk_operation_arn.unwrap_or_default(),
        bulk_operation_status: bulk.status(now),
        start_time: bulk.started_at,
        end_time: described.end_time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_hex_in_groups_and_comes_back() {
        let token = token_of("01658528578619-c4d4e311");
        assert!(token.len().is_multiple_of(16) && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        assert_eq!(of_token(&token).as_deref(), Some("01658528578619-c4d4e311"));
        assert_eq!(of_token("zz"), None);
    }
}
