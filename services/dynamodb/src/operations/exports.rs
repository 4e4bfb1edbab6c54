//! Exports to S3: begun, described, listed.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Snapshot};

use super::backups::{own_place, settled};
use super::begun::{self, Begun, Tokens};
use super::refusals::recovery_unavailable;
use crate::backups::timed_id;
use crate::error::{Error, Result};
use crate::export::{EXPORTS, Export, Filter};
use crate::history::{self, Recovery};
use crate::jobs::{self, Job, Work};
use crate::service::{DynamoDb, place, scope};
use crate::shapes::to_json;
use crate::store::Table;

/// What clients' tokens have begun.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html>
const TOKENS: Tokens = Collection::new("export-tokens");

const MAX_EXPORTS: usize = 25;
const MIN_WINDOW: Duration = Duration::from_secs(15 * 60);
const MAX_WINDOW: Duration = Duration::from_secs(24 * 3_600);

fn parts_of(arn: &str) -> Result<(&str, &str)> {
    let parts = arn.split_once(":table/").and_then(|(_, rest)| rest.split_once("/export/"));
    parts.ok_or_else(|| Error::validation(format!("Invalid ExportArn: {arn}")))
}

/// What of a table's history an export reads: the moment, or the two of an incremental one.
#[derive(Debug, PartialEq, Eq)]
enum Moments {
    One(Timestamp),
    Between(Timestamp, Timestamp),
}

fn outside() -> Error {
    Error::answer(api::InvalidExportTimeException::new(
        "The specified ExportTime is outside of the point in time recovery window",
    ))
}

fn moments(
    input: &api::ExportTableToPointInTimeInput,
    recovery: Recovery,
    now: Timestamp,
    lag: Duration,
) -> Result<Moments> {
    let window = recovery.earliest(now).to_millis_precision()..=now.minus(lag).max(recovery.since);
    let inside = |time: Timestamp| if window.contains(&time) { Ok(time) } else { Err(outside()) };
    let is_incremental = input.export_type == Some(api::ExportType::IncrementalExport);
    let specification = match (&input.incremental_export_specification, is_incremental) {
        (Some(own), true) => own,
        (None, false) => return inside(input.export_time.unwrap_or(*window.end())).map(Moments::One),
        (Some(_), false) => {
            return Err(Error::validation(
                "IncrementalExportSpecification can only be specified when ExportType is INCREMENTAL_EXPORT",
            ));
        }
        (None, true) => {
            return Err(Error::validation(
                "IncrementalExportSpecification must be specified when ExportType is INCREMENTAL_EXPORT",
            ));
        }
    };
    if input.export_time.is_some() {
        return Err(Error::validation("ExportTime can only be specified when ExportType is FULL_EXPORT"));
    }
    let from = specification.export_from_time.ok_or_else(|| Error::validation("ExportFromTime must be specified"))?;
    let to = specification.export_to_time.unwrap_or(*window.end());
    if to <= from {
        return Err(Error::validation("ExportFromTime must be earlier than ExportToTime"));
    }
    if to.since(from) < MIN_WINDOW || to.since(from) > MAX_WINDOW {
        return Err(Error::validation(
            "The difference between ExportFromTime and ExportToTime must be at least 15 minutes and at most 24 hours",
        ));
    }
    Ok(Moments::Between(inside(from)?, inside(to)?))
}

/// The cuts of the moments: where an incremental export begins, and where any export ends. The beginning is inside, the end of
/// an incremental export is not.
fn cuts(snapshot: &Snapshot<'_>, scope: &Scope, table: u64, moments: &Moments) -> Result<(Option<u64>, u64)> {
    let before = |moment: Timestamp| history::cut_at(snapshot, scope, table, moment.minus(Duration::from_micros(1)));
    match moments {
        Moments::One(moment) => Ok((None, history::cut_at(snapshot, scope, table, *moment)?)),
        Moments::Between(from, to) => Ok((Some(before(*from)?), before(*to)?)),
    }
}

fn description(
    cx: &Context,
    input: &api::ExportTableToPointInTimeInput,
    table: &Table,
    (id, moments, now): (&str, &Moments, Timestamp),
) -> api::ExportDescription {
    let table_arn = own_place(cx).arn(format_args!("table/{}", table.name));
    let (time, incremental) = match moments {
        Moments::One(moment) => (Some(*moment), None),
        Moments::Between(from, to) => {
            let view = input.incremental_export_specification.as_ref().and_then(|own| own.export_view_type.clone());
            let own = api::IncrementalExportSpecification {
                export_from_time: Some(*from),
                export_to_time: Some(*to),
                export_view_type: Some(view.unwrap_or(api::ExportViewType::NewAndOldImages)),
            };
            (None, Some(own))
        }
    };
    api::ExportDescription {
        export_arn: Some(format!("{table_arn}/export/{id}")),
        export_status: Some(api::ExportStatus::InProgress),
        start_time: Some(now),
        table_arn: Some(table_arn),
        table_id: Some(table.uuid.clone()),
        export_time: time,
        client_token: input.client_token.clone(),
        s3_bucket: Some(input.s3_bucket.clone()),
        s3_bucket_owner: input.s3_bucket_owner.clone(),
        s3_prefix: input.s3_prefix.clone(),
        s3_sse_algorithm: Some(input.s3_sse_algorithm.clone().unwrap_or(api::S3SseAlgorithm::Aes256)),
        s3_sse_kms_key_id: input.s3_sse_kms_key_id.clone(),
        export_format: Some(input.export_format.clone().unwrap_or(api::ExportFormat::DynamodbJson)),
        export_type: Some(input.export_type.clone().unwrap_or(api::ExportType::FullExport)),
        incremental_export_specification: incremental,
        filter_specification: input.filter_specification.clone(),
        ..Default::default()
    }
}

