//! Smaller settings of buckets: who pays, acceleration, access logs, replication, attribute-based access.

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Scope, Transaction};
use fractus_wire::Failure;

use crate::configurations::{self, Kind, Versioning, of};
use crate::error::{Error, Result};
use crate::logging::LOGGED;
use crate::model::replication;
use crate::operations::acls::not_supported;
use crate::operations::missing;
use crate::service::S3;
use crate::store::BUCKETS;

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html>
pub async fn put_payment(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketRequestPaymentInput,
) -> Result<api::PutBucketRequestPaymentOutput> {
    if matches!(input.request_payment_configuration.payer, api::Payer::Unknown(_)) {
        return Err(Error::MalformedXml);
    }
    configurations::put(s3, cx, of!(input), Kind::RequestPayment, "", &input.request_payment_configuration).await?;
    Ok(api::PutBucketRequestPaymentOutput::default())
}

pub async fn get_payment(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketRequestPaymentInput,
) -> Result<api::GetBucketRequestPaymentOutput> {
    let found: Option<api::RequestPaymentConfiguration> =
        configurations::get(s3, cx, of!(input), Kind::RequestPayment, "").await?;
    let payer = found.map_or(api::Payer::BucketOwner, |found| found.payer);
    Ok(api::GetBucketRequestPaymentOutput { payer: Some(payer) })
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAccelerateConfiguration.html>
pub async fn put_acceleration(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketAccelerateConfigurationInput,
) -> Result<api::PutBucketAccelerateConfigurationOutput> {
    match &input.accelerate_configuration.status {
        Some(api::BucketAccelerateStatus::Enabled | api::BucketAccelerateStatus::Suspended) => {}
        _ => return Err(Error::MalformedXml),
    }
    if input.bucket.contains('.') {
        let message = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names";
        return Err(Error::invalid_request(message));
    }
    configurations::put(s3, cx, of!(input), Kind::Accelerate, "", &input.accelerate_configuration).await?;
    Ok(api::PutBucketAccelerateConfigurationOutput::default())
}

pub async fn get_acceleration(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketAccelerateConfigurationInput,
) -> Result<api::GetBucketAccelerateConfigurationOutput> {
    let found: Option<api::AccelerateConfiguration> =
        configurations::get(s3, cx, of!(input), Kind::Accelerate, "").await?;
    let status = found.and_then(|found| found.status);
    Ok(api::GetBucketAccelerateConfigurationOutput { status, request_charged: None })
}

/// A bucket to which logs go must be there, of the same account and region.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html>
pub async fn put_logging(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketLoggingInput,
) -> Result<api::PutBucketLoggingOutput> {
    let refused = |message: &str| {
        let failure = Failure::new("InvalidTargetBucketForLogging", 400, message);
        Error::Other(Box::new(failure))
    };
    let status = &input.bucket_logging_status;
    let format = status.logging_enabled.as_ref().and_then(|enabled| enabled.target_object_key_format.as_ref());
    // "Only one format, either PartitionedPrefix or SimplePrefix, is allowed."
    if format.is_some_and(|format| format.simple_prefix.is_some() && format.partitioned_prefix.is_some()) {
        return Err(Error::MalformedXml);
    }
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        if let Some(enabled) = &status.logging_enabled {
            let target = tx.get(&BUCKETS, scope, &(enabled.target_bucket.as_str(),))?;
            let target = target.ok_or_else(|| refused("The target bucket for logging does not exist"))?;
            if target.account != bucket.account {
                return Err(refused("The owner for the bucket to be logged and the target bucket must be the same."));
            }
            if target.region != bucket.region {
                let message = "S3 does not support cross-region logging";
                let failure = Failure::new("CrossLocationLoggingProhibitted", 403, message);
                return Err(Error::Other(Box::new(failure)));
            }
        }
        check_target_grants(tx, scope, status.logging_enabled.as_ref())?;
        match status.logging_enabled {
            Some(_) => tx.put(&LOGGED, scope, &(bucket.id,), &())?,
            None => tx.delete(&LOGGED, scope, &(bucket.id,))?,
        }
        configurations::set(tx, scope, bucket, Kind::Logging, "", status)
    })
    .await?;
    s3.schedule.watches_now();
    s3.schedule.wake();
    Ok(api::PutBucketLoggingOutput::default())
}

