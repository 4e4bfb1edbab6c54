//! Settings of auto-scaling of tables and their replicas. What has a policy is [scaled](crate::scaling); on AWS another service does it,
//! Application Auto Scaling, by CloudWatch's alarms.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/AutoScaling.html>

use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Collection, Scope, Snapshot, Transaction};

use super::table_shape::status;
use crate::error::{Error, Result};
use crate::replicas::elsewhere;
use crate::scaling::{self, Scaled};
use crate::service::{DynamoDb, place};
use crate::shapes::{from_json, to_json};
use crate::store::{TABLES, Table};

/// Settings by (table's name, region, what they scale), as JSON of the API's shape, in an account's own scope.
const SETTINGS: Collection<(String, String, String), String> = Collection::new("auto-scaling");

/// DynamoDB's own bounds of a target of utilisation.
const TARGETS: std::ops::RangeInclusive<f64> = 20.0..=90.0;

/// What is scaled: units of reading or of writing, of the table or of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units<'a> {
    Read(Option<&'a str>),
    Write(Option<&'a str>),
}

impl Units<'_> {
    fn key(self) -> String {
        match self {
            Units::Read(None) => "read".to_owned(),
            Units::Write(None) => "write".to_owned(),
            Units::Read(Some(index)) => format!("index/{index}/read"),
            Units::Write(Some(index)) => format!("index/{index}/write"),
        }
    }

    /// The policy that AWS's console would have made.
    fn policy_name(self, table: &str) -> String {
        match self {
            Units::Read(None) => format!("DynamoDBReadCapacityUtilization:table/{table}"),
            Units::Write(None) => format!("DynamoDBWriteCapacityUtilization:table/{table}"),
            Units::Read(Some(index)) => format!("DynamoDBReadCapacityUtilization:table/{table}/index/{index}"),
            Units::Write(Some(index)) => format!("DynamoDBWriteCapacityUtilization:table/{table}/index/{index}"),
        }
    }
}

/// What was set before, with what is set now.
fn merged(
    before: Option<api::AutoScalingSettingsUpdate>,
    update: &api::AutoScalingSettingsUpdate,
) -> Result<api::AutoScalingSettingsUpdate> {
    let before = before.unwrap_or_default();
    let merged = api::AutoScalingSettingsUpdate {
        minimum_units: update.minimum_units.or(before.minimum_units),
        maximum_units: update.maximum_units.or(before.maximum_units),
        auto_scaling_disabled: update.auto_scaling_disabled.or(before.auto_scaling_disabled),
        auto_scaling_role_arn: update.auto_scaling_role_arn.clone().or(before.auto_scaling_role_arn),
        scaling_policy_update: update.scaling_policy_update.clone().or(before.scaling_policy_update),
    };
    let is_on = merged.auto_scaling_disabled != Some(true);
    let target =
        update.scaling_policy_update.as_ref().map(|own| own.target_tracking_scaling_policy_configuration.target_value);
    if target.is_some_and(|target| !TARGETS.contains(&target)) {
        // Unconfirmed words.
        return Err(Error::validation("TargetValue must be between 20 and 90"));
    }
    match (merged.minimum_units, merged.maximum_units) {
        (Some(minimum), Some(maximum)) if minimum > maximum => {
            Err(Error::validation("MinimumUnits must be less than or equal to MaximumUnits"))
        }
        (None, _) | (_, None) if is_on => {
            Err(Error::validation("MinimumUnits and MaximumUnits must be specified to enable auto scaling"))
        }
        _ => Ok(merged),
    }
}

