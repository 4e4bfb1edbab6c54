//! S3 Metadata: what is configured of the tables that tell of a bucket's objects. What they come to is in [`crate::metadata`].
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-overview.html>

use fractus_host::Context;
use fractus_s3_api as api;

use crate::configurations::{self, Of, of};
use crate::directory::is_directory;
use crate::error::{Error, Result};
use crate::metadata::configured::{
    self, AWS_BUCKET, Journal, MADE_WITHIN, Metadata, OWN_NAMESPACE, Switched, Table, namespace, status,
};
use crate::metadata::{LAST_CHANGES, STORAGE_SUFFIX};
use crate::schedule::{self, Job};
use crate::service::S3;

/// The fewest days that records of a journal may be kept.
const MIN_DAYS: i32 = 7;

fn missing(bucket: &str) -> Error {
    crate::operations::missing("MetadataConfigurationNotFound", "The metadata configuration does not exist.", bucket)
}

fn exists() -> Error {
    Error::other("MetadataConfigurationAlreadyExists", 409, "The metadata configuration already exists.")
}

fn check_encryption(given: Option<&api::MetadataTableEncryptionConfiguration>) -> Result<()> {
    let Some(given) = given else { return Ok(()) };
    match (&given.sse_algorithm, &given.kms_key_arn) {
        (api::TableSseAlgorithm::AwsKms, Some(_)) | (api::TableSseAlgorithm::Aes256, None) => Ok(()),
        (api::TableSseAlgorithm::AwsKms, None) => {
            Err(Error::invalid_request("A KMS key ARN must be given for encryption by aws:kms"))
        }
        (api::TableSseAlgorithm::Aes256, Some(_)) => {
            Err(Error::invalid_request("A KMS key ARN is not allowed for encryption by AES256"))
        }
        _ => Err(Error::MalformedXml),
    }
}

/// The days that records are kept.
fn days(expiration: &api::RecordExpiration) -> Result<Option<i32>> {
    match (&expiration.expiration, expiration.days) {
        (api::ExpirationState::Enabled, Some(days)) if days >= MIN_DAYS => Ok(Some(days)),
        (api::ExpirationState::Enabled, _) => {
            Err(Error::invalid_request("Record expiration needs a number of days that is 7 or more"))
        }
        (api::ExpirationState::Disabled, None) => Ok(None),
        (api::ExpirationState::Disabled, Some(_)) => {
            Err(Error::invalid_request("Days cannot be given where record expiration is disabled"))
        }
        _ => Err(Error::MalformedXml),
    }
}

fn is_on(state: &str) -> Result<bool> {
    match state {
        "ENABLED" => Ok(true),
        "DISABLED" => Ok(false),
        _ => Err(Error::MalformedXml),
    }
}

/// A table, and the key that its files are encrypted by; that cannot be changed later.
fn new_table(cx: &Context, encryption: Option<&api::MetadataTableEncryptionConfiguration>) -> Table {
    let kms_key = encryption.and_then(|encryption| encryption.kms_key_arn.clone());
    Table { id: cx.random().uuid(), since: cx.now(), kms_key, failed: None }
}

/// The table that a state asks for, where there may be one already.
fn switched(
    cx: &Context,
    on: bool,
    before: Option<&Switched>,
    encryption: Option<&api::MetadataTableEncryptionConfiguration>,
    role: Option<String>,
) -> Switched {
    let known = before.and_then(|before| before.table.clone());
    let role = role.or_else(|| before.and_then(|before| before.role.clone()));
    Switched { table: on.then(|| known.unwrap_or_else(|| new_table(cx, encryption))), role }
}

