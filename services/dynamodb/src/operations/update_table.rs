//! UpdateTable: indexes made and taken away, the stream, and what else a table is set to.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Scope, Transaction};

use super::table_shape::{
    MAX_GLOBAL_INDEXES, check_definitions, check_units, definitions, described, encryption_key, global_index, invalid,
    on_demand_limits, stream_view, units, warm_units,
};
use super::tables::in_use;
use super::update_billing::{note_change, set_billing};
use super::vector_indexes;
use crate::background::discard_indexes;
use crate::error::{Error, Result};
use crate::fillings;
use crate::jobs;
use crate::replicas;
use crate::service::{DynamoDb, scope, table_name};
use crate::store::{Counters, Filled, TABLES};
use crate::streams::{self, NewStream};
use crate::table::{Filling, Index, State, Table, VectorIndex};

const NOTHING: &str = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required";

const ONE_AT_A_TIME: &str =
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";

/// The times of an update.
#[derive(Clone, Copy)]
struct Times {
    now: Timestamp,
    /// When the table is no longer UPDATING.
    done_at: Timestamp,
}

/// Nothing is asked for with replicas; witnesses and consistency alone are nothing.
fn check_asked(input: &api::UpdateTableInput) -> Result<()> {
    let indexes = input.global_secondary_index_updates.as_ref().is_some_and(|updates| !updates.is_empty());
    let is_changed = indexes
        || input.vector_index_updates.as_ref().is_some_and(|updates| !updates.is_empty())
        || input.billing_mode.is_some()
        || input.provisioned_throughput.is_some()
        || input.stream_specification.is_some()
        || input.sse_specification.is_some()
        || input.table_class.is_some()
        || input.deletion_protection_enabled.is_some()
        || input.on_demand_throughput.is_some()
        || input.global_table_settings_replication_mode.is_some()
        || input.disassociation_protection_enabled.is_some()
        || input.warm_throughput.is_some();
    let has_replicas = input.replica_updates.as_ref().is_some_and(|updates| !updates.is_empty());
    if !is_changed && !has_replicas {
        return Err(Error::validation(NOTHING));
    }
    let is_strong = input.multi_region_consistency.is_some() || input.global_table_witness_updates.is_some();
    match (is_changed && has_replicas, is_strong) {
        (true, true) => {
            return Err(Error::validation(
                "Requests that modify replicas or witnesses must not also modify other fields",
            ));
        }
        (true, false) => return Err(invalid("Replica modification must be the only operation in the request")),
        (false, _) => {}
    }
    if input.stream_specification.is_some() && input.provisioned_throughput.is_some() {
        return Err(invalid("You cannot modify stream status while updating table IOPS"));
    }
    Ok(())
}

fn create_index(
    table: &mut Table,
    wanted: &api::CreateGlobalSecondaryIndexAction,
    given: Option<&[api::AttributeDefinition]>,
    times: Times,
) -> Result<u64> {
    if table.index(&wanted.index_name).is_some() || table.vector_index(&wanted.index_name).is_some() {
        return Err(Error::validation("Attempting to create an index which already exists"));
    }
    if table.indexes.iter().filter(|index| index.is_global).count() >= MAX_GLOBAL_INDEXES {
        return Err(Error::LimitExceeded(
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20".to_owned(),
        ));
    }
    let global = api::GlobalSecondaryIndex {
        index_name: wanted.index_name.clone(),
        key_schema: wanted.key_schema.clone(),
        projection: wanted.projection.clone(),
        provisioned_throughput: wanted.provisioned_throughput.clone(),
        on_demand_throughput: wanted.on_demand_throughput.clone(),
        warm_throughput: wanted.warm_throughput.clone(),
    };
    let number = table.next_index;
    let index = global_index(number, &global, table.on_demand)?;
    // Attributes that other keys have may be given again; they keep their types.
    let mut given = definitions(given);
    for (name, kind) in &given {
        let before = table.attributes.iter().find(|(own, _)| own == name);
        if before.is_some_and(|(_, own)| own != kind) {
            // Unconfirmed words.
            return Err(invalid(format!("AttributeDefinitions conflict with the table's own: {name}")));
        }
    }
    given.retain(|(name, _)| index.key.0.contains(name) || index.key.1.contains(name));
    check_definitions(&given, &index.key, &[])?;
    for definition in given {
        if !table.attributes.contains(&definition) {
            table.attributes.push(definition);
        }
    }
    let filling = Some(Filling { begins_at: times.done_at, is_over: false });
    table.indexes.push(Index { filling, ..index });
    table.next_index += 1;
    Ok(number)
}

