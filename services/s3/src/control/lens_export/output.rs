//! Where a configuration's metrics go: files in a bucket, and tables in the account's own table bucket; of everything, or of every
//! prefix that there is.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_whatis_metrics_export_manifest.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-lens-s3-tables-naming.html>

use fractus_s3_columns::table::{DataFile, Value};
use fractus_s3control_api as api;
use md5::{Digest, Md5};
use serde_json::json;
use sha1::Sha1;

use super::Export;
use super::activity::Row;
use super::report::{Head, Record, Report, VERSION};
use crate::control::jobs::manifest::bucket_of_arn;
use crate::error::{Error, Result};
use crate::extras;
use crate::metadata::configured::AWS_BUCKET;
use crate::metadata::lens::Columns;
use crate::metadata::publish::{self, At, Change};
use crate::metadata::tables::id_of;
use crate::metadata::{Kept, Kind, Place};
use crate::model::encryption::Asked;
use crate::report_access::{self, About, Writer};
use crate::schedule::{Parcel, put_parcel};

/// The most rows of one file of a table.
const ROWS_OF_FILE: usize = 10_000;

/// The destinations of a configuration: of the default report, and of the one of all prefixes.
pub struct Destinations<'a>([(Option<&'a api::S3BucketDestination>, Option<&'a api::StorageLensTableDestination>); 2]);

impl<'a> Destinations<'a> {
    /// None where it is disabled.
    pub fn of(configuration: &'a api::StorageLensConfiguration) -> Self {
        if !configuration.is_enabled {
            return Destinations(Default::default());
        }
        let enabled = |table: &&api::StorageLensTableDestination| table.is_enabled;
        let default = configuration.data_export.as_ref();
        let expanded = configuration.expanded_prefixes_data_export.as_ref();
        Destinations([
            (
                default.and_then(|export| export.s3_bucket_destination.as_ref()),
                default.and_then(|export| export.storage_lens_table_destination.as_ref()).filter(enabled),
            ),
            (
                expanded.and_then(|export| export.s3_bucket_destination.as_ref()),
                expanded.and_then(|export| export.storage_lens_table_destination.as_ref()).filter(enabled),
            ),
        ])
    }

    pub fn any(&self) -> bool {
        self.0.iter().any(|(bucket, table)| bucket.is_some() || table.is_some())
    }

    /// Whether every prefix is to be told of.
    pub fn expanded(&self) -> bool {
        let (bucket, table) = self.0[1];
        bucket.is_some() || table.is_some()
    }

    pub fn outputs(&self, export: &'a Export<'a>, head: &Head<'a>) -> Vec<Output<'a>> {
        let mut outputs = Vec::new();
        for (is_expanded, (bucket, table)) in [false, true].into_iter().zip(self.0) {
            if let Some(destination) = bucket {
                let files = Files { destination, report: Report::of(&destination.format), written: Vec::new() };
                outputs.push(Output { export, head: *head, is_expanded, to: To::Bucket(files) });
            }
            let Some(destination) = table else { continue };
            let kms_key = destination.encryption.as_ref().and_then(|one| one.ssekms.as_ref());
            for kind in [Kind::LensStorage, Kind::LensActivity, Kind::LensProperties] {
                if is_expanded && kind == Kind::LensProperties {
                    continue;
                }
                let rows = Rows {
                    columns: Columns::of(kind),
                    kind,
                    place: place(export, is_expanded, kind),
                    kms_key: kms_key.map(|kms| kms.key_id.clone()),
                    file: DataFile::new(&Columns::of(kind).fields),
                    table: None,
                    change: Change::default(),
                };
                outputs.push(Output { export, head: *head, is_expanded, to: To::Table(Box::new(rows)) });
            }
        }
        outputs
    }
}

/// Where a table of a configuration is.
fn place(export: &Export<'_>, is_expanded: bool, kind: Kind) -> Place {
    let family = match (kind, is_expanded) {
        (Kind::LensProperties, _) => "",
        (_, false) => "default_",
        (_, true) => "expanded_prefixes_",
    };
    let name = format!("{family}{}", kind.name());
    (export.account.to_owned(), export.region.to_owned(), AWS_BUCKET.to_owned(), namespace(export.id), name)
}

/// The namespace of a configuration's tables. What namespaces may not have is replaced, and a digest makes it unique again.
fn namespace(id: &str) -> String {
    let plain = id.replace('.', "-").to_lowercase();
    if plain == id {
        return format!("lens_{id}_exp");
    }
    let digest = hex::encode(Sha1::digest(id));
    format!("lens_{plain}_exp_{}", digest.get(..7).unwrap_or_default())
}

pub struct Output<'a> {
    export: &'a Export<'a>,
    head: Head<'a>,
    /// Of every prefix, and of nothing else.
    pub is_expanded: bool,
    to: To<'a>,
}