/// Grants are lists, of which a bucket whose owner owns everything has none.
fn check_target_grants(tx: &Transaction<'_>, scope: &Scope, enabled: Option<&api::LoggingEnabled>) -> Result<()> {
    let Some(enabled) = enabled.filter(|enabled| enabled.target_grants.as_ref().is_some_and(|all| !all.is_empty()))
    else {
        return Ok(());
    };
    let Some(target) = tx.get(&BUCKETS, scope, &(enabled.target_bucket.as_str(),))? else { return Ok(()) };
    match configurations::ownership(tx, scope, &target)? {
        api::ObjectOwnership::BucketOwnerEnforced => Err(not_supported()),
        _ => Ok(()),
    }
}

pub async fn get_logging(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketLoggingInput,
) -> Result<api::GetBucketLoggingOutput> {
    let found: Option<api::BucketLoggingStatus> = configurations::get(s3, cx, of!(input), Kind::Logging, "").await?;
    Ok(api::GetBucketLoggingOutput { logging_enabled: found.and_then(|found| found.logging_enabled) })
}

/// Both ends of a replication keep versions.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-requirements.html>
pub async fn put_replication(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketReplicationInput,
) -> Result<api::PutBucketReplicationOutput> {
    let mut configuration = input.replication_configuration.clone();
    replication::check(&configuration)?;
    for rule in &mut configuration.rules {
        rule.id.get_or_insert_with(|| cx.random().uuid());
    }
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        if bucket.settings.versioning != Some(Versioning::Enabled) {
            return Err(Error::invalid_request(
                "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
            ));
        }
        for rule in &configuration.rules {
            let name = rule.destination.bucket.rsplit(':').next().unwrap_or_default();
            if name == bucket.name {
                return Err(Error::invalid_request("Destination bucket cannot be the same as the source bucket."));
            }
            let target = tx.get(&BUCKETS, scope, &(name,))?;
            let target = target.ok_or_else(|| Error::invalid_request("Destination bucket must exist."))?;
            if target.settings.versioning != Some(Versioning::Enabled) {
                return Err(Error::invalid_request("Destination bucket must have versioning enabled."));
            }
        }
        configurations::set(tx, scope, bucket, Kind::Replication, "", &configuration)
    })
    .await?;
    Ok(api::PutBucketReplicationOutput::default())
}

pub fn no_replication(bucket: &str) -> Error {
    missing("ReplicationConfigurationNotFoundError", "The replication configuration was not found", bucket)
}

pub async fn get_replication(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketReplicationInput,
) -> Result<api::GetBucketReplicationOutput> {
    let found: Option<api::ReplicationConfiguration> =
        configurations::get(s3, cx, of!(input), Kind::Replication, "").await?;
    let found = found.ok_or_else(|| no_replication(&input.bucket))?;
    Ok(api::GetBucketReplicationOutput { replication_configuration: Some(found) })
}

pub async fn delete_replication(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketReplicationInput,
) -> Result<api::DeleteBucketReplicationOutput> {
    configurations::delete(s3, cx, of!(input), Kind::Replication, "").await?;
    Ok(api::DeleteBucketReplicationOutput::default())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAbac.html>
pub async fn put_abac(s3: &S3, cx: &Context, input: api::PutBucketAbacInput) -> Result<api::PutBucketAbacOutput> {
    match input.abac_status.status {
        Some(api::BucketAbacStatus::Enabled | api::BucketAbacStatus::Disabled) => {}
        _ => return Err(Error::MalformedXml),
    }
    configurations::put(s3, cx, of!(input), Kind::Abac, "", &input.abac_status).await?;
    Ok(api::PutBucketAbacOutput::default())
}

pub async fn get_abac(s3: &S3, cx: &Context, input: api::GetBucketAbacInput) -> Result<api::GetBucketAbacOutput> {
    let found: Option<api::AbacStatus> = configurations::get(s3, cx, of!(input), Kind::Abac, "").await?;
    let disabled = || api::AbacStatus { status: Some(api::BucketAbacStatus::Disabled) };
    Ok(api::GetBucketAbacOutput { abac_status: Some(found.unwrap_or_else(disabled)) })
}
