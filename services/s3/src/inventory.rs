//! Inventories: lists of what is in a bucket, put as CSV, ORC or Parquet with a manifest into another one, daily or weekly.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html>

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use fractus_aws::World;
use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scope};
use md5::{Digest, Md5};
use serde_json::json;

use crate::configurations::{self, Kind};
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::model::encoding::form_encode;
use crate::model::encryption::{Asked, Encryption};
use crate::model::lifecycle::midnight_after;
use crate::model::lock::EventHold;
use crate::permissions::canonical_user;
use crate::report_access::{self, About, Writer};
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;
use crate::store::{Bucket, OBJECTS, Object};
use crate::versions::{NULL, VERSIONS, Version};
use fractus_s3_columns::orc;
use fractus_s3_columns::write::{Cell, ColumnKind, ColumnSpec, File, spelled};

/// How many records one look takes, and the most of one file.
const AT_ONCE: usize = 500;
const ROWS_OF_FILE: usize = 100_000;

/// What a Parquet file's schema is called.
const MESSAGE: &str = "s3.inventory";

const DAY: Duration = Duration::from_secs(86_400);

/// When a configuration is due: at midnight, or at the one before Monday.
pub fn next_due(frequency: &api::InventoryFrequency, now: Timestamp) -> Timestamp {
    let mut due = midnight_after(now);
    if *frequency == api::InventoryFrequency::Weekly {
        // 1 January 1970 was a Thursday; reports of weeks are of Sundays.
        while due.secs().div_euclid(86_400).rem_euclid(7) != 3 {
            due = due.plus(DAY);
        }
    }
    due
}

/// Makes a report, if the configuration is still there; gives when the next is due.
pub async fn report(
    s3: &S3,
    world: &World,
    scope: &Scope,
    bucket: &Bucket,
    id: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let found = s3.store.read(|snapshot| {
        configurations::read_id::<api::InventoryConfiguration>(snapshot, scope, bucket, Kind::Inventory, id)
    });
    let Some(inventory) = found.await? else { return Ok(None) };
    if inventory.is_enabled {
        let report = Report { s3, world, scope, bucket, inventory: &inventory, now };
        report.make().await?;
    }
    Ok(Some(next_due(&inventory.schedule.frequency, now)))
}

struct Report<'a> {
    s3: &'a S3,
    world: &'a World,
    scope: &'a Scope,
    bucket: &'a Bucket,
    inventory: &'a api::InventoryConfiguration,
    now: Timestamp,
}

/// A file of a report, as its manifest names it.
struct Listed {
    key: String,
    size: usize,
    md5: String,
}

/// An object or a version as a row shows it.
struct Row<'a> {
    key: &'a str,
    version_id: Option<&'a str>,
    is_latest: bool,
    last_modified: Timestamp,
    object: Option<&'a Object>,
}

/// Rows on their way into a file.
enum Rows {
    Csv { encoder: GzEncoder<Vec<u8>>, count: usize },
    Orc(Box<orc::File>),
    Parquet(Box<File>),
}

impl Rows {
    fn count(&self) -> usize {
        match self {
            Rows::Csv { count, .. } => *count,
            Rows::Orc(file) => file.rows(),
            Rows::Parquet(file) => file.rows(),
        }
    }
}