enum To<'a> {
    Bucket(Files<'a>),
    Table(Box<Rows>),
}

/// Files in a bucket: the one that is being filled, and what the manifest says of those before it.
struct Files<'a> {
    destination: &'a api::S3BucketDestination,
    report: Report,
    written: Vec<serde_json::Value>,
}

/// A table on its way: rows of the next file, and files that the day's commit brings in.
struct Rows {
    columns: &'static Columns,
    kind: Kind,
    place: Place,
    kms_key: Option<String>,
    file: DataFile,
    table: Option<Kept>,
    change: Change,
}

impl Output<'_> {
    pub async fn write(&mut self, record: Record<'_>, rows: &[Row]) -> Result<()> {
        let is_full = match &mut self.to {
            To::Bucket(files) => {
                files.report.write(&self.head, record, rows);
                files.report.is_full()
            }
            To::Table(table) => {
                table.add(&self.head, record, rows);
                table.file.rows() >= ROWS_OF_FILE
            }
        };
        if is_full { self.put_file().await } else { Ok(()) }
    }

    async fn put_file(&mut self) -> Result<()> {
        let (export, head) = (self.export, self.head);
        match &mut self.to {
            To::Bucket(files) => {
                let report = std::mem::replace(&mut files.report, Report::of(&files.destination.format));
                let (ending, content_type, content) = report.finish();
                let name = format!("reports/dt={}/{}.{ending}", head.date, export.s3.host.random().uuid());
                let key = files.key(export, self.is_expanded, &name);
                let md5 = hex::encode(Md5::digest(&content));
                files.written.push(json!({"key": key, "size": content.len(), "md5Checksum": md5}));
                export.put(files.destination, key, content_type, content).await
            }
            To::Table(table) => table.put_file(export, head.date).await,
        }
    }

    /// Writes what is left, and makes it known.
    pub async fn finish(mut self) -> Result<()> {
        let is_begun = match &self.to {
            To::Bucket(files) => files.report.has_rows() || files.written.is_empty(),
            To::Table(table) => table.file.rows() > 0,
        };
        if is_begun {
            self.put_file().await?;
        }
        match self.to {
            To::Bucket(files) => files.finish(self.export, self.is_expanded, &self.head).await,
            To::Table(table) => table.finish(self.export).await,
        }
    }
}

impl Files<'_> {
    fn key(&self, export: &Export<'_>, is_expanded: bool, name: &str) -> String {
        let prefix = self.destination.prefix.as_deref().map(|prefix| prefix.trim_matches('/')).unwrap_or_default();
        let separator = if prefix.is_empty() { "" } else { "/" };
        let family = if is_expanded { "StorageLensExpandedPrefixes" } else { "StorageLens" };
        format!("{prefix}{separator}{family}/{}/{}/{VERSION}/{name}", export.account, export.id)
    }

    async fn finish(self, export: &Export<'_>, is_expanded: bool, head: &Head<'_>) -> Result<()> {
        let (format, schema) = self.report.described();
        let manifest = json!({
            "sourceAccountId": head.account,
            "configId": head.id,
            "destinationBucket": self.destination.arn,
            "reportVersion": VERSION,
            "reportDate": head.date,
            "reportFormat": format,
            "reportSchema": schema,
            "reportFiles": self.written,
        });
        let key = self.key(export, is_expanded, &format!("manifests/dt={}/manifest.json", head.date));
        export.put(self.destination, key, "application/json", format!("{manifest:#}").into_bytes()).await
    }
}

