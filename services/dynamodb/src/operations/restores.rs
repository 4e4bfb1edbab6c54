//! Tables made from backups and from moments of other tables.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::{Context, RequestUuid};
use fractus_store::{Scope, Transaction};

use super::backups::{find, own_place, settled};
use super::refusals::{recovery_unavailable, table_exists};
use super::table_shape::{described, encryption_key, invalid, key_of, on_demand_limits, projection, status};
use super::vector_indexes;
use crate::error::{Error, Result};
use crate::features::{self, Features, Restored};
use crate::history;
use crate::jobs::{self, Job, Source, Work};
use crate::service::{DynamoDb, place, scope};
use crate::store::{Counters, Index, TABLES, Table};
use crate::table::VectorIndex;

/// How a restored table differs from its source.
#[derive(Default)]
struct Overrides {
    billing: Option<api::BillingMode>,
    throughput: Option<api::ProvisionedThroughput>,
    limits: Option<api::OnDemandThroughput>,
    encryption: Option<api::SSESpecification>,
    globals: Option<Vec<api::GlobalSecondaryIndex>>,
    locals: Option<Vec<api::LocalSecondaryIndex>>,
    vectors: Option<Vec<api::VectorIndex>>,
}

fn units(throughput: &api::ProvisionedThroughput) -> (i64, i64) {
    (throughput.read_capacity_units, throughput.write_capacity_units)
}

/// An index that is wanted: its name, key and projection.
type Wanted<'a> = (&'a str, &'a [api::KeySchemaElement], &'a api::Projection);

fn is_same(index: &Index, (_, schema, wanted): Wanted<'_>) -> Result<bool> {
    let (projected, mut included) = projection(wanted)?;
    let mut own = index.included.clone();
    included.sort();
    own.sort();
    Ok(index.key == key_of(schema, (4, 4))? && index.projected == projected && own == included)
}

/// The indexes of the source that the restored table has: those that are wanted, or all of them. Others cannot be added, and
/// none can be changed. Unconfirmed words, both.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_RestoreTableFromBackup.html>
fn chosen(all: &[Index], is_global: bool, wanted: Option<Vec<Wanted<'_>>>) -> Result<Vec<Index>> {
    let own = || all.iter().filter(|index| index.is_global == is_global);
    let Some(wanted) = wanted else { return Ok(own().cloned().collect()) };
    let refused = |why: String| {
        let kind = if is_global { "global" } else { "local" };
        Error::validation(format!("The {kind} secondary index override is not valid: {why}"))
    };
    for one in &wanted {
        let index = own().find(|index| index.name == one.0);
        let index = index.ok_or_else(|| refused(format!("the source table has no index {}", one.0)))?;
        if !is_same(index, *one)? {
            return Err(refused(format!("the source table's index {} has another key or projection", one.0)));
        }
    }
    Ok(own().filter(|index| wanted.iter().any(|one| one.0 == index.name)).cloned().collect())
}

