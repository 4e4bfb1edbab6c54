//! The collections S3 keeps, and their records.
//!
//! A bucket's name is unique over all accounts of a partition, so buckets and what is in them live in the partition's
//! scope. Objects are keyed by the bucket's `id` (this incarnation of the name). Small contents lie in [`CONTENTS`],
//! beside the record and not in it, so that listing a thousand keys never touches their bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_store::{BlobRef, Collection};
use serde::{Deserialize, Serialize};

use crate::configurations::Settings;
use crate::extras::Extras;
use crate::model::archive::Restore;
use crate::model::checksum::Algorithm;
use crate::model::encryption::Encryption;
use crate::model::notification::NotificationConfiguration;

/// Buckets by name.
pub const BUCKETS: Collection<(String,), Bucket> = Collection::new("buckets");
/// The buckets of an account: (account, name).
pub const OWNED_BUCKETS: Collection<(String, String), ()> = Collection::new("owned-buckets");
/// Current objects: (bucket id, key). Keys sort by their UTF-8 bytes, as S3 lists them.
pub const OBJECTS: Collection<(u64, String), Object> = Collection::new("objects");
/// The same records, of which only what a write needs to know of its predecessor is read.
pub const REPLACED: Collection<(u64, String), Replaced> = Collection::new("objects");
/// The same records, of which only what listings show is read.
pub const LISTED: Collection<(u64, String), Listed> = Collection::new("objects");
/// Bytes of small objects and parts, by content id. An id belongs to one object alone.
pub const CONTENTS: Collection<(u64,), Bytes> = Collection::new("contents");
/// Uploads in progress: (bucket id, key, upload id). Upload ids begin with the time, so they sort by initiation.
pub const UPLOADS: Collection<(u64, String, String), Upload> = Collection::new("uploads");
/// Parts: (upload id, part number).
pub const PARTS: Collection<(String, u64), Part> = Collection::new("parts");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bucket {
    pub name: String,
    /// This incarnation of the name.
    pub id: u64,
    pub account: String,
    pub region: String,
    pub created_at: Timestamp,
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    #[serde(default)]
    pub notifications: NotificationConfiguration,
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// Where an object's or part's bytes are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    Empty,
    /// A record of [`CONTENTS`].
    Small {
        id: u64,
    },
    Blob(BlobRef),
}

/// The headers an object was put with and is returned with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectHeaders {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website_redirect_location: Option<String>,
    /// User metadata: names in lower case, without `x-amz-meta-`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Whether a checksum is of the whole object or of its parts' checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumType {
    FullObject,
    Composite,
}

/// An additional checksum, base64 as on the wire (`-N` behind a composite one).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: Algorithm,
    pub kind: ChecksumType,
    pub value: String,
}

/// One part of a completed multipart upload, for reads by part number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompletedPart {
    pub number: u32,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object {
    pub size: u64,
    /// Quoted, as on the wire.
    pub etag: String,
    pub last_modified: Timestamp,
    pub content: Content,
    #[serde(default)]
    pub headers: ObjectHeaders,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// Not empty for an object that was uploaded in parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<CompletedPart>,
    /// Absent means STANDARD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// Rises with every write of the key; orders notifications, and the key's versions.
    pub sequencer: u64,
    /// Absent: the null version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extras: Option<Box<Extras>>,
}

impl Object {
    pub fn encryption(&self) -> Option<&Encryption> {
        self.extras.as_ref().and_then(|extras| extras.encryption.as_ref())
    }

    pub fn storage_class(&self) -> &str {
        self.storage_class.as_deref().unwrap_or("STANDARD")
    }
}

/// What of an [`Object`] matters when another takes its place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Replaced {
    pub etag: String,
    pub content: Content,
    pub sequencer: u64,
}

/// What of an [`Object`] a listing shows.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Listed {
    pub size: u64,
    pub etag: String,
    pub last_modified: Timestamp,
    #[serde(default)]
    pub checksum: Option<ListedChecksum>,
    #[serde(default)]
    pub storage_class: Option<String>,
    #[serde(default)]
    pub extras: Option<ListedExtras>,
}

/// What of [`Extras`] a listing shows.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListedExtras {
    #[serde(default)]
    pub restore: Option<Restore>,
    #[serde(default)]
    pub acl: Option<ListedAcl>,
}

/// A list without its grants.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListedAcl {
    pub owner: String,
}

impl Listed {
    pub fn restore(&self) -> Option<Restore> {
        self.extras.as_ref().and_then(|extras| extras.restore)
    }

    /// Whose it is by its list.
    pub fn owner(&self) -> Option<&str> {
        self.extras.as_ref()?.acl.as_ref().map(|acl| acl.owner.as_str())
    }

    pub fn storage_class(&self) -> &str {
        self.storage_class.as_deref().unwrap_or("STANDARD")
    }
}

/// A [`Checksum`] without its value.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ListedChecksum {
    pub algorithm: Algorithm,
    pub kind: ChecksumType,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    pub initiated_at: Timestamp,
    pub headers: ObjectHeaders,
    pub checksum_algorithm: Option<String>,
    pub checksum_type: Option<ChecksumType>,
    pub storage_class: Option<String>,
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    pub initiator: String,
    /// What the object will have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extras: Option<Box<Extras>>,
}

impl Upload {
    pub fn encryption(&self) -> Option<&Encryption> {
        self.extras.as_ref().and_then(|extras| extras.encryption.as_ref())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub size: u64,
    /// Quoted, as on the wire.
    pub etag: String,
    pub last_modified: Timestamp,
    pub content: Content,
    #[serde(default)]
    pub checksum: Option<Checksum>,
}