impl Rows {
    /// Adds a row where the table has a column for one of the metrics.
    fn add(&mut self, head: &Head<'_>, record: Record<'_>, rows: &[Row]) {
        let mut values = vec![Value::Null; self.columns.fields.len()];
        let mut any = false;
        for (metric, value) in rows {
            if let Some(place) = self.columns.index(metric).and_then(|index| values.get_mut(index)) {
                *place = Value::Long(i64::try_from(*value).unwrap_or(i64::MAX));
                any = true;
            }
        }
        if !any {
            return;
        }
        for (field, value) in self.columns.fields.iter().zip(&mut values) {
            let text = match field.name {
                "version_number" => VERSION,
                "configuration_id" => head.id,
                "aws_account_id" => head.account,
                "aws_region" => record.region,
                "storage_class" => record.class,
                "record_type" => record.kind,
                "record_value" => record.value,
                "bucket_name" => record.bucket,
                "report_time" => {
                    *value = Value::Long(head.day.micros());
                    continue;
                }
                _ => break,
            };
            *value = Value::Text(text.to_owned());
        }
        self.file.row(values);
    }

    /// The table as it is, made where it is not there.
    async fn open(&mut self, at: &At<'_>, source: &str, date: &str) -> Result<Kept> {
        if let Some(kept) = self.table.take() {
            return Ok(kept);
        }
        if let Some(mut kept) = publish::read(at.s3, at.scope, at.place).await? {
            at.clean(&mut kept).await?;
            // A day that was reported before is reported anew.
            let older = kept.table.files.iter().filter(|file| file.bound == date).map(|file| file.path.clone());
            self.change.removed = older.collect();
            return Ok(kept);
        }
        // One that is made again after it was broken off is the same.
        let (account, region, _, namespace, name) = at.place;
        let id = id_of(&[account, region, namespace, name, date]);
        let (kept, files) = Kept::new(id, self.kind, (source, 0), self.kms_key.clone(), at.now);
        at.create(&kept, files).await?;
        Ok(kept)
    }

    async fn put_file(&mut self, export: &Export<'_>, date: &str) -> Result<()> {
        let place = self.place.clone();
        let at = export.table(&place);
        let mut kept = self.open(&at, export.id, date).await?;
        let file = std::mem::replace(&mut self.file, DataFile::new(&self.columns.fields));
        self.change.added.push(at.data(&mut kept, file, "", date).await?);
        self.table = Some(kept);
        Ok(())
    }

    async fn finish(self, export: &Export<'_>) -> Result<()> {
        let Some(mut kept) = self.table else { return Ok(()) };
        export.table(&self.place).commit(&mut kept, self.change, |_| Ok(())).await
    }
}

impl<'a> Export<'a> {
    fn table(&self, place: &'a Place) -> At<'a> {
        At { s3: self.s3, world: self.world, scope: self.scope, place, now: self.at }
    }

    /// Puts an object into a destination that lets Storage Lens do so.
    async fn put(
        &self,
        destination: &api::S3BucketDestination,
        key: String,
        content_type: &'static str,
        content: Vec<u8>,
    ) -> Result<()> {
        let bucket = bucket_of_arn(&destination.arn);
        let about = About::dashboard(self.world, self.account, self.region, self.id);
        let place = (bucket, key.as_str());
        report_access::check(self.s3, (self.world, self.scope), Writer::StorageLens, about, place, self.at).await?;
        let wanted = extras::Wanted { encryption: encryption(destination), ..extras::Wanted::default() };
        let parcel = Parcel { bucket, key, content_type, content, wanted };
        if !put_parcel(self.s3, self.world, self.scope, parcel).await? {
            return Err(Error::NoSuchBucket { bucket: bucket.to_owned() });
        }
        Ok(())
    }
}

/// How the report is to be encrypted, where the configuration says so.
fn encryption(destination: &api::S3BucketDestination) -> Asked {
    let Some(encryption) = &destination.encryption else { return Asked::default() };
    match &encryption.ssekms {
        Some(kms) => {
            Asked { algorithm: Some("aws:kms".to_owned()), kms_key: Some(kms.key_id.clone()), ..Asked::default() }
        }
        None => Asked { algorithm: Some("AES256".to_owned()), ..Asked::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_of_letters_that_they_may_have() {
        assert_eq!(namespace("my-lens_config"), "lens_my-lens_config_exp");
        // `printf my.LENS.config | sha1sum`
        assert_eq!(namespace("my.LENS.config"), "lens_my-lens-config_exp_3edbcb2");
        assert_ne!(namespace("a.b"), namespace("A.b"));
    }
}
