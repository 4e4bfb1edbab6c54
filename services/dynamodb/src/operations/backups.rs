//! Backups: made, described, listed, deleted; and point-in-time recovery, switched on and off.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};

use super::refusals::{backup_not_found, table_in_use, table_not_found};
use super::table_shape::{described, status};
use crate::backups::{self, BACKUPS, Backup, timed_id};
use crate::error::{Error, Result};
use crate::features;
use crate::history::{self, Recovery};
use crate::jobs::{self, Job, Work};
use crate::places::Place;
use crate::service::{DynamoDb, place, scope};
use crate::store::{TABLES, Table};

/// The largest page of ListBackups, and its size without a Limit.
const MAX_BACKUPS: usize = 100;

/// A table that is there, in words of the operations for backups.
pub(super) fn existing(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<(Table, api::TableStatus)> {
    let found = snapshot.get(&TABLES, scope, &(name,))?;
    let found = found.and_then(|table| status(&table, snapshot.now(scope)).map(|status| (table, status)));
    found.ok_or_else(|| table_not_found(name))
}

/// A table that is there and not about to come or go.
pub(super) fn settled(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<Table> {
    let (table, status) = existing(snapshot, scope, name)?;
    match status {
        api::TableStatus::Creating | api::TableStatus::Deleting => Err(table_in_use(name, &status)),
        _ => Ok(table),
    }
}

/// The table's name and the backup's id in a backup's ARN.
fn parts_of(arn: &str) -> Result<(&str, &str)> {
    let parts = arn.split_once(":table/").and_then(|(_, rest)| rest.split_once("/backup/"));
    parts.ok_or_else(|| Error::validation(format!("Invalid BackupArn: {arn}")))
}

/// The backup of an ARN, if it is there.
pub(super) fn find(snapshot: &Snapshot<'_>, scope: &Scope, arn: &str) -> Result<(String, String, Backup)> {
    let (table, id) = parts_of(arn)?;
    let backup = snapshot.get(&BACKUPS, scope, &(table, id))?;
    let backup = backup.filter(|backup| backup.is_there(snapshot.now(scope)));
    Ok((table.to_owned(), id.to_owned(), backup.ok_or_else(|| backup_not_found(arn))?))
}

pub(super) fn own_place(cx: &Context) -> Place {
    Place { world: cx.world.clone(), region: cx.region.clone() }
}

pub(super) fn arn_of(cx: &Context, table: &str, id: &str) -> String {
    own_place(cx).arn(format_args!("table/{table}/backup/{id}"))
}

fn kind(backup: &Backup) -> api::BackupType {
    if backup.is_system { api::BackupType::System } else { api::BackupType::User }
}

fn details(arn: String, backup: &Backup, status: api::BackupStatus) -> api::BackupDetails {
    api::BackupDetails {
        backup_arn: arn,
        backup_name: backup.name.clone(),
        backup_size_bytes: i64::try_from(backup.bytes).ok(),
        backup_status: status,
        backup_type: kind(backup),
        backup_creation_date_time: backup.created_at,
        backup_expiry_date_time: backup.expires_at,
    }
}

fn units(throughput: Option<api::ProvisionedThroughputDescription>) -> api::ProvisionedThroughput {
    let throughput = throughput.unwrap_or_default();
    api::ProvisionedThroughput {
        read_capacity_units: throughput.read_capacity_units.unwrap_or_default(),
        write_capacity_units: throughput.write_capacity_units.unwrap_or_default(),
    }
}

/// A backup as it is described; the table in it is described as a table is.
fn description(cx: &Context, arn: String, backup: &Backup, status: api::BackupStatus) -> api::BackupDescription {
    let table = described(cx, &backup.table, api::TableStatus::Active, Default::default());
    let billing = table.billing_mode_summary.and_then(|billing| billing.billing_mode);
    let source = api::SourceTableDetails {
        table_name: backup.table.name.clone(),
        table_id: backup.table.uuid.clone(),
        table_arn: table.table_arn,
        table_size_bytes: i64::try_from(backup.bytes).ok(),
        key_schema: table.key_schema.unwrap_or_default(),
        table_creation_date_time: backup.table.created_at,
        provisioned_throughput: units(table.provisioned_throughput),
        on_demand_throughput: table.on_demand_throughput,
        item_count: i64::try_from(backup.items).ok(),
        billing_mode: Some(billing.unwrap_or(api::BillingMode::Provisioned)),
    };
    let local = |index: api::LocalSecondaryIndexDescription| api::LocalSecondaryIndexInfo {
        index_name: index.index_name,
        key_schema: index.key_schema,
        projection: index.projection,
    };
    let global = |index: api::GlobalSecondaryIndexDescription| api::GlobalSecondaryIndexInfo {
        index_name: index.index_name,
        key_schema: index.key_schema,
        projection: index.projection,
        provisioned_throughput: Some(units(index.provisioned_throughput)),
        on_demand_throughput: index.on_demand_throughput,
    };
    let features = api::SourceTableFeatureDetails {
        local_secondary_indexes: table.local_secondary_indexes.map(|all| all.into_iter().map(local).collect()),
        global_secondary_indexes: table.global_secondary_indexes.map(|all| all.into_iter().map(global).collect()),
        stream_description: table.stream_specification,
        sse_description: table.sse_description,
        vector_indexes: super::vector_indexes::infos(&backup.table),
        ..Default::default()
    };
    api::BackupDescription {
        backup_details: Some(details(arn, backup, status)),
        source_table_details: Some(source),
        source_table_feature_details: Some(features),
    }
}

pub async fn create(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::CreateBackupInput,
) -> Result<api::CreateBackupOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let (data, chance) = (cx.random().u64(), cx.random().u64());
    let written = dynamodb.store.write(|tx| {
        let mut table = settled(tx, &scope, name)?;
        let now = tx.now(&scope);
        if has_backup_under_way(tx, &scope, table.id)? {
            return Err(Error::answer(api::BackupInUseException::new(
                "There is another ongoing conflicting backup control plane operation on the table. The backup is either being created, deleted or restored to a table.",
            )));
        }
        let id = timed_id(now, chance);
        let (items, bytes) = features::counted(tx, &scope, table.id)?;
        let backup = Backup {
            name: input.backup_name.clone(),
            is_system: false,
            table: table.clone(),
            items,
            bytes,
            created_at: now,
            available_at: now.plus(transition),
            is_copied: false,
            expires_at: None,
            data,
        };
        let cut = history::head(tx, &scope, table.id)?;
        let source = jobs::pin(tx, &scope, &mut table, cut)?;
        let work = Work::Backup { table: name.to_owned(), backup: id.clone(), into: data };
        let job = format!("{BACKUP_JOB}{id}");
        jobs::begin(tx, &scope, &job, &Job { source: Some(source), work, from: None, files: 0 })?;
        tx.put(&BACKUPS, &scope, &(name, id.as_str()), &backup)?;
        Ok::<_, Error>((id, job, backup))
    });
    let (id, job, backup) = written.await?;
    jobs::start_now(dynamodb, &scope, &job).await?;
    // AWS answers CREATING whatever comes next.
    let details = details(arn_of(cx, name, &id), &backup, api::BackupStatus::Creating);
    Ok(api::CreateBackupOutput { backup_details: Some(details) })
}

const BACKUP_JOB: &str = "backup/";

fn has_backup_under_way(tx: &Transaction<'_>, scope: &Scope, table: u64) -> Result<bool> {
    let range = Range::starts_with(&(table, BACKUP_JOB));
    Ok(tx.keys(&jobs::PINS, scope, range, Order::Ascending)?.next().transpose()?.is_some())
}

/// A table of which a backup is being made is not deleted.
pub fn check_deletion(tx: &Transaction<'_>, scope: &Scope, table: &Table) -> Result<()> {
    if has_backup_under_way(tx, scope, table.id)? {
        let name = &table.name;
        return Err(Error::InUse(format!(
            "Attempt to change a resource which is still in use: Table is being backed up: {name}"
        )));
    }
    Ok(())
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeBackupInput,
) -> Result<api::DescribeBackupOutput> {
    let scope = scope(cx);
    let found = dynamodb.store.read(|snapshot| find(snapshot, &scope, &input.backup_arn));
    let (table, id, backup) = found.await?;
    let description = description(cx, arn_of(cx, &table, &id), &backup, backup.status(cx.now()));
    Ok(api::DescribeBackupOutput { backup_description: Some(description) })
}

pub async fn delete(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DeleteBackupInput,
) -> Result<api::DeleteBackupOutput> {
    let scope = scope(cx);
    let removed = dynamodb.store.write(|tx| {
        let (table, id, backup) = find(tx, &scope, &input.backup_arn)?;
        backups::remove(tx, &scope, &table, &id, &backup)?;
        Ok::<_, Error>((table, id, backup))
    });
    let (table, id, backup) = removed.await?;
    dynamodb.discarded.notify_one();
    let description = description(cx, arn_of(cx, &table, &id), &backup, api::BackupStatus::Deleted);
    Ok(api::DeleteBackupOutput { backup_description: Some(description) })
}

/// Which backups a list shows.
struct Wanted<'a> {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    kind: Option<&'a api::BackupTypeFilter>,
}

