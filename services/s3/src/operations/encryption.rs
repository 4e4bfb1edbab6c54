//! The default encryption of a bucket.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html>

use fractus_host::Context;
use fractus_s3_api as api;

use crate::configurations::{self, Kind, of};
use crate::directory::is_directory;
use crate::error::{Error, Result};
use crate::model::encryption::blocked_types;
use crate::service::S3;

fn check(configuration: &api::ServerSideEncryptionConfiguration) -> Result<()> {
    let [rule] = configuration.rules.as_slice() else { return Err(Error::MalformedXml) };
    let is_known = |kind: &api::EncryptionType| !matches!(kind, api::EncryptionType::Unknown(_));
    if !blocked_types(Some(rule)).is_none_or(|types| types.iter().all(is_known)) {
        return Err(Error::MalformedXml);
    }
    let Some(default) = &rule.apply_server_side_encryption_by_default else { return Ok(()) };
    let is_kms = match default.sse_algorithm {
        api::ServerSideEncryption::Aes256 => false,
        api::ServerSideEncryption::AwsKms | api::ServerSideEncryption::AwsKmsDsse => true,
        _ => return Err(Error::MalformedXml),
    };
    if !is_kms && default.kms_master_key_id.is_some() {
        return Err(Error::invalid_argument(
            "ApplyServerSideEncryptionByDefault",
            "null",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        ));
    }
    Ok(())
}

/// What every bucket has had since 2023, and new general purpose buckets block since April 2026.
fn by_default(bucket: &str) -> api::ServerSideEncryptionConfiguration {
    api::ServerSideEncryptionConfiguration {
        rules: vec![api::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(api::ServerSideEncryptionByDefault {
                sse_algorithm: api::ServerSideEncryption::Aes256,
                kms_master_key_id: None,
            }),
            bucket_key_enabled: Some(false),
            blocked_encryption_types: (!is_directory(bucket))
                .then(|| api::BlockedEncryptionTypes { encryption_type: Some(vec![api::EncryptionType::SseC]) }),
        }],
    }
}

/// Whoever does not say what is blocked leaves it as it is.
fn keep_blocked(
    configuration: &mut api::ServerSideEncryptionConfiguration,
    known: &api::ServerSideEncryptionConfiguration,
) {
    for (rule, known) in configuration.rules.iter_mut().zip(&known.rules) {
        if blocked_types(Some(rule)).is_none() {
            rule.blocked_encryption_types = known.blocked_encryption_types.clone();
        }
    }
}

pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketEncryptionInput,
) -> Result<api::PutBucketEncryptionOutput> {
    let mut configuration = input.server_side_encryption_configuration.clone();
    check(&configuration)?;
    for rule in &mut configuration.rules {
        rule.bucket_key_enabled.get_or_insert(false);
    }
    let by_default = by_default(&input.bucket);
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        let mut configuration = configuration.clone();
        let known = configurations::read(tx, scope, bucket, Kind::Encryption)?.into_set();
        known.iter().chain([&by_default]).for_each(|known| keep_blocked(&mut configuration, known));
        configurations::set(tx, scope, bucket, Kind::Encryption, "", &configuration)
    })
    .await?;
    Ok(api::PutBucketEncryptionOutput::default())
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketEncryptionInput,
) -> Result<api::GetBucketEncryptionOutput> {
    let found = configurations::get(s3, cx, of!(input), Kind::Encryption, "").await?;
    let by_default = by_default(&input.bucket);
    let mut found: api::ServerSideEncryptionConfiguration = found.unwrap_or_else(|| by_default.clone());
    keep_blocked(&mut found, &by_default);
    Ok(api::GetBucketEncryptionOutput { server_side_encryption_configuration: Some(found) })
}

/// Back to the default.
pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketEncryptionInput,
) -> Result<api::DeleteBucketEncryptionOutput> {
    configurations::delete(s3, cx, of!(input), Kind::Encryption, "").await?;
    Ok(api::DeleteBucketEncryptionOutput::default())
}
