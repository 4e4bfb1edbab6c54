//! What an account may have, and where DynamoDB is.

use fractus_dynamodb_api as api;
use fractus_host::Context;

use crate::error::Error;
use crate::service::DynamoDb;

/// Quotas of an account without an increase.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>
pub(super) const ACCOUNT_UNITS: i64 = 80_000;
pub(super) const TABLE_UNITS: i64 = 40_000;

pub async fn limits(
    _: &DynamoDb,
    _: &Context,
    _: api::DescribeLimitsInput,
) -> Result<api::DescribeLimitsOutput, Error> {
    Ok(api::DescribeLimitsOutput {
        account_max_read_capacity_units: Some(ACCOUNT_UNITS),
        account_max_write_capacity_units: Some(ACCOUNT_UNITS),
        table_max_read_capacity_units: Some(TABLE_UNITS),
        table_max_write_capacity_units: Some(TABLE_UNITS),
    })
}

/// Clients that discover endpoints are sent where they are.
pub async fn endpoints(
    _: &DynamoDb,
    cx: &Context,
    _: api::DescribeEndpointsInput,
) -> Result<api::DescribeEndpointsOutput, Error> {
    let endpoint = api::Endpoint { address: cx.authority().to_owned(), cache_period_in_minutes: 1_440 };
    Ok(api::DescribeEndpointsOutput { endpoints: vec![endpoint] })
}