impl Wanted<'_> {
    fn takes(&self, backup: &Backup) -> bool {
        let is_of_kind = match self.kind {
            None | Some(api::BackupTypeFilter::All) => true,
            Some(api::BackupTypeFilter::User) => !backup.is_system,
            Some(api::BackupTypeFilter::System) => backup.is_system,
            Some(_) => false,
        };
        is_of_kind
            && self.from.is_none_or(|from| backup.created_at >= from)
            && self.to.is_none_or(|to| backup.created_at < to)
    }
}

fn summary(cx: &Context, table: &str, id: &str, backup: &Backup) -> api::BackupSummary {
    api::BackupSummary {
        table_name: Some(table.to_owned()),
        table_id: Some(backup.table.uuid.clone()),
        table_arn: Some(own_place(cx).arn(format_args!("table/{table}"))),
        backup_arn: Some(arn_of(cx, table, id)),
        backup_name: Some(backup.name.clone()),
        backup_creation_date_time: Some(backup.created_at),
        backup_expiry_date_time: backup.expires_at,
        backup_status: Some(backup.status(cx.now())),
        backup_type: Some(kind(backup)),
        backup_size_bytes: i64::try_from(backup.bytes).ok(),
    }
}

pub async fn list(dynamodb: &DynamoDb, cx: &Context, input: api::ListBackupsInput) -> Result<api::ListBackupsOutput> {
    let (scope, name) = match &input.table_name {
        Some(name) => {
            let (scope, name) = place(cx, name);
            (scope, Some(name))
        }
        None => (scope(cx), None),
    };
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_BACKUPS).min(MAX_BACKUPS);
    let mut range = match name {
        Some(name) => Range::prefix(&(name,)),
        None => Range::all(),
    };
    if let Some(arn) = &input.exclusive_start_backup_arn {
        range = range.after(&parts_of(arn)?);
    }
    let wanted = Wanted {
        from: input.time_range_lower_bound,
        to: input.time_range_upper_bound,
        kind: input.backup_type.as_ref(),
    };
    let found = dynamodb.store.read(|snapshot| {
        let (now, mut summaries) = (snapshot.now(&scope), Vec::new());
        for record in snapshot.range(&BACKUPS, &scope, range, Order::Ascending)? {
            let ((table, id), backup) = record?;
            if backup.is_there(now) && wanted.takes(&backup) {
                summaries.push(summary(cx, &table, &id, &backup));
            }
            if summaries.len() > limit {
                break;
            }
        }
        Ok::<_, Error>(summaries)
    });
    let mut summaries = found.await?;
    let has_more = summaries.len() > limit;
    summaries.truncate(limit);
    let last = if has_more { summaries.last().and_then(|last| last.backup_arn.clone()) } else { None };
    Ok(api::ListBackupsOutput { backup_summaries: Some(summaries), last_evaluated_backup_arn: last })
}