/// The attributes that searches of a new index of vectors may speak of, where they are given with it.
fn define_searched(
    table: &mut Table,
    wanted: &api::CreateVectorIndexAction,
    given: Option<&[api::AttributeDefinition]>,
) -> Result<()> {
    let searched = wanted.search_schema.as_deref().unwrap_or_default();
    for (name, kind) in definitions(given) {
        match table.attributes.iter().find(|(own, _)| *own == name) {
            // Unconfirmed words.
            Some((_, own)) if *own != kind => {
                return Err(invalid(format!("AttributeDefinitions conflict with the table's own: {name}")));
            }
            None if searched.iter().any(|element| element.attribute_name == name) => {
                table.attributes.push((name, kind));
            }
            _ => {}
        }
    }
    Ok(())
}

fn delete_index(table: &mut Table, name: &str, times: Times) -> Result<()> {
    let index = table.index_mut(name).filter(|index| index.is_global).ok_or(Error::NoResource)?;
    if index.filling.as_ref().is_some_and(|filling| filling.begins_at > times.now) {
        // Unconfirmed words.
        return Err(Error::InUse(format!(
            "Attempt to change a resource which is still in use: Index is being created: {name}"
        )));
    }
    if index.deleted_at.is_some() {
        // Unconfirmed words.
        return Err(Error::InUse(format!(
            "Attempt to change a resource which is still in use: Index is being deleted: {name}"
        )));
    }
    index.deleted_at = Some(times.done_at);
    Ok(())
}