/// The export that a repeated request began, if it was the same request.
fn repeated(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    token: &str,
    request: &str,
) -> Result<Option<api::ExportDescription>> {
    let conflict = |what: &str| {
        Error::answer(api::ExportConflictException::new(format!("There was a conflict with another export: {what}")))
    };
    let Some(begun) = begun::before(snapshot, (&TOKENS, scope), (token, request), conflict)? else { return Ok(None) };
    let export = snapshot.get(&EXPORTS, scope, &(begun.table.as_str(), begun.id.as_str()))?;
    export.map(|export| export.described_at(snapshot.now(scope))).transpose()
}

pub async fn begin(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ExportTableToPointInTimeInput,
) -> Result<api::ExportTableToPointInTimeOutput> {
    let (scope, name) = place(cx, &input.table_arn);
    // Expressions that are wrong are told at once.
    Filter::of(dynamodb, input.filter_specification.clone())?;
    let (chance, lag) = (cx.random().u64(), dynamodb.config.recovery_lag());
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let request = to_json(&input)?;
    let begun = dynamodb.store.write(|tx| {
        let token = input.client_token.as_deref().unwrap_or_default();
        if let Some(description) = repeated(tx, &scope, token, &request)? {
            return Ok(description);
        }
        let (mut table, now) = (settled(tx, &scope, name)?, tx.now(&scope));
        let recovery = table.features.recovery.ok_or_else(|| recovery_unavailable(name))?;
        let moments = moments(&input, recovery, now, lag)?;
        let id = timed_id(now, chance);
        let description = description(cx, &input, &table, (&id, &moments, now));
        let (from_cut, cut) = cuts(tx, &scope, table.id, &moments)?;
        let view = description.incremental_export_specification.as_ref().and_then(|own| own.export_view_type.clone());
        let export = Export {
            description: to_json(&description)?,
            table: table.clone(),
            not_before: now.plus(transition),
            from_cut,
            with_old: view == Some(api::ExportViewType::NewAndOldImages),
            items: 0,
            bytes: 0,
        };
        let source = jobs::pin(tx, &scope, &mut table, cut)?;
        let work = Work::Export { table: name.to_owned(), export: id.clone() };
        jobs::begin(tx, &scope, &format!("export/{id}"), &Job { source: Some(source), work, from: None, files: 0 })?;
        tx.put(&EXPORTS, &scope, &(name, id.as_str()), &export)?;
        let begun = Begun { table: name.to_owned(), id, request: request.clone() };
        begun::remember(tx, (&TOKENS, &scope), token, &begun)?;
        Ok::<_, Error>(description)
    });
    let description = begun.await?;
    dynamodb.jobs.wake();
    Ok(api::ExportTableToPointInTimeOutput { export_description: Some(description) })
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeExportInput,
) -> Result<api::DescribeExportOutput> {
    let (scope, key) = (scope(cx), parts_of(&input.export_arn)?);
    let export = dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&EXPORTS, &scope, &key)?)).await?;
    let export = export.ok_or_else(|| {
        Error::answer(api::ExportNotFoundException::new(format!("Export not found: {}", input.export_arn)))
    })?;
    Ok(api::DescribeExportOutput { export_description: Some(export.described_at(cx.now())?) })
}

pub async fn list(dynamodb: &DynamoDb, cx: &Context, input: api::ListExportsInput) -> Result<api::ListExportsOutput> {
    let (scope, name) = match &input.table_arn {
        Some(arn) => {
            let (scope, name) = place(cx, arn);
            (scope, Some(name))
        }
        None => (scope(cx), None),
    };
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_EXPORTS);
    let mut range = match name {
        Some(name) => Range::prefix(&(name,)),
        None => Range::all(),
    };
    // The token is the ARN of the last one that was told.
    if let Some(token) = &input.next_token {
        range = range.after(&parts_of(token).map_err(|_| Error::validation("Invalid NextToken"))?);
    }
    let found = dynamodb.store.read(|snapshot| {
        let exports = snapshot.range(&EXPORTS, &scope, range, Order::Ascending)?.take(limit + 1);
        exports.map(|record| record?.1.described_at(snapshot.now(&scope))).collect::<Result<Vec<_>>>()
    });
    let mut found = found.await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = if has_more { found.last().and_then(|last| last.export_arn.clone()) } else { None };
    let summary = |described: api::ExportDescription| api::ExportSummary {
        export_arn: described.export_arn,
        export_status: described.export_status,
        export_type: described.export_type,
    };
    Ok(api::ListExportsOutput { export_summaries: Some(found.into_iter().map(summary).collect()), next_token: next })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn ago(secs: u64) -> Timestamp {
        NOW.minus(Duration::from_secs(secs))
    }

    fn asked(from: Timestamp, to: Option<Timestamp>) -> Result<Moments> {
        let recovery = Recovery { since: ago(90_000), days: 35 };
        let own = api::IncrementalExportSpecification {
            export_from_time: Some(from),
            export_to_time: to,
            export_view_type: None,
        };
        let input = api::ExportTableToPointInTimeInput {
            export_type: Some(api::ExportType::IncrementalExport),
            incremental_export_specification: Some(own),
            ..Default::default()
        };
        moments(&input, recovery, NOW, Duration::ZERO)
    }

    #[test]
    fn an_incremental_export_is_of_fifteen_minutes_to_a_day() {
        assert_eq!(asked(ago(900), None).unwrap(), Moments::Between(ago(900), NOW));
        assert!(asked(ago(899), None).is_err());
        assert!(asked(ago(86_401), None).is_err());
        assert!(asked(ago(90_001), Some(ago(80_000))).is_err());
        assert!(asked(ago(1_000), Some(ago(2_000))).is_err());
    }
}