fn continuous(dynamodb: &DynamoDb, table: &Table, now: Timestamp) -> api::ContinuousBackupsDescription {
    let recovery = table.features.recovery;
    let lag = dynamodb.config.recovery_lag();
    let description = api::PointInTimeRecoveryDescription {
        point_in_time_recovery_status: Some(match recovery {
            Some(_) => api::PointInTimeRecoveryStatus::Enabled,
            None => api::PointInTimeRecoveryStatus::Disabled,
        }),
        recovery_period_in_days: recovery.and_then(|recovery| i32::try_from(recovery.days).ok()),
        earliest_restorable_date_time: recovery.map(|recovery| recovery.earliest(now)),
        latest_restorable_date_time: recovery.map(|recovery| recovery.latest(now, lag)),
    };
    api::ContinuousBackupsDescription {
        // Backups on demand are there for every table.
        continuous_backups_status: api::ContinuousBackupsStatus::Enabled,
        point_in_time_recovery_description: Some(description),
    }
}

pub async fn describe_continuous(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeContinuousBackupsInput,
) -> Result<api::DescribeContinuousBackupsOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let (table, _) = dynamodb.store.read(|snapshot| existing(snapshot, &scope, name)).await?;
    let description = continuous(dynamodb, &table, cx.now());
    Ok(api::DescribeContinuousBackupsOutput { continuous_backups_description: Some(description) })
}

