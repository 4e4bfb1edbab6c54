//! Settings of global tables of the first version: units of reading and writing, billing, auto-scaling.

use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Snapshot, Transaction};

use super::auto_scaling::{self, Units};
use super::global_tables::{GlobalTable, find, in_region};
use crate::error::{Error, Result};
use crate::service::DynamoDb;
use crate::store::{TABLES, Table};

fn index_description(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    (name, region): (&str, &str),
    index: &crate::store::Index,
) -> Result<api::ReplicaGlobalSecondaryIndexSettingsDescription> {
    let index_name = Some(index.name.as_str());
    let units = |units: i64| Some(units).filter(|units| *units > 0);
    Ok(api::ReplicaGlobalSecondaryIndexSettingsDescription {
        index_name: index.name.clone(),
        index_status: Some(api::IndexStatus::Active),
        provisioned_read_capacity_units: units(index.throughput.0),
        provisioned_write_capacity_units: units(index.throughput.1),
        provisioned_read_capacity_auto_scaling_settings: auto_scaling::told(
            snapshot,
            cx,
            (name, region, Units::Read(index_name)),
        )?,
        provisioned_write_capacity_auto_scaling_settings: auto_scaling::told(
            snapshot,
            cx,
            (name, region, Units::Write(index_name)),
        )?,
    })
}

fn replica_description(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    (name, region): (&str, &str),
    is_settled: bool,
    table: &Table,
) -> Result<api::ReplicaSettingsDescription> {
    let indexes = table.indexes.iter().filter(|index| index.is_global);
    let indexes: Vec<_> =
        indexes.map(|index| index_description(snapshot, cx, (name, region), index)).collect::<Result<_>>()?;
    let billing = api::BillingModeSummary {
        billing_mode: Some(match table.on_demand {
            true => api::BillingMode::PayPerRequest,
            false => api::BillingMode::Provisioned,
        }),
        ..Default::default()
    };
    let class = table
        .class
        .as_deref()
        .map(|class| api::TableClassSummary { table_class: Some(api::TableClass::from(class)), ..Default::default() });
    Ok(api::ReplicaSettingsDescription {
        region_name: region.to_owned(),
        replica_status: Some(if is_settled { api::ReplicaStatus::Active } else { api::ReplicaStatus::Creating }),
        replica_billing_mode_summary: Some(billing),
        replica_provisioned_read_capacity_units: Some(table.throughput.0),
        replica_provisioned_read_capacity_auto_scaling_settings: auto_scaling::told(
            snapshot,
            cx,
            (name, region, Units::Read(None)),
        )?,
        replica_provisioned_write_capacity_units: Some(table.throughput.1),
        replica_provisioned_write_capacity_auto_scaling_settings: auto_scaling::told(
            snapshot,
            cx,
            (name, region, Units::Write(None)),
        )?,
        replica_global_secondary_index_settings: (!indexes.is_empty()).then_some(indexes),
        replica_table_class_summary: class,
    })
}

fn described(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    name: &str,
    global: &GlobalTable,
) -> Result<Vec<api::ReplicaSettingsDescription>> {
    let is_settled = global.settled_at <= cx.now();
    let mut all = Vec::new();
    for region in &global.regions {
        if let Some(table) = snapshot.get(&TABLES, &in_region(cx, region)?, &(name,))? {
            all.push(replica_description(snapshot, cx, (name, region), is_settled, &table)?);
        }
    }
    Ok(all)
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeGlobalTableSettingsInput,
) -> Result<api::DescribeGlobalTableSettingsOutput> {
    let name = input.global_table_name.as_str();
    let settings = dynamodb.store.read(|snapshot| {
        let global = find(snapshot, cx, name)?;
        described(snapshot, cx, name, &global)
    });
    let settings = settings.await?;
    Ok(api::DescribeGlobalTableSettingsOutput {
        global_table_name: Some(name.to_owned()),
        replica_settings: Some(settings),
    })
}

fn no_index(index: &str) -> Error {
    Error::answer(api::IndexNotFoundException::new(format!(
        "The operation tried to access a nonexistent index: {index}"
    )))
}

