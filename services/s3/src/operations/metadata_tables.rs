//! S3 Metadata: tables that tell of a bucket's objects. Configurations follow the rules of AWS, and tables come to be by the
//! lane's clock; what is in them is for a service of tables to show, and there is none.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-overview.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::Failure;
use serde::{Deserialize, Serialize};

use crate::configurations::{self, Kind, Of, of};
use crate::error::{Error, Result};
use crate::service::S3;

/// Until a table is made, and until what is in the bucket stands in it. AWS says minutes, and hours for large buckets.
const MADE_WITHIN: Duration = Duration::from_secs(300);
const FILLED_WITHIN: Duration = Duration::from_secs(1_200);
/// The fewest days that records of a journal may be kept.
const MIN_DAYS: i32 = 7;

/// A table on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Table {
    id: String,
    since: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Journal {
    table: Table,
    /// None: records are kept for ever.
    days: Option<i32>,
}

/// A table that can be switched off.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Switched {
    table: Option<Table>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

/// What is configured on a bucket: the newer form with its tables, or one table in a bucket of the customer's.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Metadata {
    Managed { journal: Journal, inventory: Option<Switched>, annotation: Option<Switched> },
    Own { table_bucket: String, name: String, table: Table },
}

fn missing(bucket: &str) -> Error {
    crate::operations::missing("MetadataConfigurationNotFound", "The metadata configuration does not exist.", bucket)
}

fn exists() -> Error {
    Error::other("MetadataConfigurationAlreadyExists", 409, "The metadata configuration already exists.")
}

fn to_text(metadata: &Metadata) -> Result<String> {
    serde_json::to_string(metadata).map_err(broken)
}

fn of_text(text: &str) -> Result<Metadata> {
    serde_json::from_str(text).map_err(broken)
}

fn broken(error: serde_json::Error) -> Error {
    tracing::error!(error = %error, "a stored metadata configuration cannot be used");
    Error::Other(Box::new(Failure::internal("We encountered an internal error. Please try again.")))
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

fn new_table(cx: &Context) -> Table {
    Table { id: cx.random().uuid(), since: cx.now() }
}

/// The table that a state asks for, where there may be one already.
fn switched(cx: &Context, on: bool, before: Option<&Switched>, role: Option<String>) -> Switched {
    let known = before.and_then(|before| before.table.clone());
    let role = role.or_else(|| before.and_then(|before| before.role.clone()));
    Switched { table: on.then(|| known.unwrap_or_else(|| new_table(cx))), role }
}

async fn create(s3: &S3, cx: &Context, of: Of<'_>, metadata: &Metadata) -> Result<()> {
    let text = to_text(metadata)?;
    configurations::change(s3, cx, of, |tx, scope, bucket| {
        if configurations::text(tx, scope, bucket, Kind::Metadata, "")?.is_some() {
            return Err(exists());
        }
        configurations::set_text(tx, scope, bucket, Kind::Metadata, "", &text)
    })
    .await
}

async fn find(s3: &S3, cx: &Context, of: Of<'_>) -> Result<Metadata> {
    let text = configurations::look(s3, cx, of, |snapshot, scope, bucket| {
        configurations::text(snapshot, scope, bucket, Kind::Metadata, "")
    });
    text.await?.map_or_else(|| Err(missing(of.bucket)), |text| of_text(&text))
}

async fn change(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    work: impl Fn(&mut Journal, &mut Option<Switched>, &mut Option<Switched>) + Send + Sync,
) -> Result<()> {
    configurations::change(s3, cx, of, |tx, scope, bucket| {
        let text = configurations::text(tx, scope, bucket, Kind::Metadata, "")?.ok_or_else(|| missing(of.bucket))?;
        let mut metadata = of_text(&text)?;
        let Metadata::Managed { journal, inventory, annotation } = &mut metadata else {
            return Err(missing(of.bucket));
        };
        work(journal, inventory, annotation);
        configurations::set_text(tx, scope, bucket, Kind::Metadata, "", &to_text(&metadata)?)
    })
    .await
}

/// Deletes the configuration; its tables stay, as on AWS, and a new configuration has new ones.
async fn delete(s3: &S3, cx: &Context, of: Of<'_>, managed: bool) -> Result<()> {
    if matches!(find(s3, cx, of).await?, Metadata::Managed { .. }) != managed {
        return Err(missing(of.bucket));
    }
    configurations::delete(s3, cx, of, Kind::Metadata, "").await.map(drop)
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
            Some(switched(cx, is_on(wanted.configuration_state.as_str())?, None, None))
        }
    };
    let annotation = match &wanted.annotation_table_configuration {
        None => None,
        Some(wanted) => {
            check_encryption(wanted.encryption_configuration.as_ref())?;
            Some(switched(cx, is_on(wanted.configuration_state.as_str())?, None, wanted.role.clone()))
        }
    };
    let metadata = Metadata::Managed { journal: Journal { table: new_table(cx), days }, inventory, annotation };
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
    let metadata =
        Metadata::Own { table_bucket: destination.table_bucket_arn.clone(), name: name.clone(), table: new_table(cx) };
    create(s3, cx, of!(input), &metadata).await?;
    Ok(Default::default())
}