impl Report<'_> {
    fn destination(&self) -> &api::InventoryS3BucketDestination {
        &self.inventory.destination.s3_bucket_destination
    }

    /// `prefix/bucket/id`
    fn folder(&self) -> String {
        let prefix =
            self.destination().prefix.as_deref().map(|prefix| prefix.trim_end_matches('/')).unwrap_or_default();
        let separator = if prefix.is_empty() { "" } else { "/" };
        format!("{prefix}{separator}{}/{}", self.bucket.name, self.inventory.id)
    }

    fn all_versions(&self) -> bool {
        self.inventory.included_object_versions == api::InventoryIncludedObjectVersions::All
    }

    fn fields(&self) -> impl Iterator<Item = &api::InventoryOptionalField> {
        self.inventory.optional_fields.iter().flatten()
    }

    fn is_csv(&self) -> bool {
        !matches!(self.destination().format, api::InventoryFormat::Orc | api::InventoryFormat::Parquet)
    }

    fn rows(&self) -> Rows {
        match self.destination().format {
            api::InventoryFormat::Orc => Rows::Orc(Box::new(orc::File::new(self.columns()))),
            api::InventoryFormat::Parquet => Rows::Parquet(Box::new(File::new(self.columns()))),
            _ => Rows::Csv { encoder: GzEncoder::new(Vec::new(), Compression::default()), count: 0 },
        }
    }

    /// The columns of a file of ORC or Parquet.
    fn columns(&self) -> Vec<ColumnSpec> {
        let column = |name, kind, required| ColumnSpec { name, kind, required };
        let mut columns = vec![column("bucket", ColumnKind::Text, true), column("key", ColumnKind::Text, true)];
        if self.all_versions() {
            columns.push(column("version_id", ColumnKind::Text, false));
            columns.push(column("is_latest", ColumnKind::Boolean, false));
            columns.push(column("is_delete_marker", ColumnKind::Boolean, false));
        }
        columns.extend(self.fields().map(|field| {
            let (name, kind) = column_of(field);
            column(name, kind, false)
        }));
        columns
    }

    fn schema(&self) -> String {
        match self.destination().format {
            api::InventoryFormat::Orc => return orc::spelled(&self.columns()),
            api::InventoryFormat::Parquet => return spelled(MESSAGE, &self.columns()),
            _ => {}
        }
        let versions: &[&str] = if self.all_versions() { &["VersionId", "IsLatest", "IsDeleteMarker"] } else { &[] };
        let fields = ["Bucket", "Key"].into_iter().chain(versions.iter().copied());
        fields.chain(self.fields().map(api::InventoryOptionalField::as_str)).collect::<Vec<_>>().join(", ")
    }

    async fn put(&self, key: String, content_type: &'static str, content: Vec<u8>) -> Result<bool> {
        let target = self.destination().bucket.rsplit(':').next().unwrap_or_default();
        let kms = self.destination().encryption.as_ref().and_then(|encryption| encryption.ssekms.as_ref());
        let encryption = kms.map_or_else(Asked::default, |kms| Asked {
            algorithm: Some("aws:kms".to_owned()),
            kms_key: Some(kms.key_id.clone()),
            ..Asked::default()
        });
        let wanted = Wanted { encryption, ..Wanted::default() };
        let place = (self.world, self.scope);
        report_access::check(
            self.s3,
            place,
            Writer::Reports,
            About::bucket(place.0, self.bucket),
            (target, &key),
            self.now,
        )
        .await?;
        put_parcel(self.s3, self.world, self.scope, Parcel { bucket: target, key, content_type, content, wanted }).await
    }

    async fn make(&self) -> Result<()> {
        let mut files = Vec::new();
        let mut rows = self.rows();
        self.objects(&mut rows, &mut files).await?;
        if self.all_versions() {
            self.versions(&mut rows, &mut files).await?;
        }
        self.close(rows, &mut files).await?;
        let folder = self.folder();
        // 2026-11-29T00-00Z
        let date = self.now.date_time();
        let dated = format!("{}-{}Z", date.get(..13).unwrap_or_default(), date.get(14..16).unwrap_or_default());
        let entries = files.iter().map(|file| json!({"key": file.key, "size": file.size, "MD5checksum": file.md5}));
        let manifest = json!({
            "sourceBucket": self.bucket.name,
            "destinationBucket": self.destination().bucket,
            "version": "2016-11-30",
            "creationTimestamp": (self.now.secs() * 1_000).to_string(),
            "fileFormat": self.destination().format.as_str(),
            "fileSchema": self.schema(),
            "files": entries.collect::<Vec<_>>(),
        });
        let manifest = format!("{manifest:#}").into_bytes();
        let checksum = hex::encode(Md5::digest(&manifest)).into_bytes();
        let target = self.destination().bucket.rsplit(':').next().unwrap_or_default();
        let links: Vec<_> = files.iter().map(|file| format!("s3://{target}/{}", file.key)).collect();
        let hive = format!("{folder}/hive/dt={}/symlink.txt", dated.replace('T', "-").trim_end_matches('Z'));
        if !self.put(hive, "text/plain", links.join("\n").into_bytes()).await? {
            tracing::warn!(bucket = self.bucket.name, "the destination bucket of an inventory is not there");
            return Ok(());
        }
        self.put(format!("{folder}/{dated}/manifest.json"), "application/json", manifest).await?;
        // The last of all: who waits for it finds everything.
        self.put(format!("{folder}/{dated}/manifest.checksum"), "text/plain", checksum).await?;
        Ok(())
    }

    async fn objects(&self, rows: &mut Rows, files: &mut Vec<Listed>) -> Result<()> {
        let prefix = self.inventory.filter.as_ref().map(|filter| filter.prefix.as_str()).unwrap_or_default();
        let mut after: Option<String> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::starts_with(&(self.bucket.id, prefix));
                if let Some(after) = &after {
                    range = range.after(&(self.bucket.id, after.as_str()));
                }
                let found = snapshot.range(&OBJECTS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found.map(|entry| entry.map(|((_, key), object)| (key, object)).map_err(Error::from)).collect()
            });
            let page: Vec<(String, Object)> = page.await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, object) in &page {
                let row = Row {
                    key,
                    version_id: object.version_id.as_deref(),
                    is_latest: true,
                    last_modified: object.last_modified,
                    object: Some(object),
                };
                self.write(rows, &row)?;
            }
            if rows.count() >= ROWS_OF_FILE {
                self.close(std::mem::replace(rows, self.rows()), files).await?;
            }
        }
    }

    async fn versions(&self, rows: &mut Rows, files: &mut Vec<Listed>) -> Result<()> {
        let prefix = self.inventory.filter.as_ref().map(|filter| filter.prefix.as_str()).unwrap_or_default();
        let mut after: Option<(String, u64)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::starts_with(&(self.bucket.id, prefix));
                if let Some((key, rank)) = &after {
                    range = range.after(&(self.bucket.id, key.as_str(), *rank));
                }
                let found = snapshot.range(&VERSIONS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found
                    .map(|entry| entry.map(|((_, key, rank), version)| (key, rank, version)).map_err(Error::from))
                    .collect()
            });
            let page: Vec<(String, u64, Version)> = page.await?;
            let Some((key, rank, _)) = page.last() else { return Ok(()) };
            after = Some((key.clone(), *rank));
            for (key, _, version) in &page {
                let row = Row {
                    key,
                    version_id: version.id.as_deref(),
                    // A delete marker that nothing has replaced.
                    is_latest: version.replaced_at.is_none() && version.object.is_none(),
                    last_modified: version.last_modified,
                    object: version.object.as_deref(),
                };
                self.write(rows, &row)?;
            }
            if rows.count() >= ROWS_OF_FILE {
                self.close(std::mem::replace(rows, self.rows()), files).await?;
            }
        }
    }

    fn write(&self, rows: &mut Rows, row: &Row<'_>) -> Result<()> {
        let key = if self.is_csv() { form_encode(row.key) } else { row.key.to_owned() };
        let mut values = vec![self.bucket.name.clone(), key];
        if self.all_versions() {
            values.push(row.version_id.unwrap_or(NULL).to_owned());
            values.push(row.is_latest.to_string());
            values.push(row.object.is_none().to_string());
        }
        values.extend(self.fields().map(|field| self.value(field, row)));
        let (encoder, count) = match rows {
            Rows::Csv { encoder, count } => (encoder, count),
            Rows::Orc(file) => {
                file.row(self.columns().iter().zip(values).map(|(column, value)| cell(column.kind, value)));
                return Ok(());
            }
            Rows::Parquet(file) => {
                file.row(self.columns().iter().zip(values).map(|(column, value)| cell(column.kind, value)));
                return Ok(());
            }
        };
        let quoted: Vec<_> = values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
        let line = quoted.join(",") + "\n";
        *count += 1;
        // Into memory, which does not fail.
        encoder.write_all(line.as_bytes()).map_err(|_| Error::IncompleteBody)
    }

    fn value(&self, field: &api::InventoryOptionalField, row: &Row<'_>) -> String {
        use api::InventoryOptionalField as Field;
        let modified = || row.last_modified.date_time_millis();
        let Some(object) = row.object else {
            return if *field == Field::LastModifiedDate { modified() } else { String::new() };
        };
        let extras = object.extras.as_deref();
        let retention = extras.and_then(|extras| extras.retention);
        let event_hold = retention.and_then(|retention| retention.event_hold);
        match field {
            Field::Size => object.size.to_string(),
            Field::LastModifiedDate => modified(),
            Field::StorageClass => object.storage_class().to_owned(),
            Field::ETag => object.etag.trim_matches('"').to_owned(),
            Field::IsMultipartUploaded => (!object.parts.is_empty()).to_string(),
            Field::ReplicationStatus => {
                extras.and_then(|extras| extras.replication).map_or("", |status| status.as_str()).to_owned()
            }
            Field::EncryptionStatus => match object.encryption() {
                None => "SSE-S3",
                Some(Encryption::Customer { .. }) => "SSE-C",
                Some(Encryption::Kms { algorithm, .. }) if algorithm == "aws:kms:dsse" => "DSSE-KMS",
                Some(Encryption::Kms { .. }) => "SSE-KMS",
            }
            .to_owned(),
            Field::ObjectLockRetainUntilDate => retention
                .and_then(|retention| retention.until)
                .map(|until| until.date_time_millis())
                .unwrap_or_default(),
            Field::ObjectLockMode => retention.map_or("", |retention| retention.mode.as_str()).to_owned(),
            Field::ObjectLockLegalHoldStatus => {
                let held = extras.and_then(|extras| extras.legal_hold);
                held.map_or("", |held| if held { "ON" } else { "OFF" }).to_owned()
            }
            Field::ObjectLockEventHoldStatus => event_hold.map_or("", EventHold::status).to_owned(),
            Field::ObjectLockEventHoldDuration => event_hold.map(|hold| hold.duration.spelled()).unwrap_or_default(),
            Field::BucketKeyStatus => match object.encryption() {
                Some(Encryption::Kms { bucket_key: true, .. }) => "ENABLED",
                _ => "DISABLED",
            }
            .to_owned(),
            Field::ChecksumAlgorithm => {
                object.checksum.as_ref().map_or("", |checksum| checksum.algorithm.as_str()).to_owned()
            }
            Field::ObjectOwner => canonical_user(&self.bucket.account),
            _ => String::new(),
        }
    }

    async fn close(&self, rows: Rows, files: &mut Vec<Listed>) -> Result<()> {
        if rows.count() == 0 && !files.is_empty() {
            return Ok(());
        }
        let (content, end, content_type) = match rows {
            Rows::Csv { encoder, .. } => {
                (encoder.finish().map_err(|_| Error::IncompleteBody)?, "csv.gz", "application/gzip")
            }
            Rows::Orc(file) => (file.finish(), "orc", "application/octet-stream"),
            Rows::Parquet(file) => (file.finish(MESSAGE), "parquet", "application/octet-stream"),
        };
        let key = format!("{}/data/{}.{end}", self.folder(), self.s3.host.random().uuid());
        files.push(Listed { key: key.clone(), size: content.len(), md5: hex::encode(Md5::digest(&content)) });
        self.put(key, content_type, content).await?;
        Ok(())
    }
}