/// Point-in-time recovery as it is after an update. Switched off, its history is worth nothing any more.
fn updated(
    before: Option<Recovery>,
    wanted: &api::PointInTimeRecoverySpecification,
    now: Timestamp,
) -> Result<Option<Recovery>> {
    if !wanted.point_in_time_recovery_enabled {
        return match wanted.recovery_period_in_days {
            Some(_) => Err(Error::validation(
                "RecoveryPeriodInDays can only be specified when PointInTimeRecoveryEnabled is true",
            )),
            None => Ok(None),
        };
    }
    let days = wanted.recovery_period_in_days.and_then(|days| u32::try_from(days).ok());
    Ok(Some(match before {
        Some(recovery) => recovery.with_days(days.unwrap_or(recovery.days), now),
        None => Recovery { since: now, days: days.unwrap_or(Recovery::DEFAULT_DAYS) },
    }))
}

pub async fn update_continuous(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateContinuousBackupsInput,
) -> Result<api::UpdateContinuousBackupsOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let table = dynamodb.store.write(|tx| {
        let mut table = settled(tx, &scope, name)?;
        let now = tx.now(&scope);
        let wanted = &input.point_in_time_recovery_specification;
        table.features.recovery = updated(table.features.recovery, wanted, now)?;
        tx.put(&TABLES, &scope, &(name,), &table)?;
        Ok::<_, Error>(table)
    });
    let description = continuous(dynamodb, &table.await?, cx.now());
    Ok(api::UpdateContinuousBackupsOutput { continuous_backups_description: Some(description) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(enabled: bool, days: Option<i32>) -> api::PointInTimeRecoverySpecification {
        api::PointInTimeRecoverySpecification { point_in_time_recovery_enabled: enabled, recovery_period_in_days: days }
    }

    #[test]
    fn a_longer_window_does_not_bring_back_what_is_forgotten() {
        let day = Duration::from_secs(86_400);
        let start = Timestamp::from_secs(1_800_000_000);
        let on = updated(None, &wanted(true, Some(2)), start).unwrap().unwrap();
        let later = start.plus(day * 10);
        assert_eq!(on.earliest(later), start.plus(day * 8));
        let longer = updated(Some(on), &wanted(true, Some(35)), later).unwrap().unwrap();
        assert_eq!(longer.earliest(later), start.plus(day * 8));
        assert_eq!(longer.earliest(later.plus(day * 35)), start.plus(day * 10));
        let same = updated(Some(longer), &wanted(true, None), later).unwrap().unwrap();
        assert_eq!(same.days, 35);
        assert_eq!(updated(Some(same), &wanted(false, None), later).unwrap(), None);
        assert!(updated(Some(same), &wanted(false, Some(3)), later).is_err());
    }

    #[test]
    fn the_latest_moment_is_a_whole_second_and_never_before_the_first() {
        let since = Timestamp::from_millis(1_800_000_000_700);
        let recovery = Recovery { since, days: 35 };
        assert_eq!(recovery.latest(since, Duration::ZERO), since);
        let later = Timestamp::from_millis(1_800_000_009_900);
        assert_eq!(recovery.latest(later, Duration::ZERO), Timestamp::from_secs(1_800_000_009));
        assert_eq!(recovery.latest(later, Duration::from_secs(300)), since);
    }
}