async fn create(s3: &S3, cx: &Context, of: Of<'_>, metadata: &Metadata) -> Result<()> {
    if is_directory(of.bucket) || of.bucket.ends_with(STORAGE_SUFFIX) {
        return Err(Error::MethodNotAllowed { method: cx.method().to_string(), resource: "BUCKET" });
    }
    let now = cx.now();
    configurations::change(s3, cx, of, |tx, scope, bucket| {
        if configured::read(tx, scope, bucket)?.is_some() {
            return Err(exists());
        }
        let mut metadata = metadata.clone();
        metadata.check(tx, scope, bucket)?;
        configured::write(tx, scope, bucket, &mut metadata, now)?;
        schedule::set(tx, scope, bucket, Job::Metadata, "", now.plus(MADE_WITHIN))
    })
    .await?;
    s3.schedule.wake();
    Ok(())
}

async fn find(s3: &S3, cx: &Context, of: Of<'_>) -> Result<Metadata> {
    configurations::look(s3, cx, of, configured::read).await?.ok_or_else(|| missing(of.bucket))
}

async fn change(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    work: impl Fn(&mut Journal, &mut Option<Switched>, &mut Option<Switched>) + Send + Sync,
) -> Result<()> {
    let now = cx.now();
    configurations::change(s3, cx, of, |tx, scope, bucket| {
        let mut metadata = configured::read(tx, scope, bucket)?.ok_or_else(|| missing(of.bucket))?;
        let Metadata::Managed { journal, inventory, annotation } = &mut metadata else {
            return Err(missing(of.bucket));
        };
        work(journal, inventory, annotation);
        metadata.check(tx, scope, bucket)?;
        configured::write(tx, scope, bucket, &mut metadata, now)?;
        schedule::set(tx, scope, bucket, Job::Metadata, "", now)
    })
    .await?;
    s3.schedule.wake();
    Ok(())
}

/// Deletes the configuration; its tables stay, as on AWS, until somebody deletes them, and show what happened until now.
async fn delete(s3: &S3, cx: &Context, of: Of<'_>, managed: bool) -> Result<()> {
    let now = cx.now();
    configurations::change(s3, cx, of, |tx, scope, bucket| {
        let found = configured::read(tx, scope, bucket)?.ok_or_else(|| missing(of.bucket))?;
        if matches!(found, Metadata::Managed { .. }) != managed {
            return Err(missing(of.bucket));
        }
        configurations::remove(tx, scope, bucket, configurations::Kind::Metadata, "")?;
        tx.delete(&LAST_CHANGES, scope, &(bucket.id,))?;
        schedule::set(tx, scope, bucket, Job::Metadata, "", now)
    })
    .await?;
    s3.schedule.wake();
    Ok(())
}

pub async fn create_managed(
    s3: &S3,
    cx: &Context,
    input: api::CreateBucketMetadataConfigurationInput,
) -> Result<api::CreateBucketMetadataConfigurationOutput> {
    let wanted = &input.metadata_configuration;
    check_encryption(wanted.journal_table_configuration.encryption_configuration.as_ref())?;
    let days = days(&wanted.journal_table_configuration.record_expiration)?;
    let inventory = match &wanted.inventory_table_configuration {
        None => None,
        Some(wanted) => {
            check_encryption(wanted.encryption_configuration.as_ref())?;
            let on = is_on(wanted.configuration_state.as_str())?;
            Some(switched(cx, on, None, wanted.encryption_configuration.as_ref(), None))
        }
    };
    let annotation = match &wanted.annotation_table_configuration {
        None => None,
        Some(wanted) => {
            check_encryption(wanted.encryption_configuration.as_ref())?;
            let on = is_on(wanted.configuration_state.as_str())?;
            let role = wanted.role.clone();
            Some(switched(cx, on, None, wanted.encryption_configuration.as_ref(), role))
        }
    };
    let metadata = Metadata::Managed {
        journal: Journal {
            table: new_table(cx, wanted.journal_table_configuration.encryption_configuration.as_ref()),
            days,
        },
        inventory,
        annotation,
    };
    create(s3, cx, of!(input), &metadata).await?;
    Ok(Default::default())
}