/// What a file of ORC or Parquet calls a field, and holds of it.
fn column_of(field: &api::InventoryOptionalField) -> (&'static str, ColumnKind) {
    use api::InventoryOptionalField as Field;
    match field {
        Field::Size => ("size", ColumnKind::Long),
        Field::LastModifiedDate => ("last_modified_date", ColumnKind::Moment),
        Field::StorageClass => ("storage_class", ColumnKind::Text),
        Field::ETag => ("e_tag", ColumnKind::Text),
        Field::IsMultipartUploaded => ("is_multipart_uploaded", ColumnKind::Boolean),
        Field::ReplicationStatus => ("replication_status", ColumnKind::Text),
        Field::EncryptionStatus => ("encryption_status", ColumnKind::Text),
        Field::ObjectLockRetainUntilDate => ("object_lock_retain_until_date", ColumnKind::Moment),
        Field::ObjectLockMode => ("object_lock_mode", ColumnKind::Text),
        Field::ObjectLockLegalHoldStatus => ("object_lock_legal_hold_status", ColumnKind::Text),
        Field::IntelligentTieringAccessTier => ("intelligent_tiering_access_tier", ColumnKind::Text),
        Field::BucketKeyStatus => ("bucket_key_status", ColumnKind::Text),
        Field::ChecksumAlgorithm => ("checksum_algorithm", ColumnKind::Text),
        Field::ObjectAccessControlList => ("object_access_control_list", ColumnKind::Text),
        Field::ObjectOwner => ("object_owner", ColumnKind::Text),
        Field::ObjectLockEventHoldStatus => ("object_lock_event_hold_status", ColumnKind::Text),
        Field::ObjectLockEventHoldDuration => ("object_lock_event_hold_duration", ColumnKind::Text),
        Field::IntelligentTieringReferenceDate => ("intelligent_tiering_reference_date", ColumnKind::Moment),
        Field::LifecycleExpirationDate => ("lifecycle_expiration_date", ColumnKind::Moment),
        // Refused when it is configured.
        Field::Unknown(_) => ("unknown", ColumnKind::Text),
    }
}

/// A value of CSV as a cell; an empty one is none.
fn cell(kind: ColumnKind, value: String) -> Cell {
    match kind {
        _ if value.is_empty() => Cell::Null,
        ColumnKind::Text => Cell::Text(value),
        ColumnKind::Boolean => Cell::Boolean(value == "true"),
        ColumnKind::Long => value.parse().map_or(Cell::Null, Cell::Long),
        ColumnKind::Moment => Timestamp::parse_date_time(&value).map_or(Cell::Null, |at| Cell::Long(at.millis())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_end_on_sundays() {
        let now = Timestamp::parse_date_time("2026-11-26T10:00:00Z").unwrap();
        assert_eq!(next_due(&api::InventoryFrequency::Daily, now).date_time(), "2026-11-27T00:00:00Z");
        assert_eq!(next_due(&api::InventoryFrequency::Weekly, now).date_time(), "2026-11-29T00:00:00Z");
    }
}
