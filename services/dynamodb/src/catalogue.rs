//! The operations around tables: backups, restores, exports, imports, replicas, destinations, policies, settings.

use fractus_dynamodb_api as api;
use fractus_host::{Access, Context, Operations};

use crate::access;
use crate::error::Error;
use crate::operations::{
    auto_scaling, backups, bulk, destinations, exports, global_settings, global_tables, imports, insights, policies,
    restores,
};
use crate::service::DynamoDb;

macro_rules! by_table {
    ($($name:ident),+) => {
        |cx, input| Ok::<_, Error>(vec![$(access::table(cx, &input.$name)),+])
    };
}

macro_rules! by_arn {
    ($arn:ident) => {
        |_, input| Ok::<_, Error>(vec![access::arn(&input.$arn)])
    };
}

macro_rules! by_optional_table {
    ($name:ident) => {
        |cx, input| Ok::<_, Error>(listed(cx, input.$name.as_deref()))
    };
}

/// What a list is of: a table's, or everything.
fn listed(cx: &Context, table: Option<&str>) -> Vec<Access> {
    vec![table.map_or_else(Access::to_all, |table| access::table(cx, table))]
}

/// Enters them into the operation table.
pub fn entered(operations: Operations<DynamoDb>) -> Operations<DynamoDb> {
    files(copies(operations))
        .on(api::CreateGlobalTable, global_tables::create)
        .on(api::UpdateGlobalTable, global_tables::update)
        .on(api::DescribeGlobalTable, global_tables::describe)
        .on(api::ListGlobalTables, global_tables::list)
        .on(api::DescribeGlobalTableSettings, global_settings::describe)
        .on(api::UpdateGlobalTableSettings, global_settings::update)
        .on(api::EnableKinesisStreamingDestination, destinations::enable)
        .access(api::EnableKinesisStreamingDestination, by_table!(table_name))
        .on(api::DisableKinesisStreamingDestination, destinations::disable)
        .access(api::DisableKinesisStreamingDestination, by_table!(table_name))
        .on(api::UpdateKinesisStreamingDestination, destinations::update)
        .access(api::UpdateKinesisStreamingDestination, by_table!(table_name))
        .on(api::DescribeKinesisStreamingDestination, destinations::describe)
        .access(api::DescribeKinesisStreamingDestination, by_table!(table_name))
        .on(api::PutResourcePolicy, policies::put)
        .access(api::PutResourcePolicy, by_arn!(resource_arn))
        .on(api::GetResourcePolicy, policies::get)
        .access(api::GetResourcePolicy, by_arn!(resource_arn))
        .on(api::DeleteResourcePolicy, policies::delete)
        .access(api::DeleteResourcePolicy, by_arn!(resource_arn))
        .on(api::UpdateContributorInsights, insights::update)
        .access(api::UpdateContributorInsights, by_table!(table_name))
        .on(api::DescribeContributorInsights, insights::describe)
        .access(api::DescribeContributorInsights, by_table!(table_name))
        .on(api::ListContributorInsights, insights::list)
        .access(api::ListContributorInsights, by_optional_table!(table_name))
        .on(api::UpdateTableReplicaAutoScaling, auto_scaling::update)
        .access(api::UpdateTableReplicaAutoScaling, by_table!(table_name))
        .on(api::DescribeTableReplicaAutoScaling, auto_scaling::describe)
        .access(api::DescribeTableReplicaAutoScaling, by_table!(table_name))
}

fn copies(operations: Operations<DynamoDb>) -> Operations<DynamoDb> {
    operations
        .on(api::CreateBackup, backups::create)
        .access(api::CreateBackup, by_table!(table_name))
        .on(api::DescribeBackup, backups::describe)
        .access(api::DescribeBackup, by_arn!(backup_arn))
        .on(api::DeleteBackup, backups::delete)
        .access(api::DeleteBackup, by_arn!(backup_arn))
        .on(api::ListBackups, backups::list)
        .on(api::RestoreTableFromBackup, restores::from_backup)
        .access(api::RestoreTableFromBackup, |cx, input| {
            Ok::<_, Error>(vec![access::arn(&input.backup_arn), access::table(cx, &input.target_table_name)])
        })
        .on(api::UpdateContinuousBackups, backups::update_continuous)
        .access(api::UpdateContinuousBackups, by_table!(table_name))
        .on(api::DescribeContinuousBackups, backups::describe_continuous)
        .access(api::DescribeContinuousBackups, by_table!(table_name))
        .on(api::RestoreTableToPointInTime, restores::to_point_in_time)
        .access(api::RestoreTableToPointInTime, |cx, input| {
            let source = input.source_table_arn.as_deref().or(input.source_table_name.as_deref());
            let source = source.map(|source| access::table(cx, source));
            let target = access::table(cx, &input.target_table_name);
            Ok::<_, Error>(source.into_iter().chain([target]).collect())
        })
}

fn files(operations: Operations<DynamoDb>) -> Operations<DynamoDb> {
    operations
        .on(api::ExportTableToPointInTime, exports::begin)
        .access(api::ExportTableToPointInTime, by_table!(table_arn))
        .on(api::DescribeExport, exports::describe)
        .access(api::DescribeExport, by_arn!(export_arn))
        .on(api::ListExports, exports::list)
        .access(api::ListExports, by_optional_table!(table_arn))
        .on(api::ImportTable, imports::begin)
        .access(api::ImportTable, |cx, input| {
            Ok::<_, Error>(vec![access::table(cx, &input.table_creation_parameters.table_name)])
        })
        .on(api::DescribeImport, imports::describe)
        .access(api::DescribeImport, by_arn!(import_arn))
        .on(api::ListImports, imports::list)
        .access(api::ListImports, by_optional_table!(table_arn))
        .on(api::StartBulkPutItems, bulk::start)
        .access(api::StartBulkPutItems, by_table!(table_name))
        .on(api::DescribeBulkOperation, bulk::describe)
        .access(api::DescribeBulkOperation, by_arn!(bulk_operation_arn))
        .on(api::CancelBulkOperation, bulk::cancel)
        .access(api::CancelBulkOperation, by_arn!(bulk_operation_arn))
        .on(api::ListBulkOperations, bulk::list)
}