pub async fn create_own(
    s3: &S3,
    cx: &Context,
    input: api::CreateBucketMetadataTableConfigurationInput,
) -> Result<api::CreateBucketMetadataTableConfigurationOutput> {
    let destination = &input.metadata_table_configuration.s3_tables_destination;
    let is_table_bucket = destination.table_bucket_arn.starts_with("arn:")
        && destination.table_bucket_arn.contains(":s3tables:")
        && destination.table_bucket_arn.contains(":bucket/");
    if !is_table_bucket {
        return Err(Error::invalid_request("The table bucket ARN is not valid"));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let name = &destination.table_name;
    if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) || name.starts_with('_') {
        return Err(Error::invalid_request("The table name is not valid"));
    }
    let metadata = Metadata::Own {
        table_bucket: destination.table_bucket_arn.clone(),
        name: name.clone(),
        table: new_table(cx, None),
    };
    create(s3, cx, of!(input), &metadata).await?;
    Ok(Default::default())
}

fn table_bucket(cx: &Context) -> String {
    format!("arn:{}:s3tables:{}:{}:bucket/{AWS_BUCKET}", cx.world.partition, cx.region, cx.world.account)
}

fn table_arn(bucket: &str, table: &Table) -> String {
    format!("{bucket}/table/{}", table.id)
}

/// Why there is no table, once it could have been made.
fn error(table: Option<&Table>, now: fractus_clock::Timestamp) -> Option<api::ErrorDetails> {
    let table = table.filter(|table| now >= table.since.plus(MADE_WITHIN))?;
    table.failed.map(configured::Failed::details)
}

fn state(table: Option<&Table>) -> &'static str {
    if table.is_some() { "ENABLED" } else { "DISABLED" }
}

pub async fn get_managed(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketMetadataConfigurationInput,
) -> Result<api::GetBucketMetadataConfigurationOutput> {
    let found = find(s3, cx, of!(input)).await?;
    let Metadata::Managed { journal, inventory, annotation } = found else { return Err(missing(&input.bucket)) };
    let (bucket, now) = (table_bucket(cx), cx.now());
    let arn = |table: &Table| table_arn(&bucket, table);
    let inventory = inventory.map(|inventory| api::InventoryTableConfigurationResult {
        configuration_state: state(inventory.table.as_ref()).into(),
        table_status: inventory.table.as_ref().map(|table| status(table, true, now).to_owned()),
        table_name: inventory.table.as_ref().map(|_| "inventory".to_owned()),
        table_arn: inventory.table.as_ref().map(arn),
        error: error(inventory.table.as_ref(), now),
    });
    let annotation = annotation.map(|annotation| api::AnnotationTableConfigurationResult {
        configuration_state: state(annotation.table.as_ref()).into(),
        table_status: annotation.table.as_ref().map(|table| status(table, true, now).to_owned()),
        table_name: annotation.table.as_ref().map(|_| "annotation".to_owned()),
        table_arn: annotation.table.as_ref().map(arn),
        error: error(annotation.table.as_ref(), now),
        role: annotation.role,
    });
    let result = api::MetadataConfigurationResult {
        destination_result: api::DestinationResult {
            table_bucket_type: Some(api::S3TablesBucketType::Aws),
            table_bucket_arn: Some(bucket.clone()),
            table_namespace: Some(namespace(&input.bucket)),
        },
        journal_table_configuration_result: Some(api::JournalTableConfigurationResult {
            table_status: status(&journal.table, false, now).to_owned(),
            table_name: "journal".to_owned(),
            table_arn: Some(arn(&journal.table)),
            record_expiration: api::RecordExpiration {
                expiration: if journal.days.is_some() { "ENABLED".into() } else { "DISABLED".into() },
                days: journal.days,
            },
            error: error(Some(&journal.table), now),
        }),
        inventory_table_configuration_result: inventory,
        annotation_table_configuration_result: annotation,
    };
    let result = api::GetBucketMetadataConfigurationResult { metadata_configuration_result: result };
    Ok(api::GetBucketMetadataConfigurationOutput { get_bucket_metadata_configuration_result: Some(result) })
}

