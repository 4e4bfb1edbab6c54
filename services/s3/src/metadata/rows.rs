//! What the tables have: their fields, and the rows of changes, objects and annotations.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-schema.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-inventory-schema.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-annotation-schema.html>

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_s3_columns::table::{Field, Kind, Value};

use crate::metadata::changes::{Change, Sealed, State, What};
use crate::operations::annotations::Annotation;
use crate::store::Object;

const fn field(id: i32, name: &'static str, kind: Kind, required: bool, doc: &'static str) -> Field {
    Field { id, name, kind, required, doc }
}

const BUCKET: Field = field(1, "bucket", Kind::Text, true, "The general purpose bucket name.");
const KEY: Field = field(2, "key", Kind::Text, true, "The key that identifies the object in the bucket.");
const SEQUENCE: Field = field(
    3,
    "sequence_number",
    Kind::Text,
    true,
    "An ordinal by which the records of the same bucket and key are sorted.",
);

/// The fields that journals and inventories share, numbered from `at`.
const fn shared(at: i32) -> [Field; 13] {
    [
        field(at, "version_id", Kind::Text, false, "The object's version ID."),
        field(at + 1, "is_delete_marker", Kind::Boolean, false, "Whether the record is of a delete marker."),
        field(at + 2, "size", Kind::Long, false, "The object size in bytes."),
        field(at + 3, "last_modified_date", Kind::Timestamp, false, "When the object was created or last modified."),
        field(at + 4, "e_tag", Kind::Text, false, "The entity tag."),
        field(at + 5, "storage_class", Kind::Text, false, "The storage class of the object."),
        field(at + 6, "is_multipart", Kind::Boolean, false, "Whether the object was uploaded in parts."),
        field(at + 7, "encryption_status", Kind::Text, false, "The object's server-side encryption."),
        field(at + 8, "is_bucket_key_enabled", Kind::Boolean, false, "Whether an S3 Bucket Key is used."),
        field(at + 9, "kms_key_arn", Kind::Text, false, "The ARN of the KMS key of the object."),
        field(at + 10, "checksum_algorithm", Kind::Text, false, "The algorithm of the object's checksum."),
        field(at + 11, "object_tags", Kind::Map(at + 13, at + 14), false, "The object's tags."),
        field(at + 12, "user_metadata", Kind::Map(at + 15, at + 16), false, "The object's user metadata."),
    ]
}

const IN_JOURNAL: [Field; 13] = shared(6);
const IN_INVENTORY: [Field; 13] = shared(4);

/// The fields of a journal; of a table in a bucket of the customer's, too.
pub const JOURNAL: [Field; 21] = {
    let s = IN_JOURNAL;
    [
        BUCKET,
        KEY,
        SEQUENCE,
        field(4, "record_type", Kind::Text, true, "CREATE, UPDATE_METADATA or DELETE."),
        field(5, "record_timestamp", Kind::Timestamp, true, "The timestamp of the record."),
        s[0],
        s[1],
        s[2],
        s[3],
        s[4],
        s[5],
        s[6],
        s[7],
        s[8],
        s[9],
        s[10],
        s[11],
        s[12],
        field(23, "requester", Kind::Text, false, "The account or the AWS service that made the request."),
        field(24, "source_ip_address", Kind::Text, false, "The source IP address of the request."),
        field(25, "request_id", Kind::Text, false, "The ID of the request."),
    ]
};

pub const INVENTORY: [Field; 16] = {
    let s = IN_INVENTORY;
    [BUCKET, KEY, SEQUENCE, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12]]
};

pub const ANNOTATION: [Field; 12] = [
    BUCKET,
    field(2, "object_key", Kind::Text, true, "The key that identifies the object in the bucket."),
    field(3, "object_version_id", Kind::Text, false, "The object's version ID."),
    field(4, "object_join_key", Kind::Text, true, "Identifies the version of the object."),
    field(5, "name", Kind::Text, true, "The annotation name."),
    field(6, "sequence_number", Kind::Text, true, "An ordinal by which the revisions of an annotation are sorted."),
    field(7, "last_modified_date", Kind::Timestamp, false, "When the annotation was last modified."),
    field(8, "size", Kind::Long, false, "The size of the annotation in bytes."),
    field(9, "e_tag", Kind::Text, false, "The entity tag of the annotation."),
    field(10, "checksum_algorithm", Kind::Text, false, "The algorithm of the annotation's checksum."),
    field(11, "replication_status", Kind::Text, false, "The replication status of the annotation."),
    field(12, "text_value", Kind::Text, false, "The annotation's content."),
];

/// The fields of a table.
pub fn fields(kind: super::Kind) -> &'static [Field] {
    match kind {
        super::Kind::Journal => &JOURNAL,
        super::Kind::Inventory => &INVENTORY,
        super::Kind::Annotation => &ANNOTATION,
        _ => &super::lens::Columns::of(kind).fields,
    }
}