/// `CREATING`, then for a table that is filled from the bucket `BACKFILLING`, then `ACTIVE`.
fn status(table: &Table, filled: bool, now: Timestamp) -> &'static str {
    if now < table.since.plus(MADE_WITHIN) {
        "CREATING"
    } else if filled && now < table.since.plus(FILLED_WITHIN) {
        "BACKFILLING"
    } else {
        "ACTIVE"
    }
}

fn table_bucket(cx: &Context) -> String {
    format!("arn:{}:s3tables:{}:{}:bucket/aws-s3", cx.world.partition, cx.region, cx.world.account)
}

fn table_arn(bucket: &str, table: &Table) -> String {
    format!("{bucket}/table/{}", table.id)
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
        ..Default::default()
    });
    let annotation = annotation.map(|annotation| api::AnnotationTableConfigurationResult {
        configuration_state: state(annotation.table.as_ref()).into(),
        table_status: annotation.table.as_ref().map(|table| status(table, true, now).to_owned()),
        table_name: annotation.table.as_ref().map(|_| "annotation".to_owned()),
        table_arn: annotation.table.as_ref().map(arn),
        role: annotation.role,
        ..Default::default()
    });
    let result = api::MetadataConfigurationResult {
        destination_result: api::DestinationResult {
            table_bucket_type: Some(api::S3TablesBucketType::Aws),
            table_bucket_arn: Some(bucket.clone()),
            table_namespace: Some(format!("b_{}", input.bucket)),
        },
        journal_table_configuration_result: Some(api::JournalTableConfigurationResult {
            table_status: status(&journal.table, false, now).to_owned(),
            table_name: "journal".to_owned(),
            table_arn: Some(arn(&journal.table)),
            record_expiration: api::RecordExpiration {
                expiration: if journal.days.is_some() { "ENABLED".into() } else { "DISABLED".into() },
                days: journal.days,
            },
            error: None,
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
        table_namespace: "aws_s3_metadata".to_owned(),
    };
    let result = api::GetBucketMetadataTableConfigurationResult {
        metadata_table_configuration_result: api::MetadataTableConfigurationResult {
            s3_tables_destination_result: destination,
        },
        status: status(&table, false, cx.now()).to_owned(),
        error: None,
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
    let on = is_on(wanted.configuration_state.as_str())?;
    change(s3, cx, of!(input), |_, inventory, _| *inventory = Some(switched(cx, on, inventory.as_ref(), None))).await?;
    Ok(Default::default())
}

pub async fn update_annotation(
    s3: &S3,
    cx: &Context,
    input: api::UpdateBucketMetadataAnnotationTableConfigurationInput,
) -> Result<api::UpdateBucketMetadataAnnotationTableConfigurationOutput> {
    let wanted = &input.annotation_table_configuration;
    check_encryption(wanted.encryption_configuration.as_ref())?;
    let on = is_on(wanted.configuration_state.as_str())?;
    change(s3, cx, of!(input), |_, _, annotation| {
        *annotation = Some(switched(cx, on, annotation.as_ref(), wanted.role.clone()));
    })
    .await?;
    Ok(Default::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_to_be_by_the_clock() {
        let now = Timestamp::parse_date_time("2026-03-01T00:00:00Z").unwrap();
        let table = Table { id: "id".into(), since: now };
        let at = |secs, filled| status(&table, filled, now.plus(Duration::from_secs(secs)));
        assert_eq!((at(0, false), at(299, true)), ("CREATING", "CREATING"));
        assert_eq!((at(300, false), at(300, true), at(1_200, true)), ("ACTIVE", "BACKFILLING", "ACTIVE"));
    }

    #[test]
    fn records_are_kept_for_a_week_or_more() {
        let of = |state: &str, days| super::days(&api::RecordExpiration { expiration: state.into(), days });
        assert_eq!((of("ENABLED", Some(7)).unwrap(), of("DISABLED", None).unwrap()), (Some(7), None));
        for (state, days) in [("ENABLED", Some(6)), ("ENABLED", None), ("DISABLED", Some(7)), ("OTHER", None)] {
            assert!(of(state, days).is_err(), "{state} {days:?}");
        }
    }
}