fn update_index(table: &mut Table, wanted: &api::UpdateGlobalSecondaryIndexAction, times: Times) -> Result<()> {
    let on_demand = table.on_demand;
    let name = &wanted.index_name;
    let index = table.index_mut(name).filter(|index| index.is_global).ok_or(Error::NoResource)?;
    if let Some(throughput) = &wanted.provisioned_throughput {
        if on_demand {
            return Err(invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        check_units(Some(throughput))?;
        let (before, after) = (index.throughput, units(Some(throughput)));
        if before == after {
            return Err(Error::validation(format!(
                "The provisioned throughput for the index {name} will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the index: {}. Requested ReadCapacityUnits: {}. Current WriteCapacityUnits provisioned for the index: {}. Requested WriteCapacityUnits: {}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
                before.0, after.0, before.1, after.1
            )));
        }
        note_change(&mut index.throughput_changes, before, after, times.now);
        index.throughput = after;
    }
    index.limits = on_demand_limits(index.limits, wanted.on_demand_throughput.as_ref())?;
    index.warm = warm_units(index.warm, wanted.warm_throughput.as_ref())?;
    index.updated_at = Some(times.done_at);
    Ok(())
}

/// Changes the indexes; gives the number of one that is new.
fn set_indexes(table: &mut Table, input: &api::UpdateTableInput, times: Times) -> Result<Option<u64>> {
    let updates = input.global_secondary_index_updates.as_deref().unwrap_or_default();
    let vectors = input.vector_index_updates.as_deref().unwrap_or_default();
    let online = updates.iter().filter(|update| update.create.is_some() || update.delete.is_some()).count()
        + vectors.iter().filter(|update| update.create.is_some() || update.delete.is_some()).count();
    let under_way = vector_indexes::is_under_way(table, times.now)
        || table.indexes.iter().any(|index| matches!(index.state(times.now), State::Creating | State::Deleting));
    let creates =
        updates.iter().any(|update| update.create.is_some()) || vectors.iter().any(|update| update.create.is_some());
    if online > 1 || (creates && under_way) {
        return Err(Error::LimitExceeded(ONE_AT_A_TIME.to_owned()));
    }
    let mut number = None;
    for update in updates {
        match (&update.create, &update.update, &update.delete) {
            (Some(create), None, None) => {
                number = Some(create_index(table, create, input.attribute_definitions.as_deref(), times)?);
            }
            (None, Some(update), None) => update_index(table, update, times)?,
            (None, None, Some(delete)) => delete_index(table, &delete.index_name, times)?,
            // Unconfirmed words.
            _ => return Err(invalid("A GlobalSecondaryIndexUpdate must be one of Create, Update and Delete")),
        }
    }
    for update in vectors {
        match (&update.create, &update.delete) {
            (Some(create), None) => {
                define_searched(table, create, input.attribute_definitions.as_deref())?;
                number = Some(vector_indexes::create(table, create, times.done_at)?);
            }
            (None, Some(delete)) => vector_indexes::delete(table, &delete.index_name, times.now, times.done_at)?,
            // Unconfirmed words.
            _ => return Err(invalid("A VectorIndexUpdate must be one of Create and Delete")),
        }
    }
    let unprovisioned = |index: &&Index| index.is_global && index.throughput == (0, 0) && index.deleted_at.is_none();
    if let Some(index) = table.indexes.iter().find(unprovisioned).filter(|_| !table.on_demand) {
        return Err(invalid(format!("ProvisionedThroughput is not specified for index: {}", index.name)));
    }
    Ok(number)
}

fn set_stream(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &mut Table,
    wanted: Option<&api::StreamSpecification>,
    new: impl FnOnce(crate::table::View) -> NewStream,
) -> Result<()> {
    if wanted.is_none() {
        return Ok(());
    }
    match (stream_view(wanted)?, &table.stream) {
        (Some(_), Some(_)) => {
            Err(Error::validation(format!("Table already has an enabled stream: TableName: {}", table.name)))
        }
        (None, None) => Err(Error::validation(format!("Table has no stream to disable: TableName: {}", table.name))),
        (Some(view), None) => streams::enable(tx, scope, table, new(view)),
        (None, Some(_)) => {
            let now = tx.now(scope);
            // Changes reach the other replicas by it, unless they are strongly consistent.
            let replicas = table.features.replicas.as_ref();
            if replicas.is_some_and(|replicas| replicas.has_others(now) && replicas.strong(now).is_none()) {
                return Err(invalid("Disabling Stream is not allowed for a Global Table replica."));
            }
            streams::disable(tx, scope, table, now)
        }
    }
}

/// What is said of the table as a replica.
fn set_global(table: &mut Table, input: &api::UpdateTableInput, now: Timestamp) -> Result<()> {
    let is_replica = table.features.replicas.as_ref().is_some_and(|replicas| replicas.has_others(now));
    if let Some(is_protected) = input.disassociation_protection_enabled {
        if !is_replica {
            // Unconfirmed words.
            return Err(Error::validation("Disassociation protection can only be set for a replica of a global table"));
        }
        table.features.disassociation_protection = Some(is_protected);
    }
    match &input.global_table_settings_replication_mode {
        None => {}
        Some(api::GlobalTableSettingsReplicationMode::EnabledWithOverrides) => {
            return Err(Error::validation(
                "Value 'ENABLED_WITH_OVERRIDES' at 'GlobalTableSettingsReplicationMode' failed to satisfy constraint: Only ENABLED and DISABLED settings replication are allowed",
            ));
        }
        // Unconfirmed words.
        Some(_) if is_replica => {
            return Err(Error::validation("GlobalTableSettingsReplicationMode can only be set on a regional table"));
        }
        Some(mode) => table.features.settings_mode = Some(mode.as_str().to_owned()),
    }
    Ok(())
}

/// What comes to every replica of a request: indexes that are made and taken away.
fn of_all(input: &api::UpdateTableInput) -> api::UpdateTableInput {
    let updates = input.global_secondary_index_updates.iter().flatten();
    let online = updates.filter(|update| update.create.is_some() || update.delete.is_some()).cloned();
    api::UpdateTableInput {
        table_name: input.table_name.clone(),
        attribute_definitions: input.attribute_definitions.clone(),
        global_secondary_index_updates: Some(online.collect()),
        vector_index_updates: input.vector_index_updates.clone(),
        ..Default::default()
    }
}

/// Puts a table whose indexes have been changed; one that is new begins to be filled.
fn put_changed(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &mut Table,
    (number, times): (Option<u64>, Times),
) -> Result<()> {
    discard_indexes(tx, scope, table)?;
    forget_attributes(table);
    tx.put(&TABLES, scope, &(table.name.as_str(),), table)?;
    if let Some(number) = number {
        fillings::begin(tx, scope, table, Filled::Index(number), times.done_at)?;
        // A small table is in its new index at once.
        fillings::step(tx, scope, &table.name, number)?;
    }
    Ok(())
}

/// Attributes that no key has any longer are not told.
fn forget_attributes(table: &mut Table) {
    let keys: Vec<_> =
        std::iter::once(table.key.clone()).chain(table.indexes.iter().map(|index| index.key.clone())).collect();
    let searched: Vec<String> = table.vectors.iter().flat_map(VectorIndex::searched).cloned().collect();
    let is_used =
        |name: &String| searched.contains(name) || keys.iter().any(|key| key.0.contains(name) || key.1.contains(name));
    table.attributes.retain(|(name, _)| is_used(name));
}

pub async fn update(dynamodb: &DynamoDb, cx: &Context, input: api::UpdateTableInput) -> Result<api::UpdateTableOutput> {
    check_asked(&input)?;
    let (scope, name) = (scope(cx), table_name(&input.table_name));
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let (stream_id, shard_count) = (cx.random().u64(), dynamodb.config.stream_shards);
    let (table, counters, copies) = dynamodb
        .store
        .write(|tx| {
            let now = tx.now(&scope);
            let times = Times { now, done_at: now.plus(transition) };
            let no_table = || Error::NoTable(name.to_owned());
            let mut table = tx.get(&TABLES, &scope, &(name,))?.ok_or_else(no_table)?;
            match table.state(now) {
                None => return Err(no_table()),
                Some(State::Active) => {}
                Some(_) => return Err(in_use(&table, now)),
            }
            discard_indexes(tx, &scope, &mut table)?;
            let before = table.clone();
            let copies = replicas::update::update(tx, (dynamodb, cx, &scope), &mut table, &input)?;
            if input.replica_updates.is_none() {
                let others = table.features.replicas.iter().flat_map(|replicas| replicas.present(now));
                replicas::update::check_is_free(others, now)?;
            }
            set_billing(&mut table, &input, now)?;
            let number = set_indexes(&mut table, &input, times)?;
            set_stream(tx, &scope, &mut table, input.stream_specification.as_ref(), |view| NewStream {
                id: stream_id,
                view,
                now,
                enabled_at: times.done_at,
                shard_count,
            })?;
            if input.sse_specification.is_some() {
                table.encryption_key = encryption_key(cx, input.sse_specification.as_ref())?;
            }
            if let Some(class) = &input.table_class {
                table.class = Some(class.as_str().to_owned());
                table.class_changed_at = Some(now);
            }
            table.deletion_protection = input.deletion_protection_enabled.unwrap_or(table.deletion_protection);
            table.limits = on_demand_limits(table.limits, input.on_demand_throughput.as_ref())?;
            table.warm = warm_units(table.warm, input.warm_throughput.as_ref())?;
            table.updated_at = table.updated_at.max(Some(times.done_at));
            set_global(&mut table, &input, now)?;
            let indexes = of_all(&input);
            replicas::share_settings(tx, (cx, &scope), (&before, &mut table), |tx, scope, member| {
                discard_indexes(tx, scope, member)?;
                let number = set_indexes(member, &indexes, times)?;
                put_changed(tx, scope, member, (number, times))
            })?;
            let described = table.clone();
            put_changed(tx, &scope, &mut table, (number, times))?;
            Ok((described, Counters::of(tx, &scope, table.id)?, copies))
        })
        .await?;
    for copy in &copies {
        jobs::start_now(dynamodb, &scope, copy).await?;
    }
    dynamodb.feeds.wake();
    dynamodb.discarded.notify_one();
    dynamodb.expiries.wake();
    // AWS answers UPDATING whatever comes next.
    let description = described(cx, &table, api::TableStatus::Updating, counters);
    Ok(api::UpdateTableOutput { table_description: Some(description) })
}
