//! What is configured on a bucket: the newer form with its tables, or one table in a bucket of the customer's.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot, Transaction};
use fractus_wire::Failure;
use serde::{Deserialize, Serialize};

use crate::configurations;
use crate::error::{Error, Result};
use crate::metadata::{Kind, LAST_CHANGES, Place, TABLES};
use crate::store::Bucket;

/// Until a table is made, and until what is in the bucket stands in it. AWS says minutes, 15 at least until it is filled, and
/// hours for large buckets.
pub const MADE_WITHIN: Duration = Duration::from_secs(300);
pub const FILLED_WITHIN: Duration = Duration::from_secs(1_200);

/// The table bucket of AWS's own, and the namespace in customers'.
pub const AWS_BUCKET: &str = "aws-s3";
pub const OWN_NAMESPACE: &str = "aws_s3_metadata";

/// A table on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    pub id: String,
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Why there is none, by its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// Why a table could not be made, or is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failed {
    JournalTableAlreadyExists,
    InventoryTableAlreadyExists,
    AnnotationTableAlreadyExists,
    TableAlreadyExists,
    TableBucketNotFound,
    DestinationTableNotFound,
    JournalTableNotAvailable,
}

impl Failed {
    const AGAIN: &str = "To create a new metadata table, you must delete the metadata configuration for this bucket, and then \
                         create a new metadata configuration.";

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ErrorDetails.html>
    pub fn details(self) -> api::ErrorDetails {
        let exists = |kind: &str, a: &str| {
            format!(
                "{a} {kind} table already exists in the Amazon Web Services managed table bucket's namespace. Delete the {kind} \
                 table, and then try again."
            )
        };
        let (code, message) = match self {
            Failed::JournalTableAlreadyExists => ("JournalTableAlreadyExists", exists("journal", "A")),
            Failed::InventoryTableAlreadyExists => ("InventoryTableAlreadyExists", exists("inventory", "An")),
            Failed::AnnotationTableAlreadyExists => ("AnnotationTableAlreadyExists", exists("annotation", "An")),
            Failed::TableAlreadyExists => (
                "TableAlreadyExists",
                "The table that you specified already exists in the table bucket's namespace. Specify a different table name."
                    .to_owned(),
            ),
            Failed::TableBucketNotFound => (
                "TableBucketNotFound",
                "The table bucket that you specified doesn't exist in this Amazon Web Services Region and account. Create or \
                 choose a different table bucket."
                    .to_owned(),
            ),
            Failed::DestinationTableNotFound => {
                ("DestinationTableNotFound", "The destination table doesn't exist.".to_owned())
            }
            Failed::JournalTableNotAvailable => {
                let message = "The journal table that the inventory table relies on has a FAILED status. An inventory table requires \
                               a journal table with an ACTIVE status. To create a new journal or inventory table, you must delete \
                               the metadata configuration for this bucket, along with any journal or inventory tables, and then \
                               create a new metadata configuration.";
                return api::ErrorDetails {
                    error_code: Some("JournalTableNotAvailable".to_owned()),
                    error_message: Some(message.to_owned()),
                };
            }
        };
        let message = format!("{message} {}", Self::AGAIN);
        api::ErrorDetails { error_code: Some(code.to_owned()), error_message: Some(message) }
    }