/// Texts of one length sort as their numbers do.
pub fn sequence(number: u64) -> String {
    format!("{number:032x}")
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn moment(at: Timestamp) -> Value {
    Value::Long(at.micros())
}

/// The row of a change in a journal.
pub fn of_change(bucket: &str, number: u64, change: &Change) -> Option<Vec<Value>> {
    let record_type = match change.what {
        What::Create => "CREATE",
        What::UpdateMetadata => "UPDATE_METADATA",
        What::Delete | What::DeleteMarker => "DELETE",
        What::Annotation => return None,
    };
    let version_id = change.version_id.as_deref();
    let mut row = vec![
        text(bucket),
        text(change.key.as_str()),
        text(sequence(number)),
        text(record_type),
        moment(change.at),
        Value::text(version_id),
    ];
    // What is deleted for good has nothing but what every record has.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-schema.html
    if change.what == What::Delete {
        row.resize(JOURNAL.len(), Value::Null);
        return Some(row);
    }
    row.extend(of_state(change.state.as_deref(), change.at));
    row.push(Value::text(change.requester.as_deref()));
    row.push(Value::text(change.source_ip.as_deref()));
    row.push(text(change.request_id.as_str()));
    Some(row)
}

/// What follows the version: of an object, or of a delete marker that was made at a time.
fn of_state(state: Option<&State>, at: Timestamp) -> Vec<Value> {
    let Some(state) = state else {
        let mut marker = vec![Value::Boolean(true), Value::Long(0), moment(at)];
        marker.resize(12, Value::Null);
        return marker;
    };
    let (encryption, bucket_key, key) = match &state.encryption {
        Sealed::S3 => ("SSE-S3", false, None),
        Sealed::Customer => ("SSE-C", false, None),
        Sealed::Kms { dual, key, bucket_key } => {
            (if *dual { "DSSE-KMS" } else { "SSE-KMS" }, *bucket_key, Some(key.as_str()))
        }
    };
    vec![
        Value::Boolean(false),
        Value::Long(i64::try_from(state.size).unwrap_or(i64::MAX)),
        moment(state.last_modified),
        text(state.etag.as_str()),
        text(state.storage_class.as_str()),
        Value::Boolean(state.is_multipart),
        text(encryption),
        Value::Boolean(bucket_key),
        Value::text(key),
        Value::text(state.checksum.map(super::super::model::checksum::Algorithm::as_str)),
        Value::Map(state.tags.clone()),
        Value::Map(state.user_metadata.clone()),
    ]
}

/// A version in an inventory; without an object it is a delete marker.
pub fn of_version(
    bucket: &str,
    key: &str,
    number: u64,
    version_id: Option<&str>,
    object: Option<&Object>,
    at: Timestamp,
) -> Vec<Value> {
    let mut row = vec![text(bucket), text(key), text(sequence(number)), Value::text(version_id)];
    row.extend(of_state(object.map(State::of).as_ref(), at));
    row
}

/// An annotation of a version.
pub fn of_annotation(
    bucket: &str,
    key: &str,
    object: &Object,
    (name, annotation): (&str, &Annotation),
    payload: &Bytes,
) -> Vec<Value> {
    let modified = u64::try_from(annotation.last_modified.micros()).unwrap_or(0);
    let replication = object.extras.as_ref().and_then(|extras| extras.replication);
    vec![
        text(bucket),
        text(key),
        Value::text(object.version_id.as_deref()),
        text(sequence(object.sequencer)),
        text(name),
        text(sequence(modified.max(object.sequencer))),
        moment(annotation.last_modified),
        Value::Long(i64::try_from(annotation.size).unwrap_or(i64::MAX)),
        text(annotation.etag.trim_matches('"')),
        text(annotation.checksum.algorithm.as_str()),
        Value::text(replication.map(|status| status.as_str())),
        // What is no text has none.
        Value::text(std::str::from_utf8(payload).ok()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(what: What) -> Change {
        Change {
            what,
            key: "k".into(),
            version_id: None,
            at: Timestamp::from_millis(1_000),
            state: None,
            requester: Some("123456789012".into()),
            source_ip: None,
            request_id: "R".into(),
        }
    }

    /// Every row has a value for each field, and one where there has to be one.
    #[test]
    fn rows_fit_their_fields() {
        for what in [What::Create, What::UpdateMetadata, What::Delete, What::DeleteMarker] {
            let row = of_change("b", 7, &change(what)).unwrap();
            assert_eq!(row.len(), JOURNAL.len(), "{what:?}");
            assert!(JOURNAL.iter().zip(&row).all(|(field, value)| !field.required || *value != Value::Null));
        }
        assert_eq!(of_change("b", 7, &change(What::Annotation)), None);
        assert_eq!(of_version("b", "k", 1, None, None, Timestamp::from_millis(0)).len(), INVENTORY.len());
    }

    #[test]
    fn ids_are_given_once() {
        for fields in [&JOURNAL[..], &INVENTORY[..], &ANNOTATION[..]] {
            let mut ids: Vec<_> = fields.iter().map(|field| field.id).collect();
            for field in fields {
                if let Kind::Map(key, value) = field.kind {
                    ids.extend([key, value]);
                }
            }
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!((ids.len(), ids.first(), ids.last()), (count, Some(&1), Some(&(count as i32))));
        }
    }

    #[test]
    fn what_is_deleted_for_good_says_no_more_than_it_must() {
        let row = of_change("b", 1, &change(What::Delete)).unwrap();
        assert!(row[5..].iter().all(|value| *value == Value::Null));
        let marker = of_change("b", 1, &change(What::DeleteMarker)).unwrap();
        assert_eq!((&marker[6], &marker[7]), (&Value::Boolean(true), &Value::Long(0)));
    }

    #[test]
    fn later_numbers_are_greater_texts() {
        assert!(sequence(9) < sequence(10) && sequence(u64::MAX - 1) < sequence(u64::MAX));
    }
}
