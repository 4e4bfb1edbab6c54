//! What is told of a table's replicas.

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;

use super::group::{Replica, Version};
use super::settings::settings_mode;
use crate::operations::described::warm;
use crate::store::Table;

/// What is told of a replica, but for its ARN.
pub fn described_replica(replica: &Replica, now: Timestamp) -> api::ReplicaDescription {
    let read =
        |units: Option<i64>| units.map(|units| api::ProvisionedThroughputOverride { read_capacity_units: Some(units) });
    let settings = &replica.settings;
    let index = |(name, units): &(String, Option<i64>)| api::ReplicaGlobalSecondaryIndexDescription {
        index_name: Some(name.clone()),
        provisioned_throughput_override: read(*units),
        on_demand_throughput_override: settings
            .index_limits
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, units)| api::OnDemandThroughputOverride { max_read_request_units: Some(*units) }),
        ..Default::default()
    };
    let indexes: Vec<_> = settings.indexes.iter().map(index).collect();
    api::ReplicaDescription {
        region_name: Some(replica.region.clone()),
        replica_status: Some(replica.status(now)),
        provisioned_throughput_override: read(settings.read_units),
        on_demand_throughput_override: settings
            .read_limit
            .map(|units| api::OnDemandThroughputOverride { max_read_request_units: Some(units) }),
        kms_master_key_id: settings.key.clone(),
        global_secondary_indexes: (!indexes.is_empty()).then_some(indexes),
        replica_table_class_summary: settings.class.as_deref().map(|class| api::TableClassSummary {
            table_class: Some(api::TableClass::from(class)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What DescribeTable says of a table's replicas: the others.
pub fn described(cx: &Context, table: &Table) -> api::TableDescription {
    let now = cx.now();
    let Some(replicas) = table.features.replicas.as_ref().filter(|replicas| replicas.has_others(now)) else {
        return api::TableDescription {
            global_table_settings_replication_mode: table
                .features
                .settings_mode
                .as_deref()
                .map(api::GlobalTableSettingsReplicationMode::from),
            ..Default::default()
        };
    };
    if replicas.version == Version::V2017 {
        return api::TableDescription::default();
    }
    let mode = Some(api::GlobalTableSettingsReplicationMode::from(settings_mode(table)));
    let (read, write) = warm(table, table.warm, table.throughput);
    let one = |other: &Replica| api::ReplicaDescription {
        // It is told only where the replica is another account's.
        replica_arn: other.account.as_deref().map(|account| arn(cx, (account, &other.region), &table.name)),
        global_table_settings_replication_mode: mode.clone(),
        warm_throughput: Some(api::TableWarmThroughputDescription {
            read_units_per_second: Some(read),
            write_units_per_second: Some(write),
            status: Some(api::TableStatus::Active),
        }),
        ..described_replica(other, now)
    };
    let strong = replicas.strong(now);
    let witness = strong.and_then(|strong| strong.witness.as_ref()).filter(|witness| !witness.is_gone(now));
    api::TableDescription {
        global_table_version: Some(replicas.version.as_str().to_owned()),
        replicas: Some(replicas.present(now).map(one).collect()),
        multi_region_consistency: strong.map(|_| api::MultiRegionConsistency::Strong),
        global_table_witnesses: witness.map(|witness| vec![witness.described(now)]),
        global_table_settings_replication_mode: mode.clone(),
        disassociation_protection_enabled: Some(table.features.disassociation_protection.unwrap_or(false)),
        ..Default::default()
    }
}

/// The ARN of a table of a region and an account.
pub fn arn(cx: &Context, (account, region): (&str, &str), name: &str) -> String {
    format!("arn:{}:dynamodb:{region}:{account}:table/{name}", cx.world.partition.as_str())
}