    fn exists(kind: Kind) -> Self {
        match kind {
            Kind::Journal => Failed::JournalTableAlreadyExists,
            Kind::Inventory => Failed::InventoryTableAlreadyExists,
            Kind::Annotation => Failed::AnnotationTableAlreadyExists,
            _ => Failed::TableAlreadyExists,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Journal {
    pub table: Table,
    /// None: records are kept for ever.
    pub days: Option<i32>,
}

/// A table that can be switched off.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Switched {
    pub table: Option<Table>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Metadata {
    Managed { journal: Journal, inventory: Option<Switched>, annotation: Option<Switched> },
    Own { table_bucket: String, name: String, table: Table },
}

/// A table that is configured.
pub struct Wanted<'a> {
    pub kind: Kind,
    pub place: Place,
    pub table: &'a mut Table,
    pub days: Option<i32>,
}

impl Metadata {
    /// The tables of a bucket, the journal first.
    pub fn wanted(&mut self, bucket: &Bucket) -> Vec<Wanted<'_>> {
        let place = |table_bucket: &str, namespace: String, name: &str| {
            (bucket.account.clone(), bucket.region.clone(), table_bucket.to_owned(), namespace, name.to_owned())
        };
        let managed = |kind: Kind| place(AWS_BUCKET, namespace(&bucket.name), kind.name());
        match self {
            Metadata::Own { table_bucket, name, table } => {
                let table_bucket = table_bucket.rsplit('/').next().unwrap_or_default();
                let place = place(table_bucket, OWN_NAMESPACE.to_owned(), name);
                vec![Wanted { kind: Kind::Journal, place, table, days: None }]
            }
            Metadata::Managed { journal, inventory, annotation } => {
                let kind = Kind::Journal;
                let journal = Wanted { kind, place: managed(kind), table: &mut journal.table, days: journal.days };
                let others = [(Kind::Inventory, inventory), (Kind::Annotation, annotation)];
                let others = others.into_iter().filter_map(|(kind, switched)| {
                    let table = switched.as_mut()?.table.as_mut()?;
                    Some(Wanted { kind, place: managed(kind), table, days: None })
                });
                std::iter::once(journal).chain(others).collect()
            }
        }
    }

    /// Says of tables that were not looked at yet why they cannot be made. An older table of the name stays what it is.
    pub fn check(&mut self, snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<()> {
        let is_own = matches!(self, Metadata::Own { .. });
        let elsewhere = match self {
            Metadata::Own { table_bucket, .. } => !is_beside(table_bucket, bucket),
            Metadata::Managed { .. } => false,
        };
        let mut failed_journal = false;
        for wanted in self.wanted(bucket) {
            let (account, region, table_bucket, namespace, name) = &wanted.place;
            let place = (account.as_str(), region.as_str(), table_bucket.as_str(), namespace.as_str(), name.as_str());
            let other = snapshot.get(&TABLES, scope, &place)?.is_some_and(|kept| kept.id != wanted.table.id);
            if wanted.table.failed.is_none() {
                wanted.table.failed = if elsewhere {
                    Some(Failed::TableBucketNotFound)
                } else if other {
                    Some(if is_own { Failed::TableAlreadyExists } else { Failed::exists(wanted.kind) })
                } else {
                    failed_journal.then_some(Failed::JournalTableNotAvailable)
                };
            }
            failed_journal |= wanted.kind == Kind::Journal && wanted.table.failed.is_some();
        }
        Ok(())
    }
}

/// The namespace of a bucket's tables.
pub fn namespace(bucket: &str) -> String {
    format!("b_{bucket}")
}

/// Whether a table bucket is in the account and the region of a bucket.
fn is_beside(table_bucket: &str, bucket: &Bucket) -> bool {
    let mut parts = table_bucket.split(':').skip(3);
    parts.next() == Some(&bucket.region) && parts.next() == Some(&bucket.account)
}

pub fn to_text(metadata: &Metadata) -> Result<String> {
    serde_json::to_string(metadata).map_err(broken)
}

pub fn of_text(text: &str) -> Result<Metadata> {
    serde_json::from_str(text).map_err(broken)
}

fn broken(error: serde_json::Error) -> Error {
    tracing::error!(error = %error, "a stored metadata configuration cannot be used");
    Error::Other(Box::new(Failure::internal("We encountered an internal error. Please try again.")))
}

/// What a bucket has.
pub fn read(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Option<Metadata>> {
    let text = configurations::text(snapshot, scope, bucket, configurations::Kind::Metadata, "")?;
    text.as_deref().map(of_text).transpose()
}

/// Writes what a bucket has from now on; its changes are written down where a journal takes them.
pub fn write(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &mut Bucket,
    metadata: &mut Metadata,
    now: Timestamp,
) -> Result<()> {
    let journal =
        metadata.wanted(bucket).into_iter().any(|wanted| wanted.table.failed.is_none() && wanted.kind == Kind::Journal);
    let known = tx.contains(&LAST_CHANGES, scope, &(bucket.id,))?;
    if journal && !known {
        let number = u64::try_from(now.micros()).unwrap_or(0);
        tx.put(&LAST_CHANGES, scope, &(bucket.id,), &number)?;
    } else if !journal && known {
        tx.delete(&LAST_CHANGES, scope, &(bucket.id,))?;
    }
    let text = to_text(metadata)?;
    configurations::set_text(tx, scope, bucket, configurations::Kind::Metadata, "", &text)
}

/// `CREATING`, then for a table that is filled from the bucket `BACKFILLING`, then `ACTIVE`.
pub fn status(table: &Table, filled: bool, now: Timestamp) -> &'static str {
    if now < table.since.plus(MADE_WITHIN) {
        "CREATING"
    } else if table.failed.is_some() {
        "FAILED"
    } else if filled && now < table.since.plus(FILLED_WITHIN) {
        "BACKFILLING"
    } else {
        "ACTIVE"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_to_be_by_the_clock() {
        let now = Timestamp::parse_date_time("2026-03-01T00:00:00Z").unwrap();
        let mut table = Table { id: "id".into(), since: now, kms_key: None, failed: None };
        let at = |table: &Table, secs, filled| status(table, filled, now.plus(Duration::from_secs(secs)));
        assert_eq!((at(&table, 0, false), at(&table, 299, true)), ("CREATING", "CREATING"));
        let later = (at(&table, 300, false), at(&table, 300, true), at(&table, 1_200, true));
        assert_eq!(later, ("ACTIVE", "BACKFILLING", "ACTIVE"));
        table.failed = Some(Failed::JournalTableAlreadyExists);
        assert_eq!((at(&table, 299, false), at(&table, 300, false)), ("CREATING", "FAILED"));
    }
}