/// Sets auto-scaling of one thing in one region, whose table it is; the caller puts the table.
pub fn set(
    tx: &mut Transaction<'_>,
    cx: &Context,
    (table, region, units): (&mut Table, &str, Units<'_>),
    update: &api::AutoScalingSettingsUpdate,
) -> Result<()> {
    let (scope, target) = (Scope::account(&cx.world), units.key());
    let name = table.name.clone();
    let key = (name.as_str(), region, target.as_str());
    let before = tx.get(&SETTINGS, &scope, &key)?.map(|text| from_json(&text)).transpose()?;
    let settings = merged(before, update)?;
    tx.put(&SETTINGS, &scope, &key, &to_json(&settings)?)?;
    let Some(there) = elsewhere(&crate::service::scope(cx), region) else { return Ok(()) };
    let (scaled, is_on) = scaled(units, &settings);
    scaling::set(tx, &there, table, scaled, is_on)
}

/// What is scaled by such settings, and whether it is: without a policy nothing is.
fn scaled(units: Units<'_>, settings: &api::AutoScalingSettingsUpdate) -> (Scaled, bool) {
    let (index, of_writes) = match units {
        Units::Read(index) => (index, false),
        Units::Write(index) => (index, true),
    };
    let policy = settings.scaling_policy_update.as_ref().map(|own| &own.target_tracking_scaling_policy_configuration);
    let cooldown = |secs: Option<i32>| secs.and_then(|secs| u64::try_from(secs).ok()).unwrap_or(0);
    let target = policy.map_or(0.0, |policy| policy.target_value);
    let scaled = Scaled {
        index: index.map(str::to_owned),
        of_writes,
        minimum: settings.minimum_units.unwrap_or(1),
        maximum: settings.maximum_units.unwrap_or(i64::MAX),
        target,
        only_out: policy.is_some_and(|policy| policy.disable_scale_in == Some(true)),
        out_cooldown_secs: cooldown(policy.and_then(|policy| policy.scale_out_cooldown)),
        in_cooldown_secs: cooldown(policy.and_then(|policy| policy.scale_in_cooldown)),
        last_out_at: None,
        last_in_at: None,
    };
    let is_on = settings.auto_scaling_disabled != Some(true) && target > 0.0;
    (scaled, is_on)
}

/// What is set, as it is told; nothing set is switched off.
pub fn told(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    (table, region, units): (&str, &str, Units<'_>),
) -> Result<Option<api::AutoScalingSettingsDescription>> {
    let target = units.key();
    let stored = snapshot.get(&SETTINGS, &Scope::account(&cx.world), &(table, region, target.as_str()))?;
    let Some(stored) = stored else {
        let off = api::AutoScalingSettingsDescription { auto_scaling_disabled: Some(true), ..Default::default() };
        return Ok(Some(off));
    };
    let settings: api::AutoScalingSettingsUpdate = from_json(&stored)?;
    if settings.auto_scaling_disabled == Some(true) {
        let off = api::AutoScalingSettingsDescription { auto_scaling_disabled: Some(true), ..Default::default() };
        return Ok(Some(off));
    }
    let policy = settings.scaling_policy_update.map(|policy| {
        let own = policy.target_tracking_scaling_policy_configuration;
        api::AutoScalingPolicyDescription {
            policy_name: Some(policy.policy_name.unwrap_or_else(|| units.policy_name(table))),
            target_tracking_scaling_policy_configuration: Some(
                api::AutoScalingTargetTrackingScalingPolicyConfigurationDescription {
                    disable_scale_in: own.disable_scale_in,
                    scale_in_cooldown: own.scale_in_cooldown,
                    scale_out_cooldown: own.scale_out_cooldown,
                    target_value: own.target_value,
                },
            ),
        }
    });
    let (partition, account) = (cx.world.partition.as_str(), cx.world.account.as_str());
    let role = settings.auto_scaling_role_arn.unwrap_or_else(|| {
        format!("arn:{partition}:iam::{account}:role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_DynamoDBTable")
    });
    Ok(Some(api::AutoScalingSettingsDescription {
        minimum_units: settings.minimum_units,
        maximum_units: settings.maximum_units,
        auto_scaling_disabled: None,
        auto_scaling_role_arn: Some(role),
        scaling_policies: policy.map(|policy| vec![policy]),
    }))
}

fn existing(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<(Table, api::TableStatus)> {
    let table = snapshot.get(&TABLES, scope, &(name,))?;
    let found = table.and_then(|table| status(&table, snapshot.now(scope)).map(|status| (table, status)));
    found.ok_or_else(|| Error::NoTable(name.to_owned()))
}

/// The regions of a table: its own, then those of its replicas.
fn regions(cx: &Context, table: &Table) -> Vec<(String, api::ReplicaStatus)> {
    let now = cx.now();
    let mut regions = vec![(cx.region.as_str().to_owned(), api::ReplicaStatus::Active)];
    let others = table.features.replicas.iter().flat_map(|replicas| &replicas.others);
    regions.extend(others.filter(|other| !other.is_gone(now)).map(|other| (other.region.clone(), other.status(now))));
    regions
}

fn described(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    scope: &Scope,
    (table, status): (&Table, api::TableStatus),
) -> Result<api::TableAutoScalingDescription> {
    let name = table.name.as_str();
    let mut replicas = Vec::new();
    for (region, replica_status) in regions(cx, table) {
        let there = elsewhere(scope, &region).unwrap_or_else(|| scope.clone());
        let own = snapshot.get(&TABLES, &there, &(name,))?;
        let mut indexes = Vec::new();
        for index in own.iter().flat_map(|own| &own.indexes).filter(|index| index.is_global) {
            let index_name = Some(index.name.as_str());
            indexes.push(api::ReplicaGlobalSecondaryIndexAutoScalingDescription {
                index_name: Some(index.name.clone()),
                index_status: Some(api::IndexStatus::Active),
                provisioned_read_capacity_auto_scaling_settings: told(
                    snapshot,
                    cx,
                    (name, &region, Units::Read(index_name)),
                )?,
                provisioned_write_capacity_auto_scaling_settings: told(
                    snapshot,
                    cx,
                    (name, &region, Units::Write(index_name)),
                )?,
            });
        }
        replicas.push(api::ReplicaAutoScalingDescription {
            global_secondary_indexes: (!indexes.is_empty()).then_some(indexes),
            replica_provisioned_read_capacity_auto_scaling_settings: told(
                snapshot,
                cx,
                (name, &region, Units::Read(None)),
            )?,
            replica_provisioned_write_capacity_auto_scaling_settings: told(
                snapshot,
                cx,
                (name, &region, Units::Write(None)),
            )?,
            replica_status: Some(replica_status),
            region_name: Some(region),
        });
    }
    Ok(api::TableAutoScalingDescription {
        table_name: Some(table.name.clone()),
        table_status: Some(status),
        replicas: Some(replicas),
    })
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeTableReplicaAutoScalingInput,
) -> Result<api::DescribeTableReplicaAutoScalingOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let description = dynamodb.store.read(|snapshot| {
        let (table, status) = existing(snapshot, &scope, name)?;
        described(snapshot, cx, &scope, (&table, status))
    });
    Ok(api::DescribeTableReplicaAutoScalingOutput { table_auto_scaling_description: Some(description.await?) })
}

fn index_of<'a>(table: &Table, index: Option<&'a String>) -> Result<Option<&'a str>> {
    let name = index.map(String::as_str).ok_or_else(|| Error::validation("IndexName must be specified"))?;
    if table.index(name).is_none_or(|index| !index.is_global) {
        let message = format!("Requested resource not found: Index: {name} not found");
        return Err(Error::answer(api::ResourceNotFoundException { message: Some(message) }));
    }
    Ok(Some(name))
}

