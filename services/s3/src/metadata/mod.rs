//! S3 Metadata: tables that tell of a bucket's objects, as Iceberg tables that every reader of such reads.
//!
//! A change to an object of a bucket that has tables is written down in the change's own transaction ([`changes`]). Once a minute
//! of the lane's clock [`work`] brings the tables up to date: [`journal`] writes the changes themselves, [`inventory`] what the
//! keys that changed come to. [`rows`] says what a row has, [`publish`] how files become part of a table, [`configured`] what is
//! configured on a bucket. [`catalog`] and [`api`] show the [`tables`], as Iceberg's REST catalog and as S3 Tables. Those of Storage
//! Lens ([`lens`]) are shown with them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-overview.html>

pub mod api;
pub mod catalog;
pub mod changes;
pub mod configured;
pub mod inventory;
pub mod journal;
pub mod lens;
pub mod publish;
pub mod rows;
pub mod tables;

pub mod work;

use fractus_clock::Timestamp;
use fractus_host::{CallerKind, Context};
use fractus_s3_columns::iceberg;
use fractus_store::Collection;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metadata::changes::Change;
use crate::store::Bucket;

/// Changes that some table has still to show, or that its last file has: (bucket id, number).
pub const CHANGES: Collection<(u64, u64), Change> = Collection::new("metadata-changes");
/// The last number that a change got, of buckets whose changes are written down: (bucket id).
pub const LAST_CHANGES: Collection<(u64,), u64> = Collection::new("metadata-last-changes");
/// Tables: (account, region, table bucket, namespace, name).
pub const TABLES: Collection<Place, Kept> = Collection::new("metadata-tables");
/// Where the tables are that a bucket's changes go to: (bucket id, kind).
pub const TABLES_OF: Collection<(u64, u64), Place> = Collection::new("metadata-tables-of");

/// Account, region, table bucket, namespace and name.
pub type Place = (String, String, String, String, String);

/// What the buckets that hold the files of tables end with.
pub const STORAGE_SUFFIX: &str = "--table-s3";

/// Which of a bucket's tables, or of a Storage Lens configuration's. The numbers are stored: they stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u64)]
pub enum Kind {
    Journal = 0,
    Inventory = 1,
    Annotation = 2,
    LensStorage = 3,
    LensProperties = 4,
    LensActivity = 5,
}

impl Kind {
    /// Those of a bucket in the order in which they are brought up to date: the journal, which lets go of changes, comes last.
    pub const ALL: [Kind; 3] = [Kind::Inventory, Kind::Annotation, Kind::Journal];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Journal => "journal",
            Kind::Inventory => "inventory",
            Kind::Annotation => "annotation",
            Kind::LensStorage => "storage_metrics",
            Kind::LensProperties => "bucket_property_metrics",
            Kind::LensActivity => "activity_metrics",
        }
    }

    /// Who says so in AWS's name.
    pub const fn managed_by(self) -> &'static str {
        match self {
            Kind::Journal | Kind::Inventory | Kind::Annotation => "metadata.s3.amazonaws.com",
            _ => "systemtables.s3.amazonaws.com",
        }
    }
}

/// A table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// In its ARN.
    pub id: String,
    pub kind: Kind,
    /// The bucket, or the configuration, that it tells of.
    pub source: String,
    /// Zero of a configuration.
    pub source_id: u64,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The number of the last change that it shows.
    pub cursor: u64,
    /// Of a journal: the last change that is in a file which no more are added to, and the file that others are in.
    pub sealed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// Whether it shows what was in the bucket before it.
    pub filled: bool,
    /// Files that are being written: what is left of them when a commit was broken off goes with the next.
    pub writing: Vec<String>,
    pub table: iceberg::Table,
}

impl Kept {
    /// A table that is not made yet, and its first files.
    pub fn new(
        id: String,
        kind: Kind,
        (source, source_id): (&str, u64),
        kms_key: Option<String>,
        now: Timestamp,
    ) -> (Self, Vec<(String, Vec<u8>)>) {
        let location = format!("s3://{id}{STORAGE_SUFFIX}");
        let (table, written) = iceberg::Table::new(rows::fields(kind), id.clone(), location, publish::millis(now));
        let kept = Kept {
            id,
            kind,
            source: source.to_owned(),
            source_id,
            created_at: now,
            modified_at: now,
            kms_key,
            cursor: 0,
            sealed: 0,
            open: None,
            filled: false,
            writing: Vec::new(),
            table,
        };
        (kept, written.files)
    }

    /// The bucket that its files are in.
    pub fn storage(&self) -> String {
        format!("{}{STORAGE_SUFFIX}", self.id)
    }
}

/// Refuses what nobody may do with the files of tables: they are read, one by one, and written by S3 alone.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/developing-s3-tables-APIs.html>
pub fn guard(cx: &Context, bucket: &Bucket) -> Result<()> {
    if !bucket.name.ends_with(STORAGE_SUFFIX) || cx.caller.kind == CallerKind::Service {
        return Ok(());
    }
    match cx.operation().map_or("", |called| called.schema.name) {
        "GetObject" | "HeadObject" => Ok(()),
        "PutObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "AbortMultipartUpload"
        | "ListParts" => Err(Error::AccessDenied),
        _ => Err(Error::MethodNotAllowed { method: cx.method().to_string(), resource: "BUCKET" }),
    }
}