pub async fn get_own(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketMetadataTableConfigurationInput,
) -> Result<api::GetBucketMetadataTableConfigurationOutput> {
    let found = find(s3, cx, of!(input)).await?;
    let Metadata::Own { table_bucket, name, table } = found else { return Err(missing(&input.bucket)) };
    let destination = api::S3TablesDestinationResult {
        table_arn: table_arn(&table_bucket, &table),
        table_bucket_arn: table_bucket,
        table_name: name,
        table_namespace: OWN_NAMESPACE.to_owned(),
    };
    let result = api::GetBucketMetadataTableConfigurationResult {
        metadata_table_configuration_result: api::MetadataTableConfigurationResult {
            s3_tables_destination_result: destination,
        },
        status: status(&table, false, cx.now()).to_owned(),
        error: error(Some(&table), cx.now()),
    };
    Ok(api::GetBucketMetadataTableConfigurationOutput { get_bucket_metadata_table_configuration_result: Some(result) })
}

pub async fn delete_managed(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketMetadataConfigurationInput,
) -> Result<api::DeleteBucketMetadataConfigurationOutput> {
    delete(s3, cx, of!(input), true).await?;
    Ok(Default::default())
}

pub async fn delete_own(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketMetadataTableConfigurationInput,
) -> Result<api::DeleteBucketMetadataTableConfigurationOutput> {
    delete(s3, cx, of!(input), false).await?;
    Ok(Default::default())
}

pub async fn update_journal(
    s3: &S3,
    cx: &Context,
    input: api::UpdateBucketMetadataJournalTableConfigurationInput,
) -> Result<api::UpdateBucketMetadataJournalTableConfigurationOutput> {
    let days = days(&input.journal_table_configuration.record_expiration)?;
    change(s3, cx, of!(input), |journal, _, _| journal.days = days).await?;
    Ok(Default::default())
}

pub async fn update_inventory(
    s3: &S3,
    cx: &Context,
    input: api::UpdateBucketMetadataInventoryTableConfigurationInput,
) -> Result<api::UpdateBucketMetadataInventoryTableConfigurationOutput> {
    let wanted = &input.inventory_table_configuration;
    check_encryption(wanted.encryption_configuration.as_ref())?;
    let (on, encryption) = (is_on(wanted.configuration_state.as_str())?, wanted.encryption_configuration.as_ref());
    change(s3, cx, of!(input), |_, inventory, _| {
        *inventory = Some(switched(cx, on, inventory.as_ref(), encryption, None));
    })
    .await?;
    Ok(Default::default())
}

pub async fn update_annotation(
    s3: &S3,
    cx: &Context,
    input: api::UpdateBucketMetadataAnnotationTableConfigurationInput,
) -> Result<api::UpdateBucketMetadataAnnotationTableConfigurationOutput> {
    let wanted = &input.annotation_table_configuration;
    check_encryption(wanted.encryption_configuration.as_ref())?;
    let (on, encryption) = (is_on(wanted.configuration_state.as_str())?, wanted.encryption_configuration.as_ref());
    change(s3, cx, of!(input), |_, _, annotation| {
        *annotation = Some(switched(cx, on, annotation.as_ref(), encryption, wanted.role.clone()));
    })
    .await?;
    Ok(Default::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_for_a_week_or_more() {
        let of = |state: &str, days| super::days(&api::RecordExpiration { expiration: state.into(), days });
        assert_eq!((of("ENABLED", Some(7)).unwrap(), of("DISABLED", None).unwrap()), (Some(7), None));
        for (state, days) in [("ENABLED", Some(6)), ("ENABLED", None), ("DISABLED", Some(7)), ("OTHER", None)] {
            assert!(of(state, days).is_err(), "{state} {days:?}");
        }
    }
}
