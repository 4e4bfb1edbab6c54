//! The operations around tables: backups, restores, exports, imports, replicas, destinations, policies, settings.

use fractus_dynamodb_api as api;
use fractus_host::Operations;

use crate::operations::{
    auto_scaling, backups, destinations, exports, global_settings, global_tables, imports, insights, policies, restores,
};
use crate::service::DynamoDb;

/// Enters them into the operation table.
pub fn entered(operations: Operations<DynamoDb>) -> Operations<DynamoDb> {
    operations
        .on(api::CreateBackup, backups::create)
        .on(api::DescribeBackup, backups::describe)
        .on(api::DeleteBackup, backups::delete)
        .on(api::ListBackups, backups::list)
        .on(api::RestoreTableFromBackup, restores::from_backup)
        .on(api::UpdateContinuousBackups, backups::update_continuous)
        .on(api::DescribeContinuousBackups, backups::describe_continuous)
        .on(api::RestoreTableToPointInTime, restores::to_point_in_time)
        .on(api::ExportTableToPointInTime, exports::begin)
        .on(api::DescribeExport, exports::describe)
        .on(api::ListExports, exports::list)
        .on(api::ImportTable, imports::begin)
        .on(api::DescribeImport, imports::describe)
        .on(api::ListImports, imports::list)
        .on(api::CreateGlobalTable, global_tables::create)
        .on(api::UpdateGlobalTable, global_tables::update)
        .on(api::DescribeGlobalTable, global_tables::describe)
        .on(api::ListGlobalTables, global_tables::list)
        .on(api::DescribeGlobalTableSettings, global_settings::describe)
        .on(api::UpdateGlobalTableSettings, global_settings::update)
        .on(api::EnableKinesisStreamingDestination, destinations::enable)
        .on(api::DisableKinesisStreamingDestination, destinations::disable)
        .on(api::UpdateKinesisStreamingDestination, destinations::update)
        .on(api::DescribeKinesisStreamingDestination, destinations::describe)
        .on(api::PutResourcePolicy, policies::put)
        .on(api::GetResourcePolicy, policies::get)
        .on(api::DeleteResourcePolicy, policies::delete)
        // Nobody counts keys, and nothing scales: what is switched on is told, and no more.
        .stored(api::UpdateContributorInsights, insights::update)
        .stored(api::DescribeContributorInsights, insights::describe)
        .stored(api::ListContributorInsights, insights::list)
        .stored(api::UpdateTableReplicaAutoScaling, auto_scaling::update)
        .stored(api::DescribeTableReplicaAutoScaling, auto_scaling::describe)
}