/// What the update says of every replica.
fn set_global(
    tx: &mut Transaction<'_>,
    cx: &Context,
    input: &api::UpdateGlobalTableSettingsInput,
    region: &str,
    table: &mut Table,
) -> Result<()> {
    match input.global_table_billing_mode {
        Some(api::BillingMode::PayPerRequest) => {
            (table.on_demand, table.throughput) = (true, (0, 0));
            table.indexes.iter_mut().for_each(|index| index.throughput = (0, 0));
        }
        Some(_) if table.on_demand && input.global_table_provisioned_write_capacity_units.is_none() => {
            return Err(Error::validation(
                "GlobalTableProvisionedWriteCapacityUnits must be specified when GlobalTableBillingMode is PROVISIONED",
            ));
        }
        Some(_) => {
            table.on_demand = false;
            table.throughput.0 = table.throughput.0.max(1);
        }
        None => {}
    }
    if let Some(units) = input.global_table_provisioned_write_capacity_units {
        if table.on_demand {
            return Err(Error::validation("Units can only be specified when the billing mode is PROVISIONED"));
        }
        table.throughput.1 = units;
    }
    if let Some(update) = &input.global_table_provisioned_write_capacity_auto_scaling_settings_update {
        auto_scaling::set(tx, cx, (&mut *table, region, Units::Write(None)), update)?;
    }
    for own in input.global_table_global_secondary_index_settings_update.iter().flatten() {
        let index = table.indexes.iter_mut().find(|index| index.is_global && index.name == own.index_name);
        let index = index.ok_or_else(|| no_index(&own.index_name))?;
        if let Some(units) = own.provisioned_write_capacity_units {
            index.throughput.1 = units;
        }
        if let Some(update) = &own.provisioned_write_capacity_auto_scaling_settings_update {
            auto_scaling::set(tx, cx, (&mut *table, region, Units::Write(Some(&own.index_name))), update)?;
        }
    }
    Ok(())
}

/// What the update says of one replica.
fn set_replica(
    tx: &mut Transaction<'_>,
    cx: &Context,
    own: &api::ReplicaSettingsUpdate,
    table: &mut Table,
) -> Result<()> {
    let region = own.region_name.as_str();
    if let Some(units) = own.replica_provisioned_read_capacity_units {
        table.throughput.0 = units;
    }
    if let Some(update) = &own.replica_provisioned_read_capacity_auto_scaling_settings_update {
        auto_scaling::set(tx, cx, (&mut *table, region, Units::Read(None)), update)?;
    }
    if let Some(class) = &own.replica_table_class {
        table.class = Some(class.as_str().to_owned());
    }
    for own in own.replica_global_secondary_index_settings_update.iter().flatten() {
        let index = table.indexes.iter_mut().find(|index| index.is_global && index.name == own.index_name);
        let index = index.ok_or_else(|| no_index(&own.index_name))?;
        if let Some(units) = own.provisioned_read_capacity_units {
            index.throughput.0 = units;
        }
        if let Some(update) = &own.provisioned_read_capacity_auto_scaling_settings_update {
            auto_scaling::set(tx, cx, (&mut *table, region, Units::Read(Some(&own.index_name))), update)?;
        }
    }
    Ok(())
}

pub async fn update(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateGlobalTableSettingsInput,
) -> Result<api::UpdateGlobalTableSettingsOutput> {
    let name = input.global_table_name.as_str();
    let settings = dynamodb.store.write(|tx| {
        let global = find(tx, cx, name)?;
        let updates = || input.replica_settings_update.iter().flatten();
        if let Some(unknown) = updates().find(|own| !global.regions.contains(&own.region_name)) {
            return Err(Error::answer(api::ReplicaNotFoundException::new(format!(
                "Global table: '{name}' does not contain a replica in region: {}",
                unknown.region_name
            ))));
        }
        for region in &global.regions {
            let scope = in_region(cx, region)?;
            let Some(mut table) = tx.get(&TABLES, &scope, &(name,))? else { continue };
            set_global(tx, cx, &input, region, &mut table)?;
            for own in updates().filter(|own| own.region_name == *region) {
                set_replica(tx, cx, own, &mut table)?;
            }
            tx.put(&TABLES, &scope, &(name,), &table)?;
        }
        described(tx, cx, name, &global)
    });
    let settings = settings.await?;
    dynamodb.throttle.wake();
    Ok(api::UpdateGlobalTableSettingsOutput {
        global_table_name: Some(name.to_owned()),
        replica_settings: Some(settings),
    })
}