/// The table that comes of a source and overrides; what only the request's moment gives is left for the caller.
fn shaped(cx: &Context, source: &Table, name: &str, overrides: &Overrides) -> Result<Table> {
    let mut table = Table { name: name.to_owned(), features: Features::default(), ..source.clone() };
    let wanted_globals = overrides.globals.as_ref().map(|all| {
        all.iter().map(|own| (own.index_name.as_str(), own.key_schema.as_slice(), &own.projection)).collect()
    });
    let wanted_locals = overrides.locals.as_ref().map(|all| {
        all.iter().map(|own| (own.index_name.as_str(), own.key_schema.as_slice(), &own.projection)).collect()
    });
    let mut globals = chosen(&source.indexes, true, wanted_globals)?;
    for index in &mut globals {
        let wanted = overrides.globals.iter().flatten().find(|own| own.index_name == index.name);
        if let Some(throughput) = wanted.and_then(|wanted| wanted.provisioned_throughput.as_ref()) {
            index.throughput = units(throughput);
        }
    }
    table.indexes = chosen(&source.indexes, false, wanted_locals)?;
    table.indexes.append(&mut globals);
    table.vectors = vector_indexes::chosen(&source.vectors, overrides.vectors.as_deref())?;
    match (&overrides.billing, &overrides.throughput) {
        (Some(api::BillingMode::PayPerRequest), Some(_)) => {
            return Err(Error::validation(
                "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        (Some(api::BillingMode::PayPerRequest), None) => {
            table.on_demand = true;
            table.throughput = (0, 0);
            table.indexes.iter_mut().for_each(|index| index.throughput = (0, 0));
        }
        (Some(_), None) if source.on_demand => {
            return Err(Error::validation(
                "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
            ));
        }
        (_, Some(throughput)) => {
            table.on_demand = false;
            table.throughput = units(throughput);
        }
        _ => {}
    }
    let with_units = |own: &&api::GlobalSecondaryIndex| own.provisioned_throughput.is_some();
    if let Some(own) = overrides.globals.iter().flatten().find(with_units).filter(|_| table.on_demand) {
        return Err(invalid(format!(
            "ProvisionedThroughput should not be specified for index: {} when BillingMode is PAY_PER_REQUEST",
            own.index_name
        )));
    }
    vector_indexes::check_on_demand(table.on_demand, table.vectors.len())?;
    table.limits = on_demand_limits(table.limits, overrides.limits.as_ref())?;
    if overrides.encryption.is_some() {
        table.encryption_key = encryption_key(cx, overrides.encryption.as_ref())?;
    }
    // Attributes are defined for keys alone.
    let keys: Vec<&String> = std::iter::once(&table.key)
        .chain(table.indexes.iter().map(|index| &index.key))
        .flat_map(|key| key.0.iter().chain(&key.1))
        .chain(table.vectors.iter().flat_map(VectorIndex::searched))
        .collect();
    let attributes = source.attributes.iter().filter(|(name, _)| keys.contains(&name)).cloned().collect();
    table.attributes = attributes;
    // Settings that a restored table does not take over.
    features::forget_settings(&mut table);
    Ok(table)
}

/// A new table's ids, and the moments that its states depend on.
pub(super) struct Birth {
    id: u64,
    uuid: String,
    transition: Duration,
}

impl Birth {
    pub(super) fn new(dynamodb: &DynamoDb, cx: &Context) -> Self {
        let uuid = u128::from(cx.random().u64()) << 64 | u128::from(cx.random().u64());
        Birth {
            id: cx.random().u64(),
            uuid: RequestUuid(uuid).hyphenated(),
            transition: Duration::from_secs(dynamodb.config.table_transition_secs),
        }
    }

    /// Puts a table down that is CREATING until its items have arrived.
    pub(super) fn begin(&self, tx: &mut Transaction<'_>, scope: &Scope, table: &mut Table) -> Result<()> {
        let now = tx.now(scope);
        if let Some(existing) = tx.get(&TABLES, scope, &(table.name.as_str(),))? {
            if status(&existing, now).is_some() {
                return Err(table_exists(&table.name));
            }
            features::retire(tx, scope, &existing)?;
        }
        (table.id, table.uuid, table.created_at) = (self.id, self.uuid.clone(), now);
        (table.active_at, table.deleted_at) = (Timestamp::MAX, None);
        table.features.not_before = Some(now.plus(self.transition));
        Ok(tx.put(&TABLES, scope, &(table.name.as_str(),), table)?)
    }
}

fn begin(tx: &mut Transaction<'_>, scope: &Scope, birth: &Birth, table: &mut Table, source: Source) -> Result<String> {
    birth.begin(tx, scope, table)?;
    let job = format!("restore/{}", table.uuid);
    let work = Work::Restore { table: table.name.clone(), into: table.id };
    jobs::begin(tx, scope, &job, &Job { source: Some(source), work, from: None, files: 0 })?;
    Ok(job)
}

fn answer(cx: &Context, table: &Table) -> Option<api::TableDescription> {
    let mut description = described(cx, table, api::TableStatus::Creating, Counters::default());
    if let Some(summary) = &mut description.restore_summary {
        summary.restore_in_progress = true;
    }
    Some(description)
}

pub async fn from_backup(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::RestoreTableFromBackupInput,
) -> Result<api::RestoreTableFromBackupOutput> {
    let overrides = Overrides {
        billing: input.billing_mode_override,
        throughput: input.provisioned_throughput_override,
        limits: input.on_demand_throughput_override,
        encryption: input.sse_specification_override,
        globals: input.global_secondary_index_override,
        locals: input.local_secondary_index_override,
        vectors: input.vector_index_override,
    };
    let (scope, birth) = (scope(cx), Birth::new(dynamodb, cx));
    let begun = dynamodb.store.write(|tx| {
        let (source_name, _, backup) = find(tx, &scope, &input.backup_arn)?;
        if backup.status(tx.now(&scope)) != api::BackupStatus::Available {
            return Err(Error::answer(api::BackupInUseException::new(
                "There is another ongoing conflicting backup control plane operation on the table. The backup is either being created, deleted or restored to a table.",
            )));
        }
        let mut table = shaped(cx, &backup.table, &input.target_table_name, &overrides)?;
        table.features.restored = Some(Restored {
            backup_arn: Some(input.backup_arn.clone()),
            table_arn: own_place(cx).arn(format_args!("table/{source_name}")),
            to: backup.created_at,
        });
        let source = Source { name: None, data: backup.data, cut: u64::MAX };
        let job = begin(tx, &scope, &birth, &mut table, source)?;
        Ok((job, table))
    });
    let (job, table) = begun.await?;
    jobs::start_now(dynamodb, &scope, &job).await?;
    Ok(api::RestoreTableFromBackupOutput { table_description: answer(cx, &table) })
}

/// The moment to restore to, which must lie in the window.
fn moment(dynamodb: &DynamoDb, table: &Table, wanted: Option<Timestamp>, now: Timestamp) -> Result<Timestamp> {
    let recovery = table.features.recovery.ok_or_else(|| recovery_unavailable(&table.name))?;
    let earliest = recovery.earliest(now);
    let latest = now.minus(dynamodb.config.recovery_lag()).max(earliest);
    match wanted {
        None => Ok(latest),
        // The answers tell milliseconds, and what they told is taken back.
        Some(wanted) if wanted >= earliest.to_millis_precision() && wanted <= latest => Ok(wanted.max(earliest)),
        Some(_) => Err(Error::answer(api::InvalidRestoreTimeException::new(
            "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and LatestRestorableDateTime.",
        ))),
    }
}

pub async fn to_point_in_time(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::RestoreTableToPointInTimeInput,
) -> Result<api::RestoreTableToPointInTimeOutput> {
    let named = input.source_table_arn.as_deref().or(input.source_table_name.as_deref());
    let named = named.ok_or_else(|| {
        Error::validation("One of SourceTableArn or SourceTableName must be specified in the restore request")
    })?;
    let wants_latest = input.use_latest_restorable_time == Some(true);
    if wants_latest == input.restore_date_time.is_some() {
        return Err(Error::validation(
            "Either UseLatestRestorableTime or RestoreDateTime must be specified, and not both",
        ));
    }
    let overrides = Overrides {
        billing: input.billing_mode_override,
        throughput: input.provisioned_throughput_override,
        limits: input.on_demand_throughput_override,
        encryption: input.sse_specification_override,
        globals: input.global_secondary_index_override,
        locals: input.local_secondary_index_override,
        vectors: input.vector_index_override,
    };
    let ((scope, source_name), birth) = (place(cx, named), Birth::new(dynamodb, cx));
    let begun = dynamodb.store.write(|tx| {
        let mut from = settled(tx, &scope, source_name)?;
        let to = moment(dynamodb, &from, input.restore_date_time, tx.now(&scope))?;
        let mut table = shaped(cx, &from, &input.target_table_name, &overrides)?;
        let table_arn = own_place(cx).arn(format_args!("table/{source_name}"));
        table.features.restored = Some(Restored { backup_arn: None, table_arn, to });
        let cut = history::cut_at(tx, &scope, from.id, to)?;
        let source = jobs::pin(tx, &scope, &mut from, cut)?;
        let job = begin(tx, &scope, &birth, &mut table, source)?;
        Ok::<_, Error>((job, table))
    });
    let (job, table) = begun.await?;
    jobs::start_now(dynamodb, &scope, &job).await?;
    Ok(api::RestoreTableToPointInTimeOutput { table_description: answer(cx, &table) })
}