pub async fn update(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateTableReplicaAutoScalingInput,
) -> Result<api::UpdateTableReplicaAutoScalingOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let description = dynamodb.store.write(|tx| {
        let (table, status) = existing(tx, &scope, name)?;
        let regions = regions(cx, &table);
        let replica_updates = || input.replica_updates.iter().flatten();
        if let Some(own) = replica_updates().find(|own| !regions.iter().any(|(known, _)| *known == own.region_name)) {
            let region = &own.region_name;
            return Err(Error::validation(format!("Table {name} has no replica in region {region}")));
        }
        for (region, _) in &regions {
            let there = elsewhere(&scope, region).unwrap_or_else(|| scope.clone());
            let Some(mut own) = tx.get(&TABLES, &there, &(name,))? else { continue };
            set_writes(tx, cx, region, &mut own, &input)?;
            for update in replica_updates().filter(|update| update.region_name == *region) {
                set_reads(tx, cx, &mut own, update)?;
            }
            tx.put(&TABLES, &there, &(name,), &own)?;
        }
        described(tx, cx, &scope, (&table, status))
    });
    let description = description.await?;
    dynamodb.throttle.wake();
    Ok(api::UpdateTableReplicaAutoScalingOutput { table_auto_scaling_description: Some(description) })
}

/// Units of writing are the same in every region.
fn set_writes(
    tx: &mut Transaction<'_>,
    cx: &Context,
    region: &str,
    table: &mut Table,
    input: &api::UpdateTableReplicaAutoScalingInput,
) -> Result<()> {
    if let Some(update) = &input.provisioned_write_capacity_auto_scaling_update {
        set(tx, cx, (&mut *table, region, Units::Write(None)), update)?;
    }
    for own in input.global_secondary_index_updates.iter().flatten() {
        let index = index_of(table, own.index_name.as_ref())?;
        if let Some(update) = &own.provisioned_write_capacity_auto_scaling_update {
            set(tx, cx, (&mut *table, region, Units::Write(index)), update)?;
        }
    }
    Ok(())
}

/// Those of reading are each replica's own.
fn set_reads(
    tx: &mut Transaction<'_>,
    cx: &Context,
    table: &mut Table,
    own: &api::ReplicaAutoScalingUpdate,
) -> Result<()> {
    let region = own.region_name.as_str();
    if let Some(update) = &own.replica_provisioned_read_capacity_auto_scaling_update {
        set(tx, cx, (&mut *table, region, Units::Read(None)), update)?;
    }
    for own in own.replica_global_secondary_index_updates.iter().flatten() {
        let index = index_of(table, own.index_name.as_ref())?;
        if let Some(update) = &own.provisioned_read_capacity_auto_scaling_update {
            set(tx, cx, (&mut *table, region, Units::Read(index)), update)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_changed_by_what_is_said() {
        let range = |minimum, maximum| api::AutoScalingSettingsUpdate {
            minimum_units: minimum,
            maximum_units: maximum,
            ..Default::default()
        };
        assert!(merged(None, &range(Some(5), None)).is_err());
        assert!(merged(None, &range(Some(5), Some(4))).is_err());
        let first = merged(None, &range(Some(5), Some(10))).unwrap();
        let second = merged(Some(first), &range(None, Some(20))).unwrap();
        assert_eq!((second.minimum_units, second.maximum_units), (Some(5), Some(20)));
        let off = api::AutoScalingSettingsUpdate { auto_scaling_disabled: Some(true), ..Default::default() };
        assert!(merged(None, &off).is_ok());
    }
}
